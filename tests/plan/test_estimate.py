"""Estimates: tokens, money, time and memory before anything is spent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ftlib.catalogue import find_model
from ftlib.catalogue.prices import UnknownPrice
from ftlib.cli import main
from ftlib.errors import DataError, ProfileError
from ftlib.formatting.tokens import example_tokens, prompt_tokens, rows_tokens
from ftlib.plan import estimate, estimate_run, estimate_text
from ftlib.plan.contestants import dates
from ftlib.plan.renting import rented
from ftlib.plan.tokenizers import tokenizer_at_hand
from ftlib.plan.training import padding
from ftlib.profile import load_profile
from ftlib.runs import Run
from ftlib.training.local.settings import TuneSettings

GPT = "gpt-4o-mini-2024-07-18"
TINY = ["data.train=20", "data.valid=4", "data.test=6", "evaluation.probe_items=3"]


def chat_file(path: Path, rows: int = 12) -> Path:
    lines = ({"messages": [{"role": "user", "content": f"Cup {n}"}, {"role": "assistant", "content": "A blue cup. " * 20}]} for n in range(rows))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_original_job_to_the_token_and_the_cent(real_data: Path) -> None:
    found = estimate(real_data / "seed_gpt_training_file.jsonl", model=GPT, epochs=3)
    assert found["billed_training_tokens"] == 990_507
    assert found["training_cost_usd"] == found["training_cost_usd_low"] == found["training_cost_usd_high"] == 2.97
    assert (found["examples"], found["epochs"]) == (1500, 3)
    assert "2.97 dollars" in estimate_text(found)


def test_the_billing_rule_is_contents_and_nine_for_two_messages() -> None:
    import tiktoken

    from ftlib.curation.tokens import tiktoken_encoding

    encoding = tiktoken_encoding("o200k_base")
    assert isinstance(encoding, tiktoken.Encoding)
    row = {"messages": [{"role": "user", "content": "A blue cup"}, {"role": "assistant", "content": "It is blue, and <|endoftext|>."}]}
    contents = sum(len(encoding.encode_ordinary(turn["content"])) for turn in row["messages"])
    assert example_tokens(row) == contents + 9
    instruction = {"instruction": "", "input": "A blue cup", "output": "It is blue, and <|endoftext|>."}
    assert example_tokens(instruction) == example_tokens(row)
    assert list(rows_tokens([row] * 5000)) == [contents + 9] * 5000


def test_a_prompt_counts_as_the_cookbook_counts_it() -> None:
    """OpenAI's cookbook: 3 and the role's token for each message, 3 for the answer that begins."""
    from ftlib.curation.tokens import tiktoken_encoding
    from ftlib.formatting.task import load_task

    prompt = load_task("describe").prompt({"id": "1", "title": "Blue cup", "content": ""})
    encoding = tiktoken_encoding("o200k_base")
    expected = 3 + sum(3 + len(encoding.encode(turn["role"])) + len(encoding.encode(turn["content"])) for turn in prompt.messages())
    assert list(prompt_tokens([prompt])) == [expected]


def test_a_file_names_prices_with_date_and_source_and_the_coming_end(tmp_path: Path) -> None:
    found = estimate(chat_file(tmp_path / "train.jsonl"), model=GPT)
    assert found["epochs"] == 8  # the service's own choice for 12 examples: 100 // 12
    assert {row["unit"] for row in found["prices"]} == {"training_token", "input_token", "output_token"}
    assert all(row["date"] and row["source"] for row in found["prices"])
    tuned, base = found["usd_per_1000_answers"]["tuned"], found["usd_per_1000_answers"]["base"]
    assert tuned["usd"] == pytest.approx(2 * base["usd"], rel=1e-3)
    assert tuned["usd_low"] < tuned["usd"] < tuned["usd_high"] or tuned["usd"] == tuned["usd_high"]


def test_another_tokenizer_gives_bounds(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(
        "- {provider: nebius, model: meta-llama/Meta-Llama-3.1-8B-Instruct, unit: training_token, usd: 4, per: 10, date: 2026-11-20, source: x}\n"
    )
    found = estimate(chat_file(tmp_path / "train.jsonl"), model="llama-3.1-8b", provider="nebius", epochs=1, prices=own)
    assert found["training_cost_usd"] == pytest.approx(found["billed_training_tokens"] * 0.4, abs=0.01)
    assert found["training_cost_usd_high"] == pytest.approx(1.2 * found["training_cost_usd"], rel=1e-3)
    assert found["answers_na"]["tuned"].startswith("The price of one input_token of ft:")


def test_an_unknown_price_is_refused_with_the_line_to_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = chat_file(tmp_path / "train.jsonl")
    with pytest.raises(UnknownPrice, match="unit: training_token"):
        estimate(path, model="llama-3.1-8b", provider="nebius")
    assert main(["estimate", str(path), "--model", "llama-3.1-8b", "--provider", "nebius"]) == 2
    assert "- {provider: nebius" in capsys.readouterr().err


def test_a_local_file_says_time_and_memory_and_how_they_were_worked_out(tmp_path: Path) -> None:
    found = estimate(chat_file(tmp_path / "train.jsonl", 16), model="llama-3.1-8b", gpu="t4", epochs=2)
    assert (found["examples"], found["steps"], found["examples_seen"]) == (16, 4, 32)
    assert found["seconds_low"] < found["seconds"] < found["seconds_high"]
    assert 5e9 < found["memory_bytes"] < 10e9
    assert found["fits"] is True
    assert len(found["reasoning"]) == 2
    assert "not here" in found["counted_by"]
    h100 = estimate(tmp_path / "train.jsonl", model="llama-3.1-8b", gpu="h100", epochs=2)
    assert h100["seconds"] < found["seconds"]
    assert {row["provider"] for row in h100["gpu_hour_usd"]} >= {"lambda", "runpod"}


def test_rows_that_are_too_long_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"instruction": "Say.", "input": "", "output": "word " * 3000}) + "\n")
    found = estimate(path, model="llama-3.1-8b")
    assert "1 of 1 rows are longer than max_length 1024" in found["warnings"][0]


def test_a_model_without_sizes_says_so(tmp_path: Path) -> None:
    found = estimate(chat_file(tmp_path / "train.jsonl"), model="someone/Some-7B")
    assert found["memory_bytes"] is None
    assert "not in the catalogue" in found["na"]["memory_bytes"]
    half = estimate(tmp_path / "train.jsonl", model="someone/Some-7B", epochs=0.5)
    assert (half["examples"], half["examples_seen"]) == (12, 6)


@pytest.mark.parametrize(
    ("what", "options", "error", "says"),
    [
        ("train.jsonl", {}, ProfileError, "name the model with --model"),
        ("train.jsonl", {"model": "llama-3.1-8bb"}, ProfileError, "did you mean 'llama-3.1-8b'"),
        ("train.jsonl", {"model": "llama-3.1-8b", "gpu": "t5"}, ProfileError, "There is no GPU 't5'"),
        ("broken.jsonl", {"model": GPT}, DataError, "is not a training file"),
        ("records.jsonl", {"model": GPT}, DataError, "no instruction or chat rows"),
        ("number.jsonl", {"model": GPT}, DataError, "number.jsonl, line 3: messages is a number, not a list of messages"),
        ("pictures.jsonl", {"model": GPT}, DataError, r"line 3: messages\[0\].content is a list, not a text"),
        ("unasked.jsonl", {"model": "llama-3.1-8b"}, DataError, "line 3: instruction is missing; `ftlib check"),
        ("train.jsonl", {"model": GPT, "epochs": 0}, ProfileError, "must be a number above 0"),
        ("train.jsonl", {"model": GPT, "epochs": float("nan")}, ProfileError, "must be a number above 0"),
        ("train.jsonl", {"model": GPT, "epochs": 0.5}, ProfileError, "--epochs is 0.5, but a hosted service trains whole epochs"),
        ("hosted", {"epochs": 2.7}, ProfileError, "'gpt-4o-mini': epochs is 2.7, but a hosted service trains whole epochs"),
        ("dmeo", {}, ProfileError, "did you mean 'demo'"),
        ("demo", {"model": GPT}, ProfileError, "belong to a training file"),
        ("demo", {"overrides": ["data.train=0.9", "data.test=0.2", "data.valid=0"]}, ProfileError, r"data: .*the shares add up to 1\.1"),
        (
            "demo",
            {"overrides": ['+contestants={"name": "r", "trainer": "hosted", "recorded": "none.jsonl"}']},
            DataError,
            r"recorded answers none\.jsonl do not exist",
        ),
    ],
)
def test_what_cannot_be_estimated_says_why(what: str, options: dict[str, Any], error: type[Exception], says: str, tmp_path: Path) -> None:
    chat_file(tmp_path / "train.jsonl")
    (tmp_path / "broken.jsonl").write_text('{"messages": [\n')
    answered = chat_file(tmp_path / "two.jsonl", 2).read_text()
    (tmp_path / "number.jsonl").write_text(answered + '{"messages": 5}\n')
    (tmp_path / "pictures.jsonl").write_text(answered + '{"messages": [{"role": "user", "content": ["a"]}]}\n')
    (tmp_path / "unasked.jsonl").write_text(answered + '{"output": "x"}\n')
    (tmp_path / "records.jsonl").write_text('{"id": "1", "title": "a", "content": "b"}\n')
    with pytest.raises(error, match=says):
        estimate(tmp_path / what if what.endswith("jsonl") else what, **options)


def test_tools_that_are_billed_and_not_counted_are_told(tmp_path: Path) -> None:
    path = chat_file(tmp_path / "train.jsonl")
    assert not [line for line in estimate(path, model=GPT, epochs=1)["warnings"] if "tools" in line]
    tools = [{"type": "function", "function": {"name": "find", "parameters": {}}}]
    row = {"messages": [{"role": "user", "content": "Cup"}, {"role": "assistant", "content": "A cup."}], "tools": tools}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    assert estimate(path, model=GPT, epochs=1)["warnings"][0].startswith("1 of 13 examples hold tools or calls of tools")


def test_a_profile_counts_everything_that_will_be_asked() -> None:
    found = estimate("demo", overrides=TINY)
    names = [report["contestant"] for report in found["contestants"]]
    assert names == ["tiny-llama", "tiny-hosted"]
    for report in found["contestants"]:
        assert report["answers"]["test"]["items"] == 6
        assert report["answers"]["wording"]["items"] == 3 * 6
        assert report["answers"]["test"]["tokens_in"] > 0
    assert found["total_cost_usd"] == 0
    assert found["within_budget"] is True
    count = sum(part["items"] for part in found["contestants"][0]["answers"].values())
    assert f"asks {count} questions of each of 2 systems (test 6, wording 18, " in estimate_text(found)
    local, hosted = found["contestants"]
    assert 0 < local["answers_seconds_low"] <= local["answers_seconds"] < local["answers_seconds_high"]
    assert found["local_seconds"] == local["seconds"] + local["answers_seconds"]
    assert f"{2 * count} in all: no bill\n    time of answering: {local['answers_seconds']} s (" in estimate_text(found)
    assert (hosted["answers_seconds"], "how fast a service answers" in hosted["na"]["answers_seconds"]) == (None, True)
    assert found["contestants"][0]["counted_by"] == "the tokenizer of tiny-llama"
    assert "within the budget" in estimate_text(found)


def test_the_files_of_a_run_that_is_there_serve_where_they_are_the_profiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    estimate_run(Run.create(tmp_path / "results" / "demo", load_profile("demo", TINY)))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = []
    for sets in ([], ["data.test=7"]):
        caplog.clear()
        with caplog.at_level("INFO", "ftlib"):
            found.append(estimate("demo", overrides=[*TINY, *sets], epochs=3))
        assert any(said.startswith("curate: running") for said in caplog.messages) == bool(sets)
    assert [one["contestants"][0]["answers"]["test"]["items"] for one in found] == [6, 7]
    assert found[0]["contestants"][0]["epochs"] == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_base_that_contestants_share_is_paid_once(tmp_path: Path) -> None:
    gpt = f"trainer: hosted, provider: openai, model: {GPT}"
    profile = tmp_path / "two.yaml"
    profile.write_text(
        "name: two\ndata: {source: sample, train: 20, valid: 4, test: 6}\nevaluation: {probe_items: 3}\ncontestants:\n"
        f"  - {{name: a, {gpt}, epochs: 1}}\n  - {{name: b, {gpt}, epochs: 2}}\n  - {{name: few, {gpt}, few_shot: 2}}\n"
    )
    found = estimate(profile)
    a, b, few = found["contestants"]
    assert (a["base_answers_of"], few["base_answers_of"]) == ({}, {})
    assert b["base_answers_of"] == dict.fromkeys(b["answers"], "a")
    tuned = 2 / 3  # a tuned model's tokens cost twice the base's
    assert b["answers_cost_usd"] == pytest.approx(tuned * a["answers_cost_usd"], rel=1e-3)
    assert b["usd_per_1000_answers"] == a["usd_per_1000_answers"]
    assert found["answers_cost_usd"] == pytest.approx(a["answers_cost_usd"] + b["answers_cost_usd"] + few["answers_cost_usd"], abs=1e-5)
    assert "; its base answers for a already" in estimate_text(found)


def test_a_paid_profile_over_its_budget_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = estimate("hosted", overrides=TINY)
    report = found["contestants"][0]
    assert found["training_cost_usd"] > 0
    assert found["answers_cost_usd"] > 0
    assert found["total_cost_usd"] == pytest.approx(found["training_cost_usd"] + found["answers_cost_usd"], abs=1e-5)
    assert found["within_budget"] is False
    assert found["billed_training_tokens"] == report["billed_training_tokens"] > 0
    assert report["answers_cost_usd_low"] < report["answers_cost_usd"] < report["answers_cost_usd_high"]
    assert "NOT within" in estimate_text(found)


def test_epochs_prices_and_a_judge_of_a_profile(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(f"- {{provider: openai, model: {GPT}, unit: training_token, usd: 300, per: 1000000, date: 2026-11-20, source: mine}}\n")
    once = estimate("hosted", overrides=TINY, epochs=1)
    dear = estimate("hosted", overrides=[*TINY, f"evaluation.judge={{provider: openai, model: {GPT}, pairs: 5}}"], epochs=2, prices=own)
    assert dear["billed_training_tokens"] == 2 * once["billed_training_tokens"]
    assert dear["training_cost_usd"] == pytest.approx(200 * once["training_cost_usd"], rel=0.01)
    assert dear["judge_cost_usd"] > 0


def test_minimum_charge_and_hosting_count_where_they_are_known(tmp_path: Path) -> None:
    own, path = tmp_path / "prices.yaml", chat_file(tmp_path / "train.jsonl")
    rows = [("minimum_charge", 7), ("hosting_minute", 0.05)]
    own.write_text("".join(f"- {{provider: openai, model: {GPT}, unit: {unit}, usd: {usd}, date: 2026-11-20, source: mine}}\n" for unit, usd in rows))
    found = estimate(path, model=GPT, prices=own)
    assert found["training_cost_usd"] == found["training_cost_usd_low"] == 7
    assert found["hosting_usd_per_hour"] == found["hosting_usd_per_hour_low"] == pytest.approx(3)
    assert "3.00 dollars an hour" in estimate_text(found)


def test_each_service_chooses_its_own_epochs_and_together_bills_its_evaluations(tmp_path: Path) -> None:
    from ftlib.plan.training import hosted_training, read_rows
    from ftlib.training.hosted.before import training_cost
    from ftlib.training.hosted.provider import load_provider

    path = chat_file(tmp_path / "train.jsonl")
    valid = chat_file(tmp_path / "valid.jsonl", 3)
    model = find_model("llama-3.1-8b")
    rows, held_out, once = read_rows(path), read_rows(valid), sum(rows_tokens(read_rows(path)))
    for name, epochs in (("together", 1), ("nebius", 3), ("openai", 8)):
        found = hosted_training(rows, model, load_provider(name), None)
        assert (found["epochs"], found["billed_training_tokens"]) == (epochs, epochs * once)
    together = load_provider("together")
    found = hosted_training(rows, model, together, 2, held_out)
    assert found["billed_training_tokens"] == 2 * once + 4 * sum(rows_tokens(held_out))
    assert "3 validation examples x 4 evaluations" in found["reasoning"][0]
    served = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
    assert training_cost(together, model, served, path, 2, None, valid).tokens == found["billed_training_tokens"]
    assert hosted_training(rows, model, load_provider("openai"), 2, held_out)["billed_training_tokens"] == 2 * once


def test_an_unknown_price_in_a_profile_leaves_the_others_standing() -> None:
    overrides = [*TINY, "contestants.gpt-4o-mini.provider=nebius", "contestants.gpt-4o-mini.model=llama-3.1-8b"]
    found = estimate("hosted", overrides=overrides)
    assert found["within_budget"] is None
    assert found["training_cost_usd"] is found["answers_cost_usd"] is found["total_cost_usd"] is None
    assert found["judge_cost_usd"] == 0
    assert found["known_cost_usd"] > 0
    assert found["unknown"] == ["gpt-4o-mini: answers_cost_usd.tuned", "gpt-4o-mini: training_cost_usd"]
    assert "unit: training_token" in found["contestants"][0]["na"]["training_cost_usd"]
    assert found["contestants"][0]["billed_training_tokens"] > 0
    assert "training n/a" in estimate_text(found)


def test_dates_are_told_when_they_are_near() -> None:
    import datetime

    model = find_model(GPT)
    assert not [line for line in dates(model, "openai", tuning=False, today=datetime.date(2026, 1, 1)) if "answers no more" in line]
    assert "in 44 days" in dates(model, "openai", tuning=True, today=datetime.date(2026, 11, 23))[0]
    assert "too late" in dates(model, "openai", tuning=True, today=datetime.date(2027, 2, 1))[0]


def test_padding_is_to_the_longest_row_of_a_batch() -> None:
    assert padding([5, 5, 5], 2, 1) == 15
    assert padding([1, 9], 2, 1) == 18
    assert padding([1, 9], 1, 1) == 10
    assert sum(range(100)) < padding(list(range(100)), 8, 1) < 100 * 100


def test_packing_and_minutes_count() -> None:
    from ftlib.plan.training import local_training

    model = find_model("llama-3.1-8b")
    rows = [{"instruction": "Say.", "input": "", "output": "word " * (10 + 40 * (n % 2))} for n in range(20)]
    padded, packed = (local_training(rows, model, TuneSettings(packing=packing), "t4") for packing in (False, True))
    assert packed["padded_tokens"] == packed["training_tokens"] < padded["padded_tokens"]
    short = local_training(rows, model, TuneSettings(epochs=1000, minutes=1), "t4")
    assert short["seconds"] == 60
    assert "ends it after 1 minutes" in short["reasoning"][1]


def test_the_command_prints_one_json_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", str(chat_file(tmp_path / "train.jsonl")), "--model", GPT, "--epochs", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "file"


def test_a_rented_gpu_is_priced_by_the_hours_that_are_known(tmp_path: Path) -> None:
    found = estimate(chat_file(tmp_path / "train.jsonl", 16), model="llama-3.1-8b", gpu="h100", epochs=2000)
    paid = [row["usd"] for row in found["gpu_hour_usd"] if row["usd"]]
    assert min(paid) * found["seconds"] / 3600 <= found["rented_cost_usd"] <= max(paid) * found["seconds"] / 3600
    assert found["rented_cost_usd_low"] < found["rented_cost_usd"] < found["rented_cost_usd_high"]
    assert "; rented " in estimate_text(found)
    t4 = estimate(tmp_path / "train.jsonl", model="llama-3.1-8b", gpu="t4")
    assert "colab free" in estimate_text(t4)
    assert t4["rented_cost_usd"] > 0
    here = estimate(tmp_path / "train.jsonl", model="tiny-llama")
    assert "; rented " in estimate_text(here), "a machine without a GPU has a price of an hour too"
    assert "rented_cost_usd" not in rented("abacus", {"seconds": 60, "seconds_low": 50, "seconds_high": 70})


def test_a_model_that_a_service_tunes_no_more_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"openai does not tune gpt-4\.1-nano"):
        estimate(chat_file(tmp_path / "train.jsonl"), model="gpt-4.1-nano", provider="openai")
    with pytest.raises(ProfileError, match="together does not tune gpt-4o-mini"):
        estimate(tmp_path / "train.jsonl", model="gpt-4o-mini", provider="together")
    found = estimate("hosted", overrides=[*TINY, "contestants.gpt-4o-mini.model=gpt-4.1-nano"])
    assert found["contestants"][0]["na"]["training_cost_usd"].startswith("openai does not tune")


def test_a_provider_without_the_model_a_minimum_charge_and_missing_answers_are_said(tmp_path: Path) -> None:
    path = chat_file(tmp_path / "train.jsonl")
    with pytest.raises(UnknownPrice, match="openai is not known to tune unsloth/Meta-Llama-3"):
        estimate(path, model="llama-3.1-8b", provider="openai")
    text = estimate_text(estimate(path, model="llama-3.1-8b", provider="together"))
    assert "4.00 dollars (" in text
    assert "the minimum charge of a job; its tokens alone 0.00" in text
    assert "a thousand answers: base n/a, tuned n/a" in text


def test_a_gpu_and_a_file_that_are_not_there_are_known_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="There is no GPU 't5'"):
        estimate("demo", gpu="t5")
    with pytest.raises(DataError, match=r"nothere\.jsonl does not exist; give a training file"):
        estimate("nothere.jsonl")


def test_an_old_price_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLIB_OLD_PRICE_DAYS", "0")
    found = estimate(chat_file(tmp_path / "train.jsonl"), model=GPT)
    assert sum("days old" in line for line in found["warnings"]) >= 1
    assert "days old" not in caplog.text


def test_a_tokenizer_that_is_not_kept_here_is_known_without_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(LookupError, match="the hub's cache does not hold it"):
        tokenizer_at_hand(find_model("llama-3.1-8b"), revision="0" * 40)
