"""Answers on bad days: each fault is an answer or a typed error, within its deadline."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ftlib.errors import Refused, ServiceDown
from ftlib.training.hosted.failures import retry_after
from ftlib.training.sandbox.faults import AFTER, BEFORE, SHAPE
from ftlib.training.sandbox.server import Limit, Sandbox
from tests.training.hosted.helpers import MakeTrainer, prompts
from tests.training.sandbox.stubs import StubEngine

SHORT = {"attempt_s": 0.4, "deadline_s": 0.9}
REFUSED = {"quota", "balance", "401", "403", "region", "model-gone", "not-deployed"}
AT_ONCE = {
    "400": "error",
    "filter-400": "filtered",
    "refusal": "refusal",
    "filtered": "filtered",
    "no-usage": "stop",
    "null-usage": "stop",
    "unknown-finish": "stop",
    "no-finish": "stop",
}
KINDS = {"malformed": {"html", "empty-object", "empty-body", "malformed", "json-list", "not-utf8", "no-choices", "null-choices", "no-message",
                       "null-content", "wrong-type"},
         "lost": {"reset", "reset-after-commit", "close-after-commit", "stall", "stall-first", "drip", "drip-head", "truncated"},
         "rate": {"429", "429-ms", "429-date", "429-long", "429-bare"},
         "server": {"500", "502-html", "503-retry-after", "500-after-commit"},
         "bad": {"400"}, "filtered": {"filter-400"}}  # fmt: skip
FAST = {"403", "html", "429-long", "drip", "filter-400", "refusal", "no-choices", "500"}
ALL = [*BEFORE, *AFTER, *SHAPE]


def case(name: str) -> Any:
    return pytest.param(name, marks=() if name in FAST else pytest.mark.reliability)


@pytest.mark.parametrize("fault", [case(name) for name in ALL])
def test_a_fault_that_stays_is_typed_and_ends_in_time(make_trainer: MakeTrainer, sandbox: Sandbox, fault: str) -> None:
    sandbox.faults.add(f"{fault}@chat*all")
    trainer = make_trainer(existing="tiny-hosted", quick=SHORT)
    trainer.link()
    started = time.monotonic()
    if fault in REFUSED:
        with pytest.raises(Refused):
            list(trainer.ask(prompts(1), tuned=True))
    else:
        ((_, answer),) = trainer.ask(prompts(1), tuned=True)
        expected = AT_ONCE.get(fault, "error")
        assert answer.finish == expected
        if expected == "error":
            assert answer.text is None
            assert answer.error is not None
            kind = answer.error.partition(":")[0]
            assert fault in KINDS[kind], answer.error
        else:
            assert answer.text is not None
    assert time.monotonic() - started < SHORT["deadline_s"] + 0.5


@pytest.mark.parametrize("fault", [case(name) for name in ALL if name not in REFUSED and name not in AT_ONCE and name != "429-long"])
def test_a_fault_that_passes_costs_only_time(make_trainer: MakeTrainer, sandbox: Sandbox, fault: str) -> None:
    sandbox.faults.add(f"{fault}@chat")
    trainer = make_trainer(existing="tiny-hosted", quick={"attempt_s": 0.6})
    asked = prompts(3)
    answers = dict(trainer.ask(asked, tuned=True))
    assert [answers[i].text for i in range(3)] == [prompt.user for prompt in asked]


def test_there_are_enough_faults() -> None:
    assert len(ALL) >= 40


def test_retry_after_is_obeyed(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    sandbox.faults.add("429@chat")
    started = time.monotonic()
    ((_, answer),) = make_trainer(existing="tiny-hosted").ask(prompts(1), tuned=True)
    assert answer.finish == "stop"
    assert 1.0 <= time.monotonic() - started < 2.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "2"}, 2.0), ({"retry-after-ms": "200", "retry-after": "9"}, 0.2), ({"retry-after": "-3"}, 0.0), ({}, None)]
    + [({"retry-after": text}, None) for text in ("inf", "nan", "1e999", "soon", "")],
)
def test_how_long_a_service_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_wait_beyond_the_deadline_is_not_begun(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    sandbox.faults.add("429-long@chat*all")
    started = time.monotonic()
    ((_, answer),) = make_trainer(existing="tiny-hosted").ask(prompts(1), tuned=True)
    assert "would pass the deadline" in (answer.error or "")
    assert time.monotonic() - started < 1.0
    assert sandbox.seen == ["chat"]


def test_nobody_sends_while_the_service_asks_all_to_wait(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    sandbox.faults.add("429-long@chat*all")
    got: list[Any] = []
    started = time.monotonic()
    with pytest.raises(ServiceDown, match=r"10 answers in a row failed at sandbox: .*asked to wait 3\d+ s.* run again .* 40 of 40 answers remain"):
        got.extend(make_trainer(existing="tiny-hosted", concurrency=4).ask(prompts(40), tuned=True))
    assert 10 <= len(got) <= 14
    assert {answer.finish for _, answer in got} == {"error"}
    assert time.monotonic() - started < 2.0
    assert sandbox.seen == ["chat"]


def test_a_limit_without_a_word_on_when_is_waited_out(make_trainer: MakeTrainer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlib.training.hosted.answering.BACKOFF_MOST_S", 0.05)
    monkeypatch.setattr("ftlib.training.hosted.answering.BACKOFF_S", 0.01)
    sandbox.faults.add("429-bare@chat*30")  # OpenAI says so of a tuned model that is still being loaded
    ((_, answer),) = make_trainer(existing="tiny-hosted").ask(prompts(1), tuned=True)
    assert answer.finish == "stop"
    assert sandbox.seen.count("chat") == 31


@pytest.mark.parametrize("fault", ["500", "reset", "html", "400"])
def test_a_service_that_is_down_is_not_asked_on(make_trainer: MakeTrainer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr("ftlib.training.hosted.answering.BACKOFF_S", 0.001)
    trainer = make_trainer(existing="tiny-hosted", concurrency=4)
    got = []
    sandbox.faults.add(f"{fault}@chat*all")
    with pytest.raises(ServiceDown, match="10 answers in a row failed at sandbox"):
        got.extend(trainer.ask(prompts(100), tuned=True))
    assert 10 <= len(got) <= 14
    sandbox.faults.clear()
    assert len(list(trainer.ask(prompts(100), tuned=True))) == 100


def test_requests_that_are_wrong_among_good_ones_are_failures_of_their_own(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    trainer = make_trainer(existing="tiny-hosted", concurrency=1)
    asking = trainer.ask(prompts(30), tuned=True)
    next(asking)
    sandbox.faults.add("400@chat*20")
    assert [answer.finish for _, answer in asking].count("error") == 20


@pytest.mark.parametrize("long_ago", [False, True])
def test_a_model_just_made_may_still_be_loading(make_trainer: MakeTrainer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, long_ago: bool) -> None:
    monkeypatch.setattr("ftlib.training.hosted.answering.BACKOFF_S", 0.01)
    trainer = make_trainer()
    trainer.train()
    if long_ago:
        monkeypatch.setattr("ftlib.training.hosted.trainer.LOADS_S", -1.0)
    sandbox.faults.add("model-gone@chat*3")
    asked = len(sandbox.seen)
    if long_ago:
        with pytest.raises(Refused, match="HTTP 404"):
            list(trainer.ask(prompts(20), tuned=True))
        assert sandbox.seen[asked:] == ["chat"]
        return
    assert [answer.finish for _, answer in trainer.ask(prompts(20), tuned=True)] == ["stop"] * 20
    assert sandbox.seen[asked:].count("chat") == 23
    sandbox.faults.add("model-gone@chat")
    with pytest.raises(Refused, match="HTTP 404"):  # the base is there already, or is not
        list(trainer.ask(prompts(1), tuned=False))


def test_requests_per_minute_are_kept(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    started = time.monotonic()
    answers = list(make_trainer(existing="tiny-hosted", requests_per_minute=600).ask(prompts(30), tuned=True))
    assert len(answers) == 30
    assert time.monotonic() - started >= (30 - 20) / 10 - 0.05  # 10 a second, after a burst of two seconds' worth


@pytest.mark.parametrize("known", [False, True])
def test_a_limit_of_the_account_is_lived_with(make_trainer: MakeTrainer, sandbox: Sandbox, known: bool) -> None:
    sandbox.limit = Limit(600)  # ten a second, after twenty at once
    fields = {"requests_per_minute": 590} if known else {}
    answers = list(make_trainer(existing="tiny-hosted", concurrency=16, quick={"deadline_s": 30.0}, **fields).ask(prompts(50), tuned=True))
    assert [answer.finish for _, answer in answers] == ["stop"] * 50
    assert known == (sandbox.seen.count("chat") == 50)


def test_tokens_per_minute_are_kept(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    started = time.monotonic()
    answers = list(make_trainer(existing="tiny-hosted", tokens_per_minute=6000).ask(prompts(7), tuned=True))
    assert len(answers) == 7
    assert time.monotonic() - started >= 1.0  # some 50 tokens each, 100 a second, 200 at once


def test_no_more_are_under_way_than_permitted_until_they_are_stored(make_trainer: MakeTrainer, sandbox: Sandbox, engine: StubEngine) -> None:
    trainer = make_trainer(existing="tiny-hosted", concurrency=4)
    for stored, _ in enumerate(trainer.ask(prompts(20), tuned=True)):
        time.sleep(0.02)  # a slow store
        assert sandbox.seen.count("chat") <= stored + 4
    assert max(engine.batches) <= 4


def test_leaving_early_sends_no_more(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    trainer = make_trainer(existing="tiny-hosted", concurrency=4)
    asking = trainer.ask(prompts(50), tuned=True)
    next(asking)
    asking.close()  # type: ignore[attr-defined]
    time.sleep(0.2)
    sent = sandbox.seen.count("chat")
    assert sent <= 6
    assert len(list(trainer.ask(prompts(2), tuned=True))) == 2
    assert sandbox.seen.count("chat") == sent + 2


def test_money_of_lost_replies_stays_set_aside(make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any]) -> None:
    sandbox.faults.add("reset-after-commit@chat")
    trainer = make_trainer(**paid, budget=10.0, existing="tiny-hosted")
    ((_, answer),) = trainer.ask(prompts(1), tuned=True)
    bill = trainer.ledger.bill()
    assert bill["calls"] == 2
    assert bill["spent_usd"] == pytest.approx((answer.usd or 0) + bill["unsettled_usd"])
    assert bill["unsettled_usd"] > (answer.usd or 0)


@pytest.mark.parametrize(
    ("fault", "kept"),
    [("500-after-commit", 1), ("500", 1), ("502-html", 1), ("truncated", 1), ("filter-400", 1), ("400", 1)]
    + [(fault, 0) for fault in ("429-ms", "503-retry-after", "403", "quota", "model-gone", "balance")],
)
def test_money_is_given_back_only_where_nothing_was_done(
    make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], fault: str, kept: int
) -> None:
    """Azure bills requests that fail once it has worked on them, and says so."""
    sandbox.faults.add(f"{fault}@chat")
    trainer = make_trainer(**paid, budget=10.0, existing="tiny-hosted")
    _, worst = trainer.preview_answers(prompts(1), tuned=True)
    usd = 0.0
    try:
        ((_, answer),) = trainer.ask(prompts(1), tuned=True)
        usd = answer.usd or 0.0
    except Refused:
        assert not kept
    assert trainer.ledger.spent_usd == pytest.approx(usd + kept * worst)


def test_an_answer_without_usage_counts_at_its_worst(make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any]) -> None:
    sandbox.faults.add("no-usage@chat")
    trainer = make_trainer(**paid, budget=10.0, existing="tiny-hosted")
    ((_, answer),) = trainer.ask(prompts(1), tuned=True)
    assert answer.tokens_in is None
    assert answer.usd == pytest.approx(trainer.ledger.spent_usd)


def test_a_bug_is_raised_and_not_swallowed(make_trainer: MakeTrainer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(existing="tiny-hosted")

    async def broken(request: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(trainer.link().service, "chat", broken)
    with pytest.raises(ZeroDivisionError):
        list(trainer.ask(prompts(3), tuned=True))
