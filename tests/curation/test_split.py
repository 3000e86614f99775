"""The split: sizes, groups, order, and properties that hold on any file."""

from __future__ import annotations

import itertools
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.curation import curate, funnel_text, near
from ftlib.curation.similarity import jaccard, word_set
from ftlib.errors import DataError, ProfileError
from tests.curation.helpers import read, rows, write

SIDES = ("train", "valid", "test")


def sides(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {side: read(folder / f"{side}.jsonl") for side in SIDES}


def test_sizes_and_seeds(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(100))
    made = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        curate(path, out=tmp_path / name, train=50, valid=10, test=20, seed=seed)
        made[name] = {side: [row["id"] for row in rows] for side, rows in sides(tmp_path / name).items()}
        assert {side: len(ids) for side, ids in made[name].items()} == {"train": 50, "valid": 10, "test": 20}
    assert made["a"] == made["b"] != made["c"]
    assert made["a"]["train"][0].startswith("00000000")


def test_shares(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(200))
    assert curate(path, out=tmp_path / "a")["splits"] == {"train": 180, "valid": 10, "test": 10}
    assert curate(path, out=tmp_path / "b", test=30)["splits"] == {"train": 160, "valid": 10, "test": 30}
    assert curate(path, out=tmp_path / "c", train=0.5, valid=0, test=0.25)["splits"] == {"train": 100, "valid": 0, "test": 50}


@pytest.mark.parametrize(
    ("asked", "splits"),
    [
        ({"train": 0.8}, (160, 10, 10)),
        ({"train": 0.96}, (192, 4, 4)),
        ({"train": 0.8, "test": 0.2}, (160, 0, 40)),
        ({"train": 0.8, "valid": 0.15}, (160, 30, 10)),
        ({"train": 0.94, "test": 4}, (188, 8, 4)),
        ({"train": 1.0}, (200, 0, 0)),
        ({"test": 0.8}, (30, 10, 160)),
    ],
)
def test_a_share_for_train_goes_before_the_recipes_own_shares(tmp_path: Path, asked: dict[str, float], splits: tuple[int, ...]) -> None:
    path = write(tmp_path / "a.jsonl", rows(200))
    assert tuple(curate(path, out=tmp_path / "out", **asked)["splits"].values()) == splits  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"test": 101}, "keeps 100 rows, which leaves 100 for test, fewer than the 101 asked for"),
        ({"test": 50, "train": 60, "valid": 0}, "leaves 50 for train beside 50 test, fewer than the 60"),
        ({"test": 50, "valid": 51}, "leaves 50 for valid beside 50 test, fewer than the 51"),
    ],
)
def test_fewer_rows_than_asked_for(tmp_path: Path, asked: dict[str, int], says: str) -> None:
    path = write(tmp_path / "a.jsonl", rows(100))
    with pytest.raises(DataError, match=says):
        curate(path, out=tmp_path / "out", **asked)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", [-1, 1.5, float("nan"), float("inf")])
def test_a_size_that_is_none(size: float, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=f"train is {size}; give a number of rows, or a share"):
        curate("sample", out=tmp_path / "out", train=size)


@pytest.mark.parametrize(("wrong", "says"), [({"seed": -1}, "seed is -1"), ({"overview": "all"}, "overview is 'all'"), ({"limit": 0}, "limit is 0")])
def test_a_setting_that_cannot_be(wrong: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says):
        curate("sample", out=tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_file_order_as_the_original_did(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(30))
    (tmp_path / "r.yaml").write_text("steps: [{split: {train: 10, valid: 0, test: 5, order: file, groups: none}}]")
    curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out")
    made = sides(tmp_path / "out")
    assert [row["id"] for row in made["train"] + made["test"]] == [f"{n:010d}" for n in range(15)]


def test_leaks_of_an_unguarded_split_are_reported(tmp_path: Path) -> None:
    base = rows(10)
    near = {**base[1], "title": "Something else", "content": base[1]["content"] + " and more"}
    path = write(tmp_path / "a.jsonl", [*base, {**base[0], "title": "Again"}, near, {**rows(1, start=50)[0], "title": base[2]["title"]}])
    (tmp_path / "r.yaml").write_text("steps: [{split: {train: 10, valid: 0, test: 3, order: file, groups: none}}]")
    assert curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out")["leaks"] == {"exact": 2, "near": 1}
    (tmp_path / "r.yaml").write_text("steps: [{split: {train: 10, valid: 0, test: 3}}]")
    assert curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out")["leaks"] == {"exact": 0, "near": 0}


@pytest.mark.parametrize("by_size", [True, False])
def test_rows_of_a_crowd_that_the_groups_did_not_see_stay_out(by_size: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "SMALL", 4)  # so that hundreds of rows are a crowd, of which not all pairs are looked at
    monkeypatch.setattr(near, "LEADERS", 1)
    rng = random.Random(2)
    made = []
    for number in range(500):
        words = [f"word{n}" for n in range(40)]
        for _ in range(rng.randint(0, 6)):
            words[rng.randrange(40)] = f"other{rng.randrange(400)}"
        made.append({"uid": f"{number}", "title": f"Title {number}", "content": " ".join(words)})
    path = write(tmp_path / "a.jsonl", made)
    asked = {"train": 100, "valid": 15, "test": 105} if by_size else {"train": 0.5, "valid": 0.1, "test": 0.4}
    funnel = curate(path, out=tmp_path / "out", keep_rejected=True, **asked)  # type: ignore[arg-type]
    assert funnel["leaks"] == {"exact": 0, "near": 0}
    alike = funnel["steps"][-1]["params"]["alike"]
    assert alike > 0
    assert f"{alike} too like a row of another side" in funnel_text(funnel)
    if by_size:
        assert funnel["splits"] == asked
    else:
        assert funnel["rows_kept"] == funnel["steps"][-1]["rows_in"] - alike
        assert "no side has room" not in funnel_text(funnel)
    (tmp_path / "r.yaml").write_text("steps: [{deduplicate: {by: near}}, {split: {groups: none}}]")
    assert curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "none", **asked)["leaks"]["near"] > 0  # type: ignore[arg-type]


