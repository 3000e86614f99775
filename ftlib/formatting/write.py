"""Records to training files that their destination takes: what it would refuse is left out and reported, never altered."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model
from ftlib.errors import DataError
from ftlib.files import atomic_path, dump_line, read_jsonl
from ftlib.formatting.check import BOM, Checker, check_file, settings_for
from ftlib.formatting.destinations import Destination
from ftlib.formatting.rows import Row, chat_row, instruction_row, to_chat
from ftlib.formatting.task import Task
from ftlib.formatting.tokens import example_tokens
from ftlib.progress import bar

log = logging.getLogger("ftlib")
KEPT = 20  # rows left out that the report names one by one
COUNTED_BY = "o200k_base"


class Writer:
    """Writes the training files of one task for one destination, and says what it left out."""

    def __init__(self, task: Task, destination: Destination, *, model: Model | None = None) -> None:
        self.task, self.destination, self.model = task, destination, model
        self.settings = settings_for(destination, model)

    def row(self, record: dict[str, Any]) -> Row:
        """A record in the destination's format."""
        return (chat_row if self.destination.format == "chat" else instruction_row)(self.task, record)

    def write(self, source: Path, target: Path) -> dict[str, Any]:
        """Write one split; the file appears only when the check accepts it.

        Returns {rows, tokens: {total, mean, max, counted_by}, left_out: {reason: n}, left_out_examples: [{id, reason}], checked: {ok, findings}}.
        Raises DataError where the destination would refuse what remains, with nothing written.
        """
        left: Counter[str] = Counter()
        named: list[dict[str, str]] = []
        tokens: list[int] = []
        with atomic_path(target) as temporary:
            with temporary.open("wb") as handle:
                handle.write(BOM if self.destination.bom == "required" else b"")
                for record, row, line, reason in self._rows(source):
                    if reason:
                        left[reason] += 1
                        named += [{"id": str(record["id"]), "reason": reason}] if len(named) < KEPT else []
                    else:
                        handle.write(line + b"\n")
                        tokens.append(example_tokens(row if "messages" in row else to_chat(row), COUNTED_BY))
            found = check_file(temporary, destination=self.destination.name, model=self.model, name=target.name)
            if not found["ok"]:
                first = next(item for item in found["findings"] if item["severity"] == "error")
                gone = f"; {sum(left.values())} rows had been left out ({_reasons(left)})" if left else ""
                raise DataError(f"{target}: {self.destination.name} would refuse it, as {first['message']}{gone}; {first['remedy']}. It was not written.")
        if left:
            log.warning("%s: %d rows left out, which %s would refuse: %s", source, sum(left.values()), self.destination.name, _reasons(left))
        total = sum(tokens)
        return {
            "rows": len(tokens),
            "tokens": {"total": total, "mean": round(total / len(tokens), 1), "max": max(tokens), "counted_by": COUNTED_BY},
            "left_out": dict(left),
            "left_out_examples": named,
            "checked": {"ok": True, "findings": found["counts"]},
        }

    def _rows(self, source: Path) -> Iterator[tuple[dict[str, Any], Row, bytes, str]]:
        """Each record with its row, its line, and why the destination would refuse it (empty where it would not)."""
        checker = Checker(self.destination, **self.settings)
        for number, record in enumerate(bar(read_jsonl(source), desc=f"format {source.stem}", unit="row"), 1):
            row = self.row(record)
            line = dump_line(row).encode("utf-8")
            wrong = next((found for found in checker.row(number, row, len(line)) if found.severity == "error"), None)
            yield record, row, line, f"{wrong.rule}: {wrong.message}" if wrong else ""


def _reasons(left: Counter[str]) -> str:
    return json.dumps(dict(left.most_common(3)), ensure_ascii=False)
