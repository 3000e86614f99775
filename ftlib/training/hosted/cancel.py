"""Cancel, pause or resume, for real, a job that was left running: ``ftlib cancel``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from ftlib.errors import ProfileError, TrainingFailed
from ftlib.files import read_json
from ftlib.runs import Run
from ftlib.training.hosted.trainer import HostedTrainer


def act(run: Path, name: str, verb: str = "cancel") -> dict[str, str]:
    """Tell the provider what to do with a contestant's job; returns {contestant, job, status} as it is after that. Raises FtlibError."""
    opened = Run.open(run)
    path = opened.folder(opened.contestant(name)) / "job.json"
    if not path.exists():
        raise ProfileError(f"{name} has no job to {verb} ({path} does not exist); name a contestant whose training was begun at a provider.")
    with closing(HostedTrainer(opened, opened.contestant(name))) as trainer:
        job_id = str(read_json(path)["id"])
        if verb != "cancel" and not trainer.provider.can.pause:
            raise TrainingFailed(f"{trainer.provider.name} cannot {verb} a job; it can only be cancelled.")
        link = trainer.link()
        job = link.patiently(f"the request to {verb} job {job_id}", lambda: link.service.act(job_id, verb))
        return {"contestant": name, "job": job_id, "status": trainer.provider.state(job.get("status"))}
