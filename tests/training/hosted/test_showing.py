"""What notebook 04 shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftlib.errors import ProfileError
from ftlib.training.hosted import showing
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeTrainer


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
        trainer = make_trainer(**paid, budget=1.0, **fields)
        trainer.run.curated.mkdir(exist_ok=True)
        (trainer.run.curated / "valid.jsonl").write_text('{"id": "1", "title": "A mug", "content": "A mug."}\n' * 5)
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
