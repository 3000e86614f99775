"""Writing training files: what is written is always accepted, and what is not written is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftlib.cli import main
from ftlib.errors import DataError, ProfileError
from ftlib.files import dump_line, read_json, read_jsonl
from ftlib.formatting import format_folder, format_run, format_text
from ftlib.formatting.check import check_file
from ftlib.profile import load_profile
from ftlib.runs import Run, StepNeeded


def records(*contents: str) -> list[dict[str, str]]:
    return [{"id": str(n), "title": f"Cup {n}", "content": content} for n, content in enumerate(contents)]


def folder(path: Path, rows: list[dict[str, str]], valid: list[dict[str, str]] | None = None) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, some in (("train", rows), ("valid", valid or [])):
        (path / f"{name}.jsonl").write_text("".join(dump_line(row) + "\n" for row in some), encoding="utf-8")
    return path


GOOD = [f"A cup, number {n}." for n in range(12)]


@pytest.mark.parametrize(
    ("to", "destination"), [("chat", "openai"), ("chat", "azure"), ("chat", "together"), ("chat", "local"), ("instruction", "local")]
)
def test_what_is_written_is_accepted(to: str, destination: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "in", records(*GOOD), records("One more."))
    made = format_folder(source, to=to, task="describe", out=tmp_path / "out", destination=destination)
    assert made["rows"] == {"train": 12, "valid": 1}
    assert read_json(tmp_path / "out" / "format.json") == made
    for name in ("train", "valid"):
        assert check_file(tmp_path / "out" / f"{name}.jsonl", destination=destination)["ok"]


@pytest.mark.parametrize(
    ("destination", "model", "content", "rule"),
    [("azure", "gpt-4.1-nano", "word " * 33_000, "context"), ("nebius", "llama-3.1-8b", "a cup<|eot_id|>", "special_token")],
)
def test_the_command_knows_of_the_model_what_the_check_knows(destination: str, model: str, content: str, rule: str, tmp_path: Path) -> None:
    source, out = folder(tmp_path / "in", records(*GOOD, content)), tmp_path / "out"
    command = ["format", str(source), "--to", "chat", "--for", destination, "--out", str(out)]
    assert main(command) == 0
    assert main(["check", str(out / "train.jsonl"), "--for", destination, "--model", model]) == 1
    assert main([*command, "--model", model]) == 0
    assert [row["reason"].partition(":")[0] for row in read_json(out / "format.json")["left_out"]["train"]["rows"]] == [rule]
    assert main(["check", str(out / "train.jsonl"), "--for", destination, "--model", model]) == 0


def test_a_row_is_counted_by_the_models_own_tokenizer_where_it_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftlib.plan.tokenizers.row_counter", lambda name: lambda row: len(row["output"].split()))
    source, out = folder(tmp_path / "in", records(*GOOD, "long " * 9_000)), tmp_path / "out"
    assert main(["format", str(source), "--to", "instruction", "--for", "local:smollm2-135m", "--out", str(out)]) == 0
    assert read_json(out / "format.json")["left_out"]["train"]["counts"] == {"context: the example has 9000 tokens, and 8192 fit": 1}
    assert main(["check", str(out / "train.jsonl"), "--for", "local:smollm2-135m"]) == 0


def test_a_row_that_would_be_refused_is_left_out_and_named_never_altered(tmp_path: Path) -> None:
    bad = records(*GOOD, "a <|endoftext|> b", "  ", "half \ud83d")
    made = format_folder(folder(tmp_path / "in", bad), to="chat", task="describe", out=tmp_path / "out")
    assert made["rows"]["train"] == 12
    assert sum(made["left_out"]["train"]["counts"].values()) == 3
    assert [row["id"] for row in made["left_out"]["train"]["rows"]] == ["12", "13", "14"]
    assert "3 rows left out" in format_text(made)
    kept = [row["messages"][-1]["content"] for row in read_jsonl(tmp_path / "out" / "train.jsonl")]
    assert kept == GOOD


def test_too_few_rows_write_nothing_and_leave_nothing_that_looks_whole(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", records(*GOOD[:9], "<|fim_suffix|>"))
    with pytest.raises(DataError, match=r"asks for at least 10 \(1 rows had been left out"):
        format_folder(source, to="chat", task="describe", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert main(["format", str(source), "--to", "chat", "--out", str(tmp_path / "deep" / "out")]) == 2
    assert not (tmp_path / "deep").exists()
    (tmp_path / "there").mkdir()
    assert main(["format", str(source), "--to", "chat", "--out", str(tmp_path / "there")]) == 2
    assert (tmp_path / "there").exists()


def test_an_older_file_does_not_outlive_a_refusal(tmp_path: Path) -> None:
    out = tmp_path / "out"
    format_folder(folder(tmp_path / "in", records(*GOOD), records("One.")), to="chat", task="describe", out=out)
    with pytest.raises(DataError):
        format_folder(folder(tmp_path / "in", records(*GOOD[:3])), to="chat", task="describe", out=out)
    assert not (out / "train.jsonl").exists()
    assert not (out / "format.json").exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.one_of(st.text(max_size=20), st.sampled_from(["<|im_end|>", "\ud800", "", "\u2028", "{id}"])), min_size=1, max_size=14))
def test_every_record_is_written_or_reported(contents: list[str], tmp_path: Path) -> None:
    source = folder(tmp_path / "in", records(*GOOD, *contents))
    made = format_folder(source, to="chat", task="describe", out=tmp_path / "out")
    left = sum(made["left_out"]["train"]["counts"].values()) if made["left_out"] else 0
    written = list(read_jsonl(tmp_path / "out" / "train.jsonl"))
    assert len(written) + left == len(GOOD) + len(contents)
    assert check_file(tmp_path / "out" / "train.jsonl", destination="openai")["ok"]
    assert {row["messages"][-1]["content"] for row in written} <= {*GOOD, *contents}


def test_the_wrong_format_for_a_destination_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="takes chat rows"):
        format_folder(folder(tmp_path / "in", records(*GOOD)), to="instruction", task="describe", out=tmp_path / "out", destination="openai")
    with pytest.raises(DataError, match="holds the records"):
        format_folder(tmp_path / "in", to="chat", task="describe", out=tmp_path / "out" / ".." / "in")
    with pytest.raises(DataError, match="does not exist"):
        format_folder(tmp_path / "none", to="chat", task="describe", out=tmp_path / "out")
    with pytest.raises(ProfileError, match="did you mean 'describe'"):
        format_folder(tmp_path / "in", to="chat", task="descibe", out=tmp_path / "out")


def test_chat_rows_for_the_local_trainer_are_those_that_it_reads(tmp_path: Path) -> None:
    from ftlib.training.local.rows import from_rows

    source, out = folder(tmp_path / "in", records("One.")), tmp_path / "out"
    made = format_folder(source, to="chat", task="describe", out=out, destination="local:tiny-llama")
    assert (made["format"], made["destination"], made["model"]) == ("chat", "local", "tiny-llama")
    assert [example.answer for example in from_rows(read_jsonl(out / "train.jsonl"), "train")] == ["One."]
    assert main(["check", str(out / "train.jsonl"), "--for", "local:tiny-llama"]) == 0


def test_nothing_is_cut_unless_asked_for_and_then_it_is_listed(tmp_path: Path) -> None:
    from ftlib.formatting.tokens import example_tokens

    long = "a blue cup with a handle and a saucer \U0001f375 " * 40
    source = folder(tmp_path / "in", records(*GOOD, long))
    whole = format_folder(source, to="chat", task="describe", out=tmp_path / "whole")
    assert whole["truncate"] is None
    assert not whole["cut"]
    assert list(read_jsonl(tmp_path / "whole" / "train.jsonl"))[-1]["messages"][-1]["content"] == long
    made = format_folder(source, to="chat", task="describe", out=tmp_path / "cut", truncate=100)
    row = list(read_jsonl(tmp_path / "cut" / "train.jsonl"))[-1]
    assert 97 <= example_tokens(row) <= 100
    assert long.startswith(row["messages"][-1]["content"])
    assert made["cut"] == {"train": {"count": 1, "rows": [{"id": "12", "tokens": whole["tokens"]["train"]["max"]}]}}
    assert "1 answers cut" in format_text(made)


def test_a_row_of_which_nothing_is_left_to_learn_is_left_out_and_not_counted_as_cut(tmp_path: Path) -> None:
    rows = [*records(*GOOD), {"id": "asks", "title": "cup " * 200, "content": "A cup."}]
    made = format_folder(folder(tmp_path / "in", rows), to="chat", task="describe", out=tmp_path / "out", truncate=100)
    assert made["rows"] == {"train": 12}
    assert not made["cut"]
    why = "empty: messages[2].content is empty once the example is cut to 100 tokens"
    assert made["left_out"]["train"] == {"counts": {why: 1}, "rows": [{"id": "asks", "reason": why}]}


def test_validation_rows_that_are_all_refused_leave_no_validation_file(tmp_path: Path) -> None:
    made = format_folder(folder(tmp_path / "in", records(*GOOD), records("", " ")), to="chat", task="describe", out=tmp_path / "out")
    assert set(made["rows"]) == {"train"}
    assert sum(made["left_out"]["valid"]["counts"].values()) == 2
    assert not (tmp_path / "out" / "valid.jsonl").exists()


def a_run(tmp_path: Path, *overrides: str) -> Run:
    run = Run.create(tmp_path / "run", load_profile("demo", overrides))
    folder(run.curated, records(*GOOD), records("One more."))
    return run


def test_a_run_gets_each_contestants_files_in_its_format_and_skips_what_stands(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    format_run(run)
    local: list[dict[str, Any]] = list(read_jsonl(run.folder("tiny-llama") / "train.jsonl"))
    hosted: list[dict[str, Any]] = list(read_jsonl(run.folder("tiny-hosted") / "train.jsonl"))
    assert set(local[0]) == {"instruction", "input", "output", "system"}
    assert set(hosted[0]) == {"messages"}
    assert read_json(run.folder("tiny-hosted") / "format.json")["rows"] == {"train": 12, "valid": 1}
    run.only_look = True
    format_run(run)  # raises StepNeeded where something would be done
    run.profile.task = "title"
    with pytest.raises(StepNeeded, match="task"):
        format_run(run)


def test_contestants_that_train_nothing_get_no_files(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    for contestant in run.profile.contestants:
        contestant.few_shot = 2
    format_run(run)
    assert not run.folder("tiny-llama").exists()


def test_a_changed_training_file_is_written_again(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    format_run(run)
    folder(run.curated, records(*GOOD, "A new cup."), records("One more."))
    run.only_look = True
    with pytest.raises(StepNeeded, match="train"):
        format_run(run)


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder(tmp_path / "in", records(*GOOD))
    assert main(["format", str(source), "--to", "instruction", "--task", "seed-llama", "--out", str(tmp_path / "out"), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "seed-llama"


def test_no_rows_to_train_on_and_a_cut_to_nothing_are_refused(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", [], records("One more."))
    with pytest.raises(DataError, match=r"train\.jsonl holds no rows"):
        format_folder(source, to="chat", task="describe", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for tokens in (0, -5):
        with pytest.raises(DataError, match=f"--truncate is {tokens}"):
            format_folder(folder(tmp_path / "in", records(*GOOD)), to="chat", task="describe", out=tmp_path / "out", truncate=tokens)


@pytest.mark.parametrize(("row", "field"), [({"title": "Cup", "content": "A cup."}, "id"), ({"id": "1", "title": "Cup"}, "content"), (["Cup"], "id")])
def test_a_folder_that_curate_did_not_write_is_refused_in_a_sentence(row: Any, field: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "in", [*records(*GOOD), row])
    with pytest.raises(DataError, match=rf"train\.jsonl, row 13: it has no {field}; give a folder that `ftlib curate` wrote"):
        format_folder(source, to="chat", task="describe", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
