"""Several runs in one comparison."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ftlib.cli import main
from ftlib.comparison import compare_run, compare_runs
from ftlib.comparison.across import complete, paired
from ftlib.comparison.load import load_run, merge
from ftlib.comparison.pairs import pair
from ftlib.errors import DataError
from ftlib.files import read_json, sha256_file
from ftlib.runs import Run, StepNeeded


def test_other_test_sets_are_refused_with_both_hashes(make_run: Callable[..., Run], tmp_path: Path) -> None:
    one, two = make_run("one", n=4), make_run("two", n=4, test_hash="f" * 64)
    with pytest.raises(DataError) as refusal:
        compare_runs([one.path, two.path], out=tmp_path / "out")
    assert "a" * 64 in str(refusal.value)
    assert "f" * 64 in str(refusal.value)
    assert not (tmp_path / "out").exists()


def test_contestants_of_one_name_are_told_apart_and_tested_against_each_other(make_run: Callable[..., Run], tmp_path: Path) -> None:
    one, two = make_run("one", n=40, name="first", seed=1), make_run("two", n=40, name="second", seed=2)
    made = compare_runs([one.path, two.path], out=tmp_path / "out")
    systems = {row[0] for row in made["tables"]["precision"]["rows"]}
    assert {"llama@first.tuned", "llama@second.tuned", "nearest"} <= systems
    merged = merge([load_run(one), load_run(two)])
    assert pair(merged, "llama@first.tuned", "llama@second.tuned") is None
    complete(merged)
    row = pair(merged, "llama@first.tuned", "llama@second.tuned")
    assert row is not None
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["n"] == 40


def test_a_single_run_is_compared_in_its_own_folder_and_stays_whole(make_run: Callable[..., Run], tmp_path: Path) -> None:
    one, two = make_run("one", n=4), make_run("two", n=4)
    one.finish()
    assert main(["compare", str(one.path), "--weights", "cost=1"]) == 0
    assert {"comparison.xlsx", "report.html", "report.md", "charts"} <= {path.name for path in one.path.iterdir()}
    assert read_json(one.path / "manifest.json")["files"]["report.html"] == sha256_file(one.path / "report.html")
    assert main(["compare", str(one.path), str(two.path)]) == 2
    assert main(["compare", str(two.path), "--out", str(tmp_path / "out")]) == 0
    assert not (two.path / "report.html").exists()


def test_pairs_across_runs_agree_with_those_tested_within_one(run: Run) -> None:
    material = load_run(run)
    before, now = pair(material, "llama.tuned", "llama.base"), paired(material, "llama.tuned", "llama.base")
    assert before is not None
    assert now is not None
    assert now["difference"] == pytest.approx(before["difference"])
    assert now["low"] == pytest.approx(before["low"], abs=0.5)


def test_merging_a_run_with_itself_gives_no_difference(run: Run) -> None:
    merged = merge([load_run(run), load_run(run)])
    row = paired(merged, "llama@synthetic.tuned", "llama@synthetic'.tuned")
    assert row is not None
    assert (row["difference"], row["low"], row["high"], row["p"]) == (0, 0, 0, 1)


@pytest.mark.parametrize("copied", [False, True])
def test_one_run_given_twice_is_refused(make_run: Callable[..., Run], tmp_path: Path, copied: bool) -> None:
    one = make_run("one", n=4).path
    two = Path(shutil.copytree(one, tmp_path / "two")) if copied else one / ".." / "one"
    with pytest.raises(DataError, match=r"hold the same run; give each run once\.$"):
        compare_runs([one, two], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["summary.json", "items.jsonl"])
def test_an_unfinished_run_is_refused_with_the_command_that_goes_on(make_run: Callable[..., Run], tmp_path: Path, missing: str) -> None:
    path = make_run("my run", n=4).path
    (path / "scores" / missing).unlink()
    with pytest.raises(DataError) as refusal:
        compare_runs([path], out=tmp_path / "out")
    assert f"`ftlib run '{path}/profile.yaml' --out '{path}'` goes on with it." in str(refusal.value)


def test_the_step_is_skipped_until_something_it_shows_changes(make_run: Callable[..., Run]) -> None:
    run = make_run(n=3)
    run.only_look = True
    with pytest.raises(StepNeeded):
        compare_run(run)
    run.only_look = False
    compare_run(run)
    run.only_look = True
    compare_run(run)
    with pytest.raises(StepNeeded, match="weights"):
        compare_run(run, "cost=1")
    path = run.path / "llama" / "training.json"
    path.write_text(path.read_text("utf-8").replace("Tesla T4", "NVIDIA L4"), "utf-8")
    with pytest.raises(StepNeeded, match=r"llama/training\.json"):
        compare_run(run)
