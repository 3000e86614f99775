"""Training: what tunes and asks a contestant, on this machine or behind an API."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any

from ftlib.errors import Refused, TrainingFailed
from ftlib.files import read_json, write_json
from ftlib.profile import Contestant
from ftlib.runs import Run
from ftlib.training.trainer import Answer, Trainer, trainer_for

__all__ = ["Answer", "Trainer", "train_contestant", "train_or_report", "trainer_for"]
log = logging.getLogger("ftlib")


def train_contestant(run: Run, contestant: Contestant) -> dict[str, Any]:
    """Tune one contestant of a run; returns its training.json. Raises Refused or TrainingFailed.

    Where nothing is to be trained the status is ``nothing_to_train``.
    """
    folder = run.folder(contestant)
    report = folder / "training.json"
    with closing(trainer_for(run, contestant)) as trainer:
        inputs = {name: folder / f"{name}.jsonl" for name in ("train", "valid")} if contestant.trains else {}
        with run.step(
            f"train:{contestant.name}",
            inputs={name: path for name, path in inputs.items() if path.exists()},
            settings=trainer.settings(),
            outputs=[report, folder / "adapter", folder / "job.json"],
        ) as step:
            if step.needed:
                trainer.train()
                step.note["model"] = read_json(report).get("model")  # with the revision that an open one came to; the manifest holds it
    return dict(read_json(report))


def failure_report(run: Run, contestant: Contestant, status: str, reason: str) -> dict[str, Any]:
    """Write the training.json of a contestant that was refused or failed."""
    report = {"contestant": contestant.name, "trainer": contestant.trainer, "model": {"id": contestant.model}, "status": status, "reason": reason}
    write_json(run.folder(contestant) / "training.json", report)
    log.warning("%s: %s: %s", contestant.name, status, reason)
    return report


def train_or_report(run: Run, contestant: Contestant) -> dict[str, Any]:
    """``train_contestant``, with a refusal or a failure written down (``status``, ``reason``) instead of raised.

    The other contestants go on without it; the next run tries again.
    """
    try:
        return train_contestant(run, contestant)
    except Refused as error:
        return failure_report(run, contestant, "refused", str(error))
    except TrainingFailed as error:
        return failure_report(run, contestant, "failed", str(error))
