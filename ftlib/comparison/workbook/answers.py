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
CHOICES = ["first", "second", "tie"]


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
        page.tall([some.reference, *(item.answer for name in systems if (item := material.items[name].get(key)))], 48)
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


def review_pairs(material: Material) -> list[tuple[str, str, str, str]]:
    """(number, item id, system shown first, system shown second) of the blind sheet.

    Those of evaluation's own blind sheet where there is one, so that both ask the same, and none where it is of other answers; else the
    two best models, items and order drawn from a seed of the items alone.
    """
    if material.old_review:
        return []
    if key := material.review:
        both = (key["a"], key["b"])
        return [(n, row["id"], *(both if row["first"] == "a" else both[::-1])) for n, row in key["pairs"].items()]
    order = [name for name in ranked(material, trivial=False) if name in material.items]
    two = sorted(order, key=lambda name: material.state(name) != "tuned")[:2]  # stable: the best tuned ones first
    if len(two) < 2:
        return []
    ids = [i for i in material.ids() if all(i in material.items[name] for name in two)]
    draw = random.Random(hash_json([ids, two]))
    chosen = draw.sample(ids, min(REVIEWED, len(ids)))
    swaps = [draw.random() < 0.5 for _ in chosen]
    return [(str(n), i, *((two[1], two[0]) if swap else (two[0], two[1]))) for n, (i, swap) in enumerate(zip(chosen, swaps, strict=True), 1)]


def human_review(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """The blind sheet: two answers in random order, and a dropdown; whose they are is not in the sheet."""
    material = comparison.material
    pairs = review_pairs(material)
    page = Sheet(book, "HumanReview", formats)
    header = page.header(["pair", "title", "first", "second", "better"])
    for number, key, first, second in pairs:
        one, two = material.items[first][key], material.items[second][key]
        for column, value in enumerate((number, "" if one.title == one.reference else one.title, one.answer or "", two.answer or "")):
            page.text(page.row, column, value, "wrap" if column else "text")
        page.sheet.write_blank(page.row, 4, None, formats["input"])
        page.tall([one.answer, two.answer], 60)
        page.row += 1
    if pairs:
        page.sheet.data_validation(
            header + 1, 4, page.row - 1, 4, {"validate": "list", "source": CHOICES, "error_message": "Choose first, second or tie."}
        )
    else:
        page.line(f"n/a: {material.old_review or 'fewer than two models were scored'}", "na")
    page.freeze(header, page.row - 1, 5, pinned=0)
    page.widths([8, 36, 60, 60, 14])
    page.text(0, 6, "Which of the two is the better answer? Choose first, second or tie without looking at the other sheets.", "about")
    how = "Saved as CSV, this sheet goes back with `ftlib judge RUN --human FILE`." if material.review else (
        "To have it counted, let `ftlib judge RUN` draw the pairs first; this sheet then shows the same ones and goes back as CSV.")  # fmt: skip
    page.text(1, 6, how, "about")
