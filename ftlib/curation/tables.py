"""CSV and Parquet: every value stays the text that it is; no type is guessed."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ftlib.curation.jsonlines import LONGEST_LINE
from ftlib.curation.records import Batch, Batches, Fields, Record, Rejected
from ftlib.errors import DataError, MissingExtra

ROWS = 4096


def csv_header(stream: IO[bytes]) -> list[str]:
    """Column names of a CSV file: its first row. The stream is read on from there by ``read_csv``."""
    return next(_reader(io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")), [])


def _reader(text: Any) -> Iterator[list[str]]:
    """A csv reader whose delimiter is what the header uses most of comma, semicolon and tab."""
    head = text.readline(LONGEST_LINE)
    delimiter = max(",;\t", key=head.count)
    csv.field_size_limit(LONGEST_LINE)
    return csv.reader(itertools.chain([head], _lines(text)), delimiter=delimiter, strict=True)


def _lines(text: Any) -> Iterator[str]:
    """Lines, of which an endless one comes as a short one that fits no header, so that it costs one row and no memory."""
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            while (rest := text.readline(LONGEST_LINE)) and not rest.endswith("\n"):
                pass
            line = f"line longer than {LONGEST_LINE >> 20} MiB\n"
        yield line


def read_csv(stream: IO[bytes], fields: Fields, where: Path | str) -> Batches:
    """Yield batches of a CSV file (RFC 4180 quoting; comma, semicolon or tab) in UTF-8."""
    wrapper = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader: Any = _reader(wrapper)
    header: list[str] = next(reader, [])
    columns = [header.index(name) if name is not None else None for name in (fields.id, fields.title, fields.content)]
    batch, number, ended = Batch(), 0, False
    while not ended:
        first, row, wrong = reader.line_num + 1, None, ""
        try:
            row = next(reader, None)
            ended = row is None
        except csv.Error as error:
            wrong = f"not CSV ({error})"
        number += 1
        if wrong:  # a quote that is never closed takes the rows after it along: each line counts, so that none is lost unsaid
            number += reader.line_num - first
            for line in range(first, reader.line_num + 1):
                batch.reject(Rejected(line, wrong))
                if batch.rows >= ROWS:
                    yield batch
                    batch = Batch()
        elif row:
            _add(batch, row, len(header), columns, first, number)
        if batch.rows >= ROWS:
            yield batch
            batch = Batch()
    yield batch


def _add(batch: Batch, row: list[str], width: int, columns: Sequence[int | None], line: int, number: int) -> None:
    """Put one CSV row into the batch, or the reason why not."""
    if len(row) != width:
        batch.reject(Rejected(line, "another number of fields than the header", ",".join(row)[:200]))
        return
    identity, title, content = (row[c] if c is not None else "" for c in columns)
    together = identity + title + content
    if not together.isascii():
        try:
            together.encode("utf-8")
        except UnicodeEncodeError:
            batch.reject(Rejected(line, "invalid UTF-8", together[:200].encode("utf-8", "replace").decode()))
            return
    if "\x00" in together:
        batch.reject(Rejected(line, "NUL byte", together[:200].replace("\x00", "\\0")))
        return
    batch.records.append(Record(identity or str(number), title, content))


def open_parquet(path: Path) -> Any:
    """A pyarrow ParquetFile. Raises MissingExtra without pyarrow, DataError where the file is damaged."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("A Parquet file needs the library pyarrow: pip install pyarrow.") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged ({str(error).splitlines()[0]}); get the file again.") from error


def read_parquet(path: Path, fields: Fields) -> Batches:
    """Yield batches of a Parquet file. Title and content must be columns of text, id of text or whole numbers."""
    import pyarrow as pa

    file = open_parquet(path)
    names = [name for name in (fields.id, fields.title, fields.content) if name is not None]
    for name in names:
        kind = file.schema_arrow.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not _is_text(pa, kind) and not (name == fields.id and pa.types.is_integer(kind)) and not pa.types.is_null(kind):
            raise DataError(f"{path}: column {name!r} is {kind}, not text; save it as text.")
    number = 0
    try:
        for table in file.iter_batches(batch_size=ROWS, columns=names):
            batch = Batch()
            for row in zip(*(_texts(table, name) for name in (fields.id, fields.title, fields.content)), strict=True):
                number += 1
                if any(isinstance(value, bytes) for value in row):
                    batch.reject(Rejected(number, "invalid UTF-8"))
                else:
                    identity, title, content = ("" if value is None else str(value) for value in row)
                    batch.records.append(Record(identity or str(number), title, content))
            yield batch
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged near row {number} ({str(error).splitlines()[0]}); get the file again.") from error


def _is_text(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _texts(table: Any, name: str | None) -> list[Any]:
    """A column's values; one that is not UTF-8 comes as its bytes."""
    if name is None:
        return [None] * table.num_rows
    column = table.column(name)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        return [_text(value) for value in column]


def _text(value: Any) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.as_buffer().to_pybytes()
