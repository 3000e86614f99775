"""The batch runner's ways to end."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ftlib import batch
from ftlib.configuration import convert
from ftlib.profile import Profile, load_profile
from ftlib.runs import Run


def test_a_worker_that_was_interrupted_begins_no_other_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path / "run", load_profile("demo"))
    begun: list[str] = []

    def stage(_run: Run, which: batch.Stage, _timeout: float | None) -> bool:
        begun.append(which.output)
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "_stage", stage)
    monkeypatch.setattr(batch, "_interrupted", False)
    for output in ("03_train_local__tiny-llama.ipynb", "04_train_hosted__tiny-hosted.ipynb"):
        with pytest.raises(KeyboardInterrupt):
            batch._in_child(run.path, output, None, 20)
    assert begun == ["03_train_local__tiny-llama.ipynb"]


def test_the_plan_names_a_provider_whose_key_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    contestant = {"name": "gpt", "trainer": "hosted", "provider": "openai", "model": "gpt-4.1-mini"}
    plan = batch.plan_text(Run.create(tmp_path / "run", convert({"name": "p", "contestants": [contestant]}, Profile, "p")))
    assert "no key yet: There is no key for openai: set OPENAI_API_KEY" in plan


def test_the_plan_says_that_a_page_of_before_is_not_of_what_is_asked_now(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", load_profile("demo"))
    assert "from before" not in batch.plan_text(run)
    (run.path / "report.html").write_text("of an earlier profile")
    assert "in the folder from before: report.html; made anew by 06_compare" in batch.plan_text(run)


DESTRUCTOR = """
import os, signal, time
from ftlib.batch import _terminable

class Leaves:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

try:
    with _terminable():
        Leaves()
        time.sleep(20)
except KeyboardInterrupt:
    print("ended")
"""


def test_a_signal_that_a_destructor_swallows_still_ends_the_run() -> None:
    begun = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", DESTRUCTOR], capture_output=True, text=True, check=False, timeout=120)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")
    assert time.monotonic() - begun < 20
