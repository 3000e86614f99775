"""Providers: each spells things its own way, and a new one is a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import MissingExtra, ProfileError, Refused
from ftlib.files import read_json
from ftlib.training.hosted.provider import load_provider
from ftlib.training.hosted.service import connect
from ftlib.training.hosted.starting import job_request
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import KEY, MakeRun, MakeTrainer, prompts

SETTINGS = {"model": "m", "epochs": 2, "batch": None, "lr_multiplier": 0.5, "seed": 7}
FILES = {"train": "file-1", "valid": "file-2"}


def request(name: str) -> dict[str, Any]:
    return job_request(load_provider(name), SETTINGS, "ftlib-0123456789abcdef", "my.model", FILES)


def test_openai_is_the_reference() -> None:
    assert request("openai") == {
        "model": "m", "training_file": "file-1", "validation_file": "file-2", "suffix": "my.model-01234567", "seed": 7,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "learning_rate_multiplier": 0.5}}},
        "metadata": {"ftlib_key": "ftlib-0123456789abcdef"},
    }  # fmt: skip


def test_azure_has_its_own_fields_and_no_dots() -> None:
    made = request("azure")
    assert made["extra_body"] == {"trainingType": "Standard"}
    assert "metadata" not in made
    assert "." not in made["suffix"]
    assert len(made["suffix"]) <= 18
    assert made["suffix"].endswith("-01234567")


def test_nebius_takes_flat_hyperparameters() -> None:
    made = request("nebius")
    assert made["hyperparameters"] == {"n_epochs": 2, "learning_rate_multiplier": 0.5, "lora": True, "packing": False}
    assert "method" not in made
    assert not load_provider("nebius").can.file_status
    assert not load_provider("nebius").can.models


def test_a_provider_of_ones_own_is_a_few_lines() -> None:
    made = load_provider("mine", {"mine": {"base_url": "https://api.example.com/v1", "key_env": ["MY_KEY"], "can": {"events": False}}})
    assert (made.address, made.can.events, made.can.metadata) == ("https://api.example.com/v1", False, True)


def test_fields_of_a_built_in_one_can_be_changed() -> None:
    made = load_provider("openai", {"openai": {"requests_per_minute": 60, "can": {"metadata": False}}})
    assert made.requests_per_minute == 60
    assert (made.can.metadata, made.can.batch) == (False, True)


@pytest.mark.parametrize(("name", "own", "words"), [
    ("opnai", {}, "did you mean 'openai'"), ("mine", {"mine": {}}, "base_url is missing"), ("mine", {"mine": {"base_ulr": "x"}}, "base_url"),
    ("mine", {"mine": {"base_url": "x", "can": {"metdata": True}}}, "metadata"),
])  # fmt: skip
def test_mistakes_are_named(name: str, own: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        load_provider(name, own)


def test_an_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from ftlib.training.hosted.keys import Key

    monkeypatch.delenv("AZURE_OPENAI_BASE_URL", raising=False)
    with pytest.raises(Refused, match="AZURE_OPENAI_BASE_URL"):
        connect(load_provider("azure"), Key("k"))
    monkeypatch.setenv("AZURE_OPENAI_BASE_URL", " https://r.openai.azure.com/openai/v1/ ")
    assert load_provider("azure").address == "https://r.openai.azure.com/openai/v1/"


def test_a_model_that_must_be_deployed_says_so_until_it_is(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    run = make_run(quick={"needs_deployment": True})
    make_trainer(run).train()
    with pytest.raises(Refused, match=r"served: \{h: NAME\}"):
        list(make_trainer(run).ask(prompts(1), tuned=True))
    tuned = read_json(run.folder("h") / "job.json")["fine_tuned_model"]
    again = make_run(quick={"needs_deployment": True, "served": {"h": tuned}})
    assert dict(make_trainer(again).ask(prompts(1), tuned=True))[0].text == prompts(1)[0].user.upper()


def test_a_service_that_names_no_model_says_what_to_deploy(sandbox: Sandbox, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(quick={"needs_deployment": True})
    trainer.train()
    path = trainer.run.folder("h") / "job.json"
    job = {name: value for name, value in read_json(path).items() if name != "fine_tuned_model"}  # as Nebius tells of a job
    path.write_text(json.dumps(job))
    with pytest.raises(Refused, match=rf"{job['id']} is trained and must be deployed"):
        list(trainer.ask(prompts(1), tuned=True))


def test_a_deployment_costs_what_the_model_behind_it_does(sandbox: Sandbox, make_trainer: MakeTrainer, paid: dict[str, Any], tmp_path: Path) -> None:
    rows = [("tiny-hosted", 1), ("ft:tiny-hosted", 3)]
    units = ("input_token", "output_token")
    book = [f"{{provider: paid, model: {m!r}, unit: {u}, usd: {usd}, per: 1000, date: 2026-11-01, source: t}}" for m, usd in rows for u in units]
    book.append("{provider: paid, model: tiny-hosted, unit: training_token, usd: 1, per: 1000000, date: 2026-11-01, source: t}")
    Path(paid["prices"]).write_text("".join(f"- {row}\n" for row in book))
    paid["providers"]["paid"] |= {"needs_deployment": True, "served": {"tiny-hosted": "tiny-hosted-closing", "h": "tiny-hosted-closing"}}
    trainer = make_trainer(**paid, budget=100.0)
    trainer.train()
    base, tuned = (dict(trainer.ask(prompts(1), tuned=state))[0].usd for state in (False, True))
    assert base is not None
    assert tuned == pytest.approx(3 * base)


@pytest.mark.parametrize("lacks", ["events", "checkpoints", "metadata", "file_status", "models", "pause"])
def test_what_a_provider_cannot_do_is_left_out(sandbox: Sandbox, make_trainer: MakeTrainer, lacks: str) -> None:
    trainer = make_trainer(quick={"can": {lacks: False}})
    trainer.train()
    assert read_json(trainer.run.folder("h") / "training.json")["status"] == "done"
    endpoints = {"events": "jobs.events", "checkpoints": "jobs.checkpoints", "file_status": "files.get", "models": "models.get", "pause": "jobs.act"}
    assert endpoints.get(lacks) not in sandbox.seen


def test_cancelling_for_real(sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, engine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from ftlib.cli import main
    from ftlib.training.hosted.watching import JobFile

    engine.steps, engine.step_s = 200, 0.02
    run = make_run()
    trainer = make_trainer(run)
    job = sandbox.api.store.add("jobs", "ftjob", {"status": "queued", "metadata": {}, "private": {}})
    JobFile(run.folder("h") / "job.json").begin(job["id"])
    trainer.close()
    assert main(["cancel", str(run.path), "h"]) == 0
    assert "is now cancelled" in capsys.readouterr().out
    assert main(["cancel", str(run.path), "h"]) == 2  # it is over
    said = capsys.readouterr().err
    assert "is cancelled; it cannot cancel" in said
    assert "again later" not in said
    assert main(["cancel", str(run.path), "h", "--verb", "resume"]) == 2
    assert "cannot resume" in capsys.readouterr().err
    (run.folder("h") / "job.json").unlink()
    assert main(["cancel", str(run.path), "h"]) == 2
    assert "h has no job to cancel" in capsys.readouterr().err


def test_together_without_its_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from ftlib.training.hosted.keys import Key

    monkeypatch.setitem(sys.modules, "together", None)
    with pytest.raises(MissingExtra, match=r"pip install 'together>=3\.1'"):
        connect(load_provider("together"), Key(KEY))


def test_a_client_of_together_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import SimpleNamespace

    from ftlib.training.hosted.keys import Key

    monkeypatch.setitem(sys.modules, "together", SimpleNamespace(__version__="2.42.0"))
    with pytest.raises(MissingExtra, match=r"newer client than 2\.42\.0: pip install 'together>=3\.1'"):
        connect(load_provider("together"), Key(KEY))


def test_every_description_is_package_data() -> None:
    import ftlib

    assert {path.stem for path in (Path(ftlib.__file__).parent / "providers").glob("*.yaml")} == {"openai", "azure", "nebius", "together", "sandbox"}
