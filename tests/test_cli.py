"""The command line as a user meets it: exit codes, one sentence an error, JSON on standard output alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.arguments import parser, spread
from ftlib.cli import COMMANDS, Outcome, main
from ftlib.doctor import KEYS, examine


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            parser().parse_args([name, "--help"])
        assert ended.value.code == 0
        assert f"  ftlib {name}" in capsys.readouterr().out


def test_every_argument_is_described() -> None:
    commands = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
    assert [(name, action.dest) for name, sub in commands.items() for action in sub._actions if not action.help] == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "demmo"], "did you mean 'demo'"),
        (["run", "demo", "--set", "data.source=none.jsonl"], "none.jsonl does not exist"),
        (["run", "demo", "--set", "data.recipe=defualt"], "did you mean 'default'"),
        (["run", "demo", "--set", "task=descirbe"], "did you mean 'describe'"),
        (["run", "demo", "--set", "contestants.tiny-llama.model=tiny-lama"], "tiny-lama"),
        (["run", "demo", "--set", "data.train=0.9", "data.valid=0.1", "data.test=0.2"], "the shares add up to 1.2; they cannot pass 1"),
        (["run", "demo", "--set", "seed=-1"], "seed: expected a whole number >= 0"),
        (["run", "demo", "--set", "contestants.tiny-llama.seed=4294967296"], "seed: expected a whole number"),
        (["run", "demo", "--set", "evaluation.judge={provider: openai, model: m, pairs: -5}"], "pairs: expected a whole number >= 1"),
        (["run", "demo", "--set", "contestants=[]"], "has no contestants"),
        (["run", "demo", "--set", "contestants.tiny-hosted.provider=opnai"], "did you mean 'openai'"),
        (["curate", "none.jsonl", "--out", "out"], "none.jsonl"),
        (["leaks", "none.jsonl", "none2.jsonl"], "none.jsonl"),
        (["check", "none.jsonl", "--for", "openai"], "none.jsonl"),
        (["ask", "nowhere", "tiny-llama"], "is not a run folder"),
        (["compare", "nowhere", "--out", "out"], "is not a run folder"),
        (["compare", "nowhere"], "is not a run folder"),
        (["compare", "one", "two"], "--out is missing"),
        (["score", "--references", "none.jsonl", "--answers", "none2.jsonl"], "none.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sandbox", "--port", "99999"], "--port: 99999 is not between 0 and 65535"),
        (["run", "demo", "--jobs", "0"], "--jobs: 0 is not 1 or more"),
        (["curate", "sample", "--out", "o", "--seed", "-1"], "--seed: -1 is not 0 or more"),
        (["curate", "sample", "--out", "o", "--train", "80%"], "--train: '80%' is neither a number of rows nor a share such as 0.8"),
        (["judge", "r", "--pairs", "0"], "--pairs: 0 is not 1 or more"),
        (["score", "--references", "r", "--answers", "a", "--seed", "-1"], "--seed: -1 is not 0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_question_may_stand_after_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    monkeypatch.setitem(COMMANDS, "ask", lambda args: asked.append(args.text) or Outcome(None, ""))
    for argv in (["ask", "r", "c", "--base", "Blue mug"], ["ask", "r", "c", "Blue mug", "--base"], ["ask", "r", "c"]):
        assert main(argv) == 0
    assert asked == ["Blue mug", "Blue mug", None]
    with pytest.raises(SystemExit):
        main(["ask", "r", "c", "--base", "Blue mug", "Red mug"])


def test_doctor_counts_on_a_provider_only_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    assert "sandbox" in examine()["able"]["hosted training"]["remedy"]
    monkeypatch.setenv("NEBIUS_API_KEY", "k")
    assert examine()["able"]["hosted training"]["works"]


def test_json_is_one_document_on_standard_output() -> None:
    ended = subprocess.run([sys.executable, "-m", "ftlib", "doctor", "--json"], capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert set(found) >= {"versions", "machine", "gpus", "keys", "able"}
    assert all(isinstance(there, bool) for there in found["keys"].values())


def test_set_takes_one_or_several_overrides() -> None:
    for argv in (
        ["run", "demo", "--set", "seed=7", "data.test=5", "--quiet"],
        ["run", "--set", "seed=7", "data.test=5", "demo", "--quiet"],
        ["run", "--set", "seed=7", "--set", "data.test=5", "demo", "--quiet"],
    ):
        args = parser().parse_args(spread(argv))
        assert (args.profile, args.set, args.quiet) == ("demo", ["seed=7", "data.test=5"], True)


def test_a_reader_that_stops_early_is_no_error() -> None:
    ended = subprocess.run(f"{sys.executable} -m ftlib models --json | head -n 1", shell=True, capture_output=True, text=True)
    assert ended.stdout == "[\n" or ended.stdout.startswith("{")
    assert "BrokenPipe" not in ended.stderr


def test_ask_without_an_answer_says_why_and_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"system": "one.tuned", "answer": "A mug.", "error": None}, {"system": "one.base", "answer": None, "error": "rate limit"}]
    monkeypatch.setattr("ftlib.single.ask_one", lambda *a, **k: rows)
    assert main(["ask", "run", "one", "Mug"]) == 1
    assert capsys.readouterr().out == "one.tuned: A mug.\n\none.base: (no answer: rate limit)\n"
    monkeypatch.setattr("ftlib.single.ask_one", lambda *a, **k: rows[:1])
    assert main(["ask", "run", "one", "Mug"]) == 0


def test_a_misspelt_option_is_named_with_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["curate", "my.csv", "--title-feild", "name", "--out", "curated"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("usage: ftlib curate ")
    assert "unrecognized arguments: --title-feild name (did you mean --title-field?)" in said


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["rnu", "demo"])
    assert ended.value.code == 2
    assert "there is no command 'rnu' (did you mean 'run'? there are: run, curate" in capsys.readouterr().err


def test_without_a_command_the_help_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr().err
    assert all(f"\n    {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("argv", [["curate", "my.csv", "--out", "out"], ["estimate", "demo", "--set", "data.source=my.csv"]])
def test_a_source_that_is_not_there_is_said_with_where_it_was_looked_for(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    where = f"(looked for at {tmp_path / 'my.csv'}; a relative path, in a profile too, is taken from the current folder)"
    assert f"my.csv does not exist {where}" in capsys.readouterr().err


def test_an_estimate_above_the_budget_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, code in (
        ({"within_budget": False}, 1),
        ({"within_budget": None}, 0),
        ({"within_budget": True}, 0),
        ({"within_budget": True, "unknown": ["x"]}, 1),
    ):
        monkeypatch.setattr("ftlib.plan.estimate", lambda *a, found=found, **k: found)
        monkeypatch.setattr("ftlib.plan.estimate_text", lambda found: "")
        assert main(["estimate", "demo"]) == code
