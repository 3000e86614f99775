"""The judge behind the real client and real HTTP: budget, replay and controls, by the commands that a user types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftlib.cli import main
from ftlib.evaluation import answer_run, score_run
from ftlib.evaluation.judge.prompts import CRITERIA
from ftlib.evaluation.showing import judged as judged_table
from ftlib.files import read_jsonl
from ftlib.runs import Run
from ftlib.training.sandbox.engine import Ask, Said
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.conftest import PRICES
from tests.training.hosted.helpers import KEY, QUICK
from tests.training.sandbox.stubs import StubEngine


class JudgingEngine(StubEngine):
    """A judge of sense: the text that keeps more of the title's words is better, then the longer one; equals are a tie."""

    def answer(self, ask: Ask, questions: Sequence[Sequence[dict[str, Any]]]) -> list[Said]:
        self.batches.append(len(questions))
        return [Said(text, "stop", len(str(messages).split()), 10) for messages in questions for text in [self._say(messages[-1]["content"])]]

    def _say(self, content: str) -> str:
        texts = [part.split("\n", 1)[1].rsplit("\nFENCE-", 1)[0] for part in content.split("\n\nFENCE-")[1:]]
        title = set(texts[0].rsplit("\n\n", 1)[-1].lower().split())  # a request is the instruction, and the title below it
        worth = [(len(title.intersection(text.lower().split())), len(text)) for text in texts[1:]]
        if len(worth) == 1:
            return json.dumps(dict.fromkeys(CRITERIA, 4 if worth[0][0] == len(title) else 1))
        return json.dumps({"better": "tie" if worth[0] == worth[1] else "first" if worth[0] > worth[1] else "second"})


