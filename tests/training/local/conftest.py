"""A training that nobody disturbed, and one that was killed: made once for each module that asks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ftlib.training.local.checkpoints import all_of
from tests.training.local import killing, micro
from tests.training.local.resuming import tune


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training, and beside it ``events.txt``: everything it did to its folder."""
    killing.import_all()
    micro.model()
    root = tmp_path_factory.mktemp("reference")

    def work() -> None:
        killing.events(root / "out", root / "events.txt")
        tune(root / "out")

    assert killing.in_child(work, root / "said.txt") == 0, (root / "said.txt").read_text()
    return root


@pytest.fixture(scope="module")
def interrupted(reference: Path) -> Path:
    """A training killed in its last third, with two whole checkpoints."""
    out = reference / "interrupted"

    def die(event: dict[str, object]) -> None:
        if event["step"] == 9:
            os.kill(os.getpid(), signal.SIGKILL)

    assert killing.in_child(lambda: tune(out, die)) == 9
    assert [folder.name for folder in all_of(out / "checkpoints")] == ["checkpoint-8", "checkpoint-6"]
    return out
