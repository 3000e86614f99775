"""Files with sixty kinds of malformed line between good rows, through every reader: good rows arrive, bad ones are counted, nothing breaks."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from ftlib.curation.source import Source
from ftlib.errors import FtlibError
from ftlib.evaluation.items import read_answers, read_references
from ftlib.evaluation.recorded import training_texts
from ftlib.files import read_json, read_jsonl
from ftlib.formatting.check import check_file
from ftlib.formatting.destinations import find_destination
from tests.reliability.malformed import KINDS, make_file
from tests.reliability.payloads import PAYLOADS

FILES = int(os.environ.get("FTLIB_FILES", "60"))
CHAT, LOCAL = find_destination("openai")[0], find_destination("local")[0]
READERS = {
    "references": read_references,
    "answers": read_answers,
    "training texts": lambda path: list(training_texts(path)),
    "our own lines": lambda path: list(read_jsonl(path)),
    "our own document": read_json,
    "check for openai": lambda path: check_file(path, destination=CHAT),
    "check for local": lambda path: check_file(path, destination=LOCAL),
}


def read_all(path: Path) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(id, title, content) of the rows that a source gives, and the reasons of those that it rejects."""
    records, reasons = [], []
    for batch in Source(path).batches():
        records += [(row.id, row.title, row.content) for row in batch.records]
        reasons += [row.reason for row in batch.rejected]
    return records, reasons


@pytest.mark.parametrize("share", range(6))
def test_good_rows_arrive_and_bad_ones_are_counted(share: int, tmp_path: Path) -> None:
    for seed in range(share, FILES, 6):
        path = tmp_path / "rows.jsonl"
        good = make_file(path, seed)
        lines = path.read_bytes().split(b"\n")
        try:
            records, reasons = read_all(path)
        except FtlibError:
            assert lines[0] not in good, f"seed {seed}: refused, though it begins with a good row"
            continue
        found = set(records)
        assert [row for row in map(json.loads, good) if (row["uid"], row["title"], row["content"]) not in found] == [], f"seed {seed}"
        assert len(records) + len(reasons) == sum(bool(line.strip()) for line in lines), f"seed {seed}"
        assert all(reasons), f"seed {seed}"
        assert all(_encodes(text) for row in records for text in row), f"seed {seed}"


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_says_what_is_wrong_in_one_sentence(kind: str, reader: str, tmp_path: Path) -> None:
    import random

    path = tmp_path / "rows.jsonl"
    path.write_bytes(KINDS[kind](random.Random(1)) + b"\n")
    said = str(path)
    try:
        READERS[reader](path)
    except FtlibError as error:
        said = str(error)
    assert str(path) in said
    assert len(said) < 2_000


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_hostile_text_comes_through_every_source_as_it_is(name: str, tmp_path: Path) -> None:
    text = PAYLOADS[name]
    row = {"id": "1", "title": "A title", "content": text}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "id": "2", "content": "good"}) + "\n")
    records, reasons = read_all(path)
    if not _encodes(text):
        assert reasons == ["lone surrogate"]
        return
    assert records[0] == ("1", "A title", text)
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerows([["id", "title", "content"], ["1", "A title", text], ["2", "A title", "good"]])
    records, reasons = read_all(tmp_path / "rows.csv")
    assert records[-1] == ("2", "A title", "good")
    assert reasons or records[0] == ("1", "A title", text)
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"id": ["1"], "title": ["A title"], "content": [text]}), tmp_path / "rows.parquet")
    assert read_all(tmp_path / "rows.parquet")[0] == [("1", "A title", text)]


DEEP = '{"better": ' + "[" * 50_000


@pytest.mark.parametrize("text", [DEEP, DEEP + "]" * 50_000 + "}", "[" * 50_000, *PAYLOADS.values()], ids=range(43))
def test_a_reply_of_a_model_or_service_may_hold_anything(text: str) -> None:
    from ftlib.evaluation import checks
    from ftlib.evaluation.judge.prompts import read_choice
    from ftlib.training.hosted.failures import Failure
    from ftlib.training.hosted.keys import Key
    from ftlib.training.hosted.service import decode

    assert read_choice(text) is None
    assert not checks._json(text, {"value": {"a": 1}})
    with pytest.raises(Failure, match="JSON"):
        decode(text.encode("utf-8", "surrogatepass"), Key("sk-x"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.jsonl", b'{"title": "a", "title": "b", "x\x8f": "c"}\n' * 3),  # found by fuzzing, like those below
        ("rows.jsonl", b'{"title": "a", "title": "b", "x": ' + b"9" * 5_000 + b"}\n"),
        ("rows.jsonl", b'{"title": "a", "title": "b", "x": ' + b"[" * 900 + b"]" * 900 + b"}\n"),
        ("rows.csv", b'"a"b,title,content\n"1"2,3,4\n'),
    ],
)
def test_what_the_fuzzer_found_stays_mended(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    try:
        records, reasons = read_all(tmp_path / name)
    except FtlibError as error:
        reasons, records = [str(error)], []
    assert reasons
    assert records == []
