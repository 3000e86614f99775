"""What was paid for is not paid for again, whatever is changed that does not concern it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from ftlib.evaluation.answering import LazyTrainer, answer_set
from ftlib.evaluation.questions import ask_task, asking_settings
from ftlib.runs import Run
from ftlib.training import train_contestant
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import TASK, MakeRun, records

Change = Callable[[dict[str, Any], pytest.MonkeyPatch], None]


def answered(run: Run) -> None:
    """Train, and ask the base and the tuned model, as a run does."""
    contestant = run.contestant("h")
    train_contestant(run, contestant)
    with closing(LazyTrainer(run, contestant)) as trainer:
        for system in contestant.systems():
            answer_set(run, contestant, system, "test", ask_task(TASK, records(5)), trainer)


def newer_ftlib(fields: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    patch.setattr("ftlib.__version__", "9.9.9")
    patch.setattr("ftlib.training.hosted.report.versions", lambda: {"ftlib": "9.9.9"})


def slower_pace(fields: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    fields["providers"]["paid"] |= {"requests_per_minute": 6000, "deadline_s": 9.0, "lookup_grace_s": 0.4}


def in_batches(fields: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    fields["batch_api"] = True


def another_is_deployed(fields: dict[str, Any], patch: pytest.MonkeyPatch) -> None:
    fields["providers"]["paid"]["served"] = {"another": "deployment-of-another"}


@pytest.mark.parametrize("change", [newer_ftlib, slower_pace, in_batches, another_is_deployed])
def test_what_does_not_concern_an_answer_does_not_buy_it_again(
    sandbox: Sandbox, make_run: MakeRun, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    paid["providers"]["paid"]["can"] = {"batch": True}
    fields: dict[str, Any] = {**paid, "budget": 50.0}
    answered(make_run(**fields))
    assert (sandbox.seen.count("chat"), sandbox.seen.count("jobs.create")) == (10, 1)
    change(fields, monkeypatch)
    answered(make_run(**fields))
    assert (sandbox.seen.count("chat"), sandbox.seen.count("jobs.create"), sandbox.seen.count("batches.create")) == (10, 1, 0)


def test_another_tuned_model_is_asked_anew(sandbox: Sandbox, make_run: MakeRun, paid: dict[str, Any]) -> None:
    answered(make_run(**paid, budget=50.0))
    answered(make_run(**paid, budget=50.0, epochs=3))
    assert (sandbox.seen.count("chat"), sandbox.seen.count("jobs.create")) == (15, 2)


def test_another_deployment_is_asked_anew(sandbox: Sandbox, make_run: MakeRun, paid: dict[str, Any]) -> None:
    run = make_run(**paid, budget=50.0)
    answered(run)
    paid["providers"]["paid"]["served"] = {"h": "tiny-hosted-closing"}
    answered(make_run(**paid, budget=50.0))
    assert sandbox.seen.count("chat") == 15  # the tuned model's alone
    paid["providers"]["paid"]["served"]["tiny-hosted"] = "tiny-hosted-closing"
    answered(make_run(**paid, budget=50.0))
    assert sandbox.seen.count("chat") == 20  # the base's alone


def test_the_base_of_an_existing_model_is_the_base_of_one_that_is_trained(make_run: MakeRun, paid: dict[str, Any]) -> None:
    """Asked for the one, it is neither asked nor paid for the other."""
    trained = make_run(**paid, budget=50.0)
    there = make_run(**paid, budget=50.0, existing="ft:of-before")
    found = []
    for run in (trained, there):
        contestant = run.contestant("h")
        with closing(LazyTrainer(run, contestant)) as trainer:
            found.append([asking_settings(run, contestant, trainer(), tuned=tuned) for tuned in (False, True)])
    (base, tuned), (other_base, other_tuned) = found
    assert base == other_base
    assert tuned != other_tuned