def say(capsys: pytest.CaptureFixture[str], run: Run, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of ``ftlib judge RUN``."""
    code = main(["judge", str(run.path), "--systems", "one.tuned", "one.base", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def log_lines(run: Run) -> list[dict[str, Any]]:
    return list(read_jsonl(run.path / "scores" / "judge-record.jsonl"))


@pytest.fixture
def scored(make_run: Callable[..., Run], trainers: Any, tmp_path: Path) -> Callable[..., Run]:
    """Makes a run that was answered and scored; ``paid`` is the service at this address, as one that costs a dollar a thousand tokens."""

    def make(url: str, budget: float = 0.0) -> Run:
        run = make_run()
        answer_run(run)
        score_run(run)
        (tmp_path / "prices.yaml").write_text(PRICES)
        providers = {"sandbox": QUICK, "paid": {"base_url": url, "key_env": ["FTLIB_SANDBOX_KEY"], **QUICK}}
        return with_budget(Run(run.path, msgspec.structs.replace(run.profile, providers=providers, prices=str(tmp_path / "prices.yaml"))), budget)

    return make


def with_budget(run: Run, usd: float) -> Run:
    return Run.create(run.path, msgspec.structs.replace(run.profile, budget_usd=usd))


def test_a_judge_of_sense_over_http_passes_its_controls_and_is_replayed(scored, capsys, monkeypatch, tmp_path):
    engine = JudgingEngine()
    with Sandbox(tmp_path / "service", engine, KEY) as service:
        monkeypatch.setenv("FTLIB_SANDBOX_URL", service.url)
        monkeypatch.setenv("FTLIB_SANDBOX_KEY", KEY)
        run = scored(service.url)
        code, found = say(capsys, run, "--provider", "sandbox", "--model", "tiny-hosted", "--pairs", "8")
    assert (code, found["status"], found["n"], found["unparsable"], found["consistency"]) == (0, "done", 8, 0, 1.0)
    assert {name: (row["right"], row["n"], row["passed"]) for name, row in found["controls"].items()} == {
        "identical": (8, 8, True),
        "shuffled_reference": (8, 8, True),
        "constant": (8, 8, True),
    }
    assert found["trusted"]
    assert found["wins_a"] == 8
    assert found["systems"]["one.tuned"]["rubric"]["relevance"]["value"] == 4
    asked = len(log_lines(run))
    assert asked == 2 * (8 + 8 + 8) + 2 * 8 + 2 * 8  # controls and pairs in both orders, marks of both systems
    assert all(row["tokens_in"] > 0 and row["usd"] == 0 for row in log_lines(run))
    assert (
        main(["judge", str(run.path), "--systems", "one.tuned", "one.base", "--provider", "sandbox", "--model", "tiny-hosted", "--pairs", "8"]) == 0
    )
    shown = capsys.readouterr().out
    for name in ("identical", "shuffled_reference", "constant"):
        assert f"control {name}: 8 of 8 as they should be: passed" in shown
    table = judged_table({"judge": found})
    assert table.head == ("judge", "one.tuned against one.base")
    assert ("control constant", "8 of 8 as they should be: passed") in table.rows
    assert all(all(row) for row in table.rows)
    (run.path / "steps" / "judge.json").unlink()
    (run.path / "scores" / "judge.json").unlink()
    assert say(capsys, run, "--provider", "sandbox", "--model", "tiny-hosted", "--pairs", "8") == (0, found)  # the service has gone
    assert len(log_lines(run)) == asked


class Reasoner(JudgingEngine):
    """Takes temperature 1 alone, and thinks for 200 tokens before it says its verdict."""

    def answer(self, ask: Ask, questions: Sequence[Sequence[dict[str, Any]]]) -> list[Said]:
        said = super().answer(ask, questions)
        assert ask.temperature == 1.0
        return said if ask.max_tokens >= 200 else [Said("", "length", answer.tokens_in, ask.max_tokens) for answer in said]


def test_a_judge_that_reasons_first_is_given_room(scored, capsys, monkeypatch, tmp_path):
    arguments = ("--provider", "sandbox", "--model", "tiny-hosted", "--pairs", "4", "--temperature", "1")
    with Sandbox(tmp_path / "service", Reasoner(), KEY) as service:
        monkeypatch.setenv("FTLIB_SANDBOX_URL", service.url)
        monkeypatch.setenv("FTLIB_SANDBOX_KEY", KEY)
        run = scored(service.url)
        code, found = say(capsys, run, *arguments)
        assert (code, found["unparsable"]) == (1, 4)
        code, found = say(capsys, run, *arguments, "--max-new-tokens", "400")
    assert (code, found["unparsable"], found["trusted"]) == (0, 0, True)


def test_the_judge_is_paid_from_the_runs_budget_and_stops_at_it(scored, capsys, monkeypatch, tmp_path):
    arguments = ("--provider", "paid", "--model", "tiny-hosted", "--pairs", "4")
    with Sandbox(tmp_path / "service", JudgingEngine(), KEY) as service:
        monkeypatch.setenv("FTLIB_SANDBOX_KEY", KEY)
        run = scored(service.url)
        code, found = say(capsys, run, *arguments)
        assert (code, found["status"]) == (1, "refused")
        assert "budget_usd" in found["reason"]
        assert not log_lines(run)  # nothing was asked, nothing is owed
        code, found = say(capsys, with_budget(run, 4.0), *arguments)
        assert (code, found["status"]) == (1, "refused")
        first = log_lines(run)
        assert 0 < len(first) < 40
        assert 0 < sum(row["usd"] for row in first) <= 4.0
        code, found = say(capsys, with_budget(run, 100.0), *arguments)
    assert (code, found["status"], found["trusted"]) == (0, "done", True)
    everything = log_lines(run)
    assert everything[: len(first)] == first
    assert len({row["key"] for row in everything}) == len(everything) == 40  # 4 x (3 controls + 1 pair) x 2, and 8 marks: none was paid twice
    spent = sum(row["usd"] for row in everything)
    assert spent == pytest.approx(sum(row["tokens_in"] / 1000 + row["tokens_out"] / 500 for row in everything))


@pytest.mark.slow
def test_the_shipped_service_as_a_judge(scored, capsys, monkeypatch, tmp_path):
    """`python -m ftlib sandbox` in a process of its own: its small model knows nothing, and the controls show it."""
    environment = {**os.environ, "FTLIB_SANDBOX_KEY": KEY, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "ftlib", "sandbox", "--port", "0"]
    service = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert service.stdout is not None
        url = service.stdout.readline().strip().rpartition(" ")[2]
        monkeypatch.setenv("FTLIB_SANDBOX_KEY", KEY)
        run = scored(url, 100.0)
        run = Run.create(
            run.path,
            msgspec.structs.replace(run.profile, providers={"paid": {**run.profile.providers["paid"], "attempt_s": 120.0, "deadline_s": 240.0}}),
        )
        arguments = ("--provider", "paid", "--model", "tiny-hosted", "--pairs", "3")
        code, found = say(capsys, run, *arguments)
    finally:
        service.terminate()
        service.wait(30)
    assert (code, found["status"], found["n"], found["trusted"]) == (1, "done", 3, False)
    assert {name: row["passed"] for name, row in found["controls"].items()} == {"identical": False, "shuffled_reference": False, "constant": False}
    assert found["unparsable"] == found["ties"] == 3
    assert 0 < sum(row["usd"] for row in log_lines(run)) <= 100.0
    assert (run.path / "ledger.jsonl").exists()
    (run.path / "steps" / "judge.json").unlink()
    assert say(capsys, run, *arguments) == (1, found)
