"""One streaming pass over a training file: every line is judged as it comes, and nothing is kept but hashes and findings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftlib.errors import DataError
from ftlib.formatting.destinations import Destination
from ftlib.formatting.rules import Finding, Severity, check_row

BOM = b"\xef\xbb\xbf"
FRAME = 16  # tokens that the frame of a message cannot exceed
FORMATS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"PAR1", "Parquet"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass
class Limits:
    """What a model adds to its destination's rules."""

    family: str | None = None  # whose special tokens are refused
    context: int | None = None  # tokens of one example
    tokens: Callable[[Any], int | None] = lambda _: None  # of a row; None: nobody here can count them


@dataclass
class Checker:
    """The state of a pass: what was found and what has been seen."""

    destination: Destination
    limits: Limits
    file: str = "training"
    others: dict[bytes, int] = field(default_factory=dict)  # the validation file's rows, by hash: their lines
    seen: dict[bytes, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    rows: int = 0

    def add(self, line: int, rule: str, severity: Severity, message: str, remedy: str, where: str = "") -> None:
        """Note one finding."""
        self.findings.append(Finding(line, rule, severity, where, message, remedy, self.file))

    def read(self, path: Path, *, name: str, minimum: int) -> None:
        """Check a whole file that has, or is going to have, that name."""
        size = _readable(path)
        if not name.endswith(".jsonl"):
            self.add(0, "extension", "warning", f"the file is named {name}", "name it with .jsonl at the end")
        for number, raw in self._lines(path):
            self._line(number, raw)
        self._whole(size, minimum)

    def row(self, line: int, row: Any, size: int) -> list[Finding]:
        """Check one parsed row of ``size`` bytes; returns what was found in it."""
        before = len(self.findings)
        self.rows += 1
        for rule, severity, where, message, remedy in check_row(row, self.destination, self.limits.family):
            self.add(line, rule, severity, message, remedy, where)
        if not any(found.severity == "error" for found in self.findings[before:]):
            self._length(line, row, size)
            self._again(line, row)
        return self.findings[before:]

    def _length(self, line: int, row: Any, size: int) -> None:
        """Whether a row fits the context. A token is at least one byte, so only rows of more bytes need counting."""
        context = self.limits.context
        if context is None or size + FRAME * len(row.get("messages", "....")) <= context:
            return
        tokens = self.limits.tokens(row)
        if tokens is None:
            what = f"the example has {size} bytes and {context} tokens fit; without the model's tokenizer nobody can tell whether it does"
            self.add(line, "context", "warning", what, "name the model, and install what its tokenizer needs")
        elif tokens > context:
            self.add(line, "context", "error", f"the example has {tokens} tokens, and {context} fit", "shorten it, or leave the row out")

    def _again(self, line: int, row: Any) -> None:
        """Whether a row has been seen before, here or in the validation file."""
        key = hashlib.blake2b(json.dumps(row, sort_keys=True).encode(), digest_size=16).digest()
        if key in self.seen:
            self.add(line, "duplicate", "warning", f"the same example as line {self.seen[key]}", "leave one of them out: it weighs double")
        if key in self.others:
            remedy = "split again: a validation loss over rows that were trained on says nothing"
            self.add(line, "overlap", "warning", f"the same example as line {self.others[key]} of the validation file", remedy)
        self.seen.setdefault(key, line)

    def _whole(self, size: int, minimum: int) -> None:
        """What can only be said of the file as a whole."""
        name, limit = self.destination.name, self.destination.max_bytes
        if limit and size > limit:
            self.add(0, "size", "error", f"the file has {size} bytes, and {name} takes {limit}", "train on fewer rows")
        if self.rows < minimum:
            many = f"{self.rows} example{'' if self.rows == 1 else 's'}"
            self.add(0, "min_examples", "error", f"the file has {many}, and {name} asks for at least {minimum}", "curate more rows (data.train)")

    def _lines(self, path: Path) -> Iterator[tuple[int, bytes]]:
        """The lines from 1 on, without a byte-order mark, which is judged here."""
        with path.open("rb") as handle:
            for number, line in enumerate(handle, 1):
                if number == 1:
                    self._bom(line.startswith(BOM))
                    line = line.removeprefix(BOM)
                yield number, line

    def _bom(self, has: bool) -> None:
        name, rule = self.destination.name, self.destination.bom
        if has and rule == "forbidden":
            self.add(1, "bom", "error", f"the file begins with a byte-order mark, which {name} does not take", "save it as UTF-8 without BOM")
        if not has and rule == "required":
            remedy = f"save it as UTF-8 with BOM, as `ftlib format --to chat --for {name}` does"
            self.add(1, "bom", "error", f"the file has no byte-order mark, which {name} asks for", remedy)

    def _line(self, number: int, raw: bytes) -> None:
        text = raw.strip(b" \t\r\n")
        if not text:
            self.add(number, "blank_line", "warning", "an empty line", "remove it")
            return
        try:
            row = json.loads(text.decode("utf-8"), parse_constant=_constant, object_pairs_hook=_object)
        except UnicodeDecodeError as error:
            self.rows += 1
            self.add(number, "utf8", "error", f"not UTF-8 at byte {error.start} of the line", "save the file as UTF-8")
        except DuplicateKey as error:
            self.rows += 1
            self.add(
                number,
                "json",
                "error",
                f"the key {str(error)!r} stands twice in one object",
                "leave one of them out: readers differ in which they take",
                str(error),
            )
        except (ValueError, RecursionError) as error:
            self.rows += 1
            why = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            self.add(number, "json", "error", f"not valid JSON ({why})", "write one JSON object a line")
        else:
            self.row(number, row, len(text))


def _readable(path: Path) -> int:
    """The file's size. Raises DataError where it is no text file that can be read."""
    try:
        with path.open("rb") as handle:
            head = handle.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give a file of JSON lines.") from error
    for magic, what in FORMATS:
        if head.startswith(magic):
            raise DataError(f"{path} is {what}, not UTF-8 text; unpack or convert it to JSON lines first.")
    if path.suffix.lower() in (".csv", ".tsv") and not head.removeprefix(BOM).lstrip().startswith((b"{", b"[")):
        raise DataError(f"{path} is a table, not JSON lines; `ftlib curate` takes it, and `ftlib format` makes the training file of that.")
    return path.stat().st_size


class DuplicateKey(ValueError):
    """A key that stands in one object twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DuplicateKey(next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i])))
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
