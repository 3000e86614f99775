"""Rows of a training file, in the two shapes that trainers take, and the ways between them.

An instruction row is ``{instruction, input, output, system?, weight?}``; a chat row is ``{messages: [{role, content}]}``.
Both say the same: going to chat and back gives the same row, on any Unicode text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftlib.errors import DataError
from ftlib.formatting.task import Record, Task, join_turn, message

Row = dict[str, Any]


def instruction_row(task: Task, record: Record) -> Row:
    """A record as an instruction row: what the original project gave to LLaMA. ``input`` may be empty."""
    prompt = task.prompt(record)
    row = {"instruction": prompt.instruction, "input": prompt.input, "output": task.expected(record)}
    return row if prompt.system is None else {**row, "system": prompt.system}


def answered(messages: Sequence[dict[str, str]], answer: str) -> list[dict[str, str]]:
    """A question's messages with the answer's below them."""
    return [*messages, message("assistant", answer)]


def chat_row(task: Task, record: Record) -> Row:
    """A record as a chat row: what the original project gave to GPT."""
    return to_chat(instruction_row(task, record))


def to_chat(row: Mapping[str, Any]) -> Row:
    """An instruction row as a chat row. ``weight`` goes to the answer's message, where hosted trainers look for it."""
    system = [message("system", row["system"])] if row.get("system") is not None else []
    answer: dict[str, Any] = message("assistant", row["output"])
    if "weight" in row:
        answer["weight"] = row["weight"]
    return {"messages": [*system, message("user", join_turn(row["instruction"], row["input"])), answer]}


def to_instruction(row: Mapping[str, Any], instruction: str = "") -> Row:
    """A chat row of one question and one answer as an instruction row.

    Args:
        row: ``{messages: [system?, user, assistant]}``.
        instruction: the text that the user's turn begins with (the task's); with it, the way back from ``to_chat`` is exact.
            A turn that does not begin with it becomes the input as a whole, so that nothing is lost.

    Raises DataError for a conversation of several turns, which an instruction row cannot hold.
    """
    messages = list(row["messages"])
    system = messages.pop(0)["content"] if messages and messages[0]["role"] == "system" else None
    if [turn["role"] for turn in messages] != ["user", "assistant"]:
        roles = ", ".join(str(turn["role"]) for turn in row["messages"])
        raise DataError(f"A conversation of {roles} does not fit an instruction row, which holds one question and one answer; keep it as chat.")
    user, answer = messages
    head, text = split_turn(user["content"], instruction)
    made = {"instruction": head, "input": text, "output": answer["content"]}
    if system is not None:
        made["system"] = system
    if "weight" in answer:
        made["weight"] = answer["weight"]
    return made


def split_turn(turn: str, instruction: str) -> tuple[str, str]:
    """A user's turn as (instruction, input), given the instruction; the inverse of ``join_turn``."""
    if instruction and turn == instruction:
        return instruction, ""
    head = join_turn(instruction, "\0")[:-1] if instruction else ""
    return (instruction, turn[len(head) :]) if instruction and turn.startswith(head) else ("", turn)
