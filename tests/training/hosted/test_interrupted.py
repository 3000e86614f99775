"""A watch that is interrupted: what is said of the job, how it is taken up again, and which of its time was training."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftlib.errors import TrainingFailed
from ftlib.files import read_json
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import KEY, MakeTrainer
from tests.training.sandbox.stubs import StubEngine


@pytest.mark.parametrize(
    ("own", "words"),
    [(False, "goes on at sandbox, and costs what it costs. Run the same"), (True, "stops with the sandbox that this run started. Run the same")],
)
def test_a_killed_watch_is_taken_up_again(
    make_trainer: MakeTrainer, sandbox: Sandbox, engine: StubEngine, monkeypatch: pytest.MonkeyPatch, own: bool, words: str
) -> None:
    engine.steps, engine.step_s = 20, 0.02
    trainer = make_trainer()
    said: list[str] = []
    monkeypatch.setattr("ftlib.training.hosted.watching.log.warning", lambda *args: said.append(args[0] % args[1:]))
    real, calls = trainer.link().clock.sleep, []

    def interrupt(seconds: float) -> None:
        calls.append(seconds)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(seconds)

    monkeypatch.setattr(trainer.link().clock, "sleep", interrupt)
    ready: list[int] = []
    child = SimpleNamespace(close=lambda: None, make_ready=lambda: ready.append(sandbox.seen.count("jobs.create")))
    monkeypatch.setattr(trainer, "_child", child if own else None)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert ready == [0] * own, "its model is built before there is a job, whose time that is not"
    assert any(words in text and "To cancel it for real: ftlib cancel" in text for text in said)
    again = make_trainer(trainer.run)
    again.train()
    assert sandbox.seen.count("jobs.create") == 1
    assert read_json(again.run.folder("h") / "training.json")["status"] == "done"


def test_what_a_job_stood_still_with_its_sandbox_is_no_training(make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def started() -> Sandbox:
        sandbox = Sandbox(tmp_path / "service", StubEngine(steps=10, step_s=0.05), KEY)
        monkeypatch.setenv("FTLIB_SANDBOX_URL", sandbox.url)
        monkeypatch.setenv("FTLIB_SANDBOX_KEY", KEY)
        return sandbox

    with started():
        trainer = make_trainer()
        monkeypatch.setattr(trainer.link().clock, "sleep", lambda seconds: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        time.sleep(0.2)
        trainer.close()
    time.sleep(3)
    with started():
        again = make_trainer(trainer.run)
        again.train()
        again.close()
    record, seconds = read_json(trainer.run.folder("h") / "job.json"), read_json(trainer.run.folder("h") / "training.json")["seconds"]
    assert record["finished_at"] - record["created_at"] >= 3
    assert 0.5 < seconds["train"] <= seconds["total"] < 2.5


def test_a_sandbox_without_the_training_libraries_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from ftlib.training.hosted.sandbox_child import SandboxChild
    from ftlib.training.local import load

    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingFailed, match=r"The sandbox cannot train: Local training needs torch.*pip install"):
        SandboxChild.make_ready(SimpleNamespace())  # type: ignore[arg-type]
