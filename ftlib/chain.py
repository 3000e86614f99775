"""The chain of rooms: which notebook belongs to which room, and what must stand before it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ftlib.files import read_json
from ftlib.profile import Contestant
from ftlib.runs import Run, StepNeeded

log = logging.getLogger("ftlib")


def curate(run: Run) -> None:
    """Raw rows to train, valid, test and funnel."""
    from ftlib.curation import curate_run

    curate_run(run)


def format_files(run: Run) -> None:
    """Records to each contestant's training files."""
    from ftlib.formatting import format_run

    format_run(run)


def train(run: Run, contestant: Contestant) -> None:
    """One contestant's training; a refusal is written down, not raised."""
    from ftlib.training import train_or_report

    train_or_report(run, contestant)


def evaluate(run: Run) -> None:
    """Answers of every system to every set, and their scores."""
    from ftlib.evaluation import answer_run, score_run

    answer_run(run)
    score_run(run)


def compare(run: Run) -> None:
    """Workbook, charts and page."""
    from ftlib.comparison import compare_run

    compare_run(run)


@dataclass(frozen=True)
class Stage:
    """One notebook of the chain, for all contestants or for one."""

    notebook: str  # such as 03_train_local
    work: Callable[[Run], None]
    contestant: str | None = None

    @property
    def output(self) -> str:
        """File name of the executed notebook."""
        return f"{self.notebook}__{self.contestant}.ipynb" if self.contestant else f"{self.notebook}.ipynb"

    def parameters(self) -> dict[str, str | bool]:
        """What this stage's notebook gets besides PROFILE and RUN. A run asked for by command is no dry one; its budget bounds it."""
        real: dict[str, str | bool] = {"DRY_RUN": False} if self.notebook == "04_train_hosted" else {}
        return {"CONTESTANT": self.contestant, **real} if self.contestant else {}


def stages(run: Run) -> list[Stage]:
    """The stages of a run, in order."""

    def training(contestant: Contestant) -> Stage:
        notebook = "03_train_local" if contestant.trainer == "local" else "04_train_hosted"
        return Stage(notebook, lambda r: train(r, contestant), contestant.name)

    return [
        Stage("01_curate", curate),
        Stage("02_format", format_files),
        *(training(c) for c in run.profile.contestants),
        Stage("05_evaluate", evaluate),
        Stage("06_compare", compare),
    ]


def why_needed(run: Run, stage: Stage) -> str | None:
    """The first step of a stage that is not up to date, with the reason; None when all of them are."""
    run.only_look = True
    try:
        stage.work(run)
    except StepNeeded as needed:
        return str(needed)
    finally:
        run.only_look = False
    return None


def tried_in_vain(run: Run, contestant: str) -> str | None:
    """How a contestant's training was refused or failed, as "status: reason"; None where it was not."""
    path = run.folder(contestant) / "training.json"
    report = read_json(path) if path.exists() else {}
    return f"{report['status']}: {report['reason']}" if report.get("status") in ("refused", "failed") else None


def ensure(run: Run, notebook: str) -> None:
    """Do whatever the stages before ``notebook`` have not done yet, so that it can be opened alone.

    A training that was refused or failed is left as it is: it may have taken its kernel with it, and would take this one.
    """
    with run.briefly():
        for stage in stages(run):
            if stage.notebook >= notebook:
                return
            if stage.contestant and "_train_" in notebook:
                continue  # how the other contestants are trained is none of this one's concern
            if stage.contestant and (ended := tried_in_vain(run, stage.contestant)):
                log.info("%s: %s (%s tries again)", stage.contestant, ended, stage.notebook)
                continue
            stage.work(run)
