"""Records to training files that their destination takes: what it would refuse is left out and reported, never altered."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model
from ftlib.errors import DataError
from ftlib.files import atomic_path, dump_line, read_jsonl
from ftlib.formatting.check import check_file, limits_of
from ftlib.formatting.checker import BOM, Checker
from ftlib.formatting.destinations import Destination
from ftlib.formatting.rows import Row, chat_row, instruction_row
from ftlib.formatting.task import Task
from ftlib.formatting.tokens import ENCODING, rows_tokens
from ftlib.progress import bar

log = logging.getLogger("ftlib")
NAMED = 20  # rows left out that the report names one by one


class Writer:
    """Writes the training files of one task for one destination, and says what it left out."""

    def __init__(self, task: Task, destination: Destination, *, model: Model | None = None) -> None:
        self.task, self.destination, self.model = task, destination, model
        self.limits = limits_of(destination, model)

    def row(self, record: dict[str, Any]) -> Row:
        """A record in the destination's format."""
        return (chat_row if self.destination.format == "chat" else instruction_row)(self.task, record)

    def write(self, source: Path, target: Path) -> dict[str, Any]:
        """Write one split; the file appears only when the check accepts it.

        Returns {rows, tokens: {total, mean, max, counted_by}, left_out: {reason: n}, left_out_rows: [{id, reason}] (at most 20), findings}.
        Raises DataError where the destination would refuse what remains; nothing is written then.
        """
        left: list[tuple[str, str]] = []
        with atomic_path(target) as temporary:
            with temporary.open("wb") as handle:
                handle.write(BOM if self.destination.bom == "required" else b"")
                tokens = list(rows_tokens(self._written(read_jsonl(source), handle, left, source.stem), ENCODING))
            reasons = Counter(reason for _, reason in left)
            found = check_file(temporary, destination=self.destination, model=self.model, name=target.name)
            if not found["ok"]:
                first = next(item for item in found["findings"] if item["severity"] == "error")
                gone = f" ({len(left)} rows had been left out: {_told(reasons)})" if left else ""
                why = f"{first['message']}{gone}; {first['remedy']}"
                raise DataError(f"{target} was not written, as {self.destination.name} would refuse it: {why}.")
        if left:
            log.warning("%s: %d rows left out, which %s would refuse: %s", source, len(left), self.destination.name, _told(reasons))
        return {
            "rows": len(tokens),
            "tokens": {"total": sum(tokens), "mean": round(sum(tokens) / len(tokens), 1), "max": max(tokens), "counted_by": ENCODING},
            "left_out": dict(reasons),
            "left_out_rows": [{"id": id_, "reason": reason} for id_, reason in left[:NAMED]],
            "findings": found["counts"],
        }

    def _written(self, records: Iterable[dict[str, Any]], handle: Any, left: list[tuple[str, str]], what: str) -> Iterator[Row]:
        """The rows that were written; those that were not are added to ``left`` with their reason."""
        checker = Checker(self.destination, self.limits)
        for number, record in enumerate(bar(records, desc=f"format {what}", unit="row"), 1):
            row = self.row(record)
            line = dump_line(row).encode("utf-8")
            wrong = next((found for found in checker.row(number, row, len(line)) if found.severity == "error"), None)
            if wrong:
                left.append((str(record["id"]), f"{wrong.rule}: {wrong.message}"))
            else:
                handle.write(line + b"\n")
                yield row


def _told(reasons: Counter[str]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(3))
