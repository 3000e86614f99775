"""The curation of a run: one test set, several recipes, a held-out slice, and what is not done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftlib.curation import curate, curate_run
from ftlib.curation.leaks import find_leaks
from ftlib.errors import DataError
from ftlib.profile import load_profile
from ftlib.runs import Run, StepNeeded
from tests.curation.helpers import read, rows, write


def make(tmp_path: Path, *sets: str, name: str = "run") -> Run:
    small = ["data.train=40", "data.valid=8", "data.test=20"]
    return Run.create(tmp_path / name, load_profile("demo", [*small, *sets]))


def test_one_recipe_and_the_second_time_nothing_is_done(tmp_path: Path) -> None:
    run = make(tmp_path)
    curate_run(run)
    assert [len(read(run.curated / f"{side}.jsonl")) for side in ("train", "valid", "test")] == [40, 8, 20]
    assert run.curated_for(run.profile.contestants[0]) == run.curated
    before = {path: path.stat().st_mtime_ns for path in run.curated.iterdir()}
    run.only_look = True
    curate_run(run)
    assert {path: path.stat().st_mtime_ns for path in run.curated.iterdir()} == before
    again = make(tmp_path, "data.train=41")
    again.only_look = True
    with pytest.raises(StepNeeded, match=r"asked\.train 40 -> 41"):
        curate_run(again)


def test_several_recipes_share_one_test_set_that_none_of_them_learns_from(tmp_path: Path) -> None:
    mine = tmp_path / "short.yaml"
    mine.write_text("steps: [drop_missing, {content_chars: {max: 260}}, {split: {groups: none}}]")
    run = make(tmp_path, f"contestants.tiny-hosted.recipe={mine}", "data.test=300")
    curate_run(run)
    folders = [run.curated_for(contestant) for contestant in run.profile.contestants]
    assert folders == [run.curated / "default", run.curated / "short"]
    assert sorted(path.name for path in (run.curated / "short").iterdir()) == ["funnel.json", "tokens.json", "train.jsonl", "valid.jsonl"]
    assert (run.curated / "default" / "train.jsonl").read_bytes() == (run.curated / "train.jsonl").read_bytes()
    tested = {row["id"] for row in read(run.test_file)}
    for folder in folders:
        learnt = [*read(folder / "train.jsonl"), *read(folder / "valid.jsonl")]
        assert len(learnt) == 48
        assert not tested & {row["id"] for row in learnt}
        found = find_leaks([run.test_file, folder / "train.jsonl", folder / "valid.jsonl"])
        assert not [pair for pair in found["pairs"] if pair["a"]["file"] == str(run.test_file)]
    assert max(len(row["content"]) for row in read(run.curated / "short" / "train.jsonl")) <= 260


def test_a_held_out_recipe_is_transfer_only(tmp_path: Path) -> None:
    books = tmp_path / "held.yaml"
    books.write_text("steps: [unescape_html, normalise, drop_missing, {keywords: {words: [lighthouses]}}]")
    run = make(tmp_path, f"data.held_out={books}", "data.train=1500", "data.test=25")
    curate_run(run)
    transfer = read(run.curated / "transfer.jsonl")
    assert len(transfer) == 25
    assert all("lighthouses" in f"{row['title']} {row['content']}".lower() for row in transfer)
    for side in ("train", "valid", "test"):
        assert not any("lighthouses" in f"{row['title']} {row['content']}".lower() for row in read(run.curated / f"{side}.jsonl"))
    found = find_leaks([run.curated / "transfer.jsonl", run.curated / "train.jsonl", run.curated / "test.jsonl"])
    assert found["exact"] == found["near"] == 0
    curate_run(make(tmp_path, "data.train=30"))
    assert not (run.curated / "transfer.jsonl").exists()


def seed_run(tmp_path: Path, name: str, *sets: str) -> Run:
    run = Run.create(tmp_path / name, load_profile("seed", ["data.train=20", "data.test=10", *sets]))
    curate_run(run)
    return run


def test_the_originals_profile_holds_out_what_is_no_book_and_trains_on_the_same_rows(tmp_path: Path) -> None:
    run, plain = seed_run(tmp_path, "held", "data.source=sample"), seed_run(tmp_path, "plain", "data.source=sample", "data.held_out=null")
    transfer = read(run.curated / "transfer.jsonl")
    assert len(transfer) == 10
    print_words = ("author", "copyright", "review", " book ", "novel", "paperback")
    assert not any(word in f" {row['title']} {row['content']} ".lower() for row in transfer for word in print_words)
    for file in ("train.jsonl", "test.jsonl"):
        assert read(run.curated / file) == read(plain.curated / file)


def test_on_real_rows_the_slice_of_the_originals_profile_is_films_and_clothes(real_data: Path, tmp_path: Path) -> None:
    run = seed_run(tmp_path, "real", f"data.source={real_data / 'trn_head_nonempty_1000.jsonl'}")
    titles = [row["title"] for row in read(run.curated / "transfer.jsonl")]
    assert len(titles) == 3
    assert sum("VHS" in title or "Tutu" in title for title in titles) == 2  # the third comes with a DVD


@pytest.mark.parametrize(("name", "write_it"), [("a.csv", "csv"), ("a.parquet", "parquet"), ("a.jsonl", "jsonl")])
def test_a_users_own_file_with_other_field_names(tmp_path: Path, name: str, write_it: str) -> None:
    pandas = pytest.importorskip("pandas")
    made = [{"code": row["uid"], "name": row["title"], "text": row["content"]} for row in rows(100)]
    frame: Any = pandas.DataFrame(made)
    if write_it == "csv":
        frame.to_csv(tmp_path / name, index=False)
    elif write_it == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(tmp_path / name)
    else:
        write(tmp_path / name, made)
    fields = ["data.id_field=code", "data.title_field=name", "data.content_field=text"]
    run = make(tmp_path, f"data.source={tmp_path / name}", *fields)
    curate_run(run)
    assert all(row["id"].startswith("00000000") for row in read(run.test_file))
    wrong = make(tmp_path, f"data.source={tmp_path / name}", "data.title_field=nam", "data.content_field=text", name="wrong")
    with pytest.raises(DataError, match=r"no field 'nam' for the title .did you mean 'name'.*, only these: .*--set data\.title_field=NAME"):
        curate_run(wrong)
    assert not wrong.curated.exists()


def test_fewer_test_rows_than_asked(tmp_path: Path) -> None:
    run = make(tmp_path, "data.test=5000")
    with pytest.raises(DataError, match=r"Recipe default keeps 2,?954 rows, which leaves 2,?954 for test, fewer than the 5,?000 asked for"):
        curate_run(run)
    assert not run.curated.exists()


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "raw.jsonl", rows(60))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.jsonl").write_text("mine\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"holds train\.jsonl, which no curation wrote"):
        curate(tmp_path / "raw.jsonl", recipe="default", out=tmp_path / "out")
    assert (tmp_path / "out" / "train.jsonl").read_text(encoding="utf-8") == "mine\n"
    (tmp_path / "out" / "train.jsonl").unlink()
    curate(tmp_path / "raw.jsonl", recipe="default", out=tmp_path / "out")
    (tmp_path / "out" / "funnel.json").unlink()
    (tmp_path / "out" / ".curating").touch()  # as a kill leaves it
    curate(tmp_path / "raw.jsonl", recipe="default", out=tmp_path / "out")
    assert not (tmp_path / "out" / ".curating").exists()
