"""The leak guard, between files of every one of our formats, and against a plain all-pairs comparison."""

from __future__ import annotations

import itertools
import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftlib.cli import main
from ftlib.curation import near
from ftlib.curation.leaks import find_leaks, leaks_text
from ftlib.curation.near import components, features_of, near_pairs
from ftlib.curation.records import Fields
from ftlib.curation.similarity import Similarity, jaccard, word_set
from ftlib.curation.wordhash import hash_texts, word_hashes
from ftlib.errors import DataError
from tests.curation.helpers import WORDS, rows, sentence, write


def instruction(row: dict[str, Any]) -> dict[str, str]:
    return {"instruction": "DESCRIBE THIS.", "input": row["title"], "output": row["content"]}


def chat(row: dict[str, Any]) -> dict[str, Any]:
    turns = [("system", "Be brief."), ("user", f"DESCRIBE THIS.\n\n{row['title']}"), ("assistant", row["content"])]
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


FORMATS = {"records": lambda row: row, "instruction": instruction, "chat": chat}


@pytest.mark.parametrize(("one", "other"), list(itertools.product(FORMATS, FORMATS)))
def test_between_any_two_formats(tmp_path: Path, one: str, other: str) -> None:
    train, test = rows(30), rows(6, start=100)
    test[1]["content"] = train[4]["content"].upper() + "!"  # the same but for case and punctuation
    test[2]["content"] = train[5]["content"] + " and two more"
    test[3]["title"] = train[6]["title"]
    a = write(tmp_path / "a.jsonl", map(FORMATS[one], train))
    b = write(tmp_path / "b.jsonl", map(FORMATS[other], test))
    found = find_leaks([a, b])
    assert (found["exact"], found["near"]) == (2, 1)
    assert [(p["a"]["line"], p["b"]["line"], p["kind"], p["what"]) for p in found["pairs"]] == [
        (5, 2, "exact", "content"),
        (6, 3, "near", "content"),
        (7, 4, "exact", "title"),
    ]
    assert f"{b}:2" in leaks_text(found)
    assert find_leaks([a, write(tmp_path / "c.jsonl", map(FORMATS[other], rows(5, start=200)))])["pairs"] == []


def test_three_files_and_duplicates_inside_one_file(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [*rows(5), *rows(5)])
    b = write(tmp_path / "b.jsonl", rows(3, start=10))
    c = write(tmp_path / "c.jsonl", [*rows(1), *rows(1, start=11), *rows(1)])
    assert find_leaks([a, b])["exact"] == 0
    assert find_leaks([a, b, c])["exact"] == 3


def test_the_command_exits_1_with_the_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a.jsonl", rows(5)), write(tmp_path / "b.jsonl", rows(2, start=4))
    assert main(["leaks", str(a), str(b), "--json"]) == 1
    out = json.loads(capsys.readouterr().out)
    assert (out["exact"], out["near"], len(out["pairs"])) == (1, 0, 1)
    assert main(["leaks", str(a), str(write(tmp_path / "c.jsonl", rows(2, start=40)))]) == 0
    assert main(["leaks", str(a)]) == 2
    assert main(["leaks", str(a), str(tmp_path / "none.jsonl")]) == 2
    assert main(["leaks", str(a), str(b), "--threshold", "0"]) == 2


@pytest.mark.parametrize("line", [b'{"x": 1}', b"[]", b"nonsense", b'{"messages": 3}'])
def test_a_file_of_no_known_format(tmp_path: Path, line: bytes) -> None:
    a, b = write(tmp_path / "a.jsonl", rows(5)), write(tmp_path / "b.jsonl", [line])
    with pytest.raises(DataError, match=r"b\.jsonl"):
        find_leaks([a, b])


@pytest.mark.parametrize(
    "row",
    [
        {"title": 5, "content": "x"},
        {"title": "a", "content": ["x"]},
        {"instruction": "i", "input": 3, "output": "x"},
        {"instruction": "i", "output": {"a": 1}},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": 4}]},
        {"messages": ["a"]},
    ],
)
def test_a_text_that_is_none_is_one_sentence(tmp_path: Path, row: dict[str, Any]) -> None:
    a, b = write(tmp_path / "a.jsonl", rows(5)), write(tmp_path / "b.jsonl", [row])
    with pytest.raises(DataError, match=r"b\.jsonl, line 1: no row of (records|instruction|chat) \(a text is missing, or is not a text\)"):
        find_leaks([a, b])


