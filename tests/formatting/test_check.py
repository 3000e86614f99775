"""The check of training files: crafted files, each with one rule in it."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ftlib.cli import main
from ftlib.errors import DataError, ProfileError
from ftlib.formatting import check as check_module
from ftlib.formatting.check import check_file, check_text
from ftlib.formatting.destinations import DESTINATIONS
from tests.formatting.crafted import ACCEPTED, REJECTED, Case, chat


def found(case: Case, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "train.jsonl"
    path.write_bytes(case.data())
    return check_file(path, destination=case.destination, **case.options)


def short(findings: list[dict[str, Any]]) -> set[str]:
    return {("?" if item["severity"] == "warning" else "") + f"{item['rule']}:{item['line']}" for item in findings}


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: f"{case.destination}, {case.name}")
def test_good_files_are_accepted(case: Case, tmp_path: Path) -> None:
    result = found(case, tmp_path)
    assert result["ok"]
    assert not result["findings"]


@pytest.mark.parametrize("case", REJECTED, ids=lambda case: f"{case.destination}, {case.name}")
def test_each_rule_finds_its_line_and_no_other_rule_speaks(case: Case, tmp_path: Path) -> None:
    result = found(case, tmp_path)
    assert short(result["findings"]) == set(case.expect)
    assert result["ok"] == all(expected.startswith("?") for expected in case.expect)
    for item in result["findings"]:
        assert set(item) == {"line", "rule", "severity", "field", "message", "remedy", "file"}
        assert item["message"]
        assert item["remedy"]


def test_there_are_enough_crafted_files_and_every_destination_has_both_kinds() -> None:
    assert len(ACCEPTED) + len(REJECTED) >= 40
    assert {case.destination.partition(":")[0] for case in ACCEPTED} == set(DESTINATIONS)
    assert {case.destination.partition(":")[0] for case in REJECTED} == set(DESTINATIONS)


def test_field_of_a_finding_names_the_message(tmp_path: Path) -> None:
    case = next(case for case in REJECTED if case.name == "an unknown key of a message")
    assert found(case, tmp_path)["findings"][0]["field"] == "messages[1].score"


def test_a_file_over_the_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    small = replace(DESTINATIONS["openai"], max_bytes=100)
    path = tmp_path / "train.jsonl"
    path.write_bytes(ACCEPTED[0].data())
    assert short(check_file(path, destination=small)["findings"]) == {"size:0"}


def test_overlap_with_the_validation_file_and_its_own_findings(tmp_path: Path) -> None:
    train, valid = tmp_path / "train.jsonl", tmp_path / "held-out.jsonl"
    train.write_text("".join(json.dumps(chat(n)) + "\n" for n in range(12)))
    valid.write_text(json.dumps(chat(3)) + "\n" + "{}\n")
    result = check_file(train, destination="openai", validation=valid)
    assert short([item for item in result["findings"] if item["file"] == "training"]) == {"?overlap:4"}
    assert short([item for item in result["findings"] if item["file"] == "validation"]) == {"messages:2"}
    assert not result["ok"]
    assert "validation, line 2" in check_text(result)


def test_one_example_is_enough_in_a_validation_file(tmp_path: Path) -> None:
    path = tmp_path / "valid.jsonl"
    path.write_text(json.dumps(chat(1)) + "\n")
    assert check_file(path, destination="openai")["ok"]
    assert not check_file(path, destination="openai", name="train.jsonl")["ok"]


def test_without_a_tokenizer_a_long_row_is_a_warning_and_with_one_it_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"instruction": "Say.", "input": "", "output": "word " * 2000}) + "\n")
    models = {"id": "x/y", "context": 1000}
    from ftlib.catalogue import find_model

    model = find_model("mine", {"mine": models})
    assert short(check_file(path, destination="local", model=model)["findings"]) == {"?context:1"}
    assert short(check_file(path, destination="local", model=model, tokens=lambda row: 1001)["findings"]) == {"context:1"}
    assert not check_file(path, destination="local", model=model, tokens=lambda row: 1000)["findings"]


@pytest.mark.parametrize(
    ("data", "what"),
    [(gzip.compress(b"{}", mtime=0), "gzip"), ('{"a": 1}'.encode("utf-16"), "UTF-16"), (b"PAR1xxxx", "Parquet"), (None, "No such file")],
)
def test_files_that_are_no_text_are_refused_with_what_they_are(data: bytes | None, what: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError, match=what):
        check_file(path, destination="openai")


def test_the_command_exits_0_1_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(ACCEPTED[0].data())
    assert main(["check", str(path), "--for", "openai", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    path.write_bytes(next(case for case in REJECTED if case.name == "nine examples").data())
    assert main(["check", str(path), "--for", "openai", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["rule"] == "min_examples"
    assert main(["check", str(tmp_path / "none.jsonl"), "--for", "openai"]) == 2
    assert main(["check", str(path), "--for", "opnai"]) == 2
    assert "did you mean 'openai'" in capsys.readouterr().err
    assert main(["check", str(path), "--for", "opnai", "--model", "gpt-4o-mini"]) == 2


def test_warnings_alone_exit_0_and_the_help_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(next(case for case in REJECTED if case.name == "twice the same").data())
    assert main(["check", str(path), "--for", "openai"]) == 0
    assert "duplicate" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Exits with 0 where it is, though there may be warnings" in said
    assert "local or local:MODEL (instruction and chat rows)" in said


def test_a_provider_of_ones_own_is_held_to_the_form_but_not_to_the_limits(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(chat(1)) + "\n")
    assert check_file(path, destination="my-provider")["ok"]
    path.write_text('{"prompt": "a"}\n')
    assert not check_file(path, destination="my-provider")["ok"]


def test_an_open_model_at_a_service_is_held_to_its_own_tokens_and_context(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    rows = [chat(n) for n in range(12)]
    rows[4]["messages"][1]["content"] = "a </think> b"
    rows[6]["messages"][1]["content"] = "word " * 70_000
    path.write_bytes(b"\xef\xbb\xbf" + b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    assert short(check_file(path, destination="azure", model="Qwen-32B")["findings"]) == {"special_token:5"}
    assert short(check_file(path, destination="azure", model="gpt-4.1-mini")["findings"]) == {"context:7"}
    assert short(check_file(path, destination="azure", model="ft:gpt-4.1-mini-2025-04-14:acme::abc")["findings"]) == {"context:7"}


def test_nebius_takes_8192_tokens_of_any_model_unless_its_offer_says_otherwise(tmp_path: Path) -> None:
    from ftlib.catalogue import find_model

    path = tmp_path / "train.jsonl"
    rows = [chat(n) for n in range(12)]
    rows[4]["messages"][1]["content"] = "word " * 9_000
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    longer = find_model("mine", {"mine": {"id": "x/y", "hosted": [{"provider": "nebius", "id": "x/y", "context": 32_768}]}})
    for model, expected in (("llama-3.1-8b", {"context:5"}), (longer, set())):
        assert short(check_file(path, destination="nebius", model=model, tokens=lambda row: 9_010)["findings"]) == expected


def test_unknown_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(ACCEPTED[0].data())
    with pytest.raises(ProfileError, match="gpt-4o-mini-2024-07-18"):
        check_file(path, destination="openai", model="gpt-4o-mini-2024-07-81")


def test_text_counts_what_it_does_not_show(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n" * 20)
    text = check_text(check_file(path, destination="openai"))
    assert f"and {20 - check_module.SHOWN} more of messages (error)" in text


def test_a_hundred_thousand_examples_in_one_pass(tmp_path: Path) -> None:
    """Streaming: the memory of a pass is the rows' hashes and no more."""
    import tracemalloc

    path = tmp_path / "train.jsonl"
    text = "a cup of blue glaze with a handle. " * 10
    with path.open("w") as handle:
        for n in range(100_000):
            handle.write(json.dumps({"messages": [{"role": "user", "content": f"Cup {n}"}, {"role": "assistant", "content": text}]}) + "\n")
    started = time.process_time()  # of this process alone: the machine may be busy
    result = check_file(path, destination="openai")
    seconds = time.process_time() - started
    assert result["ok"]
    assert result["rows"] == 100_000
    assert seconds < 30
    half = tmp_path / "half.jsonl"
    half.write_bytes(b"".join(path.open("rb").readlines()[:20_000]))
    tracemalloc.start()
    check_file(half, destination="openai")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < half.stat().st_size / 2


