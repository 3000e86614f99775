"""The book: its sheets in order, its formats, and bytes that depend on the run alone."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ftlib.comparison.build import Comparison
from ftlib.files import atomic_path

CREATED = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC).replace(tzinfo=None)  # fixed, or two builds of one run would differ


def write_workbook(comparison: Comparison, path: Path) -> None:
    """Write comparison.xlsx atomically; the same run gives the same bytes."""
    import xlsxwriter

    from ftlib.comparison.workbook import answers, costsheet, overview, records, results

    with atomic_path(path) as temporary:
        book = xlsxwriter.Workbook(
            str(temporary), {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "nan_inf_to_errors": False}
        )
        book.set_properties({"title": comparison.title, "comments": "Made by ftlib from what the run folder holds.", "created": CREATED})
        book.set_calc_mode("auto")
        styles = formats(book)
        overview.readme(book, styles, comparison)
        overview.summary(book, styles, comparison)
        results.precision(book, styles, comparison)
        results.pairwise(book, styles, comparison)
        results.training(book, styles, comparison)
        costsheet.cost(book, styles, comparison)
        results.flexibility(book, styles, comparison)
        results.degenerate(book, styles, comparison)
        answers.samples(book, styles, comparison)
        answers.human_review(book, styles, comparison)
        results.learning_curves(book, styles, comparison)
        records.data(book, styles, comparison)
        records.runs(book, styles, comparison)
        records.errors(book, styles, comparison)
        book.close()


def formats(book: Any) -> dict[str, Any]:
    """Cell formats by name; ``number.HOW.DIGITS`` for figures, where HOW colours the estimated and the billed."""
    made = {
        "title": book.add_format({"bold": True, "font_size": 13}),
        "plain": book.add_format({"valign": "top"}),
        "text": book.add_format({"valign": "top"}),
        "wrap": book.add_format({"valign": "top", "text_wrap": True}),
        "about": book.add_format({"italic": True, "font_color": "#444444", "valign": "top"}),
        "warning": book.add_format({"bold": True, "font_color": "#9C2A00"}),
        "header": book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#DDE7F0", "bottom": 1}),
        "na": book.add_format({"font_color": "#777777", "italic": True, "valign": "top"}),
        "input": book.add_format({"bg_color": "#FFF6CC", "border": 1, "num_format": "#,##0.00####"}),
        "input.count": book.add_format({"bg_color": "#FFF6CC", "border": 1, "num_format": "#,##0"}),
        "money": book.add_format({"num_format": "#,##0.00"}),
        "money.fine": book.add_format({"num_format": "#,##0.0000"}),
        "count": book.add_format({"num_format": "#,##0"}),
    }
    colours = {"estimated": "#8A5A00", "billed": "#0B5394"}
    for how in ("plain", "measured", "estimated", "billed"):
        for digits in range(7):
            options = {"num_format": "#,##0" + ("." + "0" * digits if digits else ""), "valign": "top"}
            made[f"number.{how}.{digits}"] = book.add_format(options | ({"font_color": colours[how]} if how in colours else {}))
    return made
