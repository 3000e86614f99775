"""Records to training files that their destination takes: what it would refuse is left out and reported, never altered."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model
from ftlib.errors import DataError
from ftlib.files import atomic_path, dump_line, read_jsonl
from ftlib.formatting.check import check_file, limits_of
from ftlib.formatting.checker import BOM, Checker
from ftlib.formatting.destinations import VALIDATION, Destination
from ftlib.formatting.rows import Row, instruction_row, to_chat
from ftlib.formatting.task import Task
from ftlib.formatting.tokens import ENCODING, example_tokens, first_tokens, len_tokens, rows_tokens
from ftlib.progress import bar

log = logging.getLogger("ftlib")
NAMED = 20  # rows left out that the report names one by one


class _NothingLeft(Exception):
    """No validation row is left, so there is no file to write."""


@dataclass
class Aside:
    """What did not go into a file as it was: rows left out with their reason, rows cut with the tokens they had."""

    left: list[tuple[str, str]] = field(default_factory=list)
    cut: list[tuple[str, int]] = field(default_factory=list)


class Writer:
    """Writes the training files of one task for one destination, and says what it left out.

    With ``truncate`` given, the answer of an example of more tokens is cut so that it has that many; else nothing is ever cut.
    ``tokens`` counts a row with the model's own tokenizer, where that is at hand: what the check is told, the writer must know.
    """

    def __init__(
        self,
        task: Task,
        destination: Destination,
        *,
        model: Model | None = None,
        truncate: int | None = None,
        tokens: Callable[[Any], int | None] | None = None,
    ) -> None:
        self.task, self.destination, self.model, self.truncate, self.tokens = task, destination, model, truncate, tokens
        self.limits = limits_of(destination, model)
        self.limits.tokens = tokens or self.limits.tokens

    def row(self, record: dict[str, Any]) -> tuple[Row, int | None]:
        """A record in the destination's format, and the tokens that it had where it was asked to be cut and had to be."""
        row, had = instruction_row(self.task, record), None
        if self.truncate is not None and (tokens := example_tokens(row)) > self.truncate:
            row["output"] = first_tokens(row["output"], max(0, len_tokens(row["output"]) - (tokens - self.truncate)))
            had = tokens
        return to_chat(row) if self.destination.format == "chat" else row, had

    def write(self, source: Path, target: Path) -> dict[str, Any]:
        """Write one split; the file appears only when the check accepts it.

        Returns {rows, tokens: {total, mean, max, counted_by}, left_out: {reason: n}, left_out_rows: [{id, reason}] (at most 20),
        cut: n, cut_rows: [{id, tokens}], findings}. A validation file of no rows is not written.
        Raises DataError where the destination would refuse what remains; nothing is written then.
        """
        aside = Aside()
        tokens: list[int] = []
        try:
            with atomic_path(target) as temporary:
                tokens = self._fill(temporary, source, aside)
                if not tokens and target.name in VALIDATION:
                    raise _NothingLeft
                found = self._checked(temporary, target, aside)
        except _NothingLeft:
            found = {"counts": {}}
        reasons = Counter(reason for _, reason in aside.left)
        if aside.cut:
            log.warning("%s: %d answers cut, so that no example has more than %s tokens", source, len(aside.cut), self.truncate)
        if aside.left:
            log.warning("%s: %d rows left out, which %s would refuse: %s", source, len(aside.left), self.destination.name, _told(reasons))
        return {
            "rows": len(tokens),
            "tokens": {
                "total": sum(tokens),
                "mean": round(sum(tokens) / max(1, len(tokens)), 1),
                "max": max(tokens, default=0),
                "counted_by": ENCODING,
            },
            "left_out": dict(reasons),
            "left_out_rows": [{"id": id_, "reason": reason} for id_, reason in aside.left[:NAMED]],
            "cut": len(aside.cut),
            "cut_rows": [{"id": id_, "tokens": count} for id_, count in aside.cut],
            "findings": found["counts"],
        }

    def _fill(self, path: Path, source: Path, aside: Aside) -> list[int]:
        """Write the good rows; returns the tokens of each."""
        with path.open("wb") as handle:
            handle.write(BOM if self.destination.bom == "required" else b"")
            return list(rows_tokens(self._written(_records(source), handle, aside, source.stem), ENCODING))

    def _checked(self, path: Path, target: Path, aside: Aside) -> dict[str, Any]:
        """The check of a file that is to become ``target``. Raises DataError where it would be refused."""
        found = check_file(path, destination=self.destination, model=self.model, name=target.name, tokens=self.tokens)
        if found["ok"]:
            return found
        first = next(item for item in found["findings"] if item["severity"] == "error")
        reasons = Counter(reason for _, reason in aside.left)
        gone = f" ({len(aside.left)} rows had been left out: {_told(reasons)})" if aside.left else ""
        why = f"{first['message']}{gone}; {first['remedy']}"
        raise DataError(f"{target} was not written, as {self.destination.name} would refuse it: {why}.")

    def _written(self, records: Iterable[dict[str, Any]], handle: Any, aside: Aside, what: str) -> Iterator[Row]:
        """The rows that were written; what was left out or cut is noted in ``aside``."""
        checker = Checker(self.destination, self.limits)
        for number, record in enumerate(bar(records, desc=f"format {what}", unit="row"), 1):
            row, had = self.row(record)
            line = dump_line(row).encode("utf-8")
            wrong = next((found for found in checker.row(number, row, len(line)) if found.severity == "error"), None)
            if wrong:
                cut = f" once the example is cut to {self.truncate} tokens" if had else ""
                aside.left.append((str(record["id"]), f"{wrong.rule}: {wrong.message}{cut}"))
                continue
            if had:
                aside.cut.append((str(record["id"]), had))
            handle.write(line + b"\n")
            yield row


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a split. Raises DataError where a row is none, as in a file that `ftlib curate` did not write."""
    for number, record in enumerate(read_jsonl(path), 1):
        missing = [name for name in ("id", "title", "content") if not isinstance(record, dict) or name not in record]
        if missing:
            raise DataError(f"{path}, row {number}: it has no {missing[0]}; give a folder that `ftlib curate` wrote.")
        yield record


def _told(reasons: Counter[str]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
