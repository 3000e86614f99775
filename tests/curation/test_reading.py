"""Readers: a bad row costs that row; a bad file is one sentence."""

from __future__ import annotations

import gzip
import io
import json
import resource
import sys
import zipfile
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.curation import curate
from ftlib.curation.jsonlines import RowParser, read_jsonl
from ftlib.curation.records import Fields, Record, Rejected
from ftlib.curation.source import Source, train_files
from ftlib.errors import DataError
from tests.curation.helpers import read, rows, write

LINES = b"".join(json.dumps(row).encode() + b"\n" for row in rows(5))


def load(path: Path | str, **names: str) -> tuple[list[Record], list[Rejected]]:
    batches = list(Source(path, Fields(**names)).batches())  # type: ignore[arg-type]
    return [r for b in batches for r in b.records], [r for b in batches for r in b.rejected]


def packed(kind: str) -> bytes:
    if kind == "gz":
        return gzip.compress(LINES)
    if kind == "two members":
        half = LINES.index(b"\n", 200) + 1
        return gzip.compress(LINES[:half]) + gzip.compress(LINES[half:])
    if kind == "zst":
        zstandard = pytest.importorskip("zstandard")
        half = LINES.index(b"\n", 200) + 1
        pack = zstandard.ZstdCompressor(write_checksum=True).compress
        return bytes(pack(LINES[:half]) + pack(LINES[half:]))
    if kind == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("LF-Amazon-1.3M/lbl.json.gz", gzip.compress(b"{}\n"))
            archive.writestr("LF-Amazon-1.3M/tst.json.gz", gzip.compress(b"{}\n"))
            archive.writestr("LF-Amazon-1.3M/trn.json.gz", gzip.compress(LINES))
        return buffer.getvalue()
    return LINES


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("plain", "a.jsonl"),
        ("gz", "a.jsonl.gz"),
        ("gz", "no-suffix"),
        ("two members", "a.gz"),
        ("zst", "a.jsonl.zst"),
        ("zip", "a.zip"),
    ],
)
def test_every_packing_gives_the_same_rows(tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(packed(kind))
    records, rejected = load(path)
    assert [r.id for r in records] == [f"{n:010d}" for n in range(5)]
    assert not rejected


@pytest.mark.parametrize("kind", ["gz", "two members", "zst"])
@pytest.mark.parametrize("harm", ["cut off", "flipped"])
def test_a_damaged_archive_is_an_error_and_nothing_is_written(tmp_path: Path, kind: str, harm: str) -> None:
    data = bytearray(packed(kind))
    if harm == "cut off":
        data = data[:-20]
    else:
        data[len(data) // 2] ^= 0xFF
    path = tmp_path / "a.data"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.data"):
        curate(path, out=tmp_path / "out", train=1, valid=1, test=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl.gz", b"", "is empty"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.jsonl.gz", LINES, "no such file"),
        ("a.jsonl", b"<!DOCTYPE html><html>", "web page"),
        ("a.jsonl.gz", b"<html>", "web page"),
        ("a.jsonl", "\ufeff".encode("utf-16") + b"x", "UTF-16"),
        ("a.dat", b"\x00\x01\x02", "neither JSON lines"),
        ("a.parquet", b"PAR1 and no more", "damaged"),
        ("a.json", b'[\n{"title": "a", "content": "b"}\n]', "one JSON array"),
        ("a.json", b'[{"title": "a", "content": "b"}]', "one JSON array"),
        ("a.zip", b"PK\x03\x04 and no more", "damaged"),
        ("a.jsonl", b'{"name": "a", "text": "b"}\n', "no field 'title'"),
        ("a.csv", b"name,text\na,b\n", "no field 'title'"),
        ("a.csv", b"title,title,content\na,b,c\n", "2 columns named 'title'"),
        ("a.csv", b"title,content\ncaf\xe9,b\n", "save the file as UTF-8"),
        ("a.csv", b"t\xe9,content\na,b\n", "its column names are not"),
        ("a.xlsx", b"PK\x03\x04 and no more", "an Excel workbook; save its sheet as CSV"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
        ("a.txt", b"some prose", "it begins 'some prose'"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=says):
        curate(tmp_path / name, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_without_a_header_is_told_from_one_of_other_names(tmp_path: Path) -> None:
    none = "the first line is taken as the header, and the file seems to have none"
    (tmp_path / "bare.csv").write_text(f'Blue mug,"A mug\nof {"clay " * 99}"\n')
    with pytest.raises(DataError, match="has no field 'title' for the title or 'content' for the content") as bare:
        Source(tmp_path / "bare.csv")
    assert none in str(bare.value).lower()
    assert f"only these: Blue mug, {'A mug of ' + 'clay ' * 6}…." in str(bare.value)
    (tmp_path / "named.csv").write_text(",".join(["Product Name", *(f"k{n}" for n in range(10))]) + "\n")
    with pytest.raises(DataError, match=r"only these: Product Name, k0, k1, k2, k3, k4, k5, k6 and 3 more\. Name yours with ") as named:
        Source(tmp_path / "named.csv")
    assert none not in str(named.value).lower()
    assert "--title-field NAME --content-field NAME (curate, leaks)" in str(named.value)
    assert "--set data.title_field=NAME data.content_field=NAME (run, estimate, train;" in str(named.value)


@pytest.mark.parametrize("name", ["missing.jsonl", "no/such/file.jsonl", "nothing"])
def test_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        Source(name)


def test_an_archive_that_python_cannot_unpack_and_one_of_a_parquet_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jsonl", LINES)
    data = bytearray(buffer.getvalue())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + at] = 9  # Deflate64
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip: a\.jsonl is packed in a way that Python cannot read .*; unpack it first"):
        Source(tmp_path / "a.zip")
    (tmp_path / "b.parquet.gz").write_bytes(gzip.compress(b"PAR1 and so on"))
    with pytest.raises(DataError, match="holds a Parquet file; unpack it first"):
        Source(tmp_path / "b.parquet.gz")


@pytest.mark.parametrize("name", ["title", "content"])
def test_an_id_that_is_one_of_the_texts(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' is named for the id and for a text"):
        curate(write(tmp_path / "a.jsonl", rows(5)), id_field=name, out=tmp_path / "out")


def test_a_folder_and_an_ambiguous_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        Source(tmp_path)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.jsonl", LINES)
        archive.writestr("b.jsonl", LINES)
    with pytest.raises(DataError, match=r"two\.zip!NAME"):
        Source(tmp_path / "two.zip")
    assert len(load(f"{tmp_path}/two.zip!b.jsonl")[0]) == 5


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"title": "\xff", "content": "b"}', "invalid UTF-8"),
        (b'{"title": "a\x00b", "content": "b"}', "NUL byte"),
        (b'{"title": "\\ud800", "content": "b"}', "lone surrogate"),
        (b'{"title": "a", "content": "x \\udc00 y"}', "lone surrogate"),
        (b'{"title": NaN, "content": "b"}', "NaN or infinity"),
        (b'{"title": "a", "content": "b", "target_rel": [Infinity]}', "NaN or infinity"),
        (b'{"title": "a", "title": "b", "content": "c"}', "duplicate key"),
        (b'{"title": {"en": "a"}, "content": "b"}', "title is not a text"),
        (b'{"title": "a", "content": ["b"]}', "content is not a text"),
        (b'{"title": 1984, "content": "b"}', "title is not a text"),
        (b'{"uid": 1.5, "title": "a", "content": "b"}', "uid is not a text"),
        (b"[1, 2]", "not an object"),
        (b"null", "not an object"),
        (b'"a text"', "not an object"),
        (b'{"title": "a", "content": "b"', "not JSON"),
        (b'{"title": "a"} {"title": "b"}', "not JSON"),
        (b'{"title": "a", "content": "b", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    ],
)
def test_a_bad_row_costs_that_row_and_says_why(tmp_path: Path, line: bytes, reason: str) -> None:
    path = write(tmp_path / "a.jsonl", [*rows(3), line, *rows(2, start=3)])
    records, rejected = load(path)
    assert len(records) == 5
    assert [(r.line, r.reason) for r in rejected] == [(4, reason)]


def test_bom_crlf_blank_lines_and_line_separators_inside_texts(tmp_path: Path) -> None:
    text = "\ufeff" + '{"uid": "1", "title": "a\u2028b\u0085c", "content": "x"}\r\n\r\n  \n{"uid": "2", "title": "t", "content": "y"}'
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8", newline="")
    records, rejected = load(tmp_path / "a.jsonl")
    assert [(r.id, r.title) for r in records] == [("1", "a\u2028b\u0085c"), ("2", "t")]
    assert not rejected


def test_a_value_that_spells_like_a_key_is_no_duplicate(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"uid": "1", "title": "title", "content": "content", "more": {"title": "inner"}}])
    records, rejected = load(path)
    assert [r.title for r in records] == ["title"]
    assert not rejected


def test_null_empty_and_absent_fields_are_missing_not_bad(tmp_path: Path) -> None:
    made = [{"title": None, "content": "b"}, {"title": "", "content": "b"}, {"content": "b"}, {"title": "t", "content": "b"}]
    path = write(tmp_path / "a.jsonl", made)
    records, rejected = load(path)
    assert [r.title for r in records] == ["", "", "", "t"]
    assert [r.id for r in records] == ["1", "2", "3", "4"]  # no id: the row's number
    assert not rejected


def test_an_endless_line_costs_that_row_and_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as handle:
        handle.write(LINES)
        handle.write(b'{"title": "a", "content": "')
        for _ in range(300):
            handle.write(b"x" * (1 << 20))
        handle.write(b'"}\n' + LINES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    records, rejected = load(path)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024)
    assert [r.id for r in records] == [f"{n:010d}" for n in range(5)] * 2
    assert [(r.line, r.reason) for r in rejected] == [(6, "line longer than 16 MiB")]
    assert grown < 120 << 20


def test_csv_keeps_every_value_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        '\ufeffcode;name;text\r\n0001234;2024-01-02;"one; two\nthree ""four"""\r\n2;NA;\r\nshort;row\r\n'.encode()
        + b"4;\xff;x\r\n5;a\x00b;x\r\n6;last;1e5\r\n"
    )
    records, rejected = load(tmp_path / "a.csv", id="code", title="name", content="text")
    assert [(r.id, r.title, r.content) for r in records] == [
        ("0001234", "2024-01-02", 'one; two\nthree "four"'),
        ("2", "NA", ""),
        ("6", "last", "1e5"),
    ]
    assert [r.reason for r in rejected] == ["another number of fields than the header", "invalid UTF-8", "NUL byte"]


