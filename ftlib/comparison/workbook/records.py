"""Data, Runs and Errors: what went in, how it was made, what went wrong."""

from __future__ import annotations

import json
from typing import Any

from ftlib.comparison.build import Comparison
from ftlib.comparison.workbook.cells import Sheet


def data(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """The funnel with a chart, token counts, leaks, training files."""
    material = comparison.material
    page = Sheet(book, "Data", formats)
    funnel = material.funnel
    page.line("Funnel" if funnel else "n/a: the run has no funnel.json", "title")
    header = page.header(["step", "rows in", "rows out", "settings", "examples of what was dropped"])
    page.text(page.row, 0, "read")
    if funnel:
        page.sheet.write_number(page.row, 2, funnel.get("rows_read") or 0, formats["count"])
    page.row += 1
    for reason, count in (funnel.get("rejected") or {}).items():
        page.text(page.row, 0, f"rejected: {reason}")
        page.sheet.write_number(page.row, 1, count, formats["count"])
        page.row += 1
    first = page.row
    for step in funnel.get("steps") or []:
        page.text(page.row, 0, str(step["name"]))
        page.sheet.write_number(page.row, 1, step["rows_in"], formats["count"])
        page.sheet.write_number(page.row, 2, step["rows_out"], formats["count"])
        page.text(page.row, 3, json.dumps(step.get("params") or {}, ensure_ascii=False))
        page.text(page.row, 4, " | ".join(str(row.get("title", "")) for row in step.get("dropped") or []))
        page.row += 1
    if page.row > first:
        chart = book.add_chart({"type": "bar"})
        chart.add_series(
            {
                "name": "rows left",
                "categories": ["Data", first, 0, page.row - 1, 0],
                "values": ["Data", first, 2, page.row - 1, 2],
                "fill": {"color": "#0072B2"},
            }
        )
        chart.set_title({"name": "Rows left after each step", "name_font": {"size": 12}})
        chart.set_legend({"none": True})
        chart.set_y_axis({"reverse": True})
        page.sheet.insert_chart(0, 6, chart, {"x_scale": 1.3, "y_scale": 1.2})
    page.sheet.freeze_panes(header + 1, 1)
    _facts(page, comparison)
    page.widths([30, 14, 14, 40, 60])


def _facts(page: Sheet, comparison: Comparison) -> None:
    material = comparison.material
    page.row += 1
    page.line("Splits and leaks", "title")
    for group in ("splits", "leaks"):
        for key, value in (material.funnel.get(group) or {}).items():
            page.text(page.row, 0, f"{group}: {key}")
            if isinstance(value, int | float):
                page.sheet.write_number(page.row, 1, value, page.formats["count"])
            else:
                page.text(page.row, 1, str(value))
            page.row += 1
    page.row += 1
    page.line(f"Tokens a row, {material.tokens.get('encoding', 'n/a')}" if material.tokens else "n/a: the run has no tokens.json", "title")
    page.header(["field", "min", "mean", "max", "quantiles"])
    for field, found in (material.tokens.get("fields") or {}).items():
        page.text(page.row, 0, field)
        for column, key in enumerate(("min", "mean", "max"), 1):
            if found.get(key) is not None:
                page.sheet.write_number(page.row, column, found[key], page.formats["number.measured.1"])
        page.text(page.row, 4, ", ".join(f"{float(q):.0%}: {value:g}" for q, value in (found.get("quantiles") or {}).items()))
        page.row += 1
    page.row += 1
    page.line("Training files", "title")
    page.header(["contestant", "rows", "tokens", "format", "check"])
    for name, found in material.formats.items():
        page.text(page.row, 0, name)
        for column, key in enumerate(("rows", "tokens"), 1):
            value = found.get(key)
            if isinstance(value, int | float):
                page.sheet.write_number(page.row, column, value, page.formats["count"])
            else:
                page.text(page.row, column, json.dumps(value))
        page.text(page.row, 3, str(found.get("format", "n/a")))
        page.text(page.row, 4, "ok" if (found.get("checked") or {}).get("ok") else json.dumps(found.get("checked")))
        page.row += 1


def runs(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Provenance, the profile, and every step with what it was made from."""
    page = Sheet(book, "Runs", formats)
    page.line("Provenance", "title")
    for key, value in comparison.provenance:
        page.text(page.row, 0, key)
        page.text(page.row, 1, value)
        page.row += 1
    page.row += 1
    page.line("Steps", "title")
    page.header(["step", "ftlib", "seconds", "inputs (hash)", "outputs (hash)", "settings"])
    for step in comparison.material.steps:
        page.text(page.row, 0, str(step.get("step")))
        page.text(page.row, 1, str(step.get("ftlib")))
        if isinstance(step.get("seconds"), int | float):
            page.sheet.write_number(page.row, 2, step["seconds"], formats["number.measured.1"])
        for column, key in enumerate(("inputs", "outputs", "settings"), 3):
            page.text(page.row, column, json.dumps(step.get(key), ensure_ascii=False))
        page.row += 1
    page.row += 1
    page.line("Profile", "title")
    for name, profile in zip(comparison.material.names, comparison.material.profiles, strict=True):
        page.text(page.row, 0, name)
        page.text(page.row, 1, json.dumps(profile, ensure_ascii=False))
        page.row += 1
    page.widths([28, 60, 12, 40, 40, 40])


def errors(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Contestants and systems that did not come through, and items that failed."""
    page = Sheet(book, "Errors", formats, about="Failed items are scored as the profile declares, never dropped.")
    header = page.header(["what", "item", "why"])
    for name, told in comparison.material.stopped.items():
        page.text(page.row, 0, name)
        page.text(page.row, 1, str(told["status"]))
        page.text(page.row, 2, str(told.get("reason") or "no reason was given"))
        page.row += 1
    for system, items in comparison.material.items.items():
        for item in items.values():
            if item.failed:
                page.text(page.row, 0, system)
                page.text(page.row, 1, item.id)
                page.text(page.row, 2, str(item.failed))
                page.row += 1
    if page.row == header + 1:
        page.line("none", "na")
    page.freeze(header, page.row - 1, 3)
    page.widths([24, 24, 100])