def test_texts_without_words_are_near_nothing(tmp_path: Path) -> None:
    a = write(tmp_path / "a.jsonl", [{"title": "a", "content": "!!!"}, {"title": "b", "content": None}])
    b = write(tmp_path / "b.jsonl", [{"title": f"b{n}", "content": text} for n, text in enumerate(["", "", "???", "\u2605", "!!!"])])
    found = find_leaks([a, b])
    assert [(pair["b"]["line"], pair["kind"]) for pair in found["pairs"]] == [(5, "exact")]


def corpus(seed: int, count: int) -> list[str]:
    """Texts of which many are variants of one another, at all similarities, with common words in each."""
    rng = random.Random(seed)
    texts = []
    for number in range(count):
        words = ("the and of in " + sentence(number // 3, rng.choice([6, 12, 40]))).split()
        for _ in range(rng.choice([0, 1, 2, 5])):
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        texts.append(" ".join(words))
    return texts


def test_similarities_as_bits_and_as_sets_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*corpus(4, 80), "", "!"]
    pairs = np.array(list(itertools.combinations(range(len(texts)), 2)))
    expected = [jaccard(word_set(texts[a]), word_set(texts[b])) for a, b in pairs.tolist()]
    assert Similarity(texts.__getitem__, len(texts))(pairs).tolist() == expected
    monkeypatch.setattr("ftlib.curation.similarity.WORDS", 64)  # fewer than there are, so that it changes over on the way
    changing = Similarity(texts.__getitem__, len(texts))
    assert [*changing(pairs[:5]).tolist(), *changing(pairs[5:]).tolist()] == expected


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_near_pairs_are_those_of_an_all_pairs_comparison(threshold: float) -> None:
    texts = corpus(3, 600)
    sets = [word_set(text) for text in texts]
    features = features_of(texts, texts)
    first = {int(key): index for index, key in reversed(list(enumerate(features.contents)))}
    expected = {(a, b) for a, b in itertools.combinations(sorted(first.values()), 2) if jaccard(sets[a], sets[b]) >= threshold}
    found = near_pairs(features, texts.__getitem__, threshold)
    assert all(similarity == jaccard(sets[a], sets[b]) for a, b, similarity in found)
    assert {(a, b) for a, b, _ in found} <= expected
    assert len(found) >= len(expected) * 0.99
    assert len(expected) > 5


@pytest.mark.parametrize("small", [4, 64, 500])
def test_a_crowd_is_connected_and_its_leak_found_without_comparing_all(monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    monkeypatch.setattr(near, "SMALL", small)
    texts = [f"{sentence(group, 30)} variant{n}" for n in range(150) for group in (1, 2)] + [sentence(n, 30) for n in range(10, 40)]
    features = features_of(texts, texts)
    pairs = near_pairs(features, texts.__getitem__, 0.8)
    groups = components(len(texts), pairs)
    assert set(groups[:300:2]) == {0}
    assert set(groups[1:300:2]) == {1}
    assert groups[300:].tolist() == list(range(300, 330))
    side = np.array([n < 290 for n in range(len(texts))], np.int64)
    found = {index for a, b, _ in near_pairs(features, texts.__getitem__, 0.8, side=side) for index in (a, b)}
    assert set(range(290, 300)) <= found


def test_in_a_crowd_hardly_a_leak_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "SMALL", 8)
    rng = random.Random(5)
    base = [f"word{n}" for n in range(60)]
    texts = []
    for _ in range(400):  # of one template, some nearer to each other than to it
        words = list(base)
        for _ in range(rng.randint(3, 22)):
            words[rng.randrange(60)] = f"other{rng.randrange(3000)}"
        texts.append(" ".join(words))
    sets = [word_set(text) for text in texts]
    side = np.array([rng.random() < 0.2 for _ in texts], np.int64)
    pairs = {(a, b) for a, b in itertools.combinations(range(len(texts)), 2) if jaccard(sets[a], sets[b]) >= 0.8}
    leaking = {(a, b) for a, b in pairs if side[a] != side[b]}
    found = {(a, b) for a, b, _ in near_pairs(features_of(texts, texts), texts.__getitem__, 0.8, side=side)}
    assert len(leaking) > 50
    assert found <= leaking
    assert len(found) >= 0.95 * len(leaking)
    groups = [len(set(components(len(texts), some).tolist())) for some in (pairs, near_pairs(features_of(texts, texts), texts.__getitem__, 0.8))]
    assert groups[1] <= groups[0] + 2


def test_keys_and_hashes() -> None:
    a, b, c, d, e = hash_texts(["One, two three", "one  TWO: three!", "two one three", "", "?!"])
    assert a == b
    assert len({int(x) for x in (a, c, d, e)}) == 4
    words, ends = word_hashes(["One two", "", "two ünï one", "x" * 300_000])
    assert ends.tolist() == [2, 2, 5, 6]
    assert words[0] == words[4]
    assert words[1] == words[2]
    assert len(set(words.tolist())) == 4
    again, _ = word_hashes(["two"])
    assert again[0] == words[1]


def test_components() -> None:
    assert components(6, [(0, 2), (2, 4)], [(1, 5)]).tolist() == [0, 1, 0, 3, 0, 1]
    assert np.array_equal(components(3), [0, 1, 2])


def test_an_empty_file_has_no_rows_and_a_missing_one_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full, empty = write(tmp_path / "train.jsonl", rows(3)), write(tmp_path / "valid.jsonl", [])
    for names in ([full, empty], [empty, full], [empty, empty]):
        assert main(["leaks", *map(str, names)]) == 0
        assert f"{empty} (0 rows)" in capsys.readouterr().out
    assert main(["leaks", str(full), str(tmp_path / "none.jsonl")]) == 2


def test_tables_with_names_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("name,text\nA tent,It is dry and light\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("name,text\nOther,It is dry and light\n", encoding="utf-8")
    files = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert main(["leaks", *files, "--title-field", "name", "--content-field", "text", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["exact"] == 1
    assert main(["leaks", *files]) == 2
    assert "--title-field" in capsys.readouterr().err


def test_a_table_beside_a_curated_file_has_its_own_columns_and_rows_are_counted_without_its_header(tmp_path: Path) -> None:
    made = rows(3)
    table = "name,text\n" + "".join(f'"{row["title"]}","{row["content"]}\nand\nmore"\n' for row in made[:2]) + "one field\n"
    table += f"again,{made[2]['content']}\n"
    (tmp_path / "a.csv").write_text(table)
    curated = write(tmp_path / "b.jsonl", made)
    found = find_leaks([tmp_path / "a.csv", curated], fields=Fields(title="name", content="text"))
    places = [(pair["a"]["row"], pair["b"]["line"]) for pair in found["pairs"]]
    assert places == [(1, 1), (2, 2), (4, 3)]
    assert "a.csv row 4 ~ " in leaks_text(found)
    assert "b.jsonl:3" in leaks_text(found)
    with pytest.raises(DataError, match="no field 'nam'"):
        find_leaks([tmp_path / "a.csv", curated], fields=Fields(title="nam", content="text"))


def test_inputs_of_several_paragraphs_that_end_alike_are_no_leak(tmp_path: Path) -> None:
    made = [{**row, "title": f"{row['title']}\n\nShips within 24 hours."} for row in rows(6)]
    one, other = (write(tmp_path / f"{name}.jsonl", map(chat, part)) for name, part in (("a", made[:3]), ("b", made[3:])))
    assert find_leaks([one, other])["exact"] == 0
    assert find_leaks([one, write(tmp_path / "c.jsonl", map(instruction, made[:1]))])["exact"] == 1


def test_accents_written_in_two_ways_are_the_same_text(tmp_path: Path) -> None:
    text = "Caf\u00e9 cr\u00e8me br\u00fbl\u00e9e, \u00e0 la carte"
    for number, form in enumerate(("NFC", "NFD")):
        row = {"id": str(number), "title": f"number {number}", "content": unicodedata.normalize(form, text)}
        (tmp_path / f"{form}.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    assert find_leaks([tmp_path / "NFC.jsonl", tmp_path / "NFD.jsonl"])["exact"] == 1