def test_shares_that_pass_one_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(100))
    with pytest.raises(ProfileError, match=r"train, valid and test: the shares add up to 1\.3"):
        curate(path, out=tmp_path / "out", train=0.7, valid=0.1, test=0.5)
    assert curate(path, out=tmp_path / "out", train=0.7, valid=0.1, test=0.2)["splits"] == {"train": 70, "valid": 10, "test": 20}


def test_no_row_to_train_on_is_refused_unless_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(1))
    with pytest.raises(DataError, match="keeps 1 row, which leaves none to train on beside 1 test"):
        curate(path, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert curate(path, out=tmp_path / "out", train=0, valid=0)["splits"] == {"train": 0, "valid": 0, "test": 1}
    alike = [{**row, "title": "One title"} for row in rows(4)]
    with pytest.raises(DataError, match=r"no row to train on|fewer than the 1 asked for"):
        curate(write(tmp_path / "b.jsonl", alike), out=tmp_path / "other")


def test_a_curation_that_replaces_one_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.jsonl", rows(40))
    caplog.set_level("INFO", "ftlib")
    curate(path, out=tmp_path / "out")
    assert "replaced" not in caplog.text
    curate(path, out=tmp_path / "out", seed=7)
    assert "out: the earlier curation there is replaced" in caplog.text


def test_one_id_of_two_rows_becomes_two(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{**row, "uid": "same"} for row in rows(10)])
    curate(path, out=tmp_path / "out", train=8, valid=0, test=2)
    ids = [row["id"] for side in sides(tmp_path / "out").values() for row in side]
    assert len(set(ids)) == 10
    assert all(i.startswith("same") for i in ids)


def test_limit_reads_only_the_first_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [*rows(50), b"{", *rows(50, start=60)])
    funnel = curate(path, out=tmp_path / "out", limit=51, max_bad_share=0.1)
    assert funnel["rows_read"] == 51
    assert funnel["rejected"] == {"not JSON": 1}
    assert curate(path, out=tmp_path / "out", limit=20)["rows_read"] == 20


