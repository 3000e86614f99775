"""Each command and notebook in four ways, with twelve keys in its environment: it succeeds, fails, runs out of time, is killed.

One finished run is made, notebook by notebook; each case works on a copy of what stood before it. A run that did not come to the state that was
asked for, as where it had ended before the signal came, is done again with the signal earlier or later; one that never does is a fault.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ftlib.training.sandbox.server import Sandbox
from tests.reliability.canaries import KEYS, leaks
from tests.reliability.cases import CASES, MODEL, Case, furnish
from tests.reliability.telltale import Telltale
from tests.reliability.worlds import COMMAND, NOTEBOOK, Ended, copy, make, run
from tests.training.sandbox.stubs import StubEngine

WAYS = ("success", "failure", "timeout", "kill")
TRIES = 8


@dataclass
class Outcome:
    """What became of one case in one way."""

    case: str
    way: str
    tries: int = 0
    reached: bool = False
    keys: int = 0  # that were found
    faults: list[str] = field(default_factory=list)


class Rehearsal:
    """The services, the worlds that cases begin in, and how long each takes."""

    def __init__(self, folder: Path, telltale: Telltale, engine: LastingEngine, seed: int = 1) -> None:
        self.folder, self.telltale, self.engine, self.rng = folder, telltale, engine, random.Random(seed)
        self.bases = {"empty": make(folder / "empty")}
        furnish(self.bases["empty"] / "work", telltale.url)
        self.spans: dict[str, float] = {}  # seconds of a success, from its mark on
        self.limits: dict[str, float] = {}  # seconds that a notebook's longest cell took

    def rehearse(self, case: Case, way: str) -> Outcome:
        """Do a case in a way, until it came to the state that was asked for."""
        outcome = Outcome(case.name, way)
        world, guess = self.folder / "place", self._first_guess(case, way)
        while not outcome.reached and outcome.tries < TRIES:
            outcome.tries += 1
            copy(self.base(case.base), world)
            ended = self._carry_out(case, way, world, guess)
            state = self._state(case, way, world, ended)
            outcome.reached = state == "reached"
            where, found = f"{case.name}, {way}", leaks([world, self.folder / "service"], ended.said)
            outcome.keys += len(found)
            outcome.faults += [f"{where}: {leak}" for leak in found]
            outcome.faults += [f"{where}: left running: {name}" for name in ended.left]
            outcome.faults += [f"{where}: a traceback was printed"] if b"Traceback (most" in ended.said else []
            if state not in ("reached", "early", "late"):
                outcome.faults.append(f"{where}: {state}")
                break
            guess = guess * 1.5 if state == "early" else guess * 0.5 if outcome.tries < 5 else 0.0
        if not outcome.reached and not outcome.faults:
            outcome.faults.append(f"{case.name}, {way}: not reached in {outcome.tries} tries")
        if way == "success" and outcome.reached:
            self._keep(case, world, ended)
        return outcome

    def base(self, name: str) -> Path:
        """The world of that name, made where it is not there yet."""
        if name not in self.bases:
            case, way = (case_of("train there"), "kill") if name == "job" else (case_of(name), "success")
            assert (made := self.rehearse(case, way)).reached, made.faults  # what it leaves is found again in every copy of it
            self.bases[name] = copy(self.folder / "place", self.folder / name)
        assert name != "job" or (self.bases[name] / "work" / "run" / "far" / "job.json").exists(), "it was killed before its job was known"
        return self.bases[name]

    def _first_guess(self, case: Case, way: str) -> float:
        """Seconds: of a notebook's cells before they are stopped, or from the mark to the signal."""
        if way == "timeout" and case.notebook:
            longest = self.limits.get(case.name, 3.0)
            return longest + 1.0 if _in_vain(case, way) else 0.6 * longest
        return self.rng.uniform(0.1, 0.8) * self.spans.get(case.name, 1.0)

    def _carry_out(self, case: Case, way: str, world: Path, guess: float) -> Ended:
        self.telltale.manner = "slow" if _in_vain(case, way) else case.tells if case.asks and way == "failure" else "honest"
        self.telltale.got.clear()
        self.engine.lasting = way == "kill" or case.base == "job"
        argv = case.fails or case.argv if way == "failure" else case.lasting or case.argv if way in ("timeout", "kill") else case.argv
        signals = {"kill": signal.SIGKILL}
        if way == "timeout" and not case.notebook and not case.asks:
            signals[way] = signal.SIGTERM
        if case.name == "sandbox":
            signals["success"] = signal.SIGINT
        if case.notebook:
            argv = (case.name, *argv, str(guess if way == "timeout" else 0.0))
        visit = _ask_the_sandbox if case.name == "sandbox" else None
        return run(world, NOTEBOOK if case.notebook else COMMAND, argv, mark=case.mark, visit=visit, moment=guess, sent=signals.get(way))

    def _state(self, case: Case, way: str, world: Path, ended: Ended) -> str:
        """``reached``, or in which direction it was missed, or what happened instead."""
        told = f"ended with {ended.code}: {ended.said.decode('utf-8', 'replace')[-400:]}"
        asked = not case.asks or bool(set(self.telltale.got) & set(KEYS.values()))
        if way == "success":
            return "reached" if ended.code in case.codes else told
        if way == "failure" or (way == "timeout" and case.asks and not case.notebook):
            failed = ended.code in (1, 2) or b"(no answer" in ended.said or (case.refused and _refused(world / "work" / case.refused))
            return "reached" if failed and asked else f"{told} (the service was sent {'a' if asked else 'no'} key)"
        if way == "timeout" and case.notebook:
            stopped = b"a cell took longer than" in ended.said
            begun = ended.span is not None and (asked or case.lasting)
            return "late" if ended.code == 0 else told if not stopped else "reached" if begun else "early"
        if ended.span is None:
            return f"its work never began; {told}"
        own = way == "timeout" and case.name == "sandbox" and ended.code == 0  # it ends well when it is told to
        died = ended.code == (-signal.SIGKILL if way == "kill" else -signal.SIGTERM) and b"ended (the command)" not in ended.marks
        return "reached" if ended.sent and (died or own) else "late"

    def _keep(self, case: Case, world: Path, ended: Ended) -> None:
        """What a success tells of how long it takes; its world, where others begin in it."""
        self.spans[case.name] = ended.span or 1.0
        if not case.notebook:
            return
        cells = json.loads((world / "work" / f"{case.name}.ipynb").read_text("utf-8"))["cells"]
        self.limits[case.name] = max(_seconds(cell["metadata"]["execution"]) for cell in cells if cell["metadata"].get("execution"))
        if case.output and case.name not in self.bases:
            (world / "work" / "run" / "notebooks").mkdir(exist_ok=True)  # where `ftlib run` looks for what it need not execute again
            shutil.copy(world / "work" / f"{case.name}.ipynb", world / "work" / "run" / "notebooks" / case.output)
            self.bases[case.name] = copy(world, self.folder / case.name)


