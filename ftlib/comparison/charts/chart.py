"""The list of charts, and how one becomes files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftlib.comparison.cost import SystemCost
from ftlib.comparison.load import Material
from ftlib.files import write_atomic
from ftlib.progress import bar


@dataclass(frozen=True)
class Drawing:
    """A matplotlib figure, the finding that is its title, and how to read it."""

    figure: Any
    title: str
    reading: str


@dataclass(frozen=True)
class Chart:
    """A drawn chart. ``png`` and ``svg`` are whole files."""

    name: str
    title: str
    reading: str
    png: bytes
    svg: bytes

    def write(self, folder: Path) -> None:
        """NAME.png and NAME.svg."""
        write_atomic(folder / f"{self.name}.png", self.png)
        write_atomic(folder / f"{self.name}.svg", self.svg)


def drawings(material: Material, costs: dict[str, SystemCost]) -> dict[str, Callable[[], Drawing | None]]:
    """Every chart by name, in the order of the page; one that has nothing to show gives None."""
    from ftlib.comparison.charts import answers, data, money, quality, training

    return {
        "differences": lambda: quality.differences(material),
        "dumbbells": lambda: quality.dumbbells(material),
        "cost_quality": lambda: money.pareto(material, costs),
        "cumulative_cost": lambda: money.cumulative(material, costs),
        "time_memory": lambda: training.time_and_memory(material),
        "learning_curves": lambda: training.learning_curves(material),
        "item_differences": lambda: quality.item_differences(material),
        "lengths": lambda: answers.lengths(material),
        "degenerate": lambda: answers.degenerate(material),
        "flexibility": lambda: answers.flexibility_map(material),
        "funnel": lambda: data.funnel(material),
        "tokens": lambda: data.tokens(material),
    }


def draw_all(material: Material, costs: dict[str, SystemCost]) -> list[Chart]:
    """Draw every chart that has something to show."""
    from ftlib.comparison.charts.style import render, styled

    charts = []
    with styled():
        for name, draw in bar(list(drawings(material, costs).items()), desc="charts", unit="chart"):
            drawing = draw()
            if drawing is not None:
                charts.append(Chart(name, drawing.title, drawing.reading, *render(drawing.figure)))
    return charts
