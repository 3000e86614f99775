"""The quickstart notebook from its first cell to its last, and a later notebook opened alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftlib.execute import execute
from ftlib.profile import dump_profile, load_profile
from tests.test_chain import TINY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """The demo on tiny settings, as a user's own profile; the local contestant alone."""
    tiny = load_profile("demo", TINY)
    tiny.contestants = tiny.contestants[:1]
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_profile(tiny), "utf-8")
    return path


def test_the_quickstart_runs_to_its_end_and_again_keeps_what_is_done(profile: Path, tmp_path: Path) -> None:
    given = {"PROFILE": str(profile), "RUN": str(tmp_path / "run")}
    output = execute("00_quickstart", tmp_path / "00.ipynb", given)
    shown = output.read_text("utf-8")
    assert "report.html" in shown
    assert "<li>tiny-llama: " in shown
    adapter = tmp_path / "run" / "tiny-llama" / "adapter" / "adapter_model.safetensors"
    before = adapter.stat().st_mtime_ns
    execute("00_quickstart", tmp_path / "00.ipynb", given)
    assert adapter.stat().st_mtime_ns == before


def test_a_later_notebook_opened_alone_does_the_earlier_steps_first(profile: Path, tmp_path: Path) -> None:
    execute("02_format", tmp_path / "02.ipynb", {"PROFILE": str(profile), "RUN": str(tmp_path / "run")})
    assert (tmp_path / "run" / "curated" / "train.jsonl").exists()
    assert (tmp_path / "run" / "tiny-llama" / "train.jsonl").exists()
