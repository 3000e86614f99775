"""Kill a piece of work at random moments, let the same work finish, and compare with a run that nobody disturbed.

The work runs in a forked child of a process that has imported everything, so that the kills fall into the work and not into imports.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftlib.files import TEMPORARY

Work = Callable[[Path], object]
# Measured, so that no two runs have them equal: keys of JSON documents, wherever they stand. ``pieces``: how often a training was taken up.
MEASURED = {
    *("seconds", "rates", "memory", "energy_wh", "latency", "tokens_per_second", "examples_per_second", "rss_bytes", "machine"),
    *("started", "ended", "since", "at", "created", "created_at", "finished_at", "pieces"),
}


@dataclass
class Outcome:
    """What became of a number of kills."""

    name: str
    kills: int = 0  # those that met a living process
    missed: int = 0  # the work had ended first
    seconds: float = 0.0  # of the undisturbed work
    faults: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """For the table of figures."""
        return {"step": self.name, "kills": self.kills, "faults": len(self.faults), "undisturbed_seconds": round(self.seconds, 2)}


def start(work: Work, folder: Path, log: Path) -> int:
    """Fork a child that does the work; what it prints goes to ``log``. Returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    gc.freeze()  # a collection would go through all that was imported, and copy its pages
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        with log.open("ab", buffering=0) as handle:
            os.dup2(handle.fileno(), 1)
            os.dup2(handle.fileno(), 2)
        work(folder)
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def finish(work: Work, folder: Path, log: Path) -> None:
    """Do the work in a child to its end. Raises AssertionError with what it said where it did not end well."""
    _, status = os.waitpid(start(work, folder, log), 0)
    assert status == 0, f"ended with {status}: {log.read_text('utf-8', 'replace')[-3000:]}"


def rehearse(name: str, base: Path, place: Path, work: Work, *, kills: int, seed: int, warm: bool = True) -> Outcome:
    """Kill ``work`` ``kills`` times, one to three times in a row, and compare every end with the undisturbed one.

    Args:
        name: of the work, for the report.
        base: a folder with what the work starts from; it is copied to ``place`` each time.
        place: where the work works.
        work: gets ``place``.
        seed: of the moments, and of how often in a row.
        warm: do the work once in this process first; not where it leaves threads that a fork would lose.
    """
    rng, outcome, log = random.Random(seed), Outcome(name), place.with_suffix(".log")
    place.parent.mkdir(parents=True, exist_ok=True)
    _fresh(base, place)
    if warm:
        work(place)  # imports and caches, so that they are no part of what is killed
        _fresh(base, place)
    begun = time.perf_counter()
    finish(work, place, log)
    outcome.seconds = window = time.perf_counter() - begun
    wanted = snapshot(place)
    outcome.faults += [f"undisturbed: {fault}" for fault in leftovers(place)]
    while outcome.kills < kills and outcome.missed < 5 * kills:
        _fresh(base, place)
        log.unlink(missing_ok=True)
        acknowledged: dict[str, list[bytes]] = {}
        moments = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            moments.append(rng.uniform(0.0, window))
            sent = rng.choice([signal.SIGKILL, signal.SIGTERM])
            if not _kill_after(work, place, log, moments[-1], sent):
                outcome.missed += 1
                window *= 0.9  # a busy machine made the undisturbed one slow
                break
            outcome.kills += 1
            window = min(outcome.seconds, window * 1.05)
            where = f"{name}, kills after {', '.join(f'{m:.3f} s' for m in moments)}, last by {signal.Signals(sent).name}"
            outcome.faults += [f"{where}: {fault}" for fault in [*torn(place), *lost(acknowledged, place)]]
            acknowledged |= appended(place)
        try:
            finish(work, place, log)
        except AssertionError as error:
            outcome.faults.append(f"{where}: the work did not finish afterwards: {error}")
            continue
        faults = [*leftovers(place), *lost(acknowledged, place), *differences(wanted, snapshot(place))]
        outcome.faults += [f"{where}: {fault}" for fault in faults]
    return outcome


