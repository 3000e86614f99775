"""A disk that is full, read-only or gone at each step: one clear error, nothing earlier damaged, and on it goes when the disk is back."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ftlib.cli import main
from ftlib.errors import DataError, FtlibError, disk_sentence
from ftlib.files import sha256_file
from ftlib.runs import Run
from tests.reliability import chain
from tests.reliability.killing import differences, leftovers, lost, snapshot, torn

PAGE = 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(disk: Path, options: str) -> None:
    """Change the size or the mode of a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def used(disk: Path) -> int:
    """Pages in use."""
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // PAGE


def said(error: BaseException) -> str:
    """The one sentence that a user reads."""
    sentence = str(error) if isinstance(error, FtlibError) else disk_sentence(error) if isinstance(error, OSError) else None
    assert sentence, f"no sentence for {error!r}"
    assert "\n" not in sentence
    return sentence


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


def end_after(stages: dict[str, Path], room: str, whole: Path) -> dict[str, object]:
    """What the run holds once ``room`` is done."""
    rooms = list(stages)
    return snapshot(stages[rooms[rooms.index(room) + 1]] if room != rooms[-1] else whole)


@pytest.mark.reliability
@pytest.mark.parametrize("free", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("room", chain.ROOMS)
def test_full(room: str, free: float, stages: tuple[Path, dict[str, Path]], disk: Path) -> None:
    whole, before = stages
    place = disk / "run"
    shutil.copytree(before[room], place)
    started, earlier = used(disk), snapshot(place)
    wanted = end_after(before, room, whole)
    chain.ROOMS[room](place)
    needed = used(disk) - started
    shutil.rmtree(place)
    shutil.copytree(before[room], place)
    remount(disk, f"size={(used(disk) + int(free * needed)) * PAGE}")
    with pytest.raises((FtlibError, OSError)) as caught:
        chain.ROOMS[room](place)
    assert "No space left on device" in said(caught.value)
    assert torn(place) == []
    assert [fault for fault in differences(earlier, snapshot(place)) if "was not there" not in fault] == []
    remount(disk, "size=64m")
    chain.ROOMS[room](place)
    assert leftovers(place) == []
    assert differences(wanted, snapshot(place)) == []


@pytest.mark.reliability
@pytest.mark.parametrize("free", [40, 120])  # KiB: for a checkpoint's weights, for its optimizer
def test_full_while_a_model_is_trained(free: int, training: tuple[Path, str], disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What torch and safetensors say of it is one sentence too."""
    base, wanted = training
    place = disk / "run"
    shutil.copytree(base, place)
    earlier = snapshot(place)
    remount(disk, f"size={(used(disk) + free * 1024 // PAGE) * PAGE}")
    argv = ["train", str(place / "profile.yaml"), "micro", "--out", str(place), "--quiet"]
    assert main(argv) in (1, 2)  # 1 where there is room to write down that the contestant failed
    said_so = "".join(capfd.readouterr())
    assert "No space left on device; make room and run the same command again" in said_so
    assert "Traceback" not in said_so
    assert torn(place) == []
    assert [fault for fault in differences(earlier, snapshot(place)) if "was not there" not in fault] == []
    remount(disk, "size=64m")
    assert main(argv) == 0
    assert leftovers(place) == []
    assert sha256_file(place / "micro" / "adapter" / "adapter_model.safetensors") == wanted


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run folder before its contestant is trained, and the adapter that it comes to."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("training")
    profile = chain.with_training(chain.recorded_profile(folder))
    few = [msgspec.structs.replace(c, steps=6, epochs=None) for c in profile.contestants if c.trains]
    run = chain.up_to("train", folder / "run", msgspec.structs.replace(profile, contestants=few))
    shutil.copytree(run, folder / "base")
    chain.train(run)
    return folder / "base", sha256_file(run / "micro" / "adapter" / "adapter_model.safetensors")


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
