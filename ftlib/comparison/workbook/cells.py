"""Cells of the workbook: text that is only ever text, figures with their units, and tables of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ftlib.comparison.table import Cell, Figure, Table, decimals

LIMIT = 32_767  # UTF-16 units that a cell holds; XlsxWriter counts characters, Excel units
CUT = " […cut: the cell holds no more; the whole text is in the run folder]"
# XML 1.0 has no place for these; surrogates cannot be encoded at all
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BROKEN = re.compile("[\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """A text that a cell can hold and a reader can see: controls as pictures (U+2400 on), what XML has no place for as U+FFFD.

    A text over the limit is cut there, with a mark.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\u240d")
    text = _CONTROL.sub(lambda m: "\u2421" if m[0] == "\x7f" else chr(0x2400 + ord(m[0])), text)
    text = _BROKEN.sub("\ufffd", text)
    if utf16(text) <= LIMIT:
        return text
    room, used = LIMIT - utf16(CUT), 0
    for end, char in enumerate(text):
        used += 2 if ord(char) > 0xFFFF else 1
        if used > room:
            return text[:end] + CUT
    return text


def utf16(text: str) -> int:
    """Length in UTF-16 units, which is what Excel counts."""
    return len(text) + sum(ord(char) > 0xFFFF for char in text)


ACROSS, PER_LINE = 8, 120  # columns that a paragraph spans, and characters that fit on one of its lines


class Sheet:
    """One worksheet that is written from top to bottom, with the formats of the book."""

    def __init__(self, book: Any, name: str, formats: dict[str, Any], *, about: str = "") -> None:
        self.sheet = book.add_worksheet(name)
        self.name = name
        self.formats = formats
        self.row = 0
        self.sheet.set_landscape()
        self.sheet.set_paper(9)  # A4
        self.sheet.fit_to_pages(1, 0)  # one page wide, as many as needed long
        if about:
            self.line(about, "about")
            self.row += 1

    def text(self, row: int, column: int, value: str, style: str = "text") -> None:
        """A text cell; never a formula, a link or a number."""
        self.sheet.write_string(row, column, clean(value), self.formats[style])

    def line(self, value: str, style: str = "plain") -> None:
        """One text in the first column, and on to the next row."""
        self.text(self.row, 0, value, style)
        self.row += 1

    def paragraph(self, value: str, style: str = "wrap") -> None:
        """A text over ACROSS columns, as high as it needs to be, and on to the next row."""
        lines = sum(1 + len(line) // PER_LINE for line in value.split("\n"))
        self.sheet.merge_range(self.row, 0, self.row, ACROSS - 1, "", self.formats[style])
        self.text(self.row, 0, value, style)  # after the merge, which would read a text as what it looks like
        self.sheet.set_row(self.row, 15.5 * lines)
        self.row += 1

    def tall(self, texts: Iterable[str | None], width: int) -> None:
        """Make this row as high as the longest of its wrapped texts needs, up to ten lines; not every program does so by itself."""
        lines = max((text.count("\n") + 1 + len(text) // width for text in texts if text), default=1)
        self.sheet.set_row(self.row, 15 * min(lines, 10))

    def header(self, titles: list[str], notes: list[str] | None = None) -> int:
        """A heading row; a note becomes the heading's comment. Returns the row."""
        for column, title in enumerate(titles):
            self.text(self.row, column, title, "header")
            if notes and notes[column]:
                self.sheet.write_comment(self.row, column, clean(notes[column]), {"author": "ftlib", "x_scale": 2})
        self.sheet.set_row(self.row, 48 if any(len(title) > 30 for title in titles) else 32)
        self.row += 1
        return self.row - 1

    def cell(self, row: int, column: int, value: Cell) -> None:
        """A figure as a number in the format that says how it was obtained, or n/a; anything else as text."""
        if isinstance(value, Figure) and value.value is not None:
            self.sheet.write_number(row, column, value.value, self.formats[f"number.{value.how or 'plain'}.{decimals(value.value, value.digits)}"])
        else:
            self.text(row, column, value.text() if isinstance(value, Figure) else value, "na" if isinstance(value, Figure) else "text")

    def freeze(self, header: int, last: int, columns: int, *, pinned: int = 1) -> None:
        """Heading stays in view and filters the rows below it."""
        self.sheet.freeze_panes(header + 1, pinned)
        self.sheet.repeat_rows(header)
        if last > header:
            self.sheet.autofilter(header, 0, last, columns - 1)

    def widths(self, sizes: list[float]) -> None:
        """Column widths in characters."""
        for column, size in enumerate(sizes):
            self.sheet.set_column(column, column, size)

    def table(self, table: Table, *, filtered: bool = True) -> tuple[int, dict[str, int]]:
        """A whole table: figures as numbers, with columns for interval, mark and source where any figure has one.

        Returns the heading's row and the column of each key's value.
        """
        plan: list[tuple[str, str, str]] = []  # key, part, heading
        notes: list[str] = []
        for column in table.columns:
            cells = [row.get(column.key, "") for row in table.rows]
            figures = [cell for cell in cells if isinstance(cell, Figure)]
            parts = [("value", column.heading)]
            if any(f.low is not None for f in figures):
                parts += [("low", f"{column.title}, low"), ("high", f"{column.title}, high")]
            if any(f.mark for f in figures):
                parts.append(("mark", f"{column.title}, significant"))
            if any(f.how for f in figures):
                parts.append(("how", f"{column.title}, how"))
            plan += [(column.key, part, heading) for part, heading in parts]
            notes += [column.help, *[""] * (len(parts) - 1)]
        header = self.header([heading for _, _, heading in plan], notes)
        for row in table.rows:
            for at, (key, part, _) in enumerate(plan):
                self._part(self.row, at, row.get(key, ""), part)
            self.row += 1
        if filtered:
            self.freeze(header, self.row - 1, len(plan))
        self.widths([max(11.0, min(34.0, len(heading) * 0.62 + 3)) if i else 24.0 for i, (_, _, heading) in enumerate(plan)])
        for note in table.notes:
            self.row += 1
            self.line(note, "about")
        return header, {key: at for at, (key, part, _) in enumerate(plan) if part == "value"}

    def _part(self, row: int, column: int, cell: Cell, part: str) -> None:
        if part == "value":
            self.cell(row, column, cell)
        elif isinstance(cell, Figure) and cell.value is not None:
            if part in ("low", "high"):
                bound = cell.low if part == "low" else cell.high
                if bound is not None:
                    self.sheet.write_number(row, column, bound, self.formats[f"number.plain.{cell.digits}"])
            else:
                self.text(row, column, ("yes" if cell.mark else "no") if part == "mark" else cell.how)
