"""A long answering run that is killed again and again: all answers in the end, none paid twice beyond those in flight."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
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
    print("ready", flush=True)
    for place, answer in trainer.ask(prompts, tuned=True):
        store.append({"id": left[place], "text": answer.text, "usd": answer.usd})
    trainer.close()
"""


def kill_again_and_again(sandbox: Sandbox, make_run: MakeRun, engine: StubEngine, paid: dict[str, Any], *, items: int, kills: int) -> None:
    engine.answer_s = 0.02
    run = make_run(**paid, budget=10_000.0, existing="tiny-hosted", concurrency=FLIGHT)
    rng = random.Random(items)
    done = 0
    for attempt in range(kills * 5):
        process = subprocess.Popen([sys.executable, "-c", CODE, str(run.path), str(items)], stdout=subprocess.PIPE, env=dict(os.environ))
        assert process.stdout is not None
        process.stdout.readline()
        if done < kills:
            time.sleep(rng.uniform(0.05, 0.6) * items / kills / 40)
            process.send_signal(signal.SIGKILL)
            done += process.wait() == -signal.SIGKILL
        elif process.wait(timeout=120) == 0:
            break
        assert attempt < kills * 5 - 1
    rows = [json.loads(line) for line in (run.path / "answers.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == list(range(items))
    assert all(row["text"] == f"thing {row['id']}" for row in rows)
    asked = sandbox.seen.count("chat")
    assert items <= asked <= items + done * FLIGHT
    bill = Ledger(run.path / "ledger.jsonl", 10_000.0).bill()
    assert bill["calls"] <= items + done * FLIGHT
    assert bill["spent_usd"] - bill["unsettled_usd"] >= sum(row["usd"] for row in rows) - 1e-6


def test_two_kills(sandbox: Sandbox, make_run: MakeRun, engine: StubEngine, paid: dict[str, Any]) -> None:
    kill_again_and_again(sandbox, make_run, engine, paid, items=120, kills=2)


@pytest.mark.reliability
def test_a_thousand_items_and_twenty_kills(sandbox: Sandbox, make_run: MakeRun, engine: StubEngine, paid: dict[str, Any]) -> None:
    kill_again_and_again(sandbox, make_run, engine, paid, items=1000, kills=20)
