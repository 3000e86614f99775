"""Precision, Pairwise, Training, Flexibility, Degenerate, LearningCurves."""

from __future__ import annotations

from typing import Any

from ftlib.comparison.build import Comparison
from ftlib.comparison.table import Figure
from ftlib.comparison.workbook.cells import Sheet


def _page(book: Any, formats: dict[str, Any], comparison: Comparison, name: str, key: str) -> tuple[Sheet, int, dict[str, int]]:
    table = comparison.tables[key]
    page = Sheet(book, name, formats, about=table.about)
    header, columns = page.table(table)
    return page, header, columns


def precision(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """The primary metric, with its intervals as error bars in the chart."""
    page, header, columns = _page(book, formats, comparison, "Precision", "precision")
    if "judge" in comparison.tables:
        page.row += 2
        page.line(comparison.tables["judge"].title, "title")
        page.table(comparison.tables["judge"], filtered=False)
    rows = comparison.tables["precision"].rows
    shown = [row["primary"] for row in rows if isinstance(row["primary"], Figure) and row["primary"].known]
    if not shown:
        return
    first, last, at = header + 1, header + len(shown), columns["primary"]
    plus = [f.high - f.value if f.high is not None and f.value is not None else 0 for f in shown if isinstance(f, Figure)]
    minus = [f.value - f.low if f.low is not None and f.value is not None else 0 for f in shown if isinstance(f, Figure)]
    chart = book.add_chart({"type": "column"})
    chart.add_series(
        {
            "name": comparison.material.primary,
            "categories": ["Precision", first, 0, last, 0],
            "values": ["Precision", first, at, last, at],
            "fill": {"color": "#0072B2"},
            "y_error_bars": {"type": "custom", "plus_values": plus, "minus_values": minus},
        }
    )
    chart.set_title({"name": f"{comparison.material.primary} with 95 % intervals", "name_font": {"size": 12}})
    chart.set_legend({"none": True})
    chart.set_y_axis({"min": 0})
    page.sheet.insert_chart(page.row + 2, 0, chart, {"x_scale": 1.5})


def pairwise(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Every tested difference."""
    _page(book, formats, comparison, "Pairwise", "pairwise")


def training(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """What each training took."""
    page, header, columns = _page(book, formats, comparison, "Training", "training")
    count = len(comparison.tables["training"].rows)
    if count:
        chart = book.add_chart({"type": "bar"})
        at = columns["wall"]
        chart.add_series(
            {
                "name": "wall time",
                "categories": ["Training", header + 1, 0, header + count, 0],
                "values": ["Training", header + 1, at, header + count, at],
                "fill": {"color": "#009E73"},
            }
        )
        chart.set_title({"name": "Training, wall time [s]", "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        chart.set_y_axis({"reverse": True})
        page.sheet.insert_chart(page.row + 2, 0, chart, {"x_scale": 1.3})


def flexibility(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Before and after on what the models were not tuned for."""
    _page(book, formats, comparison, "Flexibility", "flexibility")


def degenerate(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Rates of bad answers, coloured by size."""
    page, header, columns = _page(book, formats, comparison, "Degenerate", "degenerate")
    page.row += 2
    page.line(comparison.tables["mcnemar"].title, "title")
    page.table(comparison.tables["mcnemar"], filtered=False)
    rows = len(comparison.tables["degenerate"].rows)
    for key, at in columns.items():
        if key != "system" and rows:
            page.sheet.conditional_format(
                header + 1,
                at,
                header + rows,
                at,
                {"type": "data_bar", "bar_color": "#E69F00", "min_type": "num", "min_value": 0, "max_type": "num", "max_value": 100},
            )


def learning_curves(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Loss by step and tokens of every training, with a chart of them."""
    page = Sheet(
        book, "LearningCurves", formats, about="Loss in nats a token; losses of models with different tokenizers do not compare with each other."
    )
    header = page.header(["Contestant", "step", "tokens", "training loss", "validation loss"])
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    series = 0
    for name, report in comparison.material.trainings.items():
        first = page.row
        for point in report.get("loss") or []:
            page.text(page.row, 0, name)
            for column, key in enumerate(("step", "tokens", "train", "valid"), 1):
                if point.get(key) is not None:
                    page.sheet.write_number(
                        page.row, column, point[key], formats["number.measured.4" if key in ("train", "valid") else "number.measured.0"]
                    )
            page.row += 1
        if page.row > first:
            series += 1
            chart.add_series(
                {"name": name, "categories": ["LearningCurves", first, 1, page.row - 1, 1], "values": ["LearningCurves", first, 3, page.row - 1, 3]}
            )
    page.freeze(header, page.row - 1, 5)
    page.widths([22, 10, 14, 14, 16])
    if series:
        chart.set_title({"name": "Training loss by step", "name_font": {"size": 12}})
        chart.set_x_axis({"name": "step", "min": 0})
        chart.set_y_axis({"name": "loss [nats a token]"})
        page.sheet.insert_chart(1, 6, chart, {"x_scale": 1.4, "y_scale": 1.2})
