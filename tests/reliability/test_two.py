"""Two at once on one run folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ftlib.cli import main
from ftlib.errors import FtlibError, RunLocked
from ftlib.profile import load_profile
from ftlib.runs import Run
from tests.reliability import chain
from tests.reliability.killing import leftovers

SLOW = "import sys, time; from ftlib.runs import Run\nwith Run.open(sys.argv[1]).lock(): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A run folder that another process holds."""
    run = Run.create(tmp_path / "run", chain.with_training(chain.recorded_profile(tmp_path)))
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield run.path
    process.kill()
    process.wait()


@pytest.mark.parametrize("room", chain.ROOMS)
def test_no_room_begins_in_a_folder_that_another_holds(held: Path, room: str) -> None:
    before = sorted(p.name for p in held.rglob("*"))
    with pytest.raises(FtlibError, match=r"is in use by process|does not exist"):
        chain.ROOMS[room](held)
    assert sorted(p.name for p in held.rglob("*")) == before


def test_another_profile_does_not_replace_that_of_a_held_run(held: Path) -> None:
    before = (held / "profile.yaml").read_bytes()
    with pytest.raises(RunLocked, match="is in use by process"):
        Run.create(held, load_profile("demo", ["name=rehearsal"]))
    assert (held / "profile.yaml").read_bytes() == before


def test_the_command_says_who_holds_it(held: Path) -> None:
    argv = [sys.executable, "-m", "ftlib", "run", str(held / "profile.yaml"), "--out", str(held)]
    for recorded in yaml.safe_load((held / "profile.yaml").read_text())["contestants"][:2]:
        Path(recorded["recorded"] or held / "x").touch()
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert "is in use by process" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_dead_machines_lock_is_taken_only_when_asked(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", chain.recorded_profile(tmp_path))
    (run.path / ".lock").write_text(json.dumps({"pid": os.getpid(), "machine": "colab-7/boot", "since": "2026-01-01 00:00:00", "token": "x"}))
    with pytest.raises(RunLocked, match=r"locked by process \d+ on colab-7 since 2026-01-01 00:00:00; .*--take-over"):
        chain.curate(run.path)
    with pytest.raises(RunLocked, match="--take-over"):
        Run.create(run.path, load_profile("demo", ["name=rehearsal"]))
    assert Run.create(run.path, load_profile("demo", ["name=rehearsal"]), take_over=True).profile.task == "describe"
    assert leftovers(run.path) == []


def test_who_may_take_it_over_is_told_a_way_that_every_command_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run.create(tmp_path / "run", load_profile("demo"))
    held = run.path / ".lock"
    held.write_text(json.dumps({"pid": 7, "machine": "colab-7/boot", "since": "2026-01-01 00:00:00", "token": "x"}))
    assert main(["train", str(run.path / "profile.yaml"), "tiny-llama", "--out", str(run.path), "--quiet"]) == 2
    assert f"remove {held}, or take it over with `ftlib run PROFILE --out {run.path} --take-over`" in capsys.readouterr().err


@pytest.mark.reliability
def test_of_many_that_start_at_once_one_works_and_the_others_are_refused(tmp_path: Path) -> None:
    rounds, script = 80, """
import os, sys, time
from pathlib import Path
from ftlib.errors import RunLocked
from ftlib.lock import lock
once, met = 0, 0
for number, folder in enumerate(sorted(Path(sys.argv[1]).iterdir())):
    while time.time() < float(sys.argv[2]) + 0.08 * number:
        time.sleep(0.0005)
    try:
        with lock(folder):
            os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
            time.sleep(0.02)
            os.unlink(folder / "inside")
            once += 1
    except RunLocked:
        pass
    except FileExistsError:
        met += 1
print(once, met)
"""  # fmt: skip
    for number in range(rounds):
        folder = tmp_path / "runs" / f"{number:03d}"
        folder.mkdir(parents=True)
        (folder / ".lock").write_text(json.dumps({"pid": 2**22 + 1, "machine": _here(), "since": "long ago", "token": "x"}))  # all find a dead one
    begin = str(time.time() + 3)
    argv = [sys.executable, "-c", script, str(tmp_path / "runs"), begin]
    started = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(10)]
    told = [process.communicate()[0].split() for process in started]
    assert sum(int(met) for _, met in told) == 0, "two were inside at once"
    assert sum(int(once) for once, _ in told) >= rounds
    assert not list((tmp_path / "runs").rglob(".lock*"))


def _here() -> str:
    from ftlib.lock import _machine

    return _machine()


def test_sigterm_gives_the_folder_back(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", chain.recorded_profile(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(run.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.wait()
    with run.lock():
        pass
