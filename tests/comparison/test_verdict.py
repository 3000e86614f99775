"""The verdict names a best only where a test supports it, and says where too little was trained to say anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ftlib.comparison.build import build
from ftlib.comparison.charts.quality import differences
from ftlib.comparison.cost import costs
from ftlib.comparison.criteria import _together, cost
from ftlib.comparison.load import load_run
from ftlib.comparison.verdict import Finding
from ftlib.files import read_json, read_jsonl, write_json, write_jsonl
from ftlib.runs import Run
from tests.comparison.conftest import LEVEL
from tests.comparison.test_choice import spoil
from tests.comparison.test_figures import edit_pair

TRIVIAL_ONLY = {"echo": 0.3, "constant": 0.5, "nearest": 0.6}
NEAREST, CONSTANT = "the description of the nearest training title", "one constant answer"
GONE = "Not tested: gone (refused)."  # the contestant that every synthetic run has refused


def finding(run: Run, name: str = "llama") -> Finding:
    return next(one for one in build(load_run(run)).verdict.findings if one.contestant == name)


def between(run: Run) -> list[str]:
    return build(load_run(run)).verdict.between


def headline(run: Run) -> str:
    return build(load_run(run)).verdict.headline


def test_the_best_is_named_only_where_a_paired_test_tells_it_from_every_other(make_run: Callable[..., Run]) -> None:
    run = make_run(level=TRIVIAL_ONLY)
    edit_pair(run, "nearest", "constant", difference=9.0, low=8.0, high=10.0, p=0.0002)
    edit_pair(run, "nearest", "echo", difference=9.0, low=8.0, high=10.0, p=0.0002)
    assert headline(run) == f"Nothing was tuned and tested; a yardstick that needs no model leads, {NEAREST}. {GONE}"
    edit_pair(run, "nearest", "constant", difference=1.0, low=-4.0, high=6.0, p=0.6)
    assert headline(run) == f"Nothing was tuned and tested; these 60 rows cannot tell {NEAREST} and {CONSTANT} apart. {GONE}"
    path = run.path / "scores" / "summary.json"
    write_json(path, {**read_json(path), "pairs": []})
    assert f"{NEAREST} has the highest figure; it was not tested against {CONSTANT} and the echo" in headline(run)


def test_two_that_helped_alike_have_no_best(make_run: Callable[..., Run]) -> None:
    run = make_run()
    edit_pair(run, "gpt.tuned", "llama.tuned", difference=0.2, low=-1.0, high=1.4, p=0.7)
    assert headline(run) == "Fine-tuning is worth it for llama and gpt; these 60 rows cannot tell gpt.tuned and llama.tuned apart. " + GONE
    edit_pair(run, "gpt.tuned", "llama.tuned", difference=2.0, low=1.0, high=3.0, p=0.0002)
    assert headline(run).endswith("the best of them is gpt.tuned. " + GONE)


@pytest.fixture
def no_gain(make_run: Callable[..., Run]) -> Run:
    """A run in which tuning changed nothing worth having."""
    run = make_run(level={**LEVEL, "llama.tuned": 0.56, "gpt.tuned": 0.62, "nearest": 0.2})
    edit_pair(run, "llama.tuned", "llama.base", difference=0.0, low=0.0, high=0.0, p=1.0)
    edit_pair(run, "gpt.tuned", "gpt.base", difference=0.0, low=0.0, high=0.0, p=1.0)
    return run


def edit_training(run: Run, **values: object) -> None:
    path = run.path / "llama" / "training.json"
    write_json(path, {**read_json(path), **values})


def test_after_a_few_steps_nothing_is_said_against_tuning(no_gain: Run) -> None:
    assert finding(no_gain).decision == "do not fine-tune"
    edit_training(no_gain, steps=5)
    assert finding(no_gain).decision == "too little training to tell"
    assert finding(no_gain).sentence.startswith("It was trained for 5 optimiser steps (fewer than 30).")
    assert headline(no_gain).startswith("Do not fine-tune gpt (llama: too little training to tell): ")


def test_answers_that_are_the_bases_are_counted(no_gain: Run) -> None:
    path = no_gain.path / "scores" / "items.jsonl"
    rows = list(read_jsonl(path))
    base = {row["id"]: row["answer"] for row in rows if row["system"] == "llama.base"}
    write_jsonl(path, [{**row, "answer": base[row["id"]]} if row["system"] == "llama.tuned" else row for row in rows])
    assert finding(no_gain).decision == "too little training to tell"
    assert "60 of 60 answers are word for word its base's (50 % or more)" in finding(no_gain).sentence


def test_a_loss_that_still_falls_leaves_no_gain_open_and_is_told_where_the_rest_decides(no_gain: Run) -> None:
    falling = [{"step": step, "tokens": step, "train": None, "valid": valid} for step, valid in ((40, 3.0), (80, 2.0))]
    edit_training(no_gain, loss=falling)
    assert finding(no_gain).decision == "too little training to tell"
    assert "still falling at the end (3.00 to 2.00 between the last two looks, more than 2 %)" in finding(no_gain).sentence
    edit_pair(no_gain, "llama.tuned", "llama.base", difference=-3.0, low=-4.0, high=-2.0, p=0.0002)
    assert finding(no_gain).decision == "do not fine-tune"
    assert finding(no_gain).sentence.endswith("longer training might change this.")


def test_what_is_the_same_at_both_volumes_is_said_once(make_run: Callable[..., Run]) -> None:
    run = make_run(level=TRIVIAL_ONLY)
    said = [sentence for sentence in build(load_run(run)).verdict.sentences() if sentence.startswith("At 1,000")]
    assert said == ["At 1,000 and 1,000,000 answers a month: no model. No model was scored, so there is nothing to choose."]


def test_where_what_needs_no_training_leads_the_other_metrics_are_told(make_run: Callable[..., Run]) -> None:
    run = make_run(level={**LEVEL, "nearest": 1.1})
    best = next(name for name in ("llama.tuned", "gpt.tuned") if f"{name} is worse than {NEAREST}" in " ".join(between(run)))
    assert "; this verdict goes by rougeL alone" not in " ".join(between(run))
    edit_pair(run, best, "nearest", metric="chrf", difference=3.0, low=1.0, high=5.0, p=0.0002)
    assert between(run)[-1].endswith(", and better by 3.0 (1.0 to 5.0) points of chrf; this verdict goes by rougeL alone.")
    drawn = differences(load_run(run))
    assert drawn is not None
    assert drawn.title.endswith("; nearest is better still")


def test_a_contestant_that_is_mostly_degenerate_is_said_to_be_and_not_called_worth_it(make_run: Callable[..., Run]) -> None:
    run = make_run(level={"llama.base": 0.5, "llama.tuned": 1.0, "gpt.base": 0.5, "gpt.tuned": 0.9})
    spoil(run)
    assert "degenerate" not in finding(run).sentence
    spoil(run, "llama.tuned")
    assert finding(run).sentence.endswith(" Tuned, 100 % of its answers are degenerate (looping, cut), whatever its rougeL says.")
    assert headline(run) == "Fine-tuning is worth it for gpt. But 100 % of the answers of llama.tuned are degenerate (looping, cut). " + GONE
    spoil(run, "llama.tuned", "gpt.tuned")
    assert headline(run).startswith(
        "Fine-tuning improves rougeL of llama and gpt, but 100 % of the answers of llama.tuned are degenerate (looping, cut); "
    )


def test_the_verdict_says_whether_another_seed_was_tried(make_run: Callable[..., Run]) -> None:
    run = make_run()
    assert between(run)[0] == (
        "Each contestant was trained once: intervals are over test rows, not over trainings, and another seed may shift a figure by more than its"
        " interval."
    )
    path = run.path / "scores" / "summary.json"
    group = {"contestants": ["llama", "gpt"], "seeds": [1, 2], "values": {}, "mean": 24.0, "sd": 0.84, "low": 23.0, "high": 25.0}
    write_json(path, {**read_json(path), "seeds": {"metric": "rougeL", "groups": [group], "na": None}})
    assert between(run)[0] == (
        "The intervals are over test rows, not over trainings: llama and gpt have a standard deviation of 0.8 points of rougeL over their seeds."
    )
    write_json(path, {**read_json(path), "seeds": {"metric": "rougeL", "groups": [{**group, "contestants": ["llama", "again"]}], "na": None}})
    assert between(run)[0].endswith(
        "llama and again have a standard deviation of 0.8 points of rougeL over their seeds; the others were trained once."
    )
    assert not any("trained once" in said for said in between(make_run("trivial", level=TRIVIAL_ONLY)))


def test_the_cost_table_says_how_many_questions_were_asked_at_once(make_run: Callable[..., Run]) -> None:
    material = load_run(make_run())
    notes = cost(material, costs(material)).notes
    assert "llama answered 16 questions at a time; the time of one is its share of theirs." in notes
    assert "gpt was asked 8 questions at a time; the time of one is from its request to its answer." in notes


def test_vllm_is_asked_everything_at_once() -> None:
    vllm = {"trainer": "local", "engine": "vllm", "decoding": {"batch": 16}}
    assert _together("v", vllm) == ["v answered the questions of each set together; the time of one is its share of theirs."]
