"""A disk that fails inside a real training: one sentence, nothing earlier damaged, and the same adapter once it is back."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from ftlib.cli import main
from ftlib.files import read_json, sha256_file
from tests.reliability import chain
from tests.reliability.disks import SIZE, leave, remount
from tests.reliability.killing import differences, leftovers, snapshot, torn
from tests.training.local import killing

pytestmark = pytest.mark.reliability
SAID = {
    "full": "No space left on device; make room and run the same command again",
    "read-only": "Read-only file system; give a folder that can be written to and run the same command again",
    "gone": "mounted?",
}
MOMENTS = {  # the first of these events in the run's folder -> how often the training is taken up
    "its folder": ("os.mkdir micro", 1),
    "a checkpoint": ("os.mkdir micro/checkpoints/checkpoint-4", 2),
    "its optimizer": ("open micro/checkpoints/checkpoint-4/chat_template.jinja", 2),
    "its state": ("open micro/checkpoints/checkpoint-4/trainer_state.json", 2),
    "its seal": ("open micro/checkpoints/checkpoint-4/.checksums.json", 2),
    "the adapter": ("os.mkdir micro/.adapter.partial", 2),
    "the report": ("open micro/.training.json", 2),
    "the record": ("open steps/.train__micro.json", 1),
}
SAMPLE = {("full", "its optimizer"), ("read-only", "a checkpoint"), ("gone", "its seal"), ("full", "the adapter"), ("gone", "the report")}
CASES = [(how, moment) for how in SAID for moment in MOMENTS if os.environ.get("FTLIB_WHOLE") or (how, moment) in SAMPLE]


@dataclass
class Training:
    """A run folder before its contestant is trained, and the adapter that it comes to."""

    base: Path
    adapter: str


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    pytest.importorskip("torch")
    killing.import_all()
    folder = tmp_path_factory.mktemp("training")
    profile = chain.with_training(chain.recorded_profile(folder))
    few = [msgspec.structs.replace(c, steps=6, epochs=None) for c in profile.contestants if c.trains]
    run = chain.up_to("train", folder / "run", msgspec.structs.replace(profile, contestants=few))
    shutil.copytree(run, folder / "base")
    assert train(run)[0] == 0
    return Training(folder / "base", adapter(run))


def adapter(run: Path) -> str:
    return sha256_file(run / "micro" / "adapter" / "adapter_model.safetensors")


def train(run: Path, before: Callable[[], object] = lambda: None) -> tuple[int, str]:
    """The command, in a process that is gone afterwards, as its lock must be; returns its exit code and what it said."""
    told, code = run.parent.with_name("told"), run.parent.with_name("code")
    for path in (told, code):
        path.unlink(missing_ok=True)

    def work() -> None:
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # those of pytest lead elsewhere
        before()
        code.write_text(str(main(["train", str(run / "profile.yaml"), "micro", "--out", str(run)])))

    assert killing.in_child(work, told) == 0, told.read_text()
    return int(code.read_text()), told.read_text()


def as_it_was(earlier: dict[str, object], run: Path) -> bool:
    """Whether all that stood is whole, and says what it said."""
    return torn(run) == [] and [fault for fault in differences(earlier, snapshot(run)) if "was not there" not in fault] == []


@pytest.mark.parametrize(("how", "moment"), CASES)
def test_a_disk_that_fails_inside_a_training(how: str, moment: str, training: Training, disk: Path) -> None:
    """What torch and safetensors say of it is one sentence too; where it is back, what stands is gone on with."""
    place, away, met = disk / "run", disk / "away", disk.with_name("met")
    shutil.copytree(training.base, place)
    earlier = snapshot(place)
    fail = {"full": lambda: leave(disk, 0), "read-only": lambda: remount(disk, "ro"), "gone": lambda: place.rename(away)}[how]
    event, pieces = MOMENTS[moment]

    def trap(_: int, what: str) -> None:
        if what.startswith(event) and not met.exists():
            met.touch()
            fail()

    code, told = train(place, lambda: killing.watch(place, trap))
    assert met.exists(), "the moment never came"
    assert code in (1, 2)  # 1 where there is room to write down that the contestant failed
    assert SAID[how] in told
    assert "Traceback" not in told
    if how == "gone":
        shutil.rmtree(place, ignore_errors=True)
        away.rename(place)
    assert as_it_was(earlier, place)
    remount(disk, f"rw,{SIZE}")
    code, told = train(place)
    assert code == 0, told
    assert leftovers(place) == []
    assert adapter(place) == training.adapter
    assert read_json(place / "micro" / "training.json")["pieces"] == pieces


@pytest.mark.parametrize("free", [40, 120])  # KiB: for a checkpoint's weights, for its optimizer
def test_a_disk_that_fills_while_a_model_is_trained(free: int, training: Training, disk: Path) -> None:
    place = disk / "run"
    shutil.copytree(training.base, place)
    earlier = snapshot(place)
    leave(disk, free * 1024)
    code, told = train(place)
    assert code in (1, 2)
    assert SAID["full"] in told
    assert "Traceback" not in told
    assert as_it_was(earlier, place)
    remount(disk, SIZE)
    assert train(place)[0] == 0
    assert leftovers(place) == []
    assert adapter(place) == training.adapter
