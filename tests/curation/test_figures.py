"""The figures draw what is there, and the tables escape it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from ftlib.curation import curate, funnel_text
from ftlib.curation.figures import bound_figure, funnel_figure, tokens_figure
from ftlib.curation.recipe import load_recipe
from ftlib.curation.records import Record
from ftlib.curation.showing import Picture, dropped_table, raw_table, split_table, steps_table
from tests.curation.helpers import rows, write

pytest.importorskip("matplotlib")


def test_the_figures_say_what_they_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [*rows(60), {"title": "t", "content": ""}, b"{"])
    funnel = curate(path, out=tmp_path / "out", max_bad_share=0.1)
    tokens = json.loads((tmp_path / "out" / "tokens.json").read_text())
    figure = funnel_figure(funnel)
    assert figure._suptitle.get_text() == "Recipe default keeps 60 of 62 rows (97%); drop_missing drops the most, 1"
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels[:2] == ["rows read", "unreadable"]
    assert labels[-1] == "split"
    total = tokens["fields"]["sum"]
    drawn = tokens_figure(tokens)
    assert f"{total['quantiles']['0.5']:,} tokens or fewer" in drawn._suptitle.get_text()
    assert f"95 % up to {total['quantiles']['0.95']:,}" in [text.get_text() for text in drawn.axes[2].texts]  # that many tokens, too
    for bound in (64, 256, 1024):
        over = round(60 * (1 - total["over"][str(bound)]))
        assert bound_figure(tokens, bound)._suptitle.get_text().startswith(f"{over:,} of 60 rows")
    assert Picture(figure)._repr_png_().startswith(b"\x89PNG")


def test_the_funnel_of_millions_of_rows_and_of_many_keywords_can_be_read(tmp_path: Path) -> None:
    words = [f"keyword{n}" for n in range(21)]
    (tmp_path / "r.yaml").write_text(f"steps: [{{exclude_keywords: {{words: [{', '.join(words)}]}}}}, drop_missing]")
    funnel = curate(write(tmp_path / "a.jsonl", rows(60)), recipe=str(tmp_path / "r.yaml"), out=tmp_path / "out")
    assert "exclude_keywords keyword0 or keyword1 or 19 more" in funnel_text(funnel)
    funnel["rows_read"] *= 40_000
    funnel["splits"] = {side: 40_000 * count for side, count in funnel["splits"].items()}
    for step in funnel["steps"]:
        step.update(rows_in=40_000 * step["rows_in"], rows_out=40_000 * step["rows_out"])
    figure = funnel_figure(funnel)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_figures_of_nothing() -> None:
    empty = {"encoding": "o200k_base", "counted_by": "x", "rows": 0, "missing": {"title": 1, "content": 0}, "fields": {}}
    assert tokens_figure(empty)._suptitle.get_text() == "No rows were counted (o200k_base)"


def test_text_from_data_is_never_markup(tmp_path: Path) -> None:
    table = raw_table([Record("<b>", "<script>alert(1)</script>", "a & b" * 100)])
    html = table._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    funnel = curate("sample", out=tmp_path / "out", train=10, valid=0, test=5)
    assert "drop_missing" in dropped_table(funnel)._repr_html_()
    assert "deduplicate" in repr(steps_table(load_recipe("default")))
    assert "test" in repr(split_table(funnel, {"seed": 42}))