def test_csv_that_goes_wrong_costs_rows_and_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("wb") as handle:
        handle.write(b"title,content\na,b\n")
        for _ in range(100):
            handle.write(b"x" * (1 << 20))
        handle.write(b'\nc,d\ne,"never closed\n' + b"f,g\n" * 5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    records, rejected = load(tmp_path / "a.csv")
    assert [(r.id, r.title) for r in records] == [("1", "a"), ("3", "c")]
    assert rejected[0].text == "line longer than 16 MiB"
    assert rejected[1].reason == "not CSV (unexpected end of data)"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1 if sys.platform == "darwin" else 1024) < 150 << 20


def test_a_quote_that_is_never_closed_costs_the_lines_that_it_swallows_and_each_is_counted(tmp_path: Path) -> None:
    lines = ["title,content", 'a,"one', 'two"', 'b,"swallows', *[f"r{n},c{n}" for n in range(5000)], 'q,"good"', "c,three", 'd,"x', 'y",z']
    (tmp_path / "a.csv").write_text("\n".join(lines), encoding="utf-8")
    records, rejected = load(tmp_path / "a.csv")
    assert [(r.id, r.title, r.content) for r in records] == [("1", "a", "one\ntwo"), ("5004", "c", "three")]
    assert [r.line for r in rejected] == [*range(4, 5006), 5007]
    assert {r.reason for r in rejected[:-1]} == {"not CSV (',' expected after '\"')"}
    assert rejected[-1].reason == "another number of fields than the header"
    assert max(batch.rows for batch in Source(tmp_path / "a.csv").batches()) <= 4096


