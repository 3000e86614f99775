"""report.md: the page's content for a repository. Text of data and models is escaped, so that it is only ever text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ftlib.comparison.build import Comparison
from ftlib.comparison.pairs import ranked
from ftlib.comparison.table import Figure, Table
from ftlib.comparison.workbook.cells import clean
from ftlib.comparison.workbook.overview import summary_table
from ftlib.files import write_atomic

SHOWN = 10  # items side by side; the page and the workbook have all
LONGEST = 600  # characters of a text shown here
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$@:])")


def escape(text: str) -> str:
    """A text that Markdown and HTML read as nothing but text, on one line."""
    text = " ".join(clean(text).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return _SPECIAL.sub(r"\\\1", text)


def light(text: str) -> str:
    """A sentence or figure of our own: what would break a table or become markup is escaped, the rest stays readable."""
    text = " ".join(clean(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace("://", "&#58;//").replace("www.", "www&#46;").replace("@", "&#64;")  # no links made by themselves
    return re.sub(r"([\\`*_\[\]|~$])", r"\\\1", text)


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells that are escaped already."""
    lines = ["| " + " | ".join(light(h) for h in headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def table(made: Table) -> str:
    """A table with its sentence and notes; texts are escaped wholly, figures are our own."""
    cells = [[light(cell.text()) if isinstance(cell := row.get(c.key, ""), Figure) else escape(cell) for c in made.columns] for row in made.rows]
    return "\n\n".join([light(made.about), grid([c.heading for c in made.columns], cells), *(light(note) for note in made.notes)])


def write_markdown(comparison: Comparison, path: Path) -> None:
    """Write report.md; its pictures are charts/NAME.png beside it."""
    parts = [f"# {light(comparison.title)}"]
    if comparison.warning:
        parts.append(f"> **{light(comparison.warning)}**")
    parts += ["## Verdict", f"**{light(comparison.verdict.headline)}**", "\n".join(f"- {light(s)}" for s in comparison.verdict.sentences()[1:])]
    parts += ["## Summary", table(summary_table(comparison))]
    for chart in comparison.charts:
        parts.append(f"![{light(chart.title)}](charts/{chart.name}.png)\n\n{light(chart.reading)}")
    for key in ("ranking", "precision", "judge", "training", "cost", "break_even", "sensitivity", "flexibility", "degenerate", "pairs"):
        if key in comparison.tables:
            parts += [f"## {comparison.tables[key].title}", table(comparison.tables[key])]
    if comparison.questions:
        rows = [[light(q.claim), light(q.artefacts), light(q.measured)] for q in comparison.questions]
        parts += [
            "## The original project's questions",
            grid(["It says", "Its own files show", "This run measured"], rows),
        ]
    parts += ["## Answers side by side", samples(comparison)]
    parts += ["## Provenance", grid(["what", "value"], [[escape(key), escape(value)] for key, value in comparison.provenance])]
    parts += ["## Limits", "\n".join(f"- {light(limit)}" for limit in comparison.limits)]
    write_atomic(path, "\n\n".join(parts) + "\n")


def samples(comparison: Comparison) -> str:
    """The first items with all answers, each a small table."""
    material = comparison.material
    systems = [name for name in ranked(material) if name in material.items]
    parts = [f"The first {min(SHOWN, material.n)} of {material.n} items; report.html and the workbook have all."]
    for key in material.ids()[:SHOWN]:
        some = next(items[key] for items in material.items.values() if key in items)
        rows = [["expected", "", escape(_cut(some.reference))]]
        for name in systems:
            item = material.items[name].get(key)
            value = item.metrics.get(material.primary) if item else None
            answer = "n/a: no answer" if item is None or item.answer is None else item.answer
            rows.append([escape(name), "n/a" if value is None else f"{value:.1f}", escape(_cut(answer))])
        parts += [
            f"**{escape(_cut(some.title))}** ({escape(key)})",
            grid(["system", material.primary, "text"], rows),
        ]
    return "\n\n".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " […]"