def test_the_original_file_is_good(real_data: Path) -> None:
    result = check_file(real_data / "seed_gpt_training_file.jsonl", destination="openai", model="gpt-4o-mini-2024-07-18")
    assert result["ok"]
    assert result["rows"] == 1500


def test_a_table_is_no_training_file_and_an_error_of_json_names_its_column(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("title,content\na,b\n")
    with pytest.raises(DataError, match="is a table, not JSON lines; `ftlib curate` takes it"):
        check_file(tmp_path / "shop.csv", destination="openai")
    (tmp_path / "a.jsonl").write_text('{"messages": [}\n')
    found = check_file(tmp_path / "a.jsonl", destination="azure")["findings"]
    assert [row["message"] for row in found if row["rule"] == "json"] == ["not valid JSON (Expecting value at column 15)"]
    assert [row["remedy"] for row in found if row["rule"] == "bom"] == ["save it as UTF-8 with BOM, as `ftlib format --to chat --for azure` does"]


def test_a_key_that_stands_twice_is_an_error_because_readers_differ_in_which_counts(tmp_path: Path) -> None:
    twice = '{"messages": [{"role": "user", "content": "a", "content": "b"}, {"role": "assistant", "content": "c"}]}\n'
    (tmp_path / "a.jsonl").write_text(twice)
    result = check_file(tmp_path / "a.jsonl", destination="openai")
    (found,) = [row for row in result["findings"] if row["rule"] == "json"]
    assert (found["line"], found["field"], found["message"]) == (1, "content", "the key 'content' stands twice in one object")
    assert (result["ok"], result["rows"]) == (False, 1)