def _in_vain(case: Case, way: str) -> bool:
    """Whether the service does not answer: so that the time is over while it is waited for, or the kill comes then."""
    return case.asks and not case.lasting and (way == "timeout" or (way == "kill" and case.command in ("ask", "cancel", "judge")))


def _seconds(times: dict[str, str]) -> float:
    begun, ended = (datetime.fromisoformat(times[name]) for name in ("iopub.execute_input", "shell.execute_reply"))
    return (ended - begun).total_seconds()


def _refused(file: Path) -> bool:
    """Whether a report says that something was refused, or failed."""
    return file.exists() and json.loads(file.read_text("utf-8"))["status"] in ("refused", "failed")


def _ask_the_sandbox(said: bytes) -> None:
    """Ask the service that a command has just started; one that stalls is still at it when this returns."""
    url = re.findall(rb"FTLIB_SANDBOX_URL=(\S+)", said)[0].decode()
    request = urllib.request.Request(f"{url}/models", headers={"Authorization": f"Bearer {KEYS['FTLIB_SANDBOX_KEY']}"})
    with contextlib.suppress(OSError):
        urllib.request.urlopen(request, timeout=1).read()


class LastingEngine(StubEngine):
    """Jobs that go on for as long as ``lasting`` is true, or until they are cancelled."""

    lasting = False

    def tune(self, *args: Any) -> dict[str, Any]:
        """Wait, and then train as the stub does."""
        should_stop = args[-1]
        while self.lasting and not should_stop():
            time.sleep(0.05)
        return super().tune(*args)


def case_of(name: str) -> Case:
    """The case of that name."""
    return next(case for case in CASES if case.name == name)


@contextmanager
def rehearsal(folder: Path, seed: int = 1) -> Iterator[Rehearsal]:
    """The services that cases speak to, and what is needed to do them."""
    engine = LastingEngine()
    engine.name = MODEL
    with Sandbox(folder / "service", engine, KEYS["OPENAI_API_KEY"]) as sandbox, Telltale(sandbox.url, "honest") as telltale:
        try:
            yield Rehearsal(folder, telltale, engine, seed)
        finally:
            engine.lasting = False


def everything(folder: Path, seed: int = 1, tell: Callable[[Outcome], None] = print) -> list[Outcome]:
    """Every case in every way."""
    with rehearsal(folder, seed) as stage:
        found = []
        for case in CASES:
            for way in WAYS:
                found.append(stage.rehearse(case, way))
                tell(found[-1])
    return found
