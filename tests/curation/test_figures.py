"""The figures draw what is there, and the tables escape it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftlib.curation import curate
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
    assert f"{total['quantiles']['0.5']:,} tokens or fewer" in tokens_figure(tokens)._suptitle.get_text()
    for bound in (64, 256, 1024):
        over = round(60 * (1 - total["over"][str(bound)]))
        assert bound_figure(tokens, bound)._suptitle.get_text().startswith(f"{over:,} of 60 rows")
    assert Picture(figure)._repr_png_().startswith(b"\x89PNG")


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
