"""A second place for a run: what a machine took with it is had again on the next."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path

import msgspec
import pytest

from ftlib import quickstart
from ftlib.drive import now_and_then, push
from ftlib.errors import DataError
from ftlib.files import write_atomic
from ftlib.profile import Profile
from ftlib.runs import Run


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    (tmp_path / "drive").mkdir()
    return tmp_path / "drive"


def begun(place: Path, drive: Path | None, **changes: str) -> Run:
    return Run.create(place / "run", Profile(name="x", drive=str(drive) if drive else None, **changes))


def step(run: Run, text: str = "made") -> bool:
    """One step that writes two files; returns whether it was needed."""
    with run.step("make", inputs={}, settings={}, outputs=[run.path / "a.txt", run.path / "folder"]) as found:
        if found.needed:
            write_atomic(run.path / "a.txt", text)
            write_atomic(run.path / "folder" / "b.txt", text)
    return found.needed


def test_a_finished_step_is_not_done_again_on_a_fresh_machine(tmp_path: Path, drive: Path) -> None:
    run = begun(tmp_path / "one", drive)
    assert step(run)
    run.finish()
    assert (drive / "run" / "folder" / "b.txt").read_text() == "made"
    assert (drive / "run" / "manifest.json").read_bytes() == (run.path / "manifest.json").read_bytes()
    assert not (drive / "run" / ".lock").exists()
    fresh = begun(tmp_path / "two", drive)
    assert not fresh.whole, "it is not finished here before it was looked through"
    assert not step(fresh)
    assert (fresh.path / "folder" / "b.txt").read_text() == "made"


def test_what_a_drive_lost_or_changed_is_noticed(tmp_path: Path, drive: Path) -> None:
    assert step(begun(tmp_path / "one", drive))
    (drive / "run" / "folder" / "b.txt").write_text("torn")
    assert step(begun(tmp_path / "two", drive), "made")
    assert (drive / "run" / "folder" / "b.txt").read_text() == "made"
    (drive / "run" / "a.txt").unlink()
    assert step(begun(tmp_path / "three", drive), "made")


def test_what_is_here_is_never_overwritten_and_a_link_on_the_drive_not_followed(tmp_path: Path, drive: Path) -> None:
    run = begun(tmp_path, drive)
    step(run)
    (tmp_path / "secret").write_text("mine")
    (drive / "run" / "link").symlink_to(tmp_path / "secret")
    write_atomic(run.path / "a.txt", "newer")
    (run.path / "profile.yaml").unlink()
    (run.path / ".lock").unlink(missing_ok=True)
    shutil.rmtree(run.path / "folder")
    (run.path / ".lock").write_text("")  # as a kill while files were brought back leaves it
    again = begun(tmp_path, drive)
    assert (again.path / "a.txt").read_text() == "newer"
    assert (again.path / "folder" / "b.txt").exists()
    assert not (again.path / "link").exists()


def test_a_drive_that_is_not_mounted_is_told_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; mount it first"):
        begun(tmp_path, tmp_path / "nowhere")
    assert not (tmp_path / "run" / "profile.yaml").exists()


def test_a_run_on_the_drive_itself_is_not_copied_onto_itself(drive: Path) -> None:
    run = begun(drive, drive)
    assert step(run)
    assert push(run, run.path) == 0


def test_answers_are_copied_while_they_come(tmp_path: Path, drive: Path) -> None:
    run = begun(tmp_path, drive)
    write_atomic(run.path / "answers.jsonl", "one\n")
    seldom, often = now_and_then(run, run.path / "answers.jsonl"), now_and_then(run, run.path / "answers.jsonl", minutes=0)
    seldom()
    assert not (drive / "run" / "answers.jsonl").exists()
    often()
    assert (drive / "run" / "answers.jsonl").read_text() == "one\n"


def test_without_a_drive_nothing_is_copied(tmp_path: Path, drive: Path) -> None:
    run = begun(tmp_path, None)
    step(run)
    run.finish()
    assert list(drive.iterdir()) == []
    moved = msgspec.structs.replace(run.profile, drive=str(drive))
    Run.create(run.path, moved).finish()
    assert (drive / "run" / "a.txt").exists()


def test_the_quickstart_works_here_and_copies_to_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted: list[str] = []
    colab = types.ModuleType("google.colab")
    colab.drive = types.SimpleNamespace(mount=mounted.append)  # type: ignore[attr-defined]
    monkeypatch.setattr(quickstart, "DRIVE", tmp_path / "MyDrive" / "ftlib-results")
    with pytest.raises(DataError, match="DRIVE works in Colab only"):
        quickstart.second_place(True)
    for name, module in (("google", types.ModuleType("google")), ("google.colab", colab)):
        monkeypatch.setitem(sys.modules, name, module)
    assert quickstart.second_place(False) == ""
    assert quickstart.second_place(True) == str(tmp_path / "MyDrive" / "ftlib-results")
    assert mounted == ["/content/drive"]
    assert (tmp_path / "MyDrive" / "ftlib-results").is_dir()
