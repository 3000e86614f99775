"""report.html: one file with everything in it, that asks nothing of the network."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from ftlib.comparison import enough
from ftlib.comparison.build import Comparison
from ftlib.comparison.choice import NONE, merged
from ftlib.comparison.pairs import ranked
from ftlib.comparison.workbook.cells import clean
from ftlib.comparison.workbook.overview import summary_table
from ftlib.files import atomic_path

BLOCK = 500  # items in one block of JSON; the page parses a block when it needs it
ORDER = ("precision", "judge", "training", "cost", "break_even", "sensitivity", "flexibility", "degenerate", "pairs")


def embed(value: Any) -> str:
    """JSON that cannot end the script element it stands in: ``<``, ``>``, ``&`` and the line separators are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def rows(comparison: Comparison) -> Iterator[list[Any]]:
    """One row an item: id, title, expected, then answer, score and flags of each system."""
    material = comparison.material
    systems = [name for name in ranked(material) if name in material.items]
    for key in material.ids():
        some = next(items[key] for items in material.items.values() if key in items)
        row: list[Any] = [clean(key), clean(some.title), clean(some.reference)]
        for name in systems:
            item = material.items[name].get(key)
            value = item.metrics.get(material.primary) if item else None
            row.append(
                [
                    None if item is None or item.answer is None else clean(item.answer),
                    None if value is None else round(value, 4),
                    ", ".join(item.flags) if item else "",
                ]
            )
        yield row


def blocks(comparison: Comparison) -> Iterator[str]:
    """The items as JSON texts of BLOCK rows each."""
    block: list[Any] = []
    for row in rows(comparison):
        block.append(row)
        if len(block) == BLOCK:
            yield embed(block)
            block = []
    if block:
        yield embed(block)


def write_page(comparison: Comparison, path: Path) -> None:
    """Write report.html atomically, block by block."""
    import jinja2
    from markupsafe import Markup

    files = resources.files("ftlib.comparison").joinpath("templates")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(files.joinpath("report.html.j2").read_text("utf-8"))
    material = comparison.material
    systems = [name for name in ranked(material) if name in material.items]
    stream = template.stream(
        comparison=comparison,
        choices=merged(comparison.verdict.choices),
        no_model=NONE,
        enough=enough,
        summary=summary_table(comparison),
        order=[key for key in ("ranking", *ORDER) if key in comparison.tables],
        count=len(material.ids()),
        primary=material.primary,
        systems=systems,
        settings=Markup(embed({"systems": systems, "primary": material.primary, "block": BLOCK})),
        blocks=(Markup(block) for block in blocks(comparison)),
        css=Markup(files.joinpath("report.css").read_text("utf-8")),
        script=Markup(files.joinpath("report.js").read_text("utf-8")),
        pictures=[(chart, base64.b64encode(chart.svg).decode()) for chart in comparison.charts],
    )
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.writelines(stream)
