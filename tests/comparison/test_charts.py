"""Charts: all that the run has something to show for, the same bytes each time, no label outside or over another."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ftlib.comparison.charts.chart import drawings
from ftlib.comparison.charts.money import frontier
from ftlib.comparison.charts.style import styled
from ftlib.comparison.cost import costs
from ftlib.comparison.load import load_run
from ftlib.runs import Run

ALL = {
    *("differences", "dumbbells", "cost_quality", "cumulative_cost", "time_memory", "learning_curves"),
    *("item_differences", "lengths", "degenerate", "flexibility"),
}


def test_every_chart_has_a_finding_and_its_labels_do_not_overlap(run: Run) -> None:
    material = load_run(run)
    found = {}
    with styled():
        for name, draw in drawings(material, costs(material)).items():
            drawing = draw()
            if drawing is None:
                continue
            found[name] = drawing
            drawing.figure.draw_without_rendering()
            width, height = drawing.figure.canvas.get_width_height()
            for axes in drawing.figure.axes:
                for axis in (axes.xaxis, axes.yaxis):
                    boxes = [t.get_window_extent() for t in axis.get_ticklabels() if t.get_text() and t.get_visible() and t.get_rotation() == 0]
                    inside = [b for b in boxes if b.x1 > 0 and b.y1 > 0 and b.x0 < width and b.y0 < height]
                    assert not [1 for a, b in itertools.combinations(inside, 2) if a.overlaps(b)], (name, axis)
            assert drawing.title.strip()
            assert drawing.reading.strip()
    assert set(found) >= ALL


def test_a_run_with_nothing_to_show_gives_no_empty_charts(make_run: Callable[..., Run]) -> None:
    only = [{"name": "gone", "trainer": "hosted", "provider": "openai", "model": "gpt-4.1-mini"}]
    run = make_run(n=5, contestants=only, level={"echo": 0.3, "nearest": 0.6})
    material = load_run(run)
    with styled():
        shown = [name for name, draw in drawings(material, costs(material)).items() if draw() is not None]
    assert "dumbbells" not in shown
    assert "cumulative_cost" not in shown
    assert "lengths" in shown


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ({"a": (1, 1), "b": (2, 2), "c": (3, 1)}, ["a", "b"]),
        ({"a": (1, 1), "b": (1, 1)}, ["a", "b"]),
        ({"a": (1, 2), "b": (2, 2)}, ["a"]),
    ],
)
def test_the_frontier_holds_what_nothing_beats_in_both(points: dict[str, tuple[float, float]], front: list[str]) -> None:
    assert frontier(points) == front
