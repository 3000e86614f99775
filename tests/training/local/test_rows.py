"""Rows as tokens: what is asked is what was trained, and the end of the turn is learned."""

from __future__ import annotations

import pytest

from ftlib.errors import DataError
from ftlib.formatting.task import load_task
from ftlib.training.local.rows import IGNORED, Example, from_chat, from_instruction, from_prompt, from_rows, tokenise, user_turn
from ftlib.training.local.template import ALPACA, Template
from tests.training.local import micro


@pytest.fixture(scope="module")
def template() -> Template:
    from transformers import AutoTokenizer

    return Template(AutoTokenizer.from_pretrained(micro.model()), "auto", "micro")


def test_a_training_row_and_a_question_give_the_same_messages() -> None:
    task = load_task("describe")
    record = {"id": "1", "title": "Red mug", "content": "A mug."}
    row = {"instruction": task.instruction, "input": "Red mug", "output": "A mug.", "system": task.system}
    assert list(from_instruction(row).prompt) == from_prompt(task.prompt(record))


def test_the_loss_is_on_the_answer_and_its_end_alone(template: Template) -> None:
    example = Example((user_turn("Say", "x"),), "A red mug.")
    (tokens,) = tokenise([example], template, max_length=128, truncate=False, where="train")
    learned = [label for label in tokens.labels if label != IGNORED]
    assert template.decode(learned[:-1]) == "A red mug."
    assert learned[-1] == template.end_id
    prompt = template.prompts([example.prompt])[0]
    assert tokens.input_ids[: len(prompt)] == prompt
    assert tokens.labels[: len(prompt)] == [IGNORED] * len(prompt)
    assert tokens.supervised == len(learned)


def test_the_end_token_is_the_templates_own(template: Template) -> None:
    assert template.tokenizer.convert_ids_to_tokens(template.end_id) == "<|end|>"
    assert template.tokenizer.eos_token_id in template.stop_ids


def test_alpaca_shows_instruction_and_input_under_their_headings() -> None:
    from transformers import AutoTokenizer

    alpaca = Template(AutoTokenizer.from_pretrained(micro.model()), "alpaca", "micro")
    text = alpaca.prompt([user_turn("REVIEW THIS BOOK.", "Emma")])
    assert "### Instruction:\nREVIEW THIS BOOK.\n\n### Input:\nEmma\n\n### Response:\n" in text
    assert alpaca.tokenizer.chat_template == ALPACA
    assert alpaca.end_id == alpaca.tokenizer.eos_token_id


def test_a_longer_row_is_an_error_that_counts_them_unless_cut(template: Template) -> None:
    rows = [Example((user_turn("Say", "x"),), "word " * size) for size in (2, 200, 300)]
    with pytest.raises(DataError, match=r"train: 2 of 3 rows are longer than max_length 100 \(the first is row 2, the longest has \d+ tokens\)"):
        tokenise(rows, template, max_length=100, truncate=False, where="train")
    cut = tokenise(rows, template, max_length=100, truncate=True, where="train")
    assert [len(row.input_ids) for row in cut[1:]] == [100, 100]
    assert [row.cut for row in cut] == [False, True, True]


def test_a_prompt_that_leaves_no_room_is_an_error_even_when_cutting(template: Template) -> None:
    with pytest.raises(DataError, match="row 1: its prompt alone has"):
        tokenise([Example((user_turn("Say " * 90, ""),), "x")], template, max_length=50, truncate=True, where="train")


def test_each_weighted_assistant_turn_of_a_chat_is_learned() -> None:
    turns = [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"},
    ]  # fmt: skip
    (only,) = from_chat({"messages": turns})
    assert only.answer == "d"
    assert [m["content"] for m in only.prompt] == ["a", "b", "c"]


def test_a_row_of_neither_format_is_named() -> None:
    with pytest.raises(DataError, match="line 2: neither an instruction nor a chat row"):
        from_rows([{"instruction": "a", "output": "b"}, {"text": "c"}], "train.jsonl")


def test_an_instruction_row_of_weight_0_is_not_learned_either() -> None:
    rows = [{"instruction": "a", "output": "b", "weight": 0}, {"instruction": "a", "output": "c", "weight": 1}]
    assert [example.answer for example in from_rows(rows, "train.jsonl")] == ["c"]
