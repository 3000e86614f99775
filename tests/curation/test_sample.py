"""The sample is what its script makes, and has in it what it says."""

from __future__ import annotations

import gzip
import json
from importlib import resources
from pathlib import Path

from ftlib.sample.generate import ROWS, compress, make_rows, sample_bytes

DATA = Path(__file__).parents[2] / "data" / "sample.jsonl"


def test_both_copies_are_what_the_script_makes() -> None:
    made = sample_bytes()
    assert gzip.decompress(resources.files("ftlib").joinpath("sample", "sample.jsonl.gz").read_bytes()) == made
    assert DATA.read_bytes() == made
    assert compress(made) == compress(made)


def test_another_seed_makes_another_sample() -> None:
    assert list(make_rows(20, 1)) == list(make_rows(20, 1)) != list(make_rows(20, 2))


def test_it_has_the_form_and_the_defects_of_real_rows() -> None:
    rows = [json.loads(line) for line in DATA.read_bytes().splitlines()]
    assert len(rows) == ROWS
    assert all(list(row) == ["uid", "title", "content", "target_ind", "target_rel"] for row in rows)
    assert len({row["uid"] for row in rows}) == ROWS
    assert rows[0]["uid"].startswith("0")
    assert all(len(row["uid"]) == 10 and len(row["target_ind"]) == len(row["target_rel"]) for row in rows)
    contents = [row["content"] for row in rows if row["content"]]
    lengths = sorted(map(len, contents))
    assert 200 < lengths[len(lengths) // 2] < 400
    assert lengths[0] < 10 < 10_000 < lengths[-1]
    assert any(row["content"] is None for row in rows)
    assert any(row["title"] == "" for row in rows)
    assert len(set(contents)) < len(contents)
    for piece in ("&amp;", "&#8217;", '"', "author", "Author", "copyright", "Copyright", ".The ", "review"):
        assert any(piece in text for text in contents), piece


def test_a_description_depends_on_its_title() -> None:
    def words(text: str) -> set[str]:
        return {word for word in text.lower().replace(",", " ").replace(".", " ").split() if len(word) > 3}

    rows = [row for row in make_rows(1500) if row["title"] and row["content"]]
    own = [len(words(row["title"]) & words(row["content"])) / len(words(row["title"])) for row in rows if words(row["title"])]
    other = [len(words(a["title"]) & words(b["content"])) / len(words(a["title"])) for a, b in zip(rows, rows[7:], strict=False) if words(a["title"])]
    assert sum(own) / len(own) > 4 * sum(other) / len(other)
