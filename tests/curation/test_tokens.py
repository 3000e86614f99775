"""Token counts: tiktoken's, offline, whoever counts; and the overview made of them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.curation import curate, tokens
from ftlib.curation.overview import Overview, Tally
from ftlib.curation.tokens import TokenCounter, counter, ranks_file, tiktoken_encoding
from ftlib.errors import ProfileError
from tests.curation.helpers import rows, write


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("no request is made")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
def test_counting_works_offline_and_heals_its_cache(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLIB_HOME", str(tmp_path))
    assert TokenCounter(encoding).count(["Hello, world!"]) == [4]
    ranks_file(encoding).write_bytes(b"torn")
    assert TokenCounter(encoding, fast=False).count(["Hello, world!"]) == [4]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=60), max_size=8))
def test_whoever_counts_counts_as_tiktoken_does(texts: list[str]) -> None:
    expected = [len(tiktoken_encoding("o200k_base").encode_ordinary(text)) for text in texts]
    assert counter("o200k_base").count(texts) == expected
    assert counter("o200k_base", fast=False).count(texts) == expected


def test_a_fast_tokenizer_that_miscounts_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gigatoken")
    real = tokens._fast_counts

    def wrong(tokenizer: object, texts: list[str]) -> list[int]:
        return [count + (text == "Hello, world!") for count, text in zip(real(tokenizer, texts), texts, strict=True)]

    monkeypatch.setattr(tokens, "_fast_counts", wrong)
    made = TokenCounter("o200k_base")
    assert made.name.startswith("tiktoken")
    assert "failed the self-check" in made.name
    assert made.count(["Hello, world!"]) == [4]


def test_an_unknown_encoding() -> None:
    with pytest.raises(ProfileError, match="o200k_base"):
        counter("o200k")


def test_the_overview_is_of_the_whole_file_as_it_stands(tmp_path: Path) -> None:
    made = [*rows(30), {"uid": "x", "title": "", "content": "b"}, {"uid": "y", "title": "a", "content": None}]
    path = write(tmp_path / "a.jsonl", made)
    (tmp_path / "r.yaml").write_text("steps: [{normalise: {lower: true}}, drop_missing, {content_chars: {min: 150}}]")
    curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out")
    overview = json.loads((tmp_path / "out" / "tokens.json").read_text())
    encoding = tiktoken_encoding("o200k_base")
    content = sorted(len(encoding.encode_ordinary(row["content"])) for row in made[:30])
    both = [len(encoding.encode_ordinary(row["content"])) + len(encoding.encode_ordinary(row["title"])) for row in made[:30]]
    assert overview["rows"] == 30
    assert overview["missing"] == {"title": 1, "content": 1}
    field = overview["fields"]["content"]
    assert (field["min"], field["max"], field["mean"]) == (content[0], content[-1], round(sum(content) / 30, 2))
    assert field["quantiles"]["0.5"] == content[14]
    assert sum(field["histogram"]["counts"]) == 30
    assert overview["fields"]["sum"]["over"]["128"] == pytest.approx(sum(n > 128 for n in both) / 30, abs=1e-6)
    kept = curate(path, recipe=str(tmp_path / "r.yaml"), out=tmp_path / "kept", overview="kept")
    rows_kept = kept["steps"][2]["rows_out"]
    assert json.loads((tmp_path / "kept" / "tokens.json").read_text())["rows"] == rows_kept


def test_the_overview_of_long_texts() -> None:
    overview = Overview()
    overview.add(Tally(np.array([[1, 10], [2, 70_000], [3, 90_000]]), 0, 0))
    field = overview.plain("o200k_base", "x")["fields"]["content"]
    assert (field["min"], field["max"], field["quantiles"]["0.5"], field["over"]["4096"]) == (10, 90_000, 70_000, 0.666667)
    assert sum(field["histogram"]["counts"]) == 3


@pytest.mark.parametrize("fast", [True, False])
def test_endless_texts_are_counted_in_pieces(fast: bool) -> None:
    made = counter("o200k_base", fast)
    text = "the quick brown fox, jumps over 12 lazy dogs.  " * 12_000
    assert made.count([text, "Hello, world!"]) == [len(tiktoken_encoding("o200k_base").encode_ordinary(text)), 4]
    assert made.count([" " * 1_000_000])[0] == pytest.approx(7813, abs=10)
