"""A disk that is full, read-only or gone at each step: one clear error, nothing earlier damaged, and on it goes when the disk is back."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.errors import DataError, FtlibError
from ftlib.runs import Run
from tests.reliability import chain
from tests.reliability.disks import PAGE, SIZE, leave, remount, said
from tests.reliability.killing import differences, leftovers, lost, snapshot, torn


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """The run folder before each room, and after the last."""
    folder = tmp_path_factory.mktemp("stages")
    profile = chain.recorded_profile(folder)
    run = chain.up_to("curate", folder / "run", chain.with_training(profile))
    found = {}
    for room, work in chain.ROOMS.items():
        found[room] = folder / f"before-{room}"
        shutil.copytree(run, found[room])
        work(run)
        if room == "format":  # the model of the contestant that would train is no matter here
            Run.create(run, profile)
        if room == "curate":
            chain.record_answers(Run.open(run))
    return run, found


def after(stages: dict[str, Path], room: str, whole: Path) -> Path:
    """The run once ``room`` is done."""
    rooms = list(stages)
    return stages[rooms[rooms.index(room) + 1]] if room != rooms[-1] else whole


def end_after(stages: dict[str, Path], room: str, whole: Path) -> dict[str, object]:
    """What it holds then."""
    return snapshot(after(stages, room, whole))


def size(folder: Path) -> int:
    """Bytes that a folder takes, in whole pages."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in folder.rglob("*") if path.is_file())


@pytest.mark.reliability
@pytest.mark.parametrize("free", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("room", chain.ROOMS)
def test_full(room: str, free: float, stages: tuple[Path, dict[str, Path]], disk: Path) -> None:
    whole, before = stages
    place = disk / "run"
    shutil.copytree(before[room], place)
    earlier, wanted = snapshot(place), end_after(before, room, whole)
    leave(disk, int(free * (size(after(before, room, whole)) - size(place))))
    with pytest.raises((FtlibError, OSError)) as caught:
        chain.ROOMS[room](place)
    assert "No space left on device" in said(caught.value)
    assert torn(place) == []
    assert [fault for fault in differences(earlier, snapshot(place)) if "was not there" not in fault] == []
    remount(disk, SIZE)
    chain.ROOMS[room](place)
    assert leftovers(place) == []
    assert differences(wanted, snapshot(place)) == []


@pytest.mark.reliability
@pytest.mark.parametrize("room", chain.ROOMS)
def test_read_only(room: str, stages: tuple[Path, dict[str, Path]], disk: Path) -> None:
    whole, before = stages
    place = disk / "run"
    shutil.copytree(before[room], place)
    earlier = snapshot(place)
    remount(disk, "ro")
    try:
        with pytest.raises((FtlibError, OSError)) as caught:
            chain.ROOMS[room](place)
        assert "Read-only file system" in said(caught.value)
        assert snapshot(place) == earlier
    finally:
        remount(disk, "rw")
    chain.ROOMS[room](place)
    assert differences(end_after(before, room, whole), snapshot(place)) == []


@pytest.mark.reliability
@pytest.mark.parametrize("room", chain.ROOMS)
def test_gone_in_the_middle(room: str, stages: tuple[Path, dict[str, Path]], tmp_path: Path) -> None:
    whole, before = stages
    place, away = tmp_path / "run", tmp_path / "away"
    shutil.copytree(before[room], place)

    class Vanish(logging.Handler):
        """Takes the folder away as soon as a step has begun."""

        def emit(self, record: logging.LogRecord) -> None:
            if ": running (" in record.getMessage() and not away.exists():
                place.rename(away)

    handler, logger = Vanish(), logging.getLogger("ftlib")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with pytest.raises((FtlibError, OSError)) as caught:
            chain.ROOMS[room](place)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert "mounted?" in said(caught.value) or isinstance(caught.value, DataError)
    shutil.rmtree(place, ignore_errors=True)
    away.rename(place)
    chain.ROOMS[room](place)
    assert leftovers(place) == []
    assert lost({}, place) == []
    assert differences(end_after(before, room, whole), snapshot(place)) == []


def test_a_full_disk_is_one_sentence_on_the_command_line(disk: Path) -> None:
    remount(disk, "size=16k")
    argv = ["curate", "sample", "--train", "200", "--test", "20", "--valid", "10", "--out", str(disk / "curated")]
    ended = subprocess.run([sys.executable, "-m", "ftlib", *argv], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert "No space left on device; make room and run the same command again" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_an_output_that_a_full_disk_does_not_take_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run([sys.executable, "-m", "ftlib", "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr == "ftlib models: standard output: No space left on device; make room and run the same command again.\n"
