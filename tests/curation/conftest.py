from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rank files go into a folder of the test session, and no progress bar is drawn."""
    base: Path = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("FTLIB_HOME", str(base / "ftlib-home"))
    monkeypatch.setenv("FTLIB_QUIET", "1")
