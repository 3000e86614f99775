"""JSON lines, a row at a time and defensively: a bad row costs that row, and memory does not grow with the file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import msgspec

from ftlib.curation.records import Batch, Batches, Fields, Record, Rejected

CHUNK = 1 << 21
LONGEST_LINE = 16 << 20  # bytes; a longer line is no row of a data set, and would eat the memory


def read_jsonl(stream: IO[bytes], fields: Fields, *, first_line: int = 1) -> Batches:
    """Yield batches of about 2 MiB. Empty lines are not rows; ``fields.id`` None numbers the rows by their lines."""
    parse = RowParser(fields)
    for number, lines, block, too_long in blocks(stream, first_line):
        yield parse_block(parse, number, lines, block, too_long)


def parse_block(parse: RowParser, number: int, lines: int, block: bytes, too_long: bytes | None) -> Batch:
    """The rows of some lines, the first of which is line ``number``; ``too_long`` begins a line after them that is no row."""
    batch = Batch()
    if lines and (records := parse.block(block, number, lines)) is not None:
        batch.records = records
    elif lines:
        _one_by_one(parse, block.split(b"\n"), number, batch)
    if too_long is not None:
        batch.reject(Rejected(number + lines, f"line longer than {LONGEST_LINE >> 20} MiB", show(too_long)))
    return batch


def _one_by_one(parse: RowParser, lines: list[bytes], number: int, batch: Batch) -> None:
    """Lines into a batch, each on its own, so that one that is no row costs that one."""
    for line_number, line in enumerate(lines, number):
        if line:
            row = parse(line, line_number)
            if type(row) is Record:
                batch.records.append(row)
            elif isinstance(row, Rejected):
                batch.reject(row)


def chunks(stream: IO[bytes], number: int) -> Iterator[tuple[int, list[bytes], bytes | None]]:
    """Yield (number of the first line, lines, beginning of a line that is too long and follows them or None)."""
    for first, lines, block, too_long in blocks(stream, number):
        yield first, block.split(b"\n") if lines else [], too_long


def blocks(stream: IO[bytes], number: int) -> Iterator[tuple[int, int, bytes, bytes | None]]:
    """Yield (number of the first line, how many, the lines, beginning of a line that is too long and follows them or None)."""
    rest: list[bytes] = []
    held = 0
    reading = ahead(stream)
    for chunk in reading:
        cut = chunk.rfind(b"\n")
        if cut < 0:
            rest.append(chunk)
            held += len(chunk)
            if held > LONGEST_LINE:
                yield number, 0, b"", rest[0]
                number += 1
                rest = [_skip_line(reading)]
                held = len(rest[0])
            continue
        block = b"".join([*rest, memoryview(chunk)[:cut]])
        rest, held = [chunk[cut + 1 :]], len(chunk) - cut - 1
        lines = block.count(b"\n") + 1
        yield number, lines, block, None
        number += lines
    last = b"".join(rest)
    if last:
        yield number, last.count(b"\n") + 1, last, None


def ahead(stream: IO[bytes]) -> Iterator[bytes]:
    """A stream in chunks, the next of which a thread reads and unpacks while this one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(stream.read, CHUNK)
        while chunk := following.result():
            following = pool.submit(stream.read, CHUNK)
            yield chunk


def _skip_line(reading: Iterator[bytes]) -> bytes:
    """Read on to the end of the line without keeping it; returns what follows it in the last chunk."""
    for chunk in reading:
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
        self._decode_block = msgspec.json.Decoder(msgspec.defstruct("Texts", [(name, str) for name in names], rename=names)).decode_lines
        self._names = names
        keys = [f'"{name}"'.encode() for name in names.values()]
        self._raw_keys = [name.encode() for name in names.values()]
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

    def block(self, block: bytes, number: int, lines: int) -> list[Record] | None:
        """All lines of a block at once, three times as fast; None where that might give anything else than each line alone."""
        if not one_object_a_line(block, lines, self._raw_keys):
            return None
        try:
            rows: list[Any] = self._decode_block(block)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if len(rows) != lines:
            return None
        if self._numbered:
            return [Record(str(line), row.title, row.content) for line, row in enumerate(rows, number)]
        return [Record(row.id or str(line), row.title, row.content) for line, row in enumerate(rows, number)]

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


def one_object_a_line(block: bytes, lines: int, keys: Sequence[bytes]) -> bool:
    """Whether every line break stands between two objects and each of ``keys`` stands once an object, as far as quotes tell.

    No where in doubt: a space before a colon, a key inside of another field, an empty line.
    """
    import numpy as np

    text = np.frombuffer(block, np.uint8)
    breaks = np.flatnonzero(text == ord("\n"))
    before = text[breaks - 1]
    if (before == ord("\r")).any():
        before = np.where(before == ord("\r"), text[breaks - 2], before)
    if not block.endswith((b"}", b"}\r")) or (before != ord("}")).any() or (text[breaks + 1] != ord("{")).any():
        return False
    quotes = np.flatnonzero(text == ord('"'))
    quotes = quotes[text[quotes - 1] != ord("\\")]
    after = text[quotes + 1]
    if np.isin(after, np.frombuffer(b" \t\r\n", np.uint8)).any():
        return False
    ends = quotes[after == ord(":")]
    for key in keys:
        raw = np.frombuffer(b'"' + key, np.uint8)
        at = ends[ends >= len(raw)]
        for place, letter in enumerate(raw[::-1].tolist(), 1):
            at = at[text[at - place] == letter]
        if len(at) != lines:
            return False
    return True


def show(line: bytes) -> str:
    """How a line begins, for a person."""
    return line[:200].decode("utf-8", "replace")
