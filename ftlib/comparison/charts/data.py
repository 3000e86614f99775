"""Charts of the data: the curation room's own figures, in the page's look."""

from __future__ import annotations

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.charts.style import title
from ftlib.comparison.load import Material


def funnel(material: Material) -> Drawing | None:
    """Rows left after each step of the recipe."""
    if not material.funnel:
        return None
    from ftlib.curation.figures import funnel_figure

    steps = material.funnel.get("steps") or []
    read, left = material.funnel.get("rows_read") or 0, steps[-1]["rows_out"] if steps else 0
    made = funnel_figure(material.funnel)
    text = f"{left:,} of {read:,} rows read are left ({100 * left / read:.0f} %)" if read else "No rows were read"
    title(made, text)
    return Drawing(made, text, "Rows left after each step of the recipe, from top to bottom.")


def tokens(material: Material) -> Drawing | None:
    """Histogram of tokens a row."""
    if not material.tokens:
        return None
    from ftlib.curation.figures import tokens_figure

    made = tokens_figure(material.tokens)
    total = (material.tokens.get("fields") or {}).get("sum") or {}
    text = f"Rows have {total.get('mean', 0):,.0f} tokens on average ({material.tokens.get('encoding')})"
    title(made, text)
    return Drawing(made, text, "How many tokens title and content have, by the encoding named.")