def test_parquet_keeps_every_value_a_text(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    bad = pa.Array.from_buffers(pa.string(), 4, [None, pa.array([0, 1, 2, 3, 4], pa.int32()).buffers()[1], pa.py_buffer(b"ab\xffd")])
    table = pa.table({"uid": ["0001234", "2", "3", None], "title": ["2024-01-02", None, "c", "d"], "content": bad})
    pq.write_table(table, tmp_path / "a.parquet")
    records, rejected = load(tmp_path / "a.parquet")
    assert [(r.id, r.title) for r in records] == [("0001234", "2024-01-02"), ("2", ""), ("4", "d")]
    assert [(r.line, r.reason) for r in rejected] == [(3, "invalid UTF-8")]
    pq.write_table(pa.table({"title": [1, 2], "content": ["a", "b"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="'title' is int64, not text"):
        load(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-30])
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "c.parquet")


def test_a_hub_dataset_is_downloaded_and_read_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    for part in range(2):
        write(tmp_path / f"train-0{part}.jsonl", rows(3, start=3 * part))

    class Api:
        def list_repo_files(self, repo: str, repo_type: str) -> list[str]:
            if repo != "owner/name":
                raise RuntimeError("404 Not Found")
            return [".gitattributes", "README.md", "data/test-00.jsonl", "data/train-00.jsonl", "data/train-01.jsonl"]

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "hf_hub_download", lambda repo, name, repo_type: str(tmp_path / Path(name).name))
    monkeypatch.chdir(tmp_path)
    assert [r.id for r in load("owner/name")[0]] == [f"{n:010d}" for n in range(6)]
    with pytest.raises(DataError, match="other/name could not be had"):
        Source("hf://other/name")

    def snapshot(repo: str, repo_type: str, local_files_only: bool) -> str:
        if repo != "kept/name":
            raise FileNotFoundError(repo)
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)  # a hub that cannot be reached, but was before
    assert [r.id for r in load("kept/name")[0]] == [f"{n:010d}" for n in range(6)]


