"""The real engine: a small model that is built, tuned and asked by the code of local contestants."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ftlib.training.sandbox.engine import Ask, Interrupted, TinyEngine
from ftlib.training.sandbox.rules import training_settings
from ftlib.training.sandbox.server import Sandbox
from tests.training.sandbox.conftest import KEY, connect, rows

pytestmark = pytest.mark.slow


def settings(epochs: int) -> dict[str, Any]:
    return training_settings({"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": epochs}}}}, 24)[1]


def test_it_learns_goes_on_after_an_interruption_and_answers(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    engine, file = TinyEngine(), tmp_path / "train.jsonl"
    file.write_bytes(rows(24))
    whole: list[dict[str, Any]] = []
    made = engine.tune(file, None, settings(8), tmp_path / "whole", whole.append, lambda: False)
    assert made["trained_tokens"] > 0
    assert whole[-1]["train_loss"] < whole[0]["train_loss"] - 0.5

    seen: list[dict[str, Any]] = []

    def stop_at_third() -> bool:
        if seen and seen[-1]["step"] >= 3:
            raise Interrupted
        return False

    quick = {**settings(8), "checkpoint_steps": 2}
    with pytest.raises(Interrupted):
        engine.tune(file, None, quick, tmp_path / "cut", seen.append, stop_at_third)
    again: list[dict[str, Any]] = []
    engine.tune(file, None, quick, tmp_path / "cut", again.append, lambda: False)
    assert again[0]["step"] == 3
    assert again[-1]["train_loss"] == pytest.approx(whole[-1]["train_loss"], rel=1e-3)

    question = [{"role": "user", "content": "thing 3"}]
    base, tuned = (engine.answer(Ask(model, 16, 0.0, (), 1), [question] * 3) for model in (None, str(tmp_path / "whole")))
    assert tuned[0].text == tuned[1].text == tuned[2].text
    assert base[0].text != tuned[0].text
    assert 0 < tuned[0].tokens_out <= 16


def test_a_job_over_http(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with Sandbox(tmp_path / "s", TinyEngine(), KEY) as sandbox:
        client = connect(sandbox)
        file = client.files.create(file=("t.jsonl", rows(16)), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(model="tiny-hosted", training_file=file.id, hyperparameters={"n_epochs": 1})
        until = time.monotonic() + 250
        while (job := client.fine_tuning.jobs.retrieve(job.id)).status not in ("succeeded", "failed") and time.monotonic() < until:
            time.sleep(0.5)
        assert job.status == "succeeded", job.error
        assert job.fine_tuned_model is not None
        said = client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "thing 3"}], max_tokens=8)
        assert said.usage is not None
        assert said.usage.completion_tokens <= 8
