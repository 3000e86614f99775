"""The token overview: histogram, quantiles and shares over bounds of titles, contents and both together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ftlib.curation.records import Record
from ftlib.curation.tokens import TokenCounter

BOUNDS = (64, 128, 256, 512, 1024, 2048, 4096)
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
EXACT = 1 << 15  # counts below this are counted one by one; the few above are kept as they are


@dataclass(frozen=True)
class Tally:
    """Token counts of a batch of rows: one line (title, content) for each row that has both."""

    counts: npt.NDArray[np.int64]
    without_title: int
    without_content: int


def tally(rows: Sequence[Record], tokens: TokenCounter) -> Tally:
    """Count the tokens of rows, all of whose texts are as they stand in the source."""
    full = [row for row in rows if row.title and row.content]
    tokens.fill(full)
    counts = np.array([[row.title_tokens for row in full], [row.content_tokens for row in full]], np.int64).T
    if len(full) == len(rows):
        return Tally(counts, 0, 0)
    return Tally(counts, len([row for row in rows if not row.title]), len([row for row in rows if not row.content]))


class Overview:
    """Counts of tokens, gathered batch by batch in constant memory."""

    def __init__(self) -> None:
        self.rows = 0
        self.missing = {"title": 0, "content": 0}
        self._small = {name: np.zeros(EXACT, np.int64) for name in ("title", "content", "sum")}
        self._large: dict[str, list[int]] = {"title": [], "content": [], "sum": []}

    def add(self, tally: Tally) -> None:
        """Take in a batch."""
        self.missing["title"] += tally.without_title
        self.missing["content"] += tally.without_content
        self.rows += len(tally.counts)
        for name, values in (("title", tally.counts[:, 0]), ("content", tally.counts[:, 1]), ("sum", tally.counts.sum(axis=1))):
            self._small[name] += np.bincount(values[values < EXACT], minlength=EXACT)
            self._large[name] += values[values >= EXACT].tolist()

    def plain(self, encoding: str, counted_by: str, bounds: Sequence[int] = ()) -> dict[str, Any]:
        """As it stands in tokens.json, with the share over each of the usual bounds and those given."""
        over = sorted({*BOUNDS, *bounds})
        fields = {name: self._field(name, over) for name in self._small} if self.rows else {}
        return {"encoding": encoding, "counted_by": counted_by, "rows": self.rows, "missing": self.missing, "fields": fields}

    def _field(self, name: str, bounds: Sequence[int]) -> dict[str, Any]:
        small, large = self._small[name], np.sort(np.array(self._large[name], np.int64))
        present = np.flatnonzero(small)
        values = np.concatenate([present, large])
        weights = np.concatenate([small[present], np.ones(len(large), np.int64)])
        ranks = np.cumsum(weights)

        def at(q: float) -> int:
            return int(values[np.searchsorted(ranks, max(1, round(q * self.rows)))])

        edges = histogram_edges(max(1, round(1.3 * at(0.95))))
        counts, _ = np.histogram(values, bins=[*edges, np.inf], weights=weights)
        return {
            "min": int(values[0]),
            "mean": round(float((values * weights).sum() / self.rows), 2),
            "max": int(values[-1]),
            "quantiles": {str(q): at(q) for q in QUANTILES},
            "histogram": {"edges": edges, "counts": [int(c) for c in counts]},  # the last bin is open upwards
            "over": {str(bound): round(float(weights[values > bound].sum() / self.rows), 6) for bound in bounds},
        }


def histogram_edges(top: int) -> list[int]:
    """At most some 60 bins that reach up to ``top``; what is above falls into a last, open one.

    Their width is a power of two, so that the usual bounds (256, 1024) lie on an edge.
    """
    width = 1
    while top > 60 * width:
        width *= 2
    return list(range(0, (top // width + 2) * width, width))
