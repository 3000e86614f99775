"""A training whose newest checkpoint is damaged goes on from the older one, and ends in the same adapter, bit for bit.

That each damage is named and the older checkpoint taken is tested beside it, quickly; here is what comes after. FTLIB_WHOLE: after each.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.training.local import killing
from tests.training.local.resuming import adapter, copies, tune


@pytest.mark.reliability
def test_after_any_damage_it_ends_in_the_same_adapter(reference: Path, interrupted: Path, tmp_path: Path) -> None:
    for what, out in copies(interrupted, tmp_path, whole=bool(os.environ.get("FTLIB_WHOLE"))):
        said = tmp_path / "said.txt"
        said.unlink(missing_ok=True)
        assert killing.in_child(lambda out=out: tune(out), said) == 0, f"{what}: {said.read_text()[-2000:]}"  # type: ignore[misc]
        assert "passing over checkpoint-8" in said.read_text(), what
        assert "going on from checkpoint-6" in said.read_text(), what
        assert adapter(out) == adapter(reference / "out"), what
