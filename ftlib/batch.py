"""The batch: a profile through all notebooks with papermill, in one run folder."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftlib.chain import Stage, stages, why_needed
from ftlib.errors import DataError, FtlibError, NotebookFailed
from ftlib.execute import execute, up_to_date
from ftlib.files import read_json
from ftlib.plan import estimate_run, estimate_text
from ftlib.preflight import missing_keys, preflight
from ftlib.profile import Profile, load_profile
from ftlib.progress import relay
from ftlib.runs import Run

log = logging.getLogger("ftlib")


@dataclass
class Report:
    """How a batch run ended."""

    run: Run
    seconds: float = 0.0
    done: list[str] = field(default_factory=list)  # notebooks executed
    skipped: list[str] = field(default_factory=list)  # notebooks with nothing to do
    findings: dict[str, str] = field(default_factory=dict)  # contestant -> why it is not in the comparison

    def add(self, output: str, executed: bool) -> None:
        """Note whether a notebook was executed or up to date."""
        (self.done if executed else self.skipped).append(output)

    @property
    def code(self) -> int:
        """0 done, 1 a contestant failed or was refused."""
        return 1 if self.findings else 0

    def verdict(self) -> str:
        """The first sentence of the comparison; empty where there is none."""
        record = self.run.path / "steps" / "compare.json"
        return str(read_json(record)["note"].get("verdict", "")) if record.exists() else ""

    def data(self) -> dict[str, Any]:
        """For --json."""
        return {
            "run": str(self.run.path),
            "seconds": round(self.seconds, 1),
            "notebooks": {"executed": self.done, "skipped": self.skipped},
            "findings": self.findings,
            "verdict": self.verdict(),
            "report": str(self.run.path / "report.html"),
            "workbook": str(self.run.path / "comparison.xlsx"),
        }

    def text(self) -> str:
        """For a reader."""
        lines = [f"{name}: {why}" for name, why in self.findings.items()]
        lines.append(f"{len(self.done)} notebooks executed, {len(self.skipped)} up to date, {self.seconds:.0f} s")
        if verdict := self.verdict():
            lines.append(f"verdict   {verdict}")
        lines += [f"page      {self.run.path / 'report.html'}", f"workbook  {self.run.path / 'comparison.xlsx'}"]
        return "\n".join(lines)


def run_profile(
    profile: str | Profile,
    *,
    out: Path | None = None,
    overrides: Sequence[str] = (),
    take_over: bool = False,
    jobs: int = 1,
    timeout: float | None = None,
) -> Report:
    """Take a profile through its notebooks; a notebook whose steps are all up to date is not executed again.

    Args:
        profile: a built-in name, a YAML file, or a checked profile.
        out: the run folder; ``results/<name>`` by default.
        overrides: ``key=value`` texts over the profile.
        take_over: take the folder from a machine that is gone.
        jobs: contestants trained at once.
        timeout: seconds a cell may take; None for no limit.

    Raises FtlibError where a room shared by all contestants fails; a contestant's own failure stands in the report.
    """
    checked = profile if isinstance(profile, Profile) else load_profile(profile, overrides)
    if not checked.contestants:
        raise DataError(f"Profile {checked.name} has no contestants; add one under contestants:.")
    preflight(checked)
    started = time.monotonic()
    run = Run.create(out or Path("results") / checked.name, checked, take_over=take_over)
    report = Report(run)
    with run.lock(take_over=take_over), _terminable(), relay(started):
        log.info(plan_text(run))
        told = False
        for group in _groups(stages(run)):
            if not told and any(why_needed(run, stage) for stage in group if stage.contestant or stage.notebook == "05_evaluate"):
                log.info(cost_text(run))
                told = True
            _together(run, group, report, timeout, jobs)
        _collect_findings(run, report)
        run.finish()
    report.seconds = time.monotonic() - started
    return report


def plan_text(run: Run) -> str:
    """What a batch is going to do: each notebook with why it is executed, or that there is nothing to do in it."""
    lines = [f"plan of {run.path}: {len(stages(run))} notebooks; time and money of the trainings are worked out once their files stand"]
    known, changing = "up to date", False
    for stage in stages(run):
        need = why_needed(run, stage)
        changing = changing or need is not None
        lines.append(f"  {stage.output:<40} {need or known}")
        if changing and not stage.contestant:
            known = "as far as is known now up to date; looked at again after those above"
    if changing and (old := [name for name in ("report.html", "comparison.xlsx") if (run.path / name).exists()]):
        lines.append(f"  in the folder from before: {', '.join(old)}; made anew by 06_compare at the end")
    lines += [f"  no key yet: {sentence}" for sentence in missing_keys(run.profile)]
    return "\n".join(lines)


def cost_text(run: Run) -> str:
    """Time, memory and money of what is about to be trained and asked, contestant by contestant; why not, where a part is not known."""
    try:
        return estimate_text(estimate_run(run))
    except FtlibError as error:
        return f"no estimate of time and money: {error}"


def _groups(all_stages: list[Stage]) -> list[list[Stage]]:
    """Stages that may run at once stand together: the trainings."""
    groups: list[list[Stage]] = []
    for stage in all_stages:
        if stage.contestant and groups and groups[-1][0].contestant:
            groups[-1].append(stage)
        else:
            groups.append([stage])
    return groups


def _together(run: Run, group: list[Stage], report: Report, timeout: float | None, jobs: int) -> None:
    """Execute a group of stages, ``jobs`` of them at once, each in a process of its own so that an interrupt reaches it."""
    if jobs <= 1 or len(group) == 1:
        for stage in group:
            report.add(stage.output, _stage(run, stage, timeout))
        return
    with ProcessPoolExecutor(max_workers=jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            ended = [pool.submit(_in_child, run.path, stage.output, timeout, log.getEffectiveLevel()) for stage in group]
            for stage, result in zip(group, ended, strict=True):
                report.add(stage.output, result.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


_interrupted = False  # in a child: the pool hands it one stage more than it works on, which an interrupt cannot call back


def _in_child(path: Path, output: str, timeout: float | None, level: int) -> bool:
    global _interrupted
    if _interrupted:
        raise KeyboardInterrupt
    logging.basicConfig(format="%(message)s")
    log.setLevel(level)
    try:
        with _terminable():
            run = Run.open(path)
            return _stage(run, next(stage for stage in stages(run) if stage.output == output), timeout)
    except KeyboardInterrupt:
        _interrupted = True
        raise


def _stage(run: Run, stage: Stage, timeout: float | None) -> bool:
    """Execute a stage's notebook where something in it is not up to date; returns whether it was executed."""
    output = run.path / "notebooks" / stage.output
    need = why_needed(run, stage)
    if need is None and not up_to_date(output, stage.notebook):
        need = f"{stage.output} is not there" if not output.exists() else "the notebook has changed"
    if need is None:
        log.info("%s: skipped, nothing to do", stage.output)
        return False
    log.info("%s: executing (%s)", stage.output, need)
    parameters = {"PROFILE": str(run.path / "profile.yaml"), "RUN": str(run.path), **stage.parameters()}
    started = time.monotonic()
    try:
        execute(stage.notebook, output, parameters, timeout=timeout)
    except NotebookFailed as failure:
        if stage.contestant is None:
            raise
        from ftlib.training import failure_report

        failure_report(run, run.contestant(stage.contestant), "failed", str(failure))
        log.info("%s: failed after %.0f s: %s", stage.output, time.monotonic() - started, failure)
        return True
    log.info("%s: done in %.0f s", stage.output, time.monotonic() - started)
    return True


def _collect_findings(run: Run, report: Report) -> None:
    for contestant in run.profile.contestants:
        training = read_json(run.folder(contestant) / "training.json")
        if training["status"] not in ("done", "nothing_to_train"):
            report.findings[contestant.name] = f"{training['status']}: {training['reason']}"
            continue
        for system in contestant.systems():
            stopped = run.path / "answers" / system / "refused.json"
            if stopped.exists():
                told = read_json(stopped)
                report.findings[system] = f"{told['status']}: {told['reason']}"


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does (also one started in the background): cleanly, with no kernel left behind.

    A signal that comes while Python is in a destructor or a weak reference's callback can raise nothing; it is sent once more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    def swallowed(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        else:
            hook(lost)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    hook, sys.unraisablehook = sys.unraisablehook, swallowed
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
