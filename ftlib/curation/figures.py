"""The figures of curation: the funnel, the tokens of title, content and both, and how many rows a bound cuts off."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from ftlib.curation.funnel import describe

# Okabe and Ito (2008): colours that a colour-blind reader tells apart
BLUE, ORANGE, GREEN, PURPLE, GREY, PALE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666", "#D9D9D9"
SIDES = {"train": BLUE, "valid": PURPLE, "test": ORANGE}
NAMES = {"title": "title", "content": "content", "sum": "title and content"}


def funnel_figure(funnel: dict[str, Any]) -> Any:
    """Rows left after each step of a funnel.json, what each step dropped, and the split; a matplotlib figure."""
    steps = funnel["steps"]
    unreadable = sum(funnel["rejected"].values())
    labels = ["rows read", *(["unreadable"] if unreadable else []), *(describe(step) for step in steps)]
    before = [funnel["rows_read"], *([funnel["rows_read"]] if unreadable else []), *(step["rows_in"] for step in steps)]
    left = [funnel["rows_read"], *([funnel["rows_read"] - unreadable] if unreadable else []), *(step["rows_out"] for step in steps)]
    figure = _figure(1.3 + 0.34 * len(labels))
    axes = figure.subplots()
    top = max(1, funnel["rows_read"])
    changed = [0] * (len(labels) - len(steps)) + [step.get("changed", 0) for step in steps]
    for at, (rows_in, rows_out) in enumerate(zip(before, left, strict=True)):
        last = at == len(labels) - 1 and steps and steps[-1]["name"] == "split"
        axes.barh(at, rows_in, color=PALE, height=0.72)
        if last:
            start = 0
            for side, rows in funnel["splits"].items():
                axes.barh(at, rows, left=start, color=SIDES[side], height=0.72, label=f"{side} {rows:,}")
                start += rows
        else:
            axes.barh(at, rows_out, color=BLUE if rows_in == rows_out else GREEN, height=0.72)
        dropped = f"   −{rows_in - rows_out:,}{' not used' if last else ''}" if rows_in > rows_out else ""
        other = f"   {changed[at]:,} changed" if changed[at] else ""
        axes.text(rows_in + top * 0.01, at, f"{rows_out:,}{dropped}{other}", va="center", fontsize=9)
    axes.set_yticks(range(len(labels)), ["\n".join(textwrap.wrap(label, 34)) for label in labels], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, top * 1.22)
    axes.set_xlabel("rows left (coloured) and dropped by the step (grey)")
    _plain(axes, 5 if top >= 100_000 else 8)
    if steps and steps[-1]["name"] == "split":
        figure.legend(loc="outside lower right", ncols=3, fontsize=9, frameon=False)
    _title(figure, _funnel_finding(funnel))
    return figure


def _funnel_finding(funnel: dict[str, Any]) -> str:
    """What the funnel shows, in a sentence."""
    steps = [step for step in funnel["steps"] if step["name"] != "split"]
    kept = steps[-1]["rows_out"] if steps else funnel["rows_read"] - sum(funnel["rejected"].values())
    text = f"Recipe {funnel['recipe']} keeps {kept:,} of {funnel['rows_read']:,} rows ({kept / max(1, funnel['rows_read']):.0%})"
    worst = max(steps, key=lambda step: step["rows_in"] - step["rows_out"], default=None)
    if worst and worst["rows_in"] > worst["rows_out"]:
        text += f"; {describe(worst)} drops the most, {worst['rows_in'] - worst['rows_out']:,}"
    return text


def tokens_figure(tokens: dict[str, Any], bounds: Sequence[int] = (256, 1024)) -> Any:
    """Histograms of the tokens of title, content and both, of a tokens.json, with bounds marked; a matplotlib figure."""
    figure = _figure(7.6)
    panels = figure.subplots(3, 1)
    for axes, (name, label) in zip(panels, NAMES.items(), strict=True):
        field = tokens["fields"].get(name)
        if field is None:
            axes.text(0.5, 0.5, "no row has both a title and a content", ha="center", transform=axes.transAxes)
            continue
        _bars(axes, field, lambda low: BLUE)
        median, high = field["quantiles"]["0.5"], field["quantiles"]["0.95"]
        _mark(axes, median, f"median {median:,}", GREEN, 0.93)
        _mark(axes, high, f"95 % up to {high:,}", GREY, 0.78)
        for bound in bounds:
            if str(bound) in field["over"] and bound <= field["histogram"]["edges"][-1]:
                _mark(axes, bound, f"{field['over'][str(bound)]:.1%} over {bound:,}", ORANGE, 0.6)
        axes.set_ylabel("rows")
        axes.set_xlabel(f"tokens of {label} (mean {field['mean']:,.0f}, longest {field['max']:,})")
        _plain(axes)
    total = tokens["fields"].get("sum")
    text = f"Half of the {tokens['rows']:,} rows have {total['quantiles']['0.5']:,} tokens or fewer" if total else "No rows were counted"
    _title(figure, f"{text} ({tokens['encoding']})")
    return figure


def bound_figure(tokens: dict[str, Any], bound: int = 256) -> Any:
    """How many rows have at most ``bound`` tokens, title and content together; a matplotlib figure.

    ``bound`` is one of those that tokens.json holds: the usual ones and the recipe's own.
    """
    field = tokens["fields"]["sum"]
    over = field["over"][str(bound)]
    figure = _figure(3.6)
    axes = figure.subplots()
    _bars(axes, field, lambda low: ORANGE if low >= bound else BLUE)
    at = min(bound, field["histogram"]["edges"][-1])
    axes.axvline(at, color="black", linewidth=1)
    high = axes.get_ylim()[1]
    axes.set_ylim(0, high * 1.18)
    axes.text(at, high * 1.16, f"{1 - over:.1%} up to {bound:,}  ", ha="right", va="top", color=BLUE, fontweight="bold")
    axes.text(at, high * 1.16, f"  {over:.1%} longer", ha="left", va="top", color=ORANGE, fontweight="bold")
    axes.set_xlabel("tokens of title and content; the last bar holds all that are longer")
    axes.set_ylabel("rows")
    _plain(axes)
    _title(figure, f"{round(tokens['rows'] * (1 - over)):,} of {tokens['rows']:,} rows have at most {bound:,} tokens ({tokens['encoding']})")
    return figure


def _bars(axes: Any, field: dict[str, Any], color: Any) -> None:
    """The bars of a histogram; the last one is open upwards."""
    edges, counts = field["histogram"]["edges"], field["histogram"]["counts"]
    width = edges[1] - edges[0]
    axes.bar(edges, counts, width=width * 0.92, align="edge", color=[color(low) for low in edges])
    axes.set_xlim(0, edges[-1] + width)


def _mark(axes: Any, at: float, text: str, color: str, height: float) -> None:
    """A vertical line with its meaning beside it, on the side where there is room."""
    low, high = axes.get_xlim()
    right = at > low + 0.72 * (high - low)
    axes.axvline(at, color=color, linewidth=1.2, linestyle="--" if color == GREY else "-")
    axes.annotate(
        text,
        (at, height),
        xycoords=("data", "axes fraction"),
        xytext=(-5 if right else 5, 0),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )


def _figure(height: float) -> Any:
    """A figure that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(8.0, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def _plain(axes: Any, ticks: int = 8) -> None:
    """No frame, and thousands with commas, at most so many numbers along x."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if axes.get_ylabel():
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _title(figure: Any, text: str) -> None:
    """The finding, above the figure."""
    figure.suptitle("\n".join(textwrap.wrap(text, 84)), x=0.01, ha="left", fontsize=11, fontweight="bold")
