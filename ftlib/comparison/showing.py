"""What notebook 06 shows: the same verdict, tables and charts as the page. Texts are escaped, so that they are only ever text."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from ftlib.comparison.build import Comparison, build
from ftlib.comparison.load import load_run
from ftlib.comparison.table import Table, cell_text
from ftlib.comparison.workbook.cells import clean
from ftlib.comparison.workbook.overview import summary_table
from ftlib.runs import Run

__all__ = ["chart", "comparison_of", "said", "show", "summary_table"]


def comparison_of(run: Run, weights: str = "") -> Comparison:
    """All that is said about a run, computed from what is stored."""
    material = load_run(run)
    material.weights = weights or None
    return build(material)


def show(table: Table, *keys: str) -> Any:
    """A table for a notebook; only the columns named, or all."""
    from IPython.display import HTML

    columns = [column for column in table.columns if not keys or column.key in keys]

    def cells(texts: list[str], tag: str) -> str:
        return "<tr>" + "".join(f'<{tag} style="text-align:left">{html.escape(clean(text))}</{tag}>' for text in texts) + "</tr>"

    rows = "".join(cells([cell_text(row.get(column.key, "")) for column in columns], "td") for row in table.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
    return HTML(f"<table><thead>{cells([column.heading for column in columns], 'th')}</thead><tbody>{rows}</tbody></table>{notes}")  # type: ignore[no-untyped-call]


def said(sentences: Sequence[str], warning: str = "") -> Any:
    """Sentences for a notebook, as a list below a warning."""
    from IPython.display import HTML

    points = "".join(f"<li>{html.escape(clean(sentence))}</li>" for sentence in sentences)
    return HTML(f"<p><b>{html.escape(clean(warning))}</b></p><ul>{points}</ul>")  # type: ignore[no-untyped-call]


def chart(run: Run, name: str) -> Any:
    """A chart of the run as a picture, or a sentence where the run has nothing to show in it."""
    from IPython.display import HTML, Image

    path = run.path / "charts" / f"{name}.png"
    if path.exists():
        return Image(path.read_bytes(), width=760)  # type: ignore[no-untyped-call]
    return HTML(f"<p>n/a: this run has nothing to show in {html.escape(name)}.</p>")  # type: ignore[no-untyped-call]
