"""Figures, costs, verdicts, choices and rankings: the rules, on runs made to need each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftlib.comparison.build import build
from ftlib.comparison.choice import as_good
from ftlib.comparison.cost import break_even, break_even_price, costs, hour_price, machine
from ftlib.comparison.flexibility import flexibility
from ftlib.comparison.load import Material, load_run
from ftlib.comparison.pairs import difference, pair
from ftlib.comparison.ranking import ranking, read_weights
from ftlib.comparison.table import Figure, decimals, number, stored
from ftlib.errors import DataError, ProfileError
from ftlib.files import read_json, write_json
from ftlib.runs import Run
from tests.comparison.conftest import CONTESTANTS, LEVEL

BASE = {"llama.base": 0.55, "llama.tuned": 1.0, "gpt.base": 0.62, "gpt.tuned": 1.02, "echo": 0.3, "constant": 0.35, "nearest": 0.6}


@pytest.fixture(scope="module")
def material(run: Run) -> Material:
    return load_run(run)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1234.5, 1, "1,234.5"),
        (0.0, 2, "0.00"),
        (-0.0, 1, "0.0"),
        (0.004, 1, "0.004"),
        (-0.004, 1, "-0.004"),
        (2.971521, 2, "2.97"),
        (1e-6, 2, "1.0e-06"),
    ],
)
def test_numbers_never_round_something_to_nothing(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


@pytest.mark.parametrize(
    ("value", "digits", "wanted"), [(0.0037, 2, 4), (-0.0037, 2, 4), (0.0106, 2, 2), (0.0, 2, 2), (12.3, 1, 1), (3e-9, 4, 6), (0.04, 0, 3)]
)
def test_a_cell_has_the_decimals_at_which_a_small_number_is_not_0(value: float, digits: int, wanted: int) -> None:
    assert decimals(value, digits) == wanted


def test_a_figure_that_is_not_known_says_why() -> None:
    report = {"memory": {"rss_bytes": None}, "na": {"memory": "the provider does not say"}, "how": {"money_usd": "billed"}, "money_usd": 2.97}
    assert stored(report, "memory.rss_bytes").text() == "n/a: the provider does not say"
    assert stored(report, "energy_wh").text() == "n/a: not recorded"
    assert stored(report, "money_usd", digits=2).text() == "2.97 billed"
    assert stored({"x": 1, "how": {"x": "estimated"}}, "x").text() == "1.0 est."


def test_differences_turn_with_their_order(material: Material) -> None:
    one, two = difference(material, "llama.tuned", "llama.base"), difference(material, "llama.base", "llama.tuned")
    assert (one.value, one.low, one.high) == (-two.value if two.value else None, -two.high if two.high else None, -two.low if two.low else None)
    assert one.mark == two.mark == "*"
    assert difference(material, "llama.tuned", "nobody").text() == "n/a: this pair was not tested"


def test_the_hour_price_is_of_the_device_that_was_named() -> None:
    assert machine({"name": "Tesla T4", "kind": "cuda"}) == "t4"
    assert machine({"name": "NVIDIA A100-SXM4-80GB", "kind": "cuda"}) == "a100-80"
    assert machine({"name": "NVIDIA A100-SXM4-40GB", "kind": "cuda"}) == "a100"
    assert machine({"name": "NVIDIA H200", "kind": "cuda"}) == "h200"
    assert machine({"name": "x86_64", "kind": "cpu"}) == "cpu"
    price, source = hour_price("t4", None)
    assert price.value is not None
    assert price.value > 0
    assert "20" in source
    assert not hour_price("abacus", None)[0].known


def test_costs_follow_their_formulas(material: Material) -> None:
    found = costs(material)
    llama, gpt = found["llama.tuned"], found["gpt.tuned"]
    price, seconds = llama.hour_price.value, llama.seconds.value
    assert price is not None
    assert seconds is not None
    assert llama.total(2_000) == pytest.approx(797 / 3600 * price + 2_000 * seconds / 3600 * price)
    assert llama.paid(2_000) == 0
    assert gpt.total(2_000) == pytest.approx(2.971521 + 0.06 * 2)
    assert llama.total(1_000, gpu=2) == pytest.approx(2 * (llama.total(1_000) or 0))
    assert gpt.total(1_000, gpu=2) == gpt.total(1_000)


def test_a_model_that_a_provider_keeps_ready_by_the_hour_costs_a_month_of_it(make_run: Callable[..., Run]) -> None:
    azure = [{**CONTESTANTS[1], "provider": "azure"} if one["name"] == "gpt" else one for one in CONTESTANTS]
    comparison = build(load_run(make_run(contestants=azure, level={**LEVEL, "gpt.tuned": 2.0})))
    base, tuned, local = (comparison.costs[name] for name in ("gpt.base", "gpt.tuned", "llama.tuned"))
    assert (base.hosting.value, local.hosting.value) == (0, 0)
    assert tuned.hosting.value == pytest.approx(1.70 * 730)
    assert tuned.total(2_000) == tuned.paid(2_000) == pytest.approx(2.971521 + 1241 + 0.06 * 2)
    assert break_even_price(local, tuned, 1_000).value == pytest.approx(
        (2.971521 + 1241 + 0.06) / (local.train_hours.value + (local.machine_hours(1_000) or 0))
    )
    notes = " ".join(comparison.tables["cost"].notes)
    assert "gpt.tuned is kept ready at 1.70 USD an hour; azure, 2026-03-19: Microsoft Foundry" in notes
    assert all("1,241.00 est. USD a month of it keep gpt.tuned ready" in choice.why for choice in comparison.verdict.choices)


def test_where_the_price_of_keeping_it_ready_is_not_known_the_row_to_add_is_told(make_run: Callable[..., Run]) -> None:
    unheard = [{**CONTESTANTS[1], "provider": "azure", "model": "ministral-3b"} if one["name"] == "gpt" else one for one in CONTESTANTS]
    comparison = build(load_run(make_run(contestants=unheard)))
    assert comparison.costs["gpt.tuned"].total(1) is None
    assert "gpt.tuned: what azure charges for keeping Ministral-3B ready is not known; add a row" in " ".join(comparison.tables["cost"].notes)


def test_break_evens_are_where_the_totals_meet(material: Material) -> None:
    found = costs(material)
    base, tuned, local = found["gpt.base"], found["gpt.tuned"], found["llama.tuned"]
    assert not break_even(base, tuned).known
    assert "gpt.base is cheaper at every number" in break_even(base, tuned).na
    crossing = break_even(found["llama.base"], tuned)
    if crossing.known:
        assert found["llama.base"].total(crossing.value or 0) == pytest.approx(tuned.total(crossing.value or 0))
    price = break_even_price(local, tuned, 1_000_000).value
    assert price is not None
    assert local.hour_price.value is not None
    assert local.total(1_000_000, gpu=price / local.hour_price.value) == pytest.approx(tuned.total(1_000_000))


def decide(run: Run) -> dict[str, str]:
    return {finding.contestant: finding.decision for finding in build(load_run(run)).verdict.findings}


@pytest.mark.parametrize(
    ("level", "llama", "headline"),
    [
        ({}, "fine-tuning helps", "Fine-tuning is worth it"),
        ({"llama.tuned": 0.2, "gpt.tuned": 0.3}, "do not fine-tune", "Do not fine-tune"),
        (
            {"nearest": 1.1, "constant": 1.1},
            "do not fine-tune",
            "Do not fine-tune: no tuned system is shown to do better than one constant answer and the description of the nearest",
        ),
        (
            {"nearest": 1.1},
            "do not fine-tune",
            "Do not fine-tune: a yardstick that needs no model leads, the description of the nearest training title",
        ),
    ],
)
def test_verdicts(make_run: Callable[..., Run], level: dict[str, float], llama: str, headline: str) -> None:
    run = make_run(level={**BASE, **level})
    comparison = build(load_run(run))
    assert decide(run)["llama"] == llama
    assert decide(run)["gone"] == "refused"
    assert comparison.verdict.headline.startswith(headline)


def test_a_tuned_system_that_was_refused_while_it_answered_stands_with_its_reason(make_run: Callable[..., Run]) -> None:
    run = make_run(level=BASE)
    path = run.path / "scores" / "summary.json"
    summary = read_json(path)
    summary["systems"]["gpt.tuned"] |= {"status": "refused", "reason": "HTTP 403: not yours", "metrics": {}, "flags": {}, "n": 0}
    write_json(path, summary)
    comparison = build(load_run(run))
    (finding,) = [one for one in comparison.verdict.findings if one.contestant == "gpt"]
    assert finding.decision == "refused"
    assert finding.sentence.startswith("gpt.tuned: HTTP 403: not yours. gpt.base stands at place")
    assert "Not compared, because refused or failed: gone, gpt.tuned." in comparison.limits
    assert list(comparison.material.stopped) == ["gone", "gpt.tuned"]


def test_too_few_items_is_said_where_the_interval_holds_a_gain_worth_having(make_run: Callable[..., Run]) -> None:
    run = make_run(n=8, level={**BASE, "llama.tuned": 0.56, "gpt.tuned": 0.62, "nearest": 0.2})
    edit_pair(run, "llama.tuned", "llama.base", difference=1.0, low=-2.0, high=4.0, p=0.3)
    edit_pair(run, "gpt.tuned", "gpt.base", difference=0.1, low=-0.3, high=0.5, p=0.6)
    assert decide(run)["llama"] == "too few items to tell"
    assert decide(run)["gpt"] == "do not fine-tune"


def test_a_significant_difference_below_the_planning_limit_is_not_forbidden(make_run: Callable[..., Run]) -> None:
    run = make_run(level={**BASE, "llama.tuned": 0.5})
    edit_pair(run, "llama.tuned", "llama.base", difference=-2.1, low=-3.2, high=-0.9, p=0.0002)
    comparison = build(load_run(run))
    assert "Tuning made it worse by 2.1 points" in next(one.sentence for one in comparison.verdict.findings if one.contestant == "llama")
    note = comparison.tables["precision"].notes[0]
    assert note.startswith("60 items show a true difference of 2.9 points of rougeL in four cases of five (80 % power at 5 %")
    assert note.endswith("with * it counts.")


def test_answers_that_were_learned_without_their_end_are_counted(make_run: Callable[..., Run]) -> None:
    run = make_run()
    report = read_json(run.path / "llama" / "training.json")
    write_json(run.path / "llama" / "training.json", {**report, "examples": {**report["examples"], "distinct": 600, "cut": 3}})
    assert build(load_run(run)).tables["training"].notes[1].startswith("llama learned 3 of its 600 answers without their end")


def test_rows_of_like_titles_are_said_to_count_together(make_run: Callable[..., Run]) -> None:
    run = make_run()
    assert not any("drawn as" in note for note in build(load_run(run)).tables["precision"].notes)
    summary = read_json(run.path / "scores" / "summary.json")
    summary["settings"]["clusters"] = 41
    write_json(run.path / "scores" / "summary.json", summary)
    assert any("the 60 items are drawn as 41 groups" in note for note in build(load_run(run)).tables["precision"].notes)


def edit_pair(run: Run, a: str, b: str, metric: str = "rougeL", **values: float) -> None:
    """Set a stored pair, as a minus b."""
    path = run.path / "scores" / "summary.json"
    summary = read_json(path)
    for row in summary["pairs"]:
        if {row["a"], row["b"]} == {a, b} and row["metric"] == metric:
            row.update({"a": a, "b": b, **values, "p_holm": values["p"], "p_permutation": values["p"]})
    write_json(path, summary)


def test_the_choice_is_the_cheapest_of_those_that_are_as_good(material: Material) -> None:
    comparison = build(material)
    assert set(as_good(material)) == {"gpt.tuned", "llama.tuned"}
    for choice in comparison.verdict.choices:
        assert choice.system is not None
        totals = {name: comparison.costs[name].total(choice.volume) or 0 for name in ("gpt.tuned", "llama.tuned")}
        assert choice.system == min(totals, key=lambda name: totals[name])
        assert choice.usd == pytest.approx(totals[choice.system], abs=1e-6)


def test_without_an_hour_price_money_charged_is_counted_and_said(make_run: Callable[..., Run]) -> None:
    run = make_run()
    report = read_json(run.path / "llama" / "training.json")
    write_json(run.path / "llama" / "training.json", {**report, "device": {"name": "abacus", "kind": "mps"}})
    choice = build(load_run(run)).verdict.choices[1]
    assert (choice.system, choice.usd) == ("llama.tuned", 0)
    assert "has no price here" in choice.why
    assert "machine hours" in choice.time


def test_every_system_of_every_table_has_a_figure_or_a_reason(material: Material) -> None:
    for table in build(material).tables.values():
        for row in table.texts():
            for cell in row:
                assert cell != ""
                assert "None" not in cell
                assert not cell.startswith("n/a") or len(cell) > 5 or cell == "n/a"


def test_a_ranking_is_made_only_with_weights_and_tells_how_firm_it_is(material: Material) -> None:
    assert "ranking" not in build(material).tables
    found = costs(material)
    made = ranking(material, found, "precision=2, cost=1")
    assert {str(row["system"]) for row in made.rows} == set(found)
    sums = [cell.value for row in made.rows if isinstance(cell := row["sum"], Figure) and cell.value is not None]
    assert sums == sorted(sums, reverse=True)
    assert made.notes
    cheapest = min(
        (cost for cost in found.values() if cost.fixed.value == 0 and cost.per_1000.value is not None), key=lambda cost: cost.per_1000.value
    )
    assert ranking(material, found, "cost=1").rows[0]["system"] == cheapest.system


@pytest.mark.parametrize("text", ["precison=1", "precision", "precision=x", "precision=-1", "precision=0", "precision=1,precision=2", "cost=inf", ""])
def test_wrong_weights_are_one_sentence(text: str) -> None:
    with pytest.raises(ProfileError, match="weights"):
        read_weights(text)


def test_a_missing_or_damaged_score_file_is_named(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(n=2)
    items = run.path / "scores" / "items.jsonl"
    items.write_bytes(items.read_bytes()[:-40] + b"\n{torn")
    with pytest.raises(DataError, match=r"items\.jsonl, line"):
        load_run(run)
    items.unlink()
    with pytest.raises(DataError, match=r"has no scores/items\.jsonl"):
        load_run(run)


def test_a_pair_is_found_in_either_order(material: Material) -> None:
    rows: list[dict[str, Any] | None] = [pair(material, "gpt.base", "llama.tuned"), pair(material, "llama.tuned", "gpt.base")]
    assert all(rows)


def test_a_judge_is_shown_with_its_controls_and_a_refused_one_with_its_reason(make_run: Callable[..., Run]) -> None:
    run = make_run(n=10)
    path = run.path / "scores" / "summary.json"
    marks = {name: {"value": 4.2, "low": 3.9, "high": 4.5, "unit": "of 5"} for name in ("relevance", "faithfulness", "fluency", "coherence")}
    judge = {
        "judge": {"provider": "openai", "model": "j"},
        "status": "done",
        "reason": None,
        "trusted": False,
        "win_rate_a": 0.7,
        "consistency": 0.8,
        "unparsable": 1,
        "first_position_rate": 0.55,
        "controls": {"constant": {"right": 3, "n": 10, "passed": False}},
        "systems": {
            "gpt.tuned": {"win_rate": 0.7, "low": 0.6, "high": 0.8, "rubric": marks},
            "gpt.base": {"win_rate": 0.3, "low": 0.2, "high": 0.4, "rubric": None},
        },
        "human": {"a": "gpt.tuned", "win_rate_a": 0.6, "n": 30, "agreement": {"kappa": 0.41}},
    }
    write_json(path, {**read_json(path), "judge": judge})
    comparison = build(load_run(run))
    text = str(comparison.tables["judge"].texts()) + " ".join(comparison.tables["judge"].notes)
    assert "70.0 (60.0 to 80.0)" in text
    assert "4.20 (3.90 to 4.50)" in text
    assert "3 of 10 as expected, FAILED" in text
    assert "kappa 0.41" in text
    assert any("failed one of its controls" in limit for limit in comparison.limits)
    write_json(path, {**read_json(path), "judge": {"judge": {}, "status": "refused", "reason": "no budget", "systems": {}, "human": None}})
    refused = build(load_run(run))
    assert "no budget" in " ".join(refused.tables["judge"].notes)
    assert any("No judge was run" in limit for limit in refused.limits)


def test_the_reason_of_a_refusal_stands_once_in_a_table(material: Material) -> None:
    reasons = {str(told["reason"]) for told in (*material.trainings.values(), *material.systems.values()) if told.get("status") == "refused"}
    assert reasons
    for table in build(material).tables.values():
        cells = [cell for row in table.texts() for cell in row]
        assert not [cell for cell in cells if cell.startswith("n/a: ") and any(reason in cell for reason in reasons)], table.key
        if "n/a: refused, see Status" in cells:
            said = [*table.notes, *(str(row.get("status")) for row in table.rows)]
            assert any(reason in text for reason in reasons for text in said), table.key
    notes = build(material).tables["degenerate"].notes
    assert notes[0] == "Status of gone.base and gone.tuned: refused: 403: this organisation cannot create fine-tuning jobs."


def test_a_reason_with_its_status_before_it_stands_once_too(make_run: Callable[..., Run]) -> None:
    run = make_run(n=4)
    path = run.path / "scores" / "summary.json"
    summary = read_json(path)
    why = "403: this organisation cannot create fine-tuning jobs"
    summary["systems"]["gone.base"]["na"] = dict.fromkeys(("metrics", "flags", "latency", "failed", "bits_per_byte"), f"refused: {why}")
    write_json(path, summary)
    table = next(table for key, table in build(load_run(run)).tables.items() if key == "precision")
    row = next(row for row in table.rows if row["system"] == "gone.base")
    assert row["status"] == f"refused: {why}"
    assert next(row for row in table.rows if row["system"] == "gone.tuned")["status"] == "refused, as gone.base"
    assert [cell.text() for key, cell in row.items() if key in ("primary", "degenerate", "bits", "metric.chrf")] == ["n/a: refused, see Status"] * 4  # type: ignore[union-attr]


def test_items_that_failed_in_a_probe_are_counted_under_its_table(material: Material, make_run: Callable[..., Run]) -> None:
    assert len(flexibility(material).notes) == 1, "what the probes are"
    run = make_run(n=20)
    summary = read_json(run.path / "scores" / "summary.json")
    summary["flexibility"]["llama.tuned"]["wording"]["failed"] = 2
    summary["flexibility"]["llama.tuned"]["transfer"]["reverse"]["failed"] = 1
    write_json(run.path / "scores" / "summary.json", summary)
    assert flexibility(load_run(run)).notes[1:] == ["Failed items, scored as not passed or 0: llama.tuned wording 2, llama.tuned reverse 1."]
