"""``python -m ftlib.training.hosted.cancel RUN CONTESTANT``: cancel, pause or resume a job that was left running, for real."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from ftlib.errors import FtlibError, TrainingFailed
from ftlib.files import read_json
from ftlib.runs import Run
from ftlib.training.hosted.trainer import HostedTrainer


def act(run: Run, name: str, verb: str = "cancel") -> str:
    """Tell the provider what to do with a contestant's job; returns its state after that. Raises FtlibError."""
    with closing(HostedTrainer(run, run.contestant(name))) as trainer:
        job_id = str(read_json(run.folder(name) / "job.json")["id"])
        if verb != "cancel" and not trainer.provider.can.pause:
            raise TrainingFailed(f"{trainer.provider.name} cannot {verb} a job; it can only be cancelled.")
        link = trainer.link()
        job = link.patiently(f"the request to {verb} job {job_id}", lambda: link.service.act(job_id, verb))
        return trainer.provider.state(job.get("status"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m ftlib.training.hosted.cancel", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("contestant")
    parser.add_argument("--verb", choices=["cancel", "pause", "resume"], default="cancel")
    args = parser.parse_args(argv)
    try:
        print(f"the job of {args.contestant} is now {act(Run.open(args.run), args.contestant, args.verb)}")
    except FtlibError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
