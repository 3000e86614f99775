"""What notebook 04 shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftlib.errors import ProfileError
from ftlib.files import read_json, write_jsonl
from ftlib.formatting.shots import shots_of
from ftlib.formatting.task import load_task
from ftlib.training import train_or_report
from ftlib.training.hosted import showing
from ftlib.training.hosted.trainer import HostedTrainer
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeRun, MakeTrainer, records
from tests.training.sandbox.stubs import StubEngine


def test_the_contestant_is_the_first_hosted_one_or_the_one_named() -> None:
    assert showing.hosted_name("demo", "") == "tiny-hosted"
    assert showing.hosted_name("demo", "tiny-hosted") == "tiny-hosted"
    with pytest.raises(ProfileError, match="no hosted contestant of demo; there are: tiny-hosted"):
        showing.hosted_name("demo", "tiny-llama")


def test_a_dry_run_is_one_except_where_nothing_is_charged(
    make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not showing.is_dry(make_trainer(), True)
    assert "ignored" in capsys.readouterr().out
    trainer = make_trainer(**paid, budget=1.0, folder="paid")
    assert showing.is_dry(trainer, True)
    assert not showing.is_dry(trainer, False)
    trainer.provider = msgspec.structs.replace(trainer.provider, needs_deployment=True)
    showing.preview(trainer)
    told = capsys.readouterr().out
    assert "only once you deploy it" in told
    assert '"to": "fine_tuning/jobs"' in told
    assert "budget of the run 1.00" in told
    assert not sandbox.seen


def test_events_curve_and_bill(make_trainer: MakeTrainer, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("IPython")
    trainer = make_trainer()
    trainer.train()
    showing.events(trainer.run, "h")
    showing.bill(trainer.run, "h")
    told = capsys.readouterr().out
    assert "The job has successfully completed" in told
    assert "after step 3 the model is ft:tiny-hosted:sandbox:" in told
    assert "2,000   billed" in told
    assert showing.loss_figure(trainer.run, "h").data.startswith(b"\x89PNG")


def test_the_preview_shows_the_first_answers_too(
    make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for fields in ({}, {"existing": "tiny-hosted", "model": ""}, {"few_shot": 2}):
        trainer = asked(make_trainer(**paid, budget=1.0, **fields))
        showing.preview(trainer)
        told = capsys.readouterr().out
        assert told.count("3 answers of h.") == len(trainer.contestant.systems())
        assert "MODEL-TO-BE" in told or fields
        assert "dollars; the first request" in told
        assert '"content": "' in told
    Path(paid["prices"]).write_text("[]")
    showing.preview(trainer)
    assert "cannot be asked: The price of one input_token" in capsys.readouterr().out
    assert not sandbox.seen


def test_answers_are_shown_as_text(make_trainer: MakeTrainer, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trainer = make_trainer()
    trainer.train()
    trainer.run.curated.mkdir()
    (trainer.run.curated / "valid.jsonl").write_text('{"id": "1", "title": "A <b>mug</b>", "content": "A mug."}\n')
    showing.preview(trainer)
    assert '"to": "chat/completions", "model": "ft:tiny-hosted' in capsys.readouterr().out
    showing.print_answers(showing.sample_answers(trainer))
    told = capsys.readouterr().out
    assert "TITLE     A <b>mug</b>" in told
    assert "A <B>MUG</B>" in told


def test_a_job_of_earlier_settings_is_not_shown_as_this_one(
    make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    make_trainer(make_run()).train()
    run = make_run(epochs=3)
    sandbox.faults.add("403@jobs.create")
    assert train_or_report(run, run.contestant("h"))["status"] == "refused"
    showing.events(run, "h")
    assert showing.loss_figure(run, "h") is None
    told = capsys.readouterr().out
    assert "there is no job with these settings" in told
    assert "successfully" not in told


def asked(trainer: HostedTrainer, rows: int = 5) -> HostedTrainer:
    """A trainer whose run has validation rows to ask about."""
    trainer.run.curated.mkdir(exist_ok=True)
    for name in ("train", "valid"):
        write_jsonl(trainer.run.curated / f"{name}.jsonl", records(rows, 100))
    return trainer


@pytest.mark.parametrize(("fault", "words"), [("403@chat*all", "HTTP 403"), ("", "must be deployed"), ("", "budget of 0.0300 dollars is not enough")])
def test_what_stops_the_first_answers_leaves_the_training_done(
    make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    trainer = asked(make_trainer(**paid, budget=0.03 if "budget" in words else 5.0))
    assert train_or_report(trainer.run, trainer.contestant)["status"] == "done"
    trainer.provider = msgspec.structs.replace(trainer.provider, needs_deployment="deployed" in words)
    if fault:
        sandbox.faults.add(fault)
    table = showing.sample_answers(trainer)
    told = capsys.readouterr().out
    assert "h.tuned cannot be asked: " in told
    assert words in told
    assert [row["tuned"] for row in table] == ["n/a"] * 3
    assert (table[0]["base"] != "n/a") == ("deployed" in words)
    assert read_json(trainer.run.folder("h") / "training.json")["status"] == "done"


def test_answers_are_paid_once(
    make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = asked(make_trainer(**paid, budget=5.0))
    trainer.train()
    first, spent = showing.sample_answers(trainer), trainer.ledger.spent_usd
    trainer.close()
    again = make_trainer(trainer.run)
    assert showing.sample_answers(again) == first
    assert all(row["base"] != "n/a" != row["tuned"] for row in first)
    assert (sandbox.seen.count("chat"), again.ledger.spent_usd) == (6, spent)
    showing.preview(again)
    assert capsys.readouterr().out.count("kept from before") == 2
    again.close()
    other = make_trainer(make_run(**paid, budget=5.0, decoding={"temperature": 0.5}))
    showing.sample_answers(other)
    assert sandbox.seen.count("chat") == 12


def test_an_answer_that_failed_is_asked_for_again_and_no_other(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    trainer = asked(make_trainer(existing="tiny-hosted", model=""))
    sandbox.faults.add("400@chat")
    assert [row["tuned"][:5] for row in showing.sample_answers(trainer)].count("(bad:") == 1
    assert not any(row["tuned"].startswith("(") for row in showing.sample_answers(trainer))
    assert sandbox.seen.count("chat") == 4


def test_a_few_shot_contestant_is_shown_and_asked_with_its_examples(
    make_trainer: MakeTrainer, sandbox: Sandbox, engine: StubEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = asked(make_trainer(few_shot=2))
    task = load_task("describe")
    examples = [text for row in shots_of(trainer.run, trainer.contestant) for text in (task.prompt(row).user, task.expected(row))]
    seen: list[Any] = []
    real = engine.answer
    engine.answer = lambda ask, questions: seen.extend(questions) or real(ask, questions)  # type: ignore[method-assign,func-returns-value]
    showing.preview(trainer)
    *_, first, others = capsys.readouterr().out.splitlines()
    request = json.loads(first)
    assert others == "  and the same about 'thing number 101', 'thing number 102'"
    assert not sandbox.seen
    showing.sample_answers(trainer)
    assert request["messages"] in seen
    assert [message["content"] for message in request["messages"] if message["role"] != "system"][:-1] == examples


def test_a_batch_is_left_to_the_evaluation(make_trainer: MakeTrainer, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = asked(make_trainer(existing="tiny-hosted", batch_api=True))
    showing.preview(trainer)
    assert "notebook 05 asks for all of them at once" in capsys.readouterr().out
    assert showing.sample_answers(trainer) == []
    assert not sandbox.seen


def test_the_preview_tells_what_stands_against_it(
    make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def told(trainer: HostedTrainer) -> str:
        showing.preview(trainer)
        return str(capsys.readouterr().out)

    assert "nothing would be sent" not in told(make_trainer(**paid, budget=5.0, folder="good"))
    assert "as things stand nothing would be sent: Training tiny-hosted at paid costs money" in told(make_trainer(**paid, folder="none"))
    assert "of the budget are left; raise budget_usd" in told(make_trainer(**paid, budget=1e-6, folder="small"))
    keyless = {**paid, "providers": {"paid": {**paid["providers"]["paid"], "key_env": ["NO_SUCH_KEY"]}}}
    assert "nothing would be sent: There is no key for paid: set NO_SUCH_KEY" in told(make_trainer(**keyless, budget=5.0, folder="keyless"))
    nowhere = {**paid, "providers": {"paid": {**paid["providers"]["paid"], "base_url": None, "base_url_env": "NO_SUCH_ADDRESS"}}}
    said = told(make_trainer(**nowhere, budget=5.0, folder="nowhere"))
    assert "to the address in NO_SUCH_ADDRESS (paid)" in said
    assert "nothing would be sent: The address of paid is not known: set NO_SUCH_ADDRESS" in said
    bad = make_trainer(**paid, budget=5.0, folder="bad")
    with (bad.run.folder("h") / "train.jsonl").open("a") as file:
        file.write('{"messages": []}\n')
    assert "line 13" in told(bad)
    Path(paid["prices"]).write_text("[]")
    assert "nothing would be sent: The price of one training_token" in told(make_trainer(**paid, budget=5.0, folder="unpriced"))
    assert not sandbox.seen
