"""The batch endpoint: half the price, nothing asked twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ftlib.errors import BudgetExceeded, Refused, TrainingFailed
from ftlib.files import write_atomic
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeRun, MakeTrainer, prompts


def test_a_batch_gives_the_same_answers_at_half_the_price(sandbox: Sandbox, make_trainer: MakeTrainer, paid: dict[str, Any]) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    one = make_trainer(**paid, budget=50.0, existing="tiny-hosted", folder="one")
    two = make_trainer(**paid, budget=50.0, existing="tiny-hosted", folder="two", batch_api=True)
    asked = [*prompts(10), prompts(1)[0]]
    single, batched = dict(one.ask(asked, tuned=True)), dict(two.ask(asked, tuned=True))
    assert [batched[i].text for i in range(11)] == [single[i].text for i in range(11)]
    assert two.ledger.spent_usd == pytest.approx(one.ledger.spent_usd / 2)
    assert batched[0].usd == pytest.approx((single[0].usd or 0) / 2)
    assert batched[0].seconds is None
    assert sandbox.seen.count("batches.create") == 1


def test_what_a_batch_answered_is_not_asked_again(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    run = make_run(existing="tiny-hosted", batch_api=True)
    asking = make_trainer(run).ask(prompts(6), tuned=True)
    next(asking)
    asking.close()  # type: ignore[attr-defined]
    rest = prompts(6)[1:]
    assert [answer.text for _, answer in make_trainer(run).ask(rest, tuned=True)] == [prompt.user for prompt in rest]
    assert sandbox.seen.count("batches.create") == 1


@pytest.mark.parametrize(
    "fault",
    [
        "reset-after-commit@batches.create",
        "reset-after-commit@files.create",
        "500-after-commit@batches.create",
        "html@batches.get*2",
        "stall@files.content",
    ],
)
def test_a_batch_survives_faults(sandbox: Sandbox, make_trainer: MakeTrainer, fault: str) -> None:
    sandbox.faults.add(fault)
    trainer = make_trainer(existing="tiny-hosted", batch_api=True, quick={"attempt_s": 0.4})
    assert len(dict(trainer.ask(prompts(4), tuned=True))) == 4
    assert len(sandbox.api.store.all("batches")) == 1


def test_a_batch_under_way_is_taken_up_again(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(existing="tiny-hosted", batch_api=True)
    trainer = make_trainer(run)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    sandbox.api.batches._begin = lambda batch_id: None  # type: ignore[method-assign]
    monkeypatch.setattr(trainer.link().clock, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(trainer.ask(prompts(3), tuned=True))
    sandbox.api.batches._run(sandbox.api.store.all("batches")[0]["id"])
    assert len(dict(make_trainer(run).ask(prompts(3), tuned=True))) == 3
    assert sandbox.seen.count("batches.create") == 1


def test_an_item_that_fails_is_an_error_and_asked_again_next_time(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    run = make_run(existing="unheard-of", batch_api=True)
    ((_, answer),) = make_trainer(run).ask(prompts(1), tuned=True)
    assert answer.finish == "error"
    assert "does not exist" in (answer.error or "")
    list(make_trainer(run).ask(prompts(1), tuned=True))
    assert len(sandbox.api.store.all("batches")) == 2


def test_a_batch_stays_within_the_budget(sandbox: Sandbox, make_trainer: MakeTrainer, paid: dict[str, Any]) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    trainer = make_trainer(**paid, budget=0.1, existing="tiny-hosted", batch_api=True)
    with pytest.raises(BudgetExceeded):
        list(trainer.ask(prompts(10), tuned=True))
    assert not sandbox.seen


def names(sandbox: Sandbox) -> set[str]:
    """Of what was asked in the batches that the service holds, whatever became of them."""
    store = sandbox.api.store
    lines = [line for batch in store.all("batches") for line in store.data(batch["input_file_id"]).read_text().splitlines()]
    return {str(json.loads(line)["body"]["messages"][-1]["content"]) for line in lines}


@pytest.mark.parametrize("stopped_by", ["the budget", "403@batches.create", "400@batches.create", "403@files.create"])
def test_a_batch_that_was_never_sent_is_not_paid_for_later(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, paid: dict[str, Any], stopped_by: str
) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    fields = {**paid, "existing": "tiny-hosted", "batch_api": True}
    first = make_trainer(make_run(**fields, budget=0.1 if stopped_by == "the budget" else 50.0))
    if stopped_by != "the budget":
        sandbox.faults.add(stopped_by)
    with pytest.raises((BudgetExceeded, Refused, TrainingFailed)):
        list(first.ask(prompts(10), tuned=True))
    assert first.ledger.spent_usd == 0.0
    other = prompts(12)[10:]
    again = make_trainer(make_run(**fields, budget=50.0))
    answers = dict(again.ask(other, tuned=True))
    assert [answers[i].text for i in range(2)] == [prompt.user for prompt in other]
    assert names(sandbox) == {prompt.user for prompt in other}
    assert again.ledger.spent_usd == pytest.approx(sum(answer.usd or 0 for answer in answers.values()))
    same = dict(again.ask(prompts(3), tuned=True))
    assert len(same) == 3
    assert len({path.name for path in (again.run.folder("h") / "batches").glob("*.jsonl")}) == 4  # an input and an output of each


def test_an_answer_of_a_batch_without_usage_counts_at_its_worst(
    sandbox: Sandbox, make_trainer: MakeTrainer, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    real = sandbox.api._complete
    monkeypatch.setattr(sandbox.api.batches, "_complete", lambda body: {name: value for name, value in real(body).items() if name != "usage"})
    trainer = make_trainer(**paid, budget=50.0, existing="tiny-hosted", batch_api=True)
    answers = dict(trainer.ask(prompts(2), tuned=True))
    _, worst = trainer.preview_answers(prompts(2), tuned=True)
    assert trainer.ledger.spent_usd == pytest.approx(sum(answer.usd or 0 for answer in answers.values()))
    assert trainer.ledger.spent_usd == pytest.approx(worst / 2)


@pytest.mark.parametrize("point", ["before the cost is", "before the output is"])
def test_a_kill_at_the_end_of_a_batch_leaves_its_true_cost(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    run = make_run(**paid, budget=50.0, existing="tiny-hosted", batch_api=True)

    def dying(first: Any, *rest: Any) -> None:
        if point == "before the cost is" or first.name == "0000.jsonl":
            raise KeyboardInterrupt
        write_atomic(first, *rest)

    place = "ledger.Reservation.settle" if "cost" in point else "batch_answering.write_atomic"
    with monkeypatch.context() as patch:
        patch.setattr(f"ftlib.training.hosted.{place}", dying)
        with pytest.raises(KeyboardInterrupt):
            list(make_trainer(run).ask(prompts(3), tuned=True))
    trainer = make_trainer(run)
    answers = dict(trainer.ask(prompts(3), tuned=True))
    assert trainer.ledger.spent_usd == pytest.approx(sum(answer.usd or 0 for answer in answers.values()))
    assert sandbox.seen.count("batches.create") == 1


def test_a_batch_that_answered_nothing_costs_nothing(
    sandbox: Sandbox, make_trainer: MakeTrainer, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    monkeypatch.setattr(sandbox.api.batches, "_begin", lambda batch_id: sandbox.api.store.change("batches", batch_id, status="failed"))
    trainer = make_trainer(**paid, budget=50.0, existing="tiny-hosted", batch_api=True)
    for _ in range(2):
        with pytest.raises(TrainingFailed, match="is failed at paid: no reason was given"):
            list(trainer.ask(prompts(1), tuned=True))
    assert trainer.ledger.spent_usd == 0.0
    assert len(sandbox.api.store.all("batches")) == 1


def test_no_batch_is_larger_than_the_service_takes(sandbox: Sandbox, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlib.training.hosted.batch_answering.MOST", 4)
    answers = dict(make_trainer(existing="tiny-hosted", batch_api=True).ask(prompts(10), tuned=True))
    assert [answers[i].text for i in range(10)] == [prompt.user for prompt in prompts(10)]
    assert len(sandbox.api.store.all("batches")) == 3


def test_a_provider_without_batches_is_named(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="has no batch endpoint"):
        list(make_trainer(existing="tiny-hosted", batch_api=True, quick={"can": {"batch": False}}).ask(prompts(1), tuned=True))
