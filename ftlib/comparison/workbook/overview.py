"""README and Summary: what the book is, and what it says."""

from __future__ import annotations

from typing import Any

from ftlib.comparison.build import Comparison
from ftlib.comparison.pairs import ranked, unit_of
from ftlib.comparison.table import Cell, Column, Figure, Table
from ftlib.comparison.workbook.cells import Sheet

SHEETS = {
    "Summary": "the verdict, and each system on one line",
    "Precision": "the primary metric with intervals, against the own base and against the best; all other metrics",
    "Pairwise": "every tested difference",
    "Training": "time, throughput, memory, energy; quality gained for them",
    "Cost": "money; change a yellow cell and the totals and break-evens move",
    "Flexibility": "what the models can do besides their task, before and after",
    "Degenerate": "rates of each kind of bad answer",
    "Samples": "every test item with all answers side by side",
    "HumanReview": "a blind sheet: pick the better of two answers without knowing whose they are",
    "LearningCurves": "loss against tokens",
    "Data": "the funnel, token counts, leaks between the splits",
    "Runs": "what the figures were made from, by hash",
    "Errors": "items and contestants that failed or were refused",
}


def readme(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """What each sheet holds and how to read its cells."""
    page = Sheet(book, "README", formats)
    page.line(comparison.title, "title")
    if comparison.warning:
        page.line(comparison.warning, "warning")
    page.row += 1
    for name, about in SHEETS.items():
        page.text(page.row, 0, name)
        page.text(page.row, 1, about)
        page.row += 1
    page.row += 1
    for line in (
        "Figures in brown are estimated, in blue billed, in black measured or computed; a column named 'how' says it in words.",
        "n/a is never 0: the reason stands in the cell.",
        "Intervals are 95 %, paired over the same items where two systems are compared; 'significant' is p below 0.05 after Holm's correction.",
        "There is no score that mixes the criteria; give your own weights with `ftlib compare RUN --out DIR --weights precision=2,cost=1`.",
        "Texts of data and models stand as they are, control characters as visible signs; a text longer than a cell holds is cut and says so.",
    ):
        page.line(line)
    page.row += 1
    for limit in comparison.limits:
        page.line(f"Limit: {limit}", "about")
    page.widths([18, 110])


def summary(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """The verdict and one line a system, with a chart."""
    page = Sheet(book, "Summary", formats)
    for i, sentence in enumerate(comparison.verdict.sentences()):
        page.paragraph(sentence, "title" if i == 0 else "wrap")
    page.row += 1
    header, columns = page.table(summary_table(comparison))
    order = ranked(comparison.material)
    if order:
        chart = book.add_chart({"type": "bar"})
        last = header + len(order)
        low = columns["primary"]
        chart.add_series(
            {
                "name": comparison.material.primary,
                "categories": ["Summary", header + 1, 0, last, 0],
                "values": ["Summary", header + 1, low, last, low],
                "fill": {"color": "#0072B2"},
            }
        )
        chart.set_title({"name": f"{comparison.material.primary} by system", "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        chart.set_y_axis({"reverse": True})
        chart.set_x_axis({"name": unit_of(comparison.material) or "score", "min": 0})
        page.sheet.insert_chart(page.row + 2, 0, chart, {"x_scale": 1.4})
    if "ranking" in comparison.tables:
        page.row += 20
        page.line(comparison.tables["ranking"].title, "title")
        page.table(comparison.tables["ranking"], filtered=False)


def summary_table(comparison: Comparison) -> Table:
    """Each system on one line: the key figure of each criterion."""
    tables = comparison.tables
    by = {
        key: {str(row[first]): row for row in tables[key].rows}
        for key, first in (("precision", "system"), ("cost", "system"), ("flexibility", "system"), ("training", "contestant"))
    }
    columns: list[Column] = []
    wanted = {
        "precision": ("primary", "own_base", "degenerate"),
        "training": ("wall", "memory"),
        "cost": ("train_paid", "paid", "shadow", "p50"),
        "flexibility": ("retention",),
    }
    for key, names in wanted.items():
        columns += [column for column in tables[key].columns if column.key in names]
    rows = []
    for system in by["precision"]:
        row: dict[str, Cell] = {"system": system, "status": by["precision"][system]["status"]}
        contestant = comparison.material.contestant_of(system) if comparison.material.state(system) == "tuned" else None
        for key, names in wanted.items():
            source = by[key].get((contestant or "") if key == "training" else system, {})
            row |= {name: source.get(name, Figure(None, na=_why_missing(comparison, system, key))) for name in names}
        rows.append(row)
    table = Table(
        "summary",
        "Summary",
        "The key figures of each criterion; the tables below have the rest.",
        [Column("system", "System"), Column("status", "Status"), *columns],
        rows,
    )
    return table


def _why_missing(comparison: Comparison, system: str, key: str) -> str:
    """Why a system has no figure of a criterion at all."""
    state = comparison.material.state(system)
    if state == "trivial":
        return "no model"
    if key == "training" and state == "base":
        return "nothing is trained"
    return "not recorded" if system in comparison.material.scored else "see Status"
