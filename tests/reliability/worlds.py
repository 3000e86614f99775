"""A folder that holds all that a command may write to, and a command in it that is left alone or sent a signal while it works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.reliability.canaries import KEYS

LIMIT_S = 600.0  # no command here takes as long
COMMAND = """
import sys, ftlib.cli
marks = sys.argv.pop(1)
def marked(work):
    def do(args):
        print("running (the command)", file=open(marks, "a"), flush=True)
        outcome = work(args)
        print("ended (the command)", file=open(marks, "a"), flush=True)
        return outcome
    return do
ftlib.cli.COMMANDS = {name: marked(work) for name, work in ftlib.cli.COMMANDS.items()}
sys.exit(ftlib.cli.main())
"""
NOTEBOOK = """
import json, os, sys
from pathlib import Path
from ftlib.errors import FtlibError
from ftlib.execute import execute
os.environ["FTLIB_PROGRESS"], name, parameters, seconds = sys.argv[1:]
try:
    execute(name, Path(name + ".ipynb").resolve(), json.loads(parameters), timeout=float(seconds) or None)
except FtlibError as error:
    print(error)
    sys.exit(2)
"""


@dataclass
class Ended:
    """How a command ended. ``span``: seconds from the mark that it had begun to its end; None where no mark was seen."""

    code: int
    said: bytes
    marks: bytes
    span: float | None = None
    sent: bool = False  # whether the signal met it living
    left: list[str] = field(default_factory=list)  # processes that it started and left running


def make(folder: Path) -> Path:
    """Such a folder: its work, its home, its cache, its temporary files."""
    for name in ("work", "home", "cache", "tmp"):
        (folder / name).mkdir(parents=True)
    return folder


def copy(base: Path, place: Path) -> Path:
    """A fresh copy of one."""
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(base, place, symlinks=True))


def environment(world: Path) -> dict[str, str]:
    """The twelve keys, and nothing that leads out of the folder."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    own = {"HOME": str(world / "home"), "FTLIB_HOME": str(world / "cache"), "TMPDIR": str(world / "tmp")}
    return {**kept, **KEYS, **own, "NO_PROXY": "127.0.0.1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(Path(__file__).parents[2])}


def run(
    world: Path,
    program: str,
    argv: Sequence[str],
    *,
    mark: str = "running (",
    visit: Callable[[bytes], None] | None = None,
    moment: float = 0.0,
    sent: signal.Signals | None = None,
) -> Ended:
    """Run a program with the twelve keys in its environment.

    Args:
        program: COMMAND or NOTEBOOK.
        argv: what it gets after the name of its file of marks.
        mark: what stands in its marks or in its output once its work has begun.
        visit: called with its output then.
        sent: a signal for it, so many seconds (``moment``) after that.
    """
    marks, output = world / "marks", world / "said"
    marks.write_bytes(b"")
    with output.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(marks), *argv],
            cwd=world / "work",
            env=environment(world),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    ended, begun = Ended(0, b"", b""), 0.0
    if _until(process, lambda: mark.encode() in marks.read_bytes() + output.read_bytes()):
        begun = time.perf_counter()
        if visit:
            visit(output.read_bytes())
        if sent is not None:
            _until(process, lambda: time.perf_counter() >= begun + moment)
    started = _children(process.pid)
    if sent is not None and begun:
        ended.sent = process.poll() is None
        process.send_signal(sent)  # nothing, where it has ended
    ended.code = process.wait(LIMIT_S)
    ended.span = time.perf_counter() - begun if begun else None
    ended.left = _outlived(started)
    ended.said, ended.marks = output.read_bytes(), marks.read_bytes()
    return ended


def _until(process: subprocess.Popen[bytes], true: Callable[[], bool]) -> bool:
    """Whether it came true by the time that the process ended."""
    deadline = time.perf_counter() + LIMIT_S
    while process.poll() is None and time.perf_counter() < deadline:
        if true():
            return True
        time.sleep(0.002)
    return true()


def _children(pid: int) -> list[object]:
    import psutil

    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _outlived(started: list[object]) -> list[str]:
    """Wait for the processes that a command had started; those that go on are named, and ended."""
    import psutil

    _, living = psutil.wait_procs(started, timeout=30)
    for process in living:
        process.kill()
    return [" ".join(process.name() for process in living)] if living else []
