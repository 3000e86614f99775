"""Figures and tables before they become cells, markup or Markdown: one definition for workbook, page and text.

A figure that is not known has no value and says why; one that is known says how it was obtained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MARKS = {"estimated": "est.", "measured": "", "billed": "billed"}  # how a figure was obtained, beside it; measured is the ordinary case


@dataclass(frozen=True)
class Figure:
    """One number with its interval, how it was obtained, or why it is not there.

    ``mark`` is ``*`` where a difference is significant at 5 % after Holm's correction.
    """

    value: float | None
    unit: str = ""
    how: str = ""  # estimated | measured | billed; empty: computed from the others
    na: str = ""  # why there is no value
    low: float | None = None
    high: float | None = None
    mark: str = ""
    digits: int = 1

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def text(self) -> str:
        """The figure as a reader sees it: ``24.1 (22.0 to 26.3)``, ``2.97 billed``, or ``n/a: why``."""
        if self.value is None:
            return f"n/a: {self.na}"
        shown = number(self.value, self.digits) + self.mark
        if self.low is not None and self.high is not None:
            shown += f" ({number(self.low, self.digits)} to {number(self.high, self.digits)})"
        tail = MARKS.get(self.how, self.how)
        return f"{shown} {tail}" if tail else shown


def number(value: float, digits: int) -> str:
    """A number with so many decimals and thousands apart; a small one that would read as 0 keeps two significant digits."""
    if value != 0 and abs(value) < 0.5 * 10**-digits and math.isfinite(value):
        return f"{value:.2g}" if abs(value) >= 1e-4 else f"{value:.1e}"
    shown = f"{value:,.{digits}f}"
    return shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown


def decimals(value: float, digits: int) -> int:
    """Decimals at which a small number does not read as 0, two significant digits of it: ``digits``, or more, up to 6."""
    if value == 0 or abs(value) >= 0.5 * 10**-digits or not math.isfinite(value):
        return digits
    return min(6, 1 - math.floor(math.log10(abs(value))))


def known(value: float | None, why: str, *, unit: str = "", how: str = "", digits: int = 1) -> Figure:
    """A figure, or n/a with the reason where the value is None."""
    return Figure(None, unit, na=why) if value is None else Figure(float(value), unit, how=how, digits=digits)


def stored(report: Mapping[str, Any], path: str, *, scale: float = 1.0, unit: str = "", digits: int = 1, why: str = "not recorded") -> Figure:
    """A figure by its dotted path in training.json or a system's scores, with its ``how`` and its ``na``.

    A record may name a field exactly or any level above it (``memory`` for ``memory.rss_bytes``).
    """
    value: Any = report
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    reasons, ways = report.get("na") or {}, report.get("how") or {}
    levels = [path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        reason = next((str(reasons[level]) for level in levels if level in reasons), "")
        return Figure(None, unit, na=reason or str(report.get("reason") or "") or why)
    how = next((str(ways[level]) for level in levels if level in ways), "measured")
    return Figure(value * scale, unit, how=how, digits=digits)


@dataclass(frozen=True)
class Column:
    """A column: its key, its heading, the unit (in the heading of the workbook and the page), what it means."""

    key: str
    title: str
    unit: str = ""
    help: str = ""

    @property
    def heading(self) -> str:
        """Title with unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title


Cell = Figure | str


@dataclass
class Table:
    """Rows of cells under columns, with a title, a sentence on how to read it, and notes below."""

    key: str
    title: str
    about: str
    columns: list[Column]
    rows: list[dict[str, Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def texts(self) -> list[list[str]]:
        """All cells as texts, row by row."""
        return [[cell_text(row.get(column.key, "")) for column in self.columns] for row in self.rows]


def told_once(table: Table, reasons: Mapping[str, str]) -> Table:
    """The table with the reason of what was refused or failed said once, and ``failed, see Status`` in the cells.

    It stands in the row's status where the table has that column, else in a note below. ``reasons``: reason -> ``refused`` or ``failed``;
    a cell gives it with that word before it or without. A status that another row has already is that row's.
    """
    whole = {**{f"{word}: {why}": why for why, word in reasons.items()}, **{why: why for why in reasons}}
    rows: list[dict[str, Cell]] = []
    met: dict[str, list[str]] = {}
    first: dict[Cell, str] = {}  # status -> the row that has it
    for row in table.rows:
        status, name = row.get("status", ""), cell_text(row[table.columns[0].key])
        if status in whole and first.setdefault(status, name) != name:
            row = {**row, "status": f"{reasons[whole[str(status)]]}, as {first[status]}"}
        told = {key: (cell, whole[cell.na]) for key, cell in row.items() if isinstance(cell, Figure) and cell.na in whole}
        for why in dict.fromkeys(why for _, why in told.values()):
            met.setdefault(why, []).append(name)
        rows.append({**row, **{key: replace(cell, na=f"{reasons[why]}, see Status") for key, (cell, why) in told.items()}})
    shown = any(column.key == "status" for column in table.columns)
    notes = [] if shown else [f"Status of {listed(names)}: {reasons[why]}: {why.rstrip('.')}." for why, names in met.items()]
    return replace(table, rows=rows, notes=[*notes, *table.notes])


def cell_text(cell: Cell) -> str:
    """A cell as a reader sees it."""
    return cell.text() if isinstance(cell, Figure) else cell


def listed(names: Sequence[str], word: str = "and") -> str:
    """``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}" if names else "none"
