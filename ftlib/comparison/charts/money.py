"""Charts of cost: against quality, and growing with the number of answers."""

from __future__ import annotations

from typing import Any

from ftlib.comparison.charts.chart import Drawing
from ftlib.comparison.charts.style import GREY, MARKERS, colours, figure, log_ticks, title
from ftlib.comparison.cost import SystemCost, break_even
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import ranked, unit_of
from ftlib.comparison.table import listed


def pareto(material: Material, costs: dict[str, SystemCost]) -> Drawing | None:
    """Cost of 1,000 answers (log) against quality; machine seconds where money says nothing."""
    money = {name: one.per_1000.value for name, one in costs.items() if one.per_1000.value is not None}
    in_money = len([value for value in money.values() if value > 0]) >= 2
    axis = money if in_money else {name: one.seconds.value * 1000 for name, one in costs.items() if one.seconds.value is not None}
    positive = [value for value in axis.values() if value > 0]
    if not positive:
        return None
    floor = min(positive) / 6  # where "nothing" stands on a log axis
    made, ax = figure(4.6)
    points: dict[str, tuple[float, float]] = {}
    for (name, colour), marker in zip(colours(list(axis)).items(), MARKERS * 9, strict=False):
        found = material.systems[name]["metrics"][material.primary]
        x, y = axis[name] or floor, found["value"]
        points[name] = (x, y)
        ax.errorbar(
            x,
            y,
            yerr=None if found["low"] is None else [[max(0.0, y - found["low"])], [max(0.0, found["high"] - y)]],
            color=colour,
            marker=marker,
            markersize=8,
            capsize=3,
            linestyle="none",
            label=name,
        )
    ax.set_xscale("log")
    front = frontier({name: (axis[name], points[name][1]) for name in axis})
    line = sorted(points[name] for name in front)
    ax.step([x for x, _ in line], [y for _, y in line], where="post", color=GREY, linewidth=1, linestyle="--", zorder=0)
    if any(value == 0 for value in axis.values()):
        ax.axvline(floor * 1.8, color=GREY, linewidth=0.8, linestyle=":")
        ax.annotate("costs 0", (floor, 0.02), xycoords=("data", "axes fraction"), ha="center", fontsize=8.5, color=GREY)
    ax.margins(y=0.12)
    ax.set_xlim(min(x for x, _ in points.values()) / 1.8, max(x for x, _ in points.values()) * 1.8)
    log_ticks(ax.xaxis)
    what = "cost of 1,000 answers [USD, log]" if in_money else "1,000 times the seconds of one answer [s, log]"
    ax.set_xlabel(what)
    ax.set_ylabel(f"{material.primary} [{unit_of(material) or 'score'}]")
    made.legend(loc="outside lower center", ncols=4, fontsize=9)
    rest = [name for name in axis if name not in front]
    text = f"On the frontier of {'cost' if in_money else 'time'} and quality: {', '.join(front)}" + (
        f"; not on it: {', '.join(rest)}" if rest else ""
    )
    title(made, text)
    return Drawing(
        made,
        text,
        "Higher is better, further left is cheaper. No system on the dashed line is beaten in both; one below it is."
        + (
            ""
            if in_money
            else " Money would say nothing here (fewer than two systems have a price above 0), so the axis is time; answers made together share it."
        ),
    )


def frontier(points: dict[str, tuple[float, float]]) -> list[str]:
    """Names that no other beats in cost and value both, cheapest first."""

    def beaten(name: str) -> bool:
        x, y = points[name]
        return any((a <= x and b >= y) and (a < x or b > y) for other, (a, b) in points.items() if other != name)

    return sorted((name for name in points if not beaten(name)), key=lambda name: points[name])


def cumulative(material: Material, costs: dict[str, SystemCost]) -> Drawing | None:
    """Accounted cost against the number of answers, the crossings marked."""
    import numpy as np

    order = [name for name in ranked(material, trivial=False) if name in costs and costs[name].total(1) is not None]
    order = [name for name in order if material.state(name) == "tuned"] or order
    order = order[:6]
    if not order or all((costs[name].total(1e6) or 0) == 0 for name in order):
        return None
    made, ax = figure(4.4)
    crossings: list[tuple[float, float, str]] = []
    for i, a in enumerate(order):
        for b in order[i + 1 :]:
            even = break_even(costs[a], costs[b]).value
            if even is not None and 1 <= even <= 1e8:
                crossings.append((even, costs[a].total(even) or 0.0, f"{a} = {b}"))
    top = max([1e6, *(10 * x for x, _, _ in crossings)])
    xs = np.logspace(2, np.log10(top), 200)
    for (name, colour), style in zip(colours(order).items(), ("-", "--", "-.", ":", "-", "--"), strict=False):
        ax.plot(xs, [costs[name].total(float(x)) for x in xs], color=colour, linestyle=style, linewidth=2, label=name)
    for x, y, _ in crossings:
        ax.plot(x, y, "o", markersize=10, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.6)
        ax.annotate(f"{x:,.0f} answers\n{y:,.2f} USD", (x, y), xytext=(-10, 12), textcoords="offset points", ha="right", fontsize=9)
    _log_axes(ax, order, costs)
    text = ("Costs cross: " + "; ".join(f"{label} at {x:,.0f} answers" for x, _, label in crossings)) if crossings else _cheapest(order, costs)
    made.legend(loc="outside lower center", ncols=3, fontsize=9)
    title(made, text)
    return Drawing(
        made,
        text,
        "Training is paid once, answers one by one; a ring marks where two systems have cost the same. "
        "Bills where there are bills, else machine hours at the price book's price.",
    )


def _log_axes(ax: Any, order: list[str], costs: dict[str, SystemCost]) -> None:
    ax.set_xscale("log")
    log_ticks(ax.xaxis)
    ax.set_xlabel("answers")
    ax.set_ylabel("training and answers [USD]")
    if all((costs[name].total(100) or 0) > 0 for name in order):
        ax.set_yscale("log")
        log_ticks(ax.yaxis)


def _cheapest(order: list[str], costs: dict[str, SystemCost]) -> str:
    """The finding where no two costs cross."""
    totals = {name: costs[name].total(1e6) or 0.0 for name in order}
    if len(order) == 1:
        return f"{order[0]} and 1,000,000 answers cost {totals[order[0]]:,.2f} USD"
    least = [name for name in order if totals[name] == min(totals.values())]
    return f"{listed(least)} {'costs' if len(least) == 1 else 'cost'} least at every number of answers"
