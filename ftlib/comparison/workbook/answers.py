"""Samples and HumanReview: the answers themselves, side by side, and blind."""

from __future__ import annotations

import random
from typing import Any

from ftlib.comparison.build import Comparison
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import ranked
from ftlib.comparison.workbook.cells import Sheet
from ftlib.files import hash_json

REVIEWED = 30
CHOICES = ["A", "B", "tie"]


def samples(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """Every item with every system's answer, score and flags."""
    material = comparison.material
    systems = [name for name in ranked(material) if name in material.items]
    page = Sheet(book, "Samples", formats)
    header = page.header(["id", "title", "expected", *(part for name in systems for part in (name, f"{name}, {material.primary}", f"{name}, flags"))])
    for key in material.ids():
        some = next(items[key] for items in material.items.values() if key in items)
        for column, value in enumerate((key, some.title, some.reference)):
            page.text(page.row, column, value, "wrap" if column else "text")
        for at, name in enumerate(systems):
            _answer(page, 3 + 3 * at, material, name, key)
        page.row += 1
    page.freeze(header, page.row - 1, 3 + 3 * len(systems), pinned=2)
    page.widths([14, 30, 48, *[48, 10, 18] * len(systems)])


def _answer(page: Sheet, column: int, material: Material, name: str, key: str) -> None:
    item = material.items[name].get(key)
    if item is None:
        page.text(page.row, column, "n/a: not answered", "na")
        return
    if item.answer is None:
        page.text(page.row, column, f"n/a: failed ({item.failed})" if item.failed else "n/a: no answer", "na")
    else:
        page.text(page.row, column, item.answer, "wrap")
    value = item.metrics.get(material.primary)
    if value is not None:
        page.sheet.write_number(page.row, column + 1, value, page.formats["number.measured.1"])
    page.text(page.row, column + 2, ", ".join(item.flags))


def review_pairs(material: Material) -> tuple[list[tuple[str, str, str]], str]:
    """(item id, system shown as A, system shown as B) of the blind sheet, and which two systems; order from a seed of the items alone."""
    order = [name for name in ranked(material, trivial=False) if name in material.items]
    tuned = [name for name in order if material.state(name) == "tuned"]
    two = (tuned[:2] if len(tuned) > 1 else [*tuned, *(name for name in order if name not in tuned)][:2])
    if len(two) < 2:
        return [], ""
    ids = [key for key in material.ids() if all(key in material.items[name] for name in two)]
    draw = random.Random(hash_json([ids, two]))
    chosen = sorted(draw.sample(ids, min(REVIEWED, len(ids))), key=ids.index)
    return [(key, *(two if draw.random() < 0.5 else two[::-1])) for key in chosen], " and ".join(two)  # type: ignore[misc]


def human_review(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """The blind sheet: two answers, in random order, and a dropdown."""
    material = comparison.material
    pairs, _ = review_pairs(material)
    page = Sheet(book, "HumanReview", formats, about="Which answer is better, A or B? Choose in the yellow column without looking at other sheets; whose answer is whose is decided by a seed and not shown here.")
    header = page.header(["id", "title", "expected", "A", "B", "better (A, B or tie)", "remark"])
    for key, a, b in pairs:
        some = material.items[a][key]
        for column, value in enumerate((key, some.title, some.reference, some.answer or "", material.items[b][key].answer or "")):
            page.text(page.row, column, value, "wrap" if column else "text")
        page.sheet.write_blank(page.row, 5, None, formats["input"])
        page.row += 1
    if pairs:
        page.sheet.data_validation(header + 1, 5, page.row - 1, 5, {"validate": "list", "source": CHOICES, "error_message": "Choose A, B or tie."})
    else:
        page.line("n/a: fewer than two models were scored", "na")
    page.freeze(header, page.row - 1, 7, pinned=0)
    page.widths([14, 30, 48, 48, 48, 16, 30])
