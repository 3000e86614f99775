"""A long answering run that is killed again and again: all answers in the end, none paid twice beyond those in flight."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ftlib.training.hosted.ledger import Ledger
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import MakeRun
from tests.training.sandbox.stubs import StubEngine

FLIGHT = 8
CODE = """
import sys
from pathlib import Path
from ftlib.files import AppendLog
from ftlib.formatting.task import Task
from ftlib.runs import Run
from ftlib.training.hosted.trainer import HostedTrainer

run = Run.open(Path(sys.argv[1]))
task = Task(name="describe", max_new_tokens=8)
with AppendLog(run.path / "answers.jsonl") as store:
    known = {row["id"] for row in store.rows()}
    left = [i for i in range(int(sys.argv[2])) if i not in known]
    trainer = HostedTrainer(run, run.contestant("h"))
    prompts = [task.prompt({"id": str(i), "title": f"thing {i}", "content": ""}) for i in left]
    for place, answer in trainer.ask(prompts, tuned=True):
        store.append({"id": left[place], "text": answer.text, "usd": answer.usd})
    trainer.close()
"""


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def kill_again_and_again(sandbox: Sandbox, make_run: MakeRun, engine: StubEngine, paid: dict[str, Any], *, items: int, kills: int) -> None:
    engine.answer_s = 0.02
    run = make_run(**paid, budget=10_000.0, existing="tiny-hosted", concurrency=FLIGHT)
    rng, stored = random.Random(items), run.path / "answers.jsonl"
    stored.touch()
    for _ in range(kills):
        before = lines(stored)
        enough = before + rng.uniform(0.0, 1.8) * items / (kills + 1)  # nine tenths of all on average, so that some are left
        process = subprocess.Popen([sys.executable, "-c", CODE, str(run.path), str(items)], env=dict(os.environ))
        while lines(stored) < min(enough, items - kills) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.04))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert before <= lines(stored) < items, "a kill must come in the middle"
    assert lines(stored) > items / 3
    assert subprocess.run([sys.executable, "-c", CODE, str(run.path), str(items)], env=dict(os.environ), timeout=200, check=False).returncode == 0
    rows = [json.loads(line) for line in stored.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == list(range(items))
    assert all(row["text"] == f"thing {row['id']}" for row in rows)
    asked = sandbox.seen.count("chat")
    assert items <= asked <= items + kills * FLIGHT
    bill = Ledger(run.path / "ledger.jsonl", 10_000.0).bill()
    assert bill["calls"] <= items + kills * FLIGHT
    assert bill["spent_usd"] - bill["unsettled_usd"] >= sum(row["usd"] for row in rows) - 1e-6


def test_two_kills(sandbox: Sandbox, make_run: MakeRun, engine: StubEngine, paid: dict[str, Any]) -> None:
    kill_again_and_again(sandbox, make_run, engine, paid, items=120, kills=2)


@pytest.mark.reliability
def test_a_thousand_items_and_twenty_kills(sandbox: Sandbox, make_run: MakeRun, engine: StubEngine, paid: dict[str, Any]) -> None:
    kill_again_and_again(sandbox, make_run, engine, paid, items=1000, kills=20)
