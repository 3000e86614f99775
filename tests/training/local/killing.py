"""Trainings that are killed at a chosen point and begun again, in forked children of one process that has imported everything.

A kill point is one file-system event (a file opened to be written, a rename, a removal, a new folder) inside the training's folder:
Python's audit hooks see them all, so points within a save are hit as surely as those between.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


def import_all() -> None:
    """Import what a training imports, so that children start in milliseconds. Threads of ours must not exist yet."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import torch
    import transformers  # noqa: F401
    import trl

    import ftlib.training.local.tuning  # noqa: F401

    torch.set_num_threads(1)
    assert trl.SFTTrainer  # imported lazily by TRL
    assert trl.SFTConfig


def in_child(work: Callable[[], Any], said: Path | None = None) -> int:
    """Do the work in a forked child; returns its wait status. What it prints goes to ``said``."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 1
    gc.freeze()  # a collection would go through all that was imported, and copy its pages
    try:
        if said is not None:
            handle = os.open(said, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
        import logging

        logging.basicConfig(level=logging.INFO, stream=open(2, "w", closefd=False), force=True)  # sys.stderr is pytest's own
        logging.getLogger("ftlib").setLevel(logging.INFO)
        logging.getLogger("ftlib").propagate = True
        work()
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc(file=open(2, "w", closefd=False))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def watch(folder: Path, act: Callable[[int, str], None]) -> None:
    """Call ``act(number, what)`` at every event inside ``folder``, in this process and for good."""
    count = 0
    root = str(folder)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in EVENTS or not args:
            return
        path = args[0]
        if not isinstance(path, str | os.PathLike) or not os.fspath(path).startswith(root):
            return
        if event == "open" and not (isinstance(args[1], str) and set(args[1]) & set("wax+")) and not (isinstance(args[2], int) and args[2] & 3):
            return
        count += 1
        act(count, f"{event} {Path(os.fspath(path)).relative_to(root)}")

    sys.addaudithook(hook)


def kill_at(folder: Path, number: int) -> None:
    """Kill this process at the event of that number."""
    watch(folder, lambda count, _: os.kill(os.getpid(), signal.SIGKILL) if count == number else None)


def events(folder: Path, log: Path) -> None:
    """Write every event down, for choosing kill points."""

    def note(count: int, what: str) -> None:
        with log.open("a") as handle:  # the log is outside ``folder``
            handle.write(f"{count} {what}\n")

    watch(folder, note)