def test_a_failed_curation_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(100))
    curate(path, out=tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    with pytest.raises(DataError):
        curate(path, out=tmp_path / "out", test=1000)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before


def test_every_row_read_is_kept_or_stands_in_the_funnel_and_the_log(tmp_path: Path) -> None:
    made = rows(30)
    twice = [{**made[0], "uid": "same pair"}, {**made[1], "uid": "same content", "title": "another\n\x1b[31m title " + "x" * 90}]
    near = {**made[2], "uid": "near", "title": "near", "content": made[2]["content"] + " more"}
    path = write(tmp_path / "a.jsonl", [*made, *twice, near, {"uid": "bare", "title": "", "content": "some"}, b"{"])
    alike = "{deduplicate: {by: pair}}, {deduplicate: {by: content}}, {deduplicate: {by: near}}"
    (tmp_path / "r.yaml").write_text(f"steps: [drop_missing, {alike}, {{split: {{train: 20, valid: 2, test: 3}}}}]")
    funnel = curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out", max_bad_share=0.1, keep_rejected=True)
    assert funnel["dropped"] == {"drop_missing": 1, "deduplicate": 1, "deduplicate 2": 1, "deduplicate 3": 1, "split": 5}
    assert funnel["rows_kept"] == 25
    assert funnel["rows_read"] == 35 == 25 + sum(funnel["rejected"].values()) + sum(funnel["dropped"].values())
    log = read(tmp_path / "out" / "rejected.jsonl")
    assert [row for row in log if "line" in row] == [{"line": 35, "reason": "not JSON", "text": "{"}]
    reasons = {row["id"]: row["reason"] for row in log if "id" in row}
    assert [reasons.get(name) for name in ("bare", "same pair", "same content", "near")] == [
        "step: drop_missing", "step: deduplicate", "step: deduplicate 2", "step: deduplicate 3",
    ]  # fmt: skip
    kept = {row["id"] for side in sides(tmp_path / "out").values() for row in side}
    assert {row["uid"] for row in made} - kept == {name for name, reason in reasons.items() if reason == "step: split"}
    lines = funnel_text(funnel).splitlines()
    examples = funnel["steps"][-1]["dropped"]
    assert len(examples) == 3
    assert all(any(line[6:40] == row["title"][:34] for line in lines) for row in examples)
    assert "      (no title) id bare" in lines
    (long,) = (line for line in lines if line.startswith("      another"))
    assert long.startswith("      another \u241b[31m title xxx")
    assert long.endswith("xxx… (like row 0000000001)")
    assert len(long) == 66 + len(" (like row 0000000001)")
    dropped = {row["id"]: row for row in log if "id" in row}
    assert [dropped[name].get("like") for name in ("bare", "same pair", "same content", "near")] == [
        None, "0000000000", "0000000001", "0000000002",
    ]  # fmt: skip
    assert dropped["near"]["title"] == "near"
    assert dropped["near"]["content"] == near["content"]
    assert any(line.startswith("split") and line.endswith("no side has room for them") for line in lines)
    assert json.loads((tmp_path / "out" / "funnel.json").read_text())["rows_kept"] == 25
    curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out", max_bad_share=0.1)
    assert len(read(tmp_path / "out" / "rejected.jsonl")) == 1


WORD = st.sampled_from([f"word{n}" for n in range(40)])
TEXT = st.one_of(
    st.just(""), st.none(), st.sampled_from(["!!!", "\u2605", "one\x0ctwo", "&amp;#8217;"]), st.lists(WORD, min_size=1, max_size=12).map(" ".join)
)
GOOD = st.fixed_dictionaries({"title": TEXT, "content": TEXT}, optional={"uid": st.text(max_size=4)}).map(lambda row: json.dumps(row).encode())
BAD = st.sampled_from([b"{", b"[]", b"null", b'{"title": 3}', b"\xff", b'{"title": "\\ud800"}', b'{"title": NaN}', b'{"title": "a", "title": "b"}'])
RECIPE = st.lists(
    st.sampled_from(
        [
            "drop_missing",
            "normalise",
            "unescape_html",
            "{content_chars: {min: 8}}",
            "{keywords: {words: [word1]}}",
            "{deduplicate: {by: pair}}",
            "{deduplicate: {by: content}}",
            "{deduplicate: {by: near}}",
            "{sample: {size: 0.7}}",
            "{sample: {size: 12, method: first}}",
            "{tokens: {max: 30}}",
        ]
    ),
    max_size=4,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(GOOD, GOOD, GOOD, BAD), min_size=3, max_size=40), RECIPE, st.integers(0, 5))
def test_rows_read_are_rows_kept_and_rows_rejected_and_the_split_is_disjoint(lines: list[bytes], steps: list[str], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        path = write(out / "a.jsonl", [b'{"title": "first", "content": "alone of its kind"}', *lines])
        (out / "r.yaml").write_text(f"steps: [{', '.join([*steps, '{split: {train: 0.5, valid: 0.25, test: 0.25}}'])}]")
        try:
            funnel = curate(path, recipe=str(out / "r.yaml"), out=out / "o", seed=seed, max_bad_share=1, keep_rejected=True)
        except DataError as error:
            if any(why in str(error) for why in ("keeps no row", "asked for", "to train on")):
                return
            raise
        rejected = sum(funnel["rejected"].values())
        assert funnel["rows_read"] == len(lines) + 1
        assert funnel["steps"][0]["rows_in"] == funnel["rows_read"] - rejected
        dropped = funnel["dropped"]
        assert funnel["rows_read"] == funnel["rows_kept"] + rejected + sum(dropped.values())
        assert list(dropped.values()) == [step["rows_in"] - step["rows_out"] for step in funnel["steps"]]
        log = read(out / "o" / "rejected.jsonl") if rejected or any(dropped.values()) else []
        assert Counter(row["reason"] for row in log) == Counter(funnel["rejected"]) + Counter({f"step: {name}": n for name, n in dropped.items()})
        for before, after in itertools.pairwise(funnel["steps"]):
            assert before["rows_out"] == after["rows_in"]
        made = sides(out / "o")
        assert {side: len(rows) for side, rows in made.items()} == funnel["splits"]
        assert sum(funnel["splits"].values()) == funnel["steps"][-1]["rows_out"]
        ids = [row["id"] for rows in made.values() for row in rows]
        assert len(ids) == len(set(ids))
        for one, other in itertools.combinations(SIDES, 2):
            for a, b in itertools.product(made[one], made[other]):
                assert not a["title"] or a["title"] != b["title"]
                assert not a["content"] or a["content"] != b["content"]
                assert not a["content"] or jaccard(word_set(a["content"]), word_set(b["content"])) < 0.8
