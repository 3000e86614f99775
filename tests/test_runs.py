from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import DataError, ProfileError
from ftlib.profile import load_profile
from ftlib.runs import Run, StepNeeded


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", load_profile("demo"))


def do(run: Run, source: Path, **settings: Any) -> str | None:
    """A step that copies its input; returns the reason when it ran."""
    with run.step("copy", inputs={"source": source}, settings=settings, outputs=[run.path / "copy.txt"]) as step:
        if step.needed:
            (run.path / "copy.txt").write_bytes(source.read_bytes())
    return step.reason if step.needed else None


def test_a_step_runs_once_and_again_only_for_a_reason_that_is_named(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("abc")
    when = source.stat().st_mtime
    assert do(run, source, n=1) == "not done yet"
    assert do(run, source, n=1) is None
    assert do(run, source, n=2) == "settings changed: n 1 -> 2"
    source.write_text("abd")
    os.utime(source, (when, when))
    assert do(run, source, n=2) == "inputs changed: source"
    (run.path / "copy.txt").write_text("edited")
    assert do(run, source, n=2) == "copy.txt is not what the step wrote"
    (run.path / "copy.txt").unlink()
    assert do(run, source, n=2) == "copy.txt is missing"
    (run.path / "steps" / "copy.json").write_text("{")
    assert do(run, source, n=2) == "its record is damaged"
    assert do(run, source, n=2) is None


def test_skipped_steps_are_told_in_one_line_where_they_are_many(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "in.txt"
    source.write_text("abc")
    do(run, source)
    caplog.clear()
    with caplog.at_level("INFO", "ftlib"), run.briefly():
        do(run, source)
        do(run, source)
        do(run, source, n=2)
    assert [message for message in caplog.messages if "done in" not in message] == [
        "copy: running (settings changed: n none -> 2)",
        "earlier steps skipped: 2 (nothing they depend on has changed)",
    ]
    with caplog.at_level("INFO", "ftlib"):
        do(run, source, n=2)
    assert caplog.messages[-1] == "copy: skipped (nothing it depends on has changed)"


def test_a_step_that_raised_is_not_done(run: Run) -> None:
    with pytest.raises(RuntimeError), run.step("x", inputs={}, settings={}, outputs=[]):
        raise RuntimeError
    with run.step("x", inputs={}, settings={}, outputs=[]) as step:
        assert step.needed


def test_only_looking_does_nothing(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("abc")
    run.only_look = True
    with pytest.raises(StepNeeded, match="copy: not done yet"):
        do(run, source)
    assert not (run.path / "copy.txt").exists()
    assert not (run.path / "steps").exists()


def test_the_manifest_goes_when_something_is_begun(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("abc")
    do(run, source, n=1)
    run.finish()
    assert run.whole
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["files"]["copy.txt"]
    assert manifest["steps"]["copy"]["settings"] == {"n": 1}
    do(run, source, n=1)
    assert run.whole
    do(run, source, n=2)
    assert not run.whole


def test_a_changed_profile_is_written_and_unmakes_the_whole(run: Run) -> None:
    run.finish()
    Run.create(run.path, load_profile("demo"))
    assert run.whole
    again = Run.create(run.path, load_profile("demo", ["seed=7"]))
    assert not again.whole
    assert Run.open(run.path).profile.seed == 7


def test_what_changed_in_the_profile_is_told(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "ftlib"):
        Run.create(run.path, load_profile("demo", ["evaluation.probe_items=5", "contestants.tiny-llama.epochs=3"]))
    assert caplog.messages == [
        "profile demo changed since this run was last begun: contestants.tiny-llama.epochs 2.0 -> 3.0; evaluation.probe_items 10 -> 5"
    ]
    (run.path / "profile.yaml").write_text("name: [")
    assert Run.create(run.path, load_profile("demo")).profile.name == "demo"


def test_the_run_of_a_profile_of_another_name_is_not_replaced(run: Run, tmp_path: Path) -> None:
    run.finish()
    before = (run.path / "profile.yaml").read_bytes()
    with pytest.raises(DataError, match=r"holds the run of a profile named demo, and this one is named mine; give another folder \(--out"):
        Run.create(run.path, load_profile("demo", ["name=mine"]), take_over=True)
    assert (run.path / "profile.yaml").read_bytes() == before
    assert run.whole
    drive = tmp_path / "drive"
    (drive / "fresh").mkdir(parents=True)
    (drive / "fresh" / "profile.yaml").write_bytes(before)
    with pytest.raises(DataError, match=r"drive/fresh holds the run of a profile named demo"):
        Run.create(tmp_path / "fresh", load_profile("demo", ["name=mine", f"drive={drive}"]))
    assert not (tmp_path / "fresh").exists()


def test_folders_that_are_no_runs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").write_text("mine")
    with pytest.raises(DataError, match="holds other files and no run"):
        Run.create(tmp_path / "other", load_profile("demo"))
    with pytest.raises(DataError, match="is not a run folder"):
        Run.open(tmp_path / "other")
    with pytest.raises(DataError, match="is a file"):
        Run.create(tmp_path / "other" / "thesis.doc", load_profile("demo"))


def test_a_contestant_is_found_by_name(run: Run) -> None:
    assert run.contestant("tiny-llama").trainer == "local"
    with pytest.raises(ProfileError, match="there are: tiny-llama, tiny-hosted"):
        run.contestant("tiny")