def test_which_files_of_a_dataset_are_read() -> None:
    assert train_files(["b/test.parquet", "b/train-1.parquet", "b/train-0.parquet"]) == ["b/train-0.parquet", "b/train-1.parquet"]
    assert train_files(["training_notes.md", "all.csv"]) == ["all.csv"]
    assert train_files(["README.md"]) == []


def test_too_many_bad_rows_stop_and_a_higher_share_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [*rows(50), b"{", b"[]"])
    with pytest.raises(DataError, match=r"2 of 52 rows cannot be read.*line 51"):
        curate(path, out=tmp_path / "out")
    funnel = curate(path, out=tmp_path / "out", max_bad_share=0.1)
    assert funnel["rejected"] == {"not JSON": 1, "not an object": 1}
    assert [(row["line"], row["reason"]) for row in read(tmp_path / "out" / "rejected.jsonl")] == [(51, "not JSON"), (52, "not an object")]


def test_every_rejected_row_is_written_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [*rows(50), *[b"{"] * 40])
    curate(path, out=tmp_path / "out", max_bad_share=1)
    assert len(read(tmp_path / "out" / "rejected.jsonl")) == 20
    curate(path, out=tmp_path / "out", max_bad_share=1, keep_rejected=True)
    assert sum("line" in row for row in read(tmp_path / "out" / "rejected.jsonl")) == 40


def test_no_row_of_a_thousand_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [b"nothing"] * 5000)
    with pytest.raises(DataError, match="cannot be read"):
        curate(path, out=tmp_path / "out", max_bad_share=0.5)


ODD_LINES = [
    b'{"uid": "1", "title": "A tent", "content": "It is \\"dry\\": yes"}',
    b'{"uid": "", "title": "No id", "content": "x"}',
    b'{"uid":"2","title":"B","content":"y","other":{"deep":[1,2]}}\r',
    b'{"content": "z", "uid": "3", "title": "C", "title": "D"}',
    b'{"uid" : "4", "title" : "C", "title": "spaced", "content": "z"}',
    b'{"uid": "5", "title": "E", "content": "inside", "other": {"title": "F"}}',
    b'{"uid": "6", "title": null, "content": "z"}',
    b'{"uid": 7, "title": "G", "content": "a number as id"}',
    b'{"uid": "8", "title": "H"}',
    b'{"uid": "9", "title": "I", "content": "two"}{"uid": "10", "title": "J", "content": "on a line"}',
    b'{"uid": "11", "title": "K", "content": "cut',
    b'{"uid": "12", "title": "caf\xc3\xa9 \\u00e9", "content": "\\\\"}',
    b'{"uid": "13", "title": "\xff", "content": "no UTF-8"}',
    b'{"uid": "14", "title": "L", "content": "title\\": content\\""}',
    b'{"title_tokens": 5, "uid": "15", "title": "M", "content": "counts of its own", "content_tokens": 6}',
    b"",
    b"   ",
    b"[]",
    b"}",
    b"{",
]


@given(st.lists(st.sampled_from(ODD_LINES), max_size=12), st.sampled_from(["uid", None]), st.booleans())
def test_blocks_are_read_as_line_by_line(lines: list[bytes], identity: str | None, ended: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    fields = Fields(identity)
    at_once = list(read_jsonl(io.BytesIO(data), fields))
    with patch.object(RowParser, "block", return_value=None):
        one_by_one = list(read_jsonl(io.BytesIO(data), fields))
    assert [[msgspec.to_builtins(row) for row in batch.records] for batch in at_once] == [
        [msgspec.to_builtins(row) for row in batch.records] for batch in one_by_one
    ]
    assert [batch.rejected for batch in at_once] == [batch.rejected for batch in one_by_one]


def test_good_lines_take_the_fast_way() -> None:
    data = b"\n".join(ODD_LINES[:3])
    assert RowParser(Fields("uid")).block(data, 1, 3) is not None
    assert RowParser(Fields("uid")).block(data + b"\n" + ODD_LINES[3], 1, 4) is None
