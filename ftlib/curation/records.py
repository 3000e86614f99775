"""A record, and what a reader hands on: batches of records with the rows that could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

UNCOUNTED = -1


class Record(msgspec.Struct):
    """One row: ``id`` is the source's own, as a text, or the row's number; a missing title or content is ``""``.

    The token counts belong to the texts as they are now; a step that changes a text sets its count to UNCOUNTED.
    """

    id: str
    title: str
    content: str
    title_tokens: int = UNCOUNTED
    content_tokens: int = UNCOUNTED

    def set_title(self, text: str) -> bool:
        """Change the title; returns whether it is another text than before."""
        if text == self.title:
            return False
        self.title, self.title_tokens = text, UNCOUNTED
        return True

    def set_content(self, text: str) -> bool:
        """Change the content; returns whether it is another text than before."""
        if text == self.content:
            return False
        self.content, self.content_tokens = text, UNCOUNTED
        return True


class Rejected(msgspec.Struct):
    """A row that could not be read: where, why, and how it begins."""

    line: int  # 1-based line of a text file, row of a Parquet file
    reason: str
    text: str = ""
    after: int = 0  # good rows of its batch that come before it


@dataclass
class Batch:
    """Some thousand consecutive rows of a source."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, row: Rejected) -> None:
        """Add a row that could not be read."""
        row.after = len(self.records)
        self.rejected.append(row)

    def first(self, rows: int) -> Batch:
        """The first so many rows, in the order in which they were read."""
        rejected = [row for place, row in enumerate(self.rejected) if row.after + place < rows]
        return Batch(self.records[: rows - len(rejected)], rejected)

    @property
    def rows(self) -> int:
        """How many rows were read for this batch, good and bad."""
        return len(self.records) + len(self.rejected)


Batches = Iterator[Batch]


@dataclass(frozen=True)
class Fields:
    """What the source calls a record's fields. ``id`` None: ``uid`` or ``id`` where there is one, else the row's number."""

    id: str | None = None
    title: str = "title"
    content: str = "content"
