from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.errors import RunLocked
from ftlib.files import TEMPORARY
from ftlib.lock import lock

HOLD = (
    "import sys, time; from pathlib import Path; from ftlib.lock import lock\nwith lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def hold(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    process = hold(tmp_path)
    try:
        with pytest.raises(RunLocked, match=f"process {process.pid} "), lock(tmp_path):
            pass
    finally:
        process.kill()
        process.wait()


def test_a_killed_holder_of_this_machine_is_no_obstacle_and_its_leftovers_go(tmp_path: Path) -> None:
    process = hold(tmp_path)
    process.kill()
    process.wait()
    (tmp_path / "inner").mkdir()
    leftover = tmp_path / "inner" / f".x.json.1{TEMPORARY}"
    leftover.write_text("half")
    with lock(tmp_path):
        assert not leftover.exists()
    assert not (tmp_path / ".lock").exists()


def test_another_machines_lock_is_taken_over_only_when_asked(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "machine": "colab-7/boot", "since": "2026-01-01 00:00:00", "token": "x"}))
    with pytest.raises(RunLocked, match=r"colab-7.*--take-over"), lock(tmp_path):
        pass
    with lock(tmp_path, take_over=True):
        pass
    assert not (tmp_path / ".lock").exists()


def test_it_is_free_again_after_an_exception_and_re_entrant(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), lock(tmp_path), lock(tmp_path):
        raise ValueError("inside")
    with lock(tmp_path):
        pass
