"""Small tables of what curation did, as HTML with every text escaped: rows are data, never markup."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import Any

from ftlib.curation.funnel import describe
from ftlib.terminal import printable


class Picture:
    """A figure that a notebook shows, whatever its matplotlib backend."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


class Table:
    """A table that a notebook shows."""

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.header, self.rows = list(header), [[printable(str(cell)) for cell in row] for row in rows]

    def _repr_html_(self) -> str:
        style = "text-align:left;vertical-align:top;max-width:44em"
        head = "".join(f'<th style="{style}">{escape(name)}</th>' for name in self.header)
        body = "".join("<tr>" + "".join(f'<td style="{style}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        return "\n".join("  ".join(row) for row in [self.header, *self.rows])


def raw_table(rows: Sequence[Any], width: int = 160) -> Table:
    """Records as they stand in the source, long texts cut."""
    return Table(["id", "title", "content"], [[row.id, cut(row.title, width), cut(row.content, width)] for row in rows])


def dropped_table(funnel: dict[str, Any], width: int = 140) -> Table:
    """For each step up to three examples of what it dropped, with the id of the row that it is like where that is known."""
    rows = [
        [describe(step), f"{step['rows_in'] - step['rows_out']:,}", row["id"], row.get("like", ""), cut(row["title"], 60), cut(row["content"], width)]
        for step in funnel["steps"]
        for row in step["dropped"]
    ]
    return Table(["step", "dropped", "id", "like", "title", "content"], rows)


def steps_table(recipe: Any) -> Table:
    """A recipe's steps in order, with their parameters."""
    rows = []
    for number, step in enumerate(recipe.plain(), 1):
        ((name, params),) = step.items()
        shown = {key: " and ".join(value) if isinstance(value, list) else value for key, value in params.items()}
        rows.append([number, name, ", ".join(f"{key} {value}" for key, value in shown.items() if value not in (None, False))])
    return Table(["", "step", "parameters"], rows)


def split_table(funnel: dict[str, Any], settings: dict[str, Any]) -> Table:
    """Rows of train, valid and test, and rows of a later side that stand in an earlier one."""
    rows = [[side, f"{rows:,}"] for side, rows in funnel["splits"].items()]
    rows += [[f"{kind} duplicates across the split", f"{count:,}"] for kind, count in funnel["leaks"].items()]
    return Table(["", "rows"], [*rows, *([key, value] for key, value in settings.items())])


def cut(text: str, width: int) -> str:
    """A text on one line, at most so long."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
