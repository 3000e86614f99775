"""JSON lines, a row at a time and defensively: a bad row costs that row, and memory does not grow with the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from ftlib.curation.records import Batch, Batches, Fields, Record, Rejected

CHUNK = 1 << 21
LONGEST_LINE = 16 << 20  # bytes; a longer line is no row of a data set, and would eat the memory
DEEPEST = 900


def read_jsonl(stream: IO[bytes], fields: Fields, *, first_line: int = 1) -> Batches:
    """Yield batches of about 2 MiB. Empty lines are not rows; ``fields.id`` None numbers the rows by their lines."""
    parse = RowParser(fields)
    for number, lines, too_long in chunks(stream, first_line):
        batch = Batch()
        records = batch.records
        for line_number, line in enumerate(lines, number):
            if line:
                row = parse(line, line_number)
                if type(row) is Record:
                    records.append(row)
                elif isinstance(row, Rejected):
                    batch.reject(row)
        if too_long is not None:
            batch.reject(Rejected(number + len(lines), f"line longer than {LONGEST_LINE >> 20} MiB", show(too_long)))
        yield batch


def chunks(stream: IO[bytes], number: int) -> Iterator[tuple[int, list[bytes], bytes | None]]:
    """Yield (number of the first line, lines, beginning of a line that is too long and follows them or None)."""
    rest: list[bytes] = []
    held = 0
    while chunk := stream.read(CHUNK):
        cut = chunk.rfind(b"\n")
        if cut < 0:
            rest.append(chunk)
            held += len(chunk)
            if held > LONGEST_LINE:
                yield number, [], rest[0]
                number += 1
                rest = [_skip_line(stream)]
                held = len(rest[0])
            continue
        lines = b"".join([*rest, chunk[:cut]]).split(b"\n")
        rest, held = [chunk[cut + 1 :]], len(chunk) - cut - 1
        yield number, lines, None
        number += len(lines)
    last = b"".join(rest)
    if last:
        yield number, last.split(b"\n"), None


def _skip_line(stream: IO[bytes]) -> bytes:
    """Read on to the end of the line without keeping it; returns what follows it in the last chunk."""
    while chunk := stream.read(CHUNK):
        _, end, rest = chunk.partition(b"\n")
        if end:
            return rest
    return b""


class RowParser:
    """One line to a Record, or to the reason why it is none; None for a line of white space."""

    def __init__(self, fields: Fields) -> None:
        kinds: list[tuple[str, Any, Any]] = [("title", str | None, None), ("content", str | None, None)]
        names = {"title": fields.title, "content": fields.content}
        if fields.id is not None:
            kinds.append(("id", str | int | None, None))
            names["id"] = fields.id
        self._numbered = fields.id is None
        self._decode = msgspec.json.Decoder(msgspec.defstruct("Raw", kinds, rename=names)).decode
        self._names = names
        keys = [f'"{name}"'.encode() for name in names.values()]
        self._keys = (keys[0], keys[1], keys[-1])

    def __call__(self, line: bytes, number: int) -> Record | Rejected | None:
        try:
            raw: Any = self._decode(line)
        except RecursionError:
            return Rejected(number, "nested too deep", show(line))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if line.isspace():
                return None
            return Rejected(number, self._reason(line, error), show(line))
        one, two, three = self._keys
        if line.count(one) > 1 or line.count(two) > 1 or line.count(three) > 1:
            try:
                repeats = self._repeats(line)
            except (ValueError, RecursionError) as error:  # in a field that is none of ours, and that the fast parser passes over
                return Rejected(number, "nested too deep" if isinstance(error, RecursionError) else "not JSON", show(line))
            if repeats:
                return Rejected(number, "duplicate key", show(line))
        identity = None if self._numbered else raw.id
        return Record(str(number) if identity is None or identity == "" else str(identity), raw.title or "", raw.content or "")

    def _repeats(self, line: bytes) -> bool:
        """Whether one of our keys stands twice in the row itself (a value may spell like a key)."""
        repeated = False

        def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal repeated
            counts = Counter(key for key, _ in pairs)
            repeated = any(counts[name] > 1 for name in self._names.values())  # the outermost object comes last
            return dict(pairs)

        json.loads(line.decode("utf-8", "replace"), object_pairs_hook=look)
        return repeated

    def _reason(self, line: bytes, error: Exception) -> str:
        """Why a line is no row, in few words that are counted."""
        if isinstance(error, msgspec.ValidationError):
            place = str(error).partition("$.")[2].rstrip("`")
            return f"{place} is not a text" if place else "not an object"
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            return "invalid UTF-8"
        if "\x00" in text:
            return "NUL byte"
        try:
            value = json.loads(text)
        except ValueError:
            return "not JSON"
        except RecursionError:
            return "nested too deep"
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            return "lone surrogate"
        return "NaN or infinity"  # the one thing that Python's parser takes and JSON does not have


def show(line: bytes) -> str:
    """How a line begins, for a person."""
    return line[:200].decode("utf-8", "replace")
