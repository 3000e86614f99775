"""Charts of the data: the curation room's own figures, in the page's look."""

from __future__ import annotations

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.load import Material


def funnel(material: Material) -> Drawing | None:
    """Rows left after each step of the recipe."""
    if not material.funnel:
        return None
    from ftlib.curation.figures import funnel_figure

    made = funnel_figure(material.funnel)
    return Drawing(
        made, made.get_suptitle().replace("\n", " "), "Rows left after each step of the recipe, from top to bottom; grey is what the step dropped."
    )


def tokens(material: Material) -> Drawing | None:
    """Histograms of tokens a row."""
    if not material.tokens.get("fields"):
        return None
    from ftlib.curation.figures import tokens_figure

    made = tokens_figure(material.tokens)
    return Drawing(
        made,
        made.get_suptitle().replace("\n", " "),
        "How many tokens title, content and both have, by the encoding named; the last bar holds all that are longer. An orange line says which "
        "share is longer than 256 tokens, where the project that this one grew from cut its rows, or 1,024, the most that recipe default keeps.",
    )
