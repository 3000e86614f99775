"""The batch endpoint: half the price, nothing asked twice."""

from __future__ import annotations

from typing import Any

import pytest

from ftlib.errors import BudgetExceeded, Refused
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


def test_a_provider_without_batches_is_named(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="has no batch endpoint"):
        list(make_trainer(existing="tiny-hosted", batch_api=True, quick={"can": {"batch": False}}).ask(prompts(1), tuned=True))
