"""The hosted trainer over real HTTP, through the real client."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import BudgetExceeded, Refused, TrainingFailed
from ftlib.files import read_json
from ftlib.training import train_or_report
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeRun, MakeTrainer, prompts
from tests.training.sandbox.stubs import StubEngine


def test_a_job_is_trained_watched_and_reported(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    trainer = make_trainer()
    trainer.train()
    folder = trainer.run.folder("h")
    report, job = read_json(folder / "training.json"), read_json(folder / "job.json")
    assert report["status"] == "done"
    assert report["tuned_model"].startswith("ft:tiny-hosted:")
    assert report["tokens"]["billed"] == 2000
    assert report["how"]["tokens.billed"] == "billed"
    assert [point["train"] for point in report["loss"]] == pytest.approx([2.0, 1.0, 2 / 3])
    assert report["loss"][-1]["valid"] == 1.5
    assert report["money_usd"] == 0.0
    assert report["na"]["energy_wh"]
    assert report["examples"] == {"seen": 24, "distinct": 12}
    assert job["events"][0]["message"].startswith("Created fine-tuning job")
    assert job["events"][-1]["message"] == "The job has successfully completed"
    assert sandbox.seen.count("files.create") == 2
    assert sandbox.seen.count("jobs.create") == 1


def test_training_again_asks_for_nothing_new(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    first = make_trainer()
    first.train()
    make_trainer(first.run).train()
    assert sandbox.seen.count("jobs.create") == 1
    assert sandbox.seen.count("files.create") == 2


def test_a_machine_that_goes_away_leaves_its_job_on_the_drive(make_trainer: MakeTrainer, make_run: MakeRun, sandbox: Sandbox, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    make_trainer(make_run(drive=drive)).train()
    shutil.rmtree(tmp_path / "run")
    fresh = make_trainer(make_run(drive=drive))
    fresh.train()
    assert read_json(fresh.run.folder("h") / "training.json")["status"] == "done"
    assert sandbox.seen.count("jobs.create") == 1
    assert sandbox.seen.count("files.create") == 2


def test_a_changed_setting_is_another_job(make_trainer: MakeTrainer, make_run: MakeRun, sandbox: Sandbox) -> None:
    make_trainer(make_run()).train()
    trainer = make_trainer(make_run(epochs=3))
    trainer.train()
    intent = read_json(trainer.run.folder("h") / "intent.json")
    assert sandbox.seen.count("jobs.create") == 2
    assert len(intent["earlier"]) == 1
    assert read_json(trainer.run.folder("h") / "training.json")["epochs"] == 3


def test_a_change_that_is_taken_back_buys_nothing_again(make_trainer: MakeTrainer, make_run: MakeRun, sandbox: Sandbox) -> None:
    made = []
    for epochs in (2, 3, 2, 3):
        trainer = make_trainer(make_run(epochs=epochs))
        trainer.train()
        made.append(read_json(trainer.run.folder("h") / "training.json")["tuned_model"])
    assert made[0] == made[2] != made[1] == made[3]
    assert sandbox.seen.count("jobs.create") == 2
    assert sandbox.seen.count("files.create") == 4


@pytest.mark.parametrize("stands_against_it", ["no budget", "a date", "a rule"])
def test_a_job_that_is_there_is_not_given_up_for_what_forbids_a_new_one(
    make_trainer: MakeTrainer, make_run: MakeRun, sandbox: Sandbox, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch, stands_against_it: str
) -> None:
    make_trainer(make_run(**paid, budget=1.0)).train()
    run = make_run(**paid, budget=0.0 if stands_against_it == "no budget" else 1.0)

    def refuse(*args: Any, **more: Any) -> None:
        raise Refused("no longer")

    if stands_against_it != "no budget":
        monkeypatch.setattr(f"ftlib.training.hosted.before.check_{'dates' if stands_against_it == 'a date' else 'files'}", refuse)
    again = make_trainer(run)
    assert again.preview()["refused"] is None
    again.train()
    assert read_json(run.folder("h") / "training.json")["status"] == "done"
    assert again.ledger.spent_usd == pytest.approx(2000 * 3e-6)
    assert sandbox.seen.count("jobs.create") == 1


def test_base_and_tuned_answer(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    trainer = make_trainer()
    trainer.train()
    asked = prompts(20)
    base = dict(trainer.ask(asked, tuned=False))
    tuned = dict(trainer.ask(asked, tuned=True))
    assert sorted(base) == list(range(20))
    assert all(base[i].text == asked[i].user and tuned[i].text == asked[i].user.upper() for i in range(20))
    assert base[0].finish == "stop"
    assert base[0].tokens_in == len(asked[0].user.split())
    assert base[0].usd == 0.0
    assert base[0].fingerprint
    assert base[0].seconds is not None
    assert base[0].rendered_hash != base[1].rendered_hash


def test_asking_before_training_is_refused(make_trainer: MakeTrainer, sandbox: Sandbox) -> None:
    with pytest.raises(Refused, match="has not been trained"):
        list(make_trainer().ask(prompts(1), tuned=True))


@pytest.mark.parametrize(("fields", "reason"), [({"existing": "tiny-hosted"}, "exists already"), ({"few_shot": 2}, "stand in the prompt")])
def test_contestants_with_nothing_to_train(make_trainer: MakeTrainer, sandbox: Sandbox, fields: dict[str, Any], reason: str) -> None:
    trainer = make_trainer(**fields)
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["status"] == "nothing_to_train"
    assert reason in report["reason"]
    assert not sandbox.seen
    answer = next(iter(dict(trainer.ask(prompts(1), tuned="existing" in fields)).values()))
    assert answer.text == prompts(1)[0].user


def test_recorded_answers_are_not_asked_for(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"id": "1", "answer": "x"}\n')
    trainer = make_trainer(provider=None, model="", recorded=str(tmp_path / "answers.jsonl"))
    trainer.train()
    assert "recorded earlier" in read_json(trainer.run.folder("h") / "training.json")["reason"]
    with pytest.raises(Refused, match="recorded"):
        list(trainer.ask(prompts(1), tuned=True))


def test_a_preview_sends_nothing_and_shows_the_request(make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any]) -> None:
    found = make_trainer(**paid, budget=1.0).preview()
    assert not sandbox.seen
    assert [sent["to"] for sent in found["sends"]] == ["files", "files", "fine_tuning/jobs"]
    assert found["sends"][-1]["method"]["supervised"]["hyperparameters"] == {"n_epochs": 2}
    assert found["estimate"]["money_usd"] == pytest.approx(found["estimate"]["tokens"]["billed"] * 3e-6)
    assert found["estimate"]["worst_usd"] >= found["estimate"]["money_usd"]
    json.dumps(found)


@pytest.mark.parametrize("fault", ["403", "model-gone", "region", "balance", "quota", "401"])
def test_a_refusal_is_one_request_and_the_others_go_on(make_run: MakeRun, sandbox: Sandbox, fault: str) -> None:
    sandbox.faults.add(f"{fault}@any*all")
    run = make_run()
    report = train_or_report(run, run.contestant("h"))
    assert report["status"] == "refused"
    assert "HTTP" in report["reason"]
    assert len(sandbox.seen) == 1


@pytest.mark.parametrize("fault", ["403", "model-gone", "region", "balance", "quota", "401", "not-deployed"])
def test_a_refused_answer_is_one_request_and_nothing_spent(make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], fault: str) -> None:
    sandbox.faults.add(f"{fault}@chat*all")
    trainer = make_trainer(**paid, budget=5.0, existing="tiny-hosted")
    with pytest.raises(Refused, match="HTTP"):
        list(trainer.ask(prompts(40), tuned=True))
    assert sandbox.seen == ["chat"]
    assert trainer.ledger.spent_usd == 0.0


def test_a_model_that_is_shut_down_is_refused_before_anything_is_sent(make_run: MakeRun, sandbox: Sandbox) -> None:
    run = make_run(model="acme/tiny-hosted-gone")
    run.profile.models["acme/tiny-hosted-gone"] = {"id": "tiny-hosted-gone"}
    report = train_or_report(run, run.contestant("h"))
    assert report["status"] == "refused"
    assert "2026-01-14" in report["reason"]
    assert sandbox.seen == ["models.get"]


def test_no_budget_no_paid_call(make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any]) -> None:
    run = make_run(**paid)
    assert "budget_usd is 0" in train_or_report(run, run.contestant("h"))["reason"]
    with pytest.raises(Refused, match="budget_usd is 0"):
        list(make_trainer(make_run(**paid, existing="tiny-hosted", folder="other")).ask(prompts(1), tuned=True))
    assert not sandbox.seen


def test_a_training_that_the_budget_does_not_hold_is_refused(make_run: MakeRun, sandbox: Sandbox, paid: dict[str, Any]) -> None:
    run = make_run(**paid, budget=0.0001)
    assert "budget of 0.0001" in train_or_report(run, run.contestant("h"))["reason"]
    assert not sandbox.seen


def test_a_paid_training_is_settled_with_what_was_billed(make_trainer: MakeTrainer, paid: dict[str, Any]) -> None:
    trainer = make_trainer(**paid, budget=1.0)
    trainer.train()
    assert read_json(trainer.run.folder("h") / "training.json")["money_usd"] == pytest.approx(2000 * 3e-6)
    assert trainer.ledger.spent_usd == pytest.approx(2000 * 3e-6)


@pytest.mark.parametrize("fault", ["400@jobs.create", "400@files.create", "403@jobs.create", "500@files.create*all"])
def test_money_of_a_job_that_was_not_made_is_given_back(
    make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    sandbox.faults.add(fault)
    trainer = make_trainer(make_run(**paid, budget=1.0))
    real = trainer.link().clock.sleep
    monkeypatch.setattr(trainer.link().clock, "sleep", lambda seconds: real(min(seconds, 0.02)))
    with pytest.raises((Refused, TrainingFailed)):
        trainer.train()
    assert trainer.ledger.spent_usd == 0.0
    sandbox.faults.clear()
    make_trainer(trainer.run).train()
    assert trainer.ledger.spent_usd == pytest.approx(2000 * 3e-6)


@pytest.mark.parametrize(
    ("fault", "billed", "usd"),
    [("fail-validating", None, 0.0), ("cancel-running", 1000, 1000 * 3e-6), ("fail-running", None, None), ("fail-queued", None, None)],
)
def test_a_job_without_a_model_costs_what_the_provider_says(
    make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any], fault: str, billed: int | None, usd: float | None
) -> None:
    sandbox.faults.add(fault)
    real = sandbox.api.store.change
    if billed:
        told = {"trained_tokens": billed}
        sandbox.api.store.change = lambda kind, i, **f: real(kind, i, **f, **(told if "finished_at" in f else {}))  # type: ignore[method-assign]
    run = make_run(**paid, budget=1.0)
    for _ in range(2):
        trainer = make_trainer(run)
        with pytest.raises(TrainingFailed, match="To start anew"):
            trainer.train()
        worst = trainer.estimate()["worst_usd"]
        assert trainer.ledger.spent_usd == pytest.approx(worst if usd is None else usd)


def test_tokens_of_which_none_are_told_are_not_billed_as_none(
    make_trainer: MakeTrainer, engine: StubEngine, monkeypatch: pytest.MonkeyPatch, paid: dict[str, Any]
) -> None:
    real = engine.tune
    monkeypatch.setattr(engine, "tune", lambda *args: {**real(*args), "trained_tokens": 0})
    trainer = make_trainer(**paid, budget=1.0)
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["money_usd"] == pytest.approx(trainer.estimate()["money_usd"])
    assert report["money_usd"] > 0
    assert (report["how"]["money_usd"], report["how"]["tokens.billed"]) == ("estimated", "estimated")
    assert trainer.ledger.spent_usd == pytest.approx(trainer.estimate()["worst_usd"])


def test_an_unknown_price_is_refused_not_guessed(make_run: MakeRun, paid: dict[str, Any], sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("[]")
    run = make_run(**paid, budget=1.0)
    assert "add a row" in train_or_report(run, run.contestant("h"))["reason"]
    assert not sandbox.seen


def test_the_budget_stops_answers_and_keeps_those_paid_for(make_trainer: MakeTrainer, sandbox: Sandbox, paid: dict[str, Any]) -> None:
    trainer = make_trainer(**paid, budget=1.0, existing="tiny-hosted")
    got: list[tuple[int, float | None]] = []
    with pytest.raises(BudgetExceeded, match="Raise budget_usd") as caught:
        got.extend((position, answer.usd) for position, answer in trainer.ask(prompts(200), tuned=True))
    assert 3 <= len(got) < 200
    assert f"{200 - len(got)} of 200 answers remain" in str(caught.value)
    assert sandbox.seen.count("chat") == len(got)
    assert trainer.ledger.spent_usd == pytest.approx(sum(usd or 0 for _, usd in got))
    assert trainer.ledger.spent_usd <= 1.0


def test_a_job_of_unknown_cost_does_not_hold_up_what_the_budget_stops(
    make_trainer: MakeTrainer, engine: StubEngine, monkeypatch: pytest.MonkeyPatch, paid: dict[str, Any]
) -> None:
    real = engine.tune
    monkeypatch.setattr(engine, "tune", lambda *args: {**real(*args), "trained_tokens": None})
    trainer = make_trainer(**paid, budget=0.03)
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["how"]["money_usd"] == "estimated"
    assert trainer.ledger.spent_usd >= report["money_usd"]
    with pytest.raises(BudgetExceeded, match="1 of 1 answers remain"):
        list(trainer.ask(prompts(1), tuned=False))


def test_a_bad_file_is_refused_with_its_line_and_nothing_sent(make_run: MakeRun, sandbox: Sandbox) -> None:
    run = make_run()
    path = run.folder("h") / "train.jsonl"
    lines = path.read_text().splitlines()
    lines[4] = '{"messages": [{"role": "user", "content": "only a question"}]}'
    path.write_text("\n".join(lines) + "\n")
    report = train_or_report(run, run.contestant("h"))
    assert report["status"] == "refused"
    assert "line 5" in report["reason"]
    assert not sandbox.seen


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "fail-validating",
            "Line 3: expected a list of messages. That line of train.jsonl asks: 'Describe it.\\n\\nthing number 1002'. To start anew",
        ),
        ("fail-queued", "scheduled. To"),
        ("fail-running", "step 2. To"),
        ("cancel-running", "cancelled"),
    ],
)
def test_a_failed_job_shows_the_reason_and_is_not_bought_again(make_run: MakeRun, sandbox: Sandbox, fault: str, words: str) -> None:
    sandbox.faults.add(fault)
    run = make_run()
    for _ in range(2):
        report = train_or_report(run, run.contestant("h"))
        assert report["status"] == "failed"
        assert words in report["reason"]
        assert "intent.json" in report["reason"]
    assert sandbox.seen.count("jobs.create") == 1


def test_an_unknown_model_is_a_failure_of_that_contestant_alone(make_run: MakeRun, sandbox: Sandbox) -> None:
    run = make_run(model="acme/unheard-of")
    report = train_or_report(run, run.contestant("h"))
    assert report["status"] == "refused"
    assert sandbox.seen == ["models.get"]


def test_a_service_that_is_not_there_is_named(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLIB_SANDBOX_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("FTLIB_SANDBOX_KEY", "k-1234567")
    run = make_run()
    report = train_or_report(run, run.contestant("h"))
    assert report["status"] == "failed"
    assert "cannot be reached" in report["reason"]


def test_estimates_are_refused_without_files(make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    run = make_run()
    (run.folder("h") / "train.jsonl").unlink()
    with pytest.raises(Refused, match="notebook 02"):
        make_trainer(run).estimate()


def test_failures_are_typed_for_the_chain() -> None:
    from ftlib.errors import ServiceDown, Unclear

    assert issubclass(ServiceDown, TrainingFailed)
    assert issubclass(Unclear, TrainingFailed)


def test_the_loss_curve_of_checkpoints(make_trainer: MakeTrainer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at Nebius: no result file, no losses in the events."""
    losses = {"step": 2, "train_loss": 0.7, "train_mean_token_accuracy": 0.6, "valid_loss": 0.8, "full_valid_loss": None}
    told = [{"id": "c2", "step_number": 2, "metrics": losses}, {"id": "c1", "step_number": 1, "metrics": {"train_loss": 0.9}}, {"id": "c0"}]
    monkeypatch.setattr(sandbox.api, "_page", lambda things, query: {"data": told, "has_more": False})
    trainer = make_trainer(quick={"can": {"events": False}})
    monkeypatch.setattr("ftlib.training.hosted.trainer.parse_metrics", lambda raw: [])
    trainer.train()
    curve = read_json(trainer.run.folder("h") / "training.json")["loss"]
    assert [(point["step"], point["train"], point["valid"]) for point in curve] == [(1, 0.9, None), (2, 0.7, 0.8)]
    assert [kept["id"] for kept in read_json(trainer.run.folder("h") / "job.json")["checkpoints"]] == ["c2", "c1", "c0"]


@pytest.mark.parametrize("fault", ["403", "500", "model-gone", "html"])
def test_a_result_file_that_cannot_be_had_does_not_spoil_a_job_that_was_paid(
    make_run: MakeRun, make_trainer: MakeTrainer, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    sandbox.faults.add(f"{fault}@files.content*all")
    trainer = make_trainer(make_run())
    real = trainer.link().clock.sleep
    monkeypatch.setattr(trainer.link().clock, "sleep", lambda seconds: real(min(seconds, 0.02)))
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["status"] == "done"
    assert len(report["loss"]) == 3
