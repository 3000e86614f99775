"""The choice names what is free and as good, says what it does not know, and is the same in verdict and sensitivity."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ftlib.comparison.build import build
from ftlib.comparison.choice import Choice
from ftlib.comparison.cost import hour_price
from ftlib.comparison.load import load_run
from ftlib.comparison.table import Table
from ftlib.errors import ProfileError
from ftlib.files import read_json, read_jsonl, write_json, write_jsonl
from ftlib.runs import Run
from tests.comparison.conftest import LEVEL
from tests.comparison.test_figures import edit_pair

NEAREST, CONSTANT = "the description of the nearest training title", "one constant answer"


def made(run: Run) -> tuple[Choice, Table]:
    """The choice at 1,000 answers, and the table of sensitivity, which must say the same."""
    comparison = build(load_run(run))
    choice, table = comparison.verdict.choices[0], comparison.tables["sensitivity"]
    cell = str(table.rows[0]["choice.1000"])
    assert cell == choice.system or (choice.system is None and cell.startswith("no model"))
    return choice, table


def without_cost(run: Run, *systems: str) -> None:
    """Take away what is known of the cost of hosted answers."""
    path = run.path / "scores" / "summary.json"
    summary = read_json(path)
    for name in systems:
        summary["systems"][name] |= {"usd_per_1000": None, "na": {"usd_per_1000": "the answers do not say"}}
    write_json(path, summary)


def without_hour_price(run: Run) -> None:
    path = run.path / "llama" / "training.json"
    write_json(path, {**read_json(path), "device": {"name": "abacus", "kind": "mps"}})


def test_what_needs_no_model_is_a_yardstick_where_it_is_better_and_named_where_it_is_as_good(make_run: Callable[..., Run]) -> None:
    better, table = made(make_run("better", level={**LEVEL, "nearest": 1.4}))
    assert (better.system, better.usd) == (None, None)
    assert better.sentence().startswith(f"At 1,000 answers a month: no model. {NEAREST.capitalize()} is better than every model")
    assert "It leads as a yardstick alone: it needs no model, but its texts are not written for the title, so it is no product; " in better.why
    assert re.search(r" Among the models: llama\.tuned \(\d\.\d\d USD in the first month, training included\)\. ", better.why)
    assert table.rows[0]["choice.1000"] == "no model (among the models llama.tuned)"
    assert table.notes[0].startswith("At 1,000 answers no model is chosen at any price, because nearest leads; the one among the models,")
    run = make_run("alike")
    for tuned in ("llama.tuned", "gpt.tuned"):
        edit_pair(run, tuned, "nearest", difference=0.2, low=-1.0, high=1.4, p=0.7)
    alike, _ = made(run)
    assert alike.system in ("llama.tuned", "gpt.tuned")
    assert f"{NEAREST} cannot be told apart from {alike.system}" in alike.why


def test_what_needs_no_model_and_leads_is_a_yardstick_where_the_cost_of_the_model_is_not_known(make_run: Callable[..., Run]) -> None:
    run = make_run(level={"gpt.tuned": 1.0, "nearest": 1.05, "constant": 1.02, "echo": 0.3})
    for free in ("nearest", "constant"):
        edit_pair(run, "gpt.tuned", free, difference=-1.0, low=-4.0, high=2.0, p=0.5)
    without_cost(run, "gpt.tuned")
    choice, table = made(run)
    assert (choice.system, choice.usd) == (None, None)
    assert choice.why.startswith("The description of the nearest training title has the best rougeL of all (")
    assert "gpt.tuned cannot be told apart from it (-1.0 (-4.0 to 2.0) points)" in choice.why
    assert "gpt.tuned has the best" not in choice.why
    assert f"{CONSTANT} cannot be told apart from gpt.tuned" in choice.why
    assert table.notes[0].endswith("gpt.tuned, rests on no price, because what the answers of gpt.tuned cost is not known.")
    assert not any("halve" in note for note in table.notes)


def test_better_than_every_model_is_said_only_where_every_one_was_tested_and_is_worse(make_run: Callable[..., Run]) -> None:
    run = make_run(level={**LEVEL, "nearest": 1.4})
    for other in ("llama.tuned", "gpt.tuned"):
        edit_pair(run, "nearest", other, difference=4.0, low=3.0, high=5.0, p=0.0002)
    edit_pair(run, "nearest", "gpt.base", difference=4.0, low=-1.0, high=9.0, p=0.2)
    assert "is better than every model" not in made(run)[0].why
    assert "points worse" in made(run)[0].why


def test_a_model_of_unknown_cost_is_left_out_and_said_to_be(make_run: Callable[..., Run]) -> None:
    run = make_run()
    without_cost(run, "gpt.tuned")
    choice, table = made(run)
    assert choice.system == "llama.tuned"
    assert "and only of llama.tuned the cost is known" in choice.why
    assert "What the answers of gpt.tuned cost is not known (the answers do not say)." in choice.why
    assert "cost the same" not in choice.why
    assert "stays the same" in table.notes[0]


def test_an_hour_without_a_price_is_an_hour_of_ones_own_machine(make_run: Callable[..., Run]) -> None:
    run = make_run()
    without_cost(run, "gpt.tuned")
    without_hour_price(run)
    choice, table = made(run)
    assert choice.system == "llama.tuned"
    assert "an hour of the machine of llama.tuned has no price here" in choice.why
    assert table.notes[-1] == "Choices go by money charged, because an hour of the machine of llama.tuned has no price here."


def test_an_hour_without_a_price_comes_with_the_row_to_add(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run()
    without_hour_price(run)
    comparison = build(load_run(run))
    (note,) = [note for note in comparison.tables["cost"].notes if "no hour price" in note]
    assert note.startswith("The price book has no hour price of mps; add a row to a file of your own, given as prices: in the profile,")
    assert "the row to add stands under Operational cost" in comparison.verdict.choices[0].why
    row, own = note.partition("- {")[1] + note.partition("- {")[2], tmp_path / "own.yaml"
    own.write_text(row, "utf-8")
    with pytest.raises(ProfileError, match="DATE"):
        hour_price("mps", str(own))
    own.write_text(row.replace("usd: 0.0", "usd: 0.05").replace("DATE", "2026-11-01").replace("SOURCE", "my bill"), "utf-8")
    assert hour_price("mps", str(own))[0].value == 0.05


def spoil(run: Run, *systems: str) -> None:
    """Make every answer of some systems loop, and most of them cut."""
    path = run.path / "scores" / "items.jsonl"
    rows = list(read_jsonl(path))
    for i, row in enumerate(rows):
        row["flags"] = (["looping", "cut"] if i % 4 else ["looping"]) if row["system"] in systems else []
    write_jsonl(path, rows)


def test_a_model_that_is_mostly_degenerate_is_left_out_and_said_to_be(make_run: Callable[..., Run]) -> None:
    run = make_run()
    spoil(run, "llama.tuned", "llama.base", "echo")
    choice, _ = made(run)
    assert choice.system == "gpt.tuned"
    assert choice.why.startswith(
        "Left out: llama.tuned, 100 % of its answers are degenerate (looping, cut). gpt.tuned is better than every other model that is left"
    )
    assert "llama.base, 100 %" not in choice.why
    assert "llama.tuned would cost" not in choice.why


def test_where_every_model_is_mostly_degenerate_none_is_chosen(make_run: Callable[..., Run]) -> None:
    run = make_run(level={"llama.base": 0.5, "llama.tuned": 1.0, "nearest": 0.3})
    spoil(run, "llama.tuned", "llama.base")
    choice, table = made(run)
    said = "More than 50 % of the answers of every model are degenerate, so none is chosen."
    assert choice.system is None
    assert choice.why.startswith(f"{said} Left out: llama.tuned, 100 % of its answers are degenerate (looping, cut); llama.base, 100 %")
    assert table.notes[0] == said


def test_just_half_of_degenerate_answers_leaves_nothing_out(make_run: Callable[..., Run]) -> None:
    run = make_run(n=8, level={"llama.tuned": 1.0})
    path = run.path / "scores" / "items.jsonl"
    rows = [{**row, "flags": ["cut"] if i < 4 else []} for i, row in enumerate(read_jsonl(path))]
    write_jsonl(path, rows)
    assert made(run)[0].system == "llama.tuned"
    write_jsonl(path, [{**row, "flags": ["cut"]} if i == 4 else row for i, row in enumerate(rows)])
    assert "llama.tuned, 62.5 % of its answers are degenerate (cut)" in made(run)[0].why


def test_better_than_every_other_is_said_with_whom_it_was_compared_to(make_run: Callable[..., Run]) -> None:
    alone = make_run("alone", level={"llama.tuned": 1.0})
    assert "llama.tuned is the only model that was scored (" in made(alone)[0].why
    assert "Without a figure: gone (refused) and gpt (not scored)." in made(alone)[0].why
    own = make_run("own", level={"llama.base": 0.5, "llama.tuned": 1.0})
    spoil(own)
    assert "llama.tuned is better than its own base, the only other model that was scored (" in made(own)[0].why
    more = make_run("more", level={"llama.base": 0.5, "llama.tuned": 1.0, "gpt.base": 0.5})
    spoil(more)
    assert "llama.tuned is better than every other model that was scored (" in made(more)[0].why
    assert made(more)[0].why.count("Without a figure: gone (refused).") == 1
