"""Charts for notebook 05."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftlib.evaluation.showing import NAMES
from ftlib.files import read_jsonl
from ftlib.runs import Run


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure that a notebook shows, without any state of pyplot."""

    figure: Any

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.figure.savefig(data, format="png", dpi=100)
        return data.getvalue()


def interval_chart(summary: Mapping[str, Any]) -> Picture:
    """The primary metric of every system as a dot with its 95 % interval."""
    from matplotlib.figure import Figure

    primary = summary["primary"]
    found = {name: data["metrics"][primary] for name, data in summary["systems"].items() if primary in data["metrics"]}
    figure = Figure(figsize=(8, 0.6 + 0.42 * len(found)), layout="constrained")
    axes = figure.subplots()
    colours = {"tuned": "#0072b2", "base": "#e69f00", "trivial": "#777777"}
    for place, (name, metric) in enumerate(reversed(found.items())):
        colour = colours[summary["systems"][name]["state"]]
        if metric["low"] is not None:
            axes.plot([metric["low"], metric["high"]], [place, place], color=colour, linewidth=2)
        axes.plot(metric["value"], place, "o", color=colour)
        axes.annotate(f"{metric['value']:.1f}", (metric["value"], place), textcoords="offset points", xytext=(0, 6), ha="center", fontsize=8)
    axes.set_yticks(range(len(found)), list(reversed(found)))
    axes.set_ylim(-0.6, len(found) - 0.2)
    axes.set_xlabel(f"{NAMES.get(primary, primary)} ({next(iter(found.values()))['unit']}), {summary['n']} items, with the 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return Picture(figure)


def difference_chart(run: Run, summary: Mapping[str, Any]) -> Picture:
    """Item by item: how much each tuned model gains over its own base on the primary metric."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    primary = summary["primary"]
    values: dict[str, dict[str, float]] = {}
    for row in read_jsonl(run.path / "scores" / "items.jsonl"):
        if row["set"] == "test" and row["metrics"].get(primary) is not None:
            values.setdefault(row["system"], {})[row["id"]] = row["metrics"][primary]
    tuned = [s for s in values if s.endswith(".tuned") and s.replace(".tuned", ".base") in values]
    figure = Figure(figsize=(8, 2.2 * max(1, len(tuned))), layout="constrained")
    grid = figure.subplots(max(1, len(tuned)), 1, sharex=True, squeeze=False)
    for axes, system in zip(grid[:, 0], tuned, strict=False):
        base = values[system.replace(".tuned", ".base")]
        gains = [value - base[identity] for identity, value in values[system].items()]
        axes.hist(gains, bins=31, color="#0072b2")
        axes.axvline(0, color="black", linewidth=1)
        better = sum(gain > 0 for gain in gains)
        axes.set_title(f"{system}: better than its base on {better} of {len(gains)} items", fontsize=10, loc="left")
        axes.set_ylabel("items")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    grid[-1, 0].set_xlabel(f"gain in {NAMES.get(primary, primary)} on one item")
    return Picture(figure)
