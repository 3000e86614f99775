"""Conversions between instruction and chat rows lose nothing, on any Unicode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.errors import DataError
from ftlib.files import read_jsonl, write_jsonl
from ftlib.formatting.rows import chat_row, instruction_row, split_turn, to_chat, to_instruction
from ftlib.formatting.task import Task, join_turn, load_task

# any code point, halves of surrogate pairs included, and the separator of instruction and input as often as it may hurt
TEXT = st.text(alphabet=st.one_of(st.characters(exclude_categories=()), st.sampled_from("\n\0 ")), max_size=30)
ROWS = st.builds(
    lambda instruction, text, output, more: {"instruction": instruction, "input": text, "output": output, **more},
    TEXT,
    TEXT,
    TEXT,
    st.fixed_dictionaries({}, optional={"system": TEXT, "weight": st.sampled_from([0, 1])}),
)


@given(ROWS)
def test_instruction_to_chat_and_back_is_the_identity(row: dict[str, Any]) -> None:
    assert to_instruction(to_chat(row), row["instruction"]) == row


@given(ROWS, TEXT)
def test_chat_to_instruction_and_back_is_the_identity_whatever_the_instruction(row: dict[str, Any], instruction: str) -> None:
    chat = to_chat(row)
    assert to_chat(to_instruction(chat, instruction)) == chat


@given(TEXT, TEXT)
def test_a_turn_splits_where_it_was_joined(instruction: str, text: str) -> None:
    assert split_turn(join_turn(instruction, text), instruction) == (instruction, text)


@given(st.lists(ROWS, max_size=5))
def test_rows_survive_their_file(rows: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_jsonl(path, [to_chat(row) for row in rows])
        assert [to_instruction(row, before["instruction"]) for row, before in zip(read_jsonl(path), rows, strict=True)] == rows


@given(TEXT, TEXT)
def test_both_shapes_of_a_record_say_the_same(title: str, content: str) -> None:
    task = load_task("describe")
    record = {"id": "1", "title": title, "content": content}
    assert to_chat(instruction_row(task, record)) == chat_row(task, record)


def test_the_rows_of_the_original_project() -> None:
    record = {"id": "1", "title": "the blue cup", "content": "a cup that is blue"}
    row = {"instruction": "REVIEW THIS BOOK.", "input": "the blue cup", "output": "a cup that is blue"}
    assert instruction_row(load_task("seed-llama"), record) == row
    assert chat_row(load_task("seed-gpt"), record) == {
        "messages": [{"role": "user", "content": "the blue cup"}, {"role": "assistant", "content": "a cup that is blue"}]
    }


def test_a_chat_row_is_what_is_asked_and_the_answer() -> None:
    """The prompt trained is the prompt asked."""
    for name in ("describe", "title", "seed-gpt", "seed-llama"):
        task = load_task(name)
        record = {"id": "1", "title": "T {content}", "content": "C {title}"}
        messages = chat_row(task, record)["messages"]
        assert messages[:-1] == task.prompt(record).messages()
        assert messages[-1]["content"] == task.expected(record)


def test_an_empty_system_text_is_kept_and_an_absent_one_stays_absent() -> None:
    row = {"instruction": "a", "input": "", "output": "b"}
    assert to_instruction(to_chat({**row, "system": ""}), "a") == {**row, "system": ""}
    assert "system" not in to_instruction(to_chat(row), "a")


def test_several_turns_do_not_fit_an_instruction_row() -> None:
    row = {"messages": [{"role": role, "content": "x"} for role in ("user", "assistant", "user", "assistant")]}
    with pytest.raises(DataError, match="user, assistant, user, assistant"):
        to_instruction(row)


def test_a_task_without_instruction_gives_an_input_alone() -> None:
    row = instruction_row(Task(name="t", instruction=""), {"id": "1", "title": "a\n\nb", "content": "c"})
    assert to_instruction(to_chat(row), "") == row
