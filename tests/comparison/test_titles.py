"""Titles and reasons are true where nothing was tuned, everything is 0, or a contestant failed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ftlib.comparison import compare_run
from ftlib.comparison.build import build
from ftlib.comparison.charts.chart import drawings
from ftlib.comparison.charts.style import styled
from ftlib.comparison.cost import costs
from ftlib.comparison.load import load_run
from ftlib.comparison.workbook.overview import summary_table
from ftlib.files import read_json, write_json
from ftlib.runs import Run
from tests.comparison.test_verdict import headline


def titles(run: Run) -> dict[str, str]:
    """The title of every chart of a run."""
    material = load_run(run)
    with styled():
        return {name: made.title for name, draw in drawings(material, costs(material)).items() if (made := draw()) is not None}


def edit_summary(run: Run, **values: object) -> None:
    path = run.path / "scores" / "summary.json"
    write_json(path, {**read_json(path), **values})


def test_where_nothing_was_tuned_no_title_speaks_of_tuned_systems(make_run: Callable[..., Run]) -> None:
    found = titles(make_run("trivial", n=20, contestants=[], level={"echo": 0.3, "nearest": 0.6}))
    assert not [title for title in found.values() if "tuned" in title]
    assert "system without a model" in found["degenerate"]
    assert "untuned model" in titles(make_run("base", n=20, level={"llama.base": 0.5, "nearest": 0.6}))["degenerate"]


def test_where_tuning_changed_nothing_the_titles_say_so(make_run: Callable[..., Run]) -> None:
    run = make_run(n=10, level={"llama.base": 0.5, "llama.tuned": 0.5})
    summary = read_json(run.path / "scores" / "summary.json")
    summary["systems"]["llama.tuned"]["metrics"] = summary["systems"]["llama.base"]["metrics"]
    for system in ("llama.base", "llama.tuned"):
        summary["flexibility"][system]["retention"] = {"rate": 0.0, "low": 0.0, "high": 0.3, "n": 10}
        for flag in summary["systems"][system]["flags"].values():
            flag.update(rate=0.0, count=0)
    edit_summary(run, **summary)
    found = titles(run)
    assert found["dumbbells"] == "Tuning changes rougeL of llama by nothing"
    assert found["flexibility"].startswith("No model carries out any of the other instructions")
    assert found["degenerate"] == "No tuned system gives an answer with one of the 5 defects looked for"
    summary["flexibility"]["llama.tuned"]["bleeding"] = {"rate": 1.0, "low": 0.7, "high": 1.0, "n": 10, "against_base": {"p": 0.002}}
    edit_summary(run, **summary)
    assert titles(run)["flexibility"].startswith("llama.tuned answers 100 % of 10 other questions as if they were its task")


def test_one_contestant_alone_gains_or_loses_and_changes_no_more_than_others(make_run: Callable[..., Run]) -> None:
    assert re.fullmatch(
        r"llama gains \+\d+\.\d points of rougeL by tuning", titles(make_run("up", n=9, level={"llama.base": 0.5, "llama.tuned": 0.9}))["dumbbells"]
    )
    assert re.fullmatch(
        r"llama loses \d+\.\d points of rougeL by tuning", titles(make_run("down", n=9, level={"llama.base": 0.9, "llama.tuned": 0.5}))["dumbbells"]
    )
    assert " changes most by tuning: +" in titles(make_run("two", n=9))["dumbbells"]


def test_a_loss_of_retention_is_laid_to_tuning_only_where_a_test_tells_it(make_run: Callable[..., Run]) -> None:
    run = make_run(n=10, level={"llama.base": 0.5, "llama.tuned": 0.9})
    assert titles(run)["flexibility"] == "llama.tuned has 10 points of retention less than its base, which may be chance"
    summary = read_json(run.path / "scores" / "summary.json")
    summary["flexibility"]["llama.tuned"]["retention"]["against_base"] = {"only_base": 6, "only_tuned": 0, "p": 0.03}
    edit_summary(run, **summary)
    assert titles(run)["flexibility"] == "llama.tuned loses 10 points of retention by tuning"


@pytest.mark.parametrize(
    ("losses", "title"),
    [
        ([3.0, 2.0, 2.5], "Validation loss of llama rises at the end: shorter training would do"),
        ([3.0, 2.0], "Validation loss of llama was still falling at the end"),
        ([3.0, 2.0, 2.0], "Validation loss of llama is level at the end"),
        ([3.0], "Training loss; the validation loss was looked at only once"),
    ],
)
def test_the_title_of_the_loss_is_its_course(make_run: Callable[..., Run], losses: list[float], title: str) -> None:
    run = make_run(n=2, contestants=[{"name": "llama", "trainer": "local", "model": "llama-3.2-1b"}], level={"llama.base": 0.5, "llama.tuned": 0.9})
    path = run.path / "llama" / "training.json"
    points = [{"step": i, "tokens": i, "train": 1.0, "valid": loss} for i, loss in enumerate(losses, 1)]
    write_json(path, {**read_json(path), "loss": points})
    assert titles(run)["learning_curves"] == title


def test_a_failed_contestants_missing_costs_name_its_status(make_run: Callable[..., Run]) -> None:
    row = next(row for row in summary_table(build(load_run(make_run(n=4)))).rows if row["system"] == "gone.base")
    assert [row[key].text() for key in ("paid", "shadow", "wall")] == ["n/a: see Status", "n/a: see Status", "n/a: nothing is trained"]  # type: ignore[union-attr]


def test_bits_per_byte_stands_once_and_decoding_in_words(make_run: Callable[..., Run]) -> None:
    run = make_run(n=4)
    summary = read_json(run.path / "scores" / "summary.json")
    bits = {"value": 1.468, "low": 1.45, "high": 1.49, "n": 4, "signature": "s", "unit": "bits/byte", "higher_is_better": False}
    summary["systems"]["llama.tuned"]["metrics"]["bits_per_byte"] = bits
    decodings = {"llama": {"temperature": 0.0, "max_new_tokens": None, "batch": 32}, "gpt": {"temperature": 0.7, "max_new_tokens": 128}}
    summary["settings"]["differing"] = {"decoding": decodings}
    edit_summary(run, **summary)
    comparison = build(load_run(run))
    assert [column.key for column in comparison.tables["precision"].columns if "bits" in column.key] == ["bits"]
    row = next(row for row in comparison.tables["precision"].rows if row["system"] == "llama.tuned")
    assert row["bits"].text() == "1.468 (1.450 to 1.490)"  # type: ignore[union-attr]
    (said,) = [limit for limit in comparison.limits if "decoding" in limit]
    assert said.endswith(": llama temperature 0, as many new tokens as the task says; gpt temperature 0.7, at most 128 new tokens.")


def test_one_item_without_intervals_makes_a_whole_comparison(make_run: Callable[..., Run]) -> None:
    run = make_run(n=1)
    summary = read_json(run.path / "scores" / "summary.json")
    for system in summary["systems"].values():
        for metric in system["metrics"].values():
            metric.update(low=None, high=None)
    edit_summary(run, **{**summary, "pairs": [], "settings": {**summary["settings"], "few_items": "1 item: no interval."}})
    compare_run(run)
    assert "1 item: no interval." in (run.path / "report.md").read_text("utf-8")
    assert "best system" not in headline(run)