def _fresh(base: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place, symlinks=True)


def _kill_after(work: Work, place: Path, log: Path, seconds: float, sent: int) -> bool:
    """Whether the work was still going on when the signal came."""
    pid = start(work, place, log)
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert status == 0, f"ended by itself with {status}: {log.read_text('utf-8', 'replace')[-3000:]}"
            return False
        time.sleep(min(0.002, max(0.0, deadline - time.perf_counter())))
    os.kill(pid, sent)
    _, status = os.waitpid(pid, 0)
    if sent == signal.SIGKILL:  # a group of its own: kernels and services that the work started end by themselves, or not at all
        return os.WIFSIGNALED(status)
    return status != 0


# -- what a folder holds ---------------------------------------------------------------------------------------------
def snapshot(folder: Path) -> dict[str, Any]:
    """Every file's content without what is measured; steps' records, locks and logs of time are left out."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (
            path.is_file()
            and name not in (".lock", "manifest.json", "profile.yaml")
            and not name.startswith(("steps/", "notebooks/"))
            and "checkpoints" not in name
        ):
            found[name] = _content(path)
    return found


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".json":
        return plain(json.loads(data))
    if path.suffix == ".jsonl":
        return [plain(json.loads(line)) for line in data.splitlines() if line.strip()]
    return base64.b85encode(data) if len(data) < 200 else (len(data), hash(data))


def plain(value: Any) -> Any:
    """A JSON value without what is measured."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in MEASURED and not key.endswith("_seconds")}
    return [plain(item) for item in value] if isinstance(value, list) else value


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Files that are not as they should be."""
    return [
        f"{name} {'is missing' if name not in found else 'was not there' if name not in wanted else 'differs: ' + _first(wanted[name], found[name])}"
        for name in sorted({*wanted, *found})
        if wanted.get(name, "\0") != found.get(name, "\0")
    ]


def _first(wanted: Any, found: Any, where: str = "") -> str:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted({*wanted, *found}, key=str):
            if wanted.get(key, "\0") != found.get(key, "\0"):
                return _first(wanted.get(key, "nothing"), found.get(key, "nothing"), f"{where}.{key}")
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            if one != other:
                return _first(one, other, f"{where}[{index}]")
    return f"{where} {str(wanted)[:120]} -> {str(found)[:120]}"


def leftovers(folder: Path) -> list[str]:
    """What must not be there once the work has ended."""
    return [f"left behind: {path.relative_to(folder)}" for path in folder.rglob("*") if path.name.endswith(TEMPORARY) or path.name == ".lock"]


def torn(folder: Path) -> list[str]:
    """Files that a kill left cut: any JSON document, and any line but the last of JSON lines."""
    found = []
    for path in sorted(folder.rglob("*.json*")):
        begun = "checkpoints" in path.parts and not (path.parent / "checksums.json").exists()  # one without its seal does not count, and goes
        if path.name.endswith(TEMPORARY) or path.name == ".lock" or begun:
            continue
        data = path.read_bytes()
        parts = [data] if path.suffix == ".json" else data.split(b"\n")[:-1] if path.suffix == ".jsonl" else []
        for part in parts:
            try:
                json.loads(part)
            except ValueError:
                found.append(f"torn: {path.relative_to(folder)}")
                break
    return found


def appended(folder: Path) -> dict[str, list[bytes]]:
    """The whole lines of all append-only files: what has been acknowledged, and may never be asked or paid for again."""
    logs = [*folder.glob("answers/*/*.jsonl"), *folder.rglob("*ledger*.jsonl")]
    return {path.relative_to(folder).as_posix(): path.read_bytes().split(b"\n")[:-1] for path in logs}


def lost(acknowledged: dict[str, list[bytes]], folder: Path) -> list[str]:
    """Acknowledged lines that are gone or changed."""
    now = appended(folder)
    return [f"lost {len(gone)} acknowledged lines of {name}" for name, lines in acknowledged.items() if (gone := set(lines) - set(now.get(name, [])))]
