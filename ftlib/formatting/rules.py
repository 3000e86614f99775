"""The rules for one row of a training file: pure functions from a row to what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ftlib.formatting.destinations import Destination

Severity = Literal["error", "warning"]
# what a tokenizer reads as a command where it should read text
OPENAI_SPECIAL = re.compile(r"<\|(?:endoftext|endofprompt|fim_prefix|fim_middle|fim_suffix|im_start|im_end|im_sep|start|end|message|channel|return|call)\|>")
FAMILY_SPECIAL = {
    "llama": re.compile(r"<\|(?:begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id|python_tag|finetune_right_pad_id)\|>"),
    "qwen2": re.compile(r"<\|(?:endoftext|im_start|im_end)\|>"),
    "qwen3": re.compile(r"<\|(?:endoftext|im_start|im_end|object_ref_start|object_ref_end)\|>|</?think>|</?tool_call>"),
    "gemma3": re.compile(r"<(?:bos|eos|pad|start_of_turn|end_of_turn)>"),
    "mistral": re.compile(r"\[/?INST\]|</?s>"),
    "phi": re.compile(r"<\|(?:endoftext|system|user|assistant|end)\|>"),
    "smollm": re.compile(r"<\|(?:endoftext|im_start|im_end)\|>"),
    "gpt": OPENAI_SPECIAL,
}
LOOKS_SPECIAL = re.compile(r"<\|[a-z_]{2,30}\|>")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where it stands and what to do; ``line`` counts from 1, 0 is the file as a whole."""

    line: int
    rule: str
    severity: Severity
    field: str
    message: str
    remedy: str
    file: str = "training"

    def data(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


Wrong = tuple[str, Severity, str, str, str]  # rule, severity, field, message, remedy


def check_row(row: Any, destination: Destination, family: str | None = None) -> Iterator[Wrong]:
    """What is wrong with one row at a destination.

    Args:
        row: the parsed JSON value of a line.
        family: of the model, for its special tokens (``llama`` ...).
    """
    if not isinstance(row, dict):
        yield "object", "error", "", f"the line is a JSON {_kind(row)}, not an object", "write one JSON object a line"
    elif destination.format == "chat":
        yield from _chat(row, destination, family)
    else:
        yield from _instruction(row, destination, family)


def _chat(row: dict[str, Any], destination: Destination, family: str | None) -> Iterator[Wrong]:
    if "messages" not in row:
        shape = "an instruction row" if "output" in row else "a row without messages"
        yield "messages", "error", "messages", f"{shape}, where {destination.name} takes messages", "make the file with `ftlib format --to chat`"
        return
    yield from _unknown(row, destination.row_keys, "")
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        yield "messages", "error", "messages", f"messages is {_kind(messages)}, not a list of messages", "give a list with at least a user's and an assistant's message"
        return
    for place, item in enumerate(messages):
        yield from _message(item, f"messages[{place}]", destination, family)
    roles = [item.get("role") if isinstance(item, dict) else None for item in messages]
    yield from _order(roles, destination)
    answers = [item for item in messages if isinstance(item, dict) and item.get("role") == "assistant"]
    if answers and all(item.get("weight") == 0 for item in answers):
        yield "weight", "warning", "messages", "every answer has weight 0, so nothing is learnt from this example", "give one answer weight 1, or leave the row out"


def _order(roles: list[Any], destination: Destination) -> Iterator[Wrong]:
    """Which roles stand where."""
    last = f"messages[{len(roles) - 1}].role"
    if "assistant" not in roles:
        yield "assistant", "error", "messages", "no message is the assistant's", "add the expected answer as the last message, role assistant"
    elif roles[-1] != "assistant":
        severity: Severity = "error" if destination.last_is_assistant else "warning"
        yield "last_message", severity, last, f"the last message is the {roles[-1]}'s", "end with the assistant's message"
    if "user" not in roles:
        yield "user", "warning", "messages", "no message is the user's, so nothing is asked", "put what is asked before the answer, role user"
    for place, role in enumerate(roles):
        if role == "system" and place > 0:
            yield "order", "warning", f"messages[{place}].role", "a system message stands after others", "put the system text first"
        if place and role == roles[place - 1] and role in ("user", "assistant", "system"):
            what = "error" if destination.alternate else "warning"
            yield "alternate", what, f"messages[{place}].role", f"two messages of the {role} in a row", "join them, or put the other side's turn between"  # type: ignore[misc]


def _message(item: Any, at: str, destination: Destination, family: str | None) -> Iterator[Wrong]:
    if not isinstance(item, dict):
        yield "message", "error", at, f"the message is {_kind(item)}, not an object", "write {role, content}"
        return
    yield from _unknown(item, destination.message_keys, f"{at}.")
    role = item.get("role")
    if role not in destination.roles:
        yield "role", "error", f"{at}.role", f"role is {_shown(role)}", f"use one of {', '.join(destination.roles)}"
    yield from _weight(item, at, role)
    content = item.get("content")
    if content is None and role == "assistant" and item.get("tool_calls"):
        return
    yield from _text(content, f"{at}.content", family, required=True)


def _weight(item: dict[str, Any], at: str, role: Any) -> Iterator[Wrong]:
    if "weight" not in item:
        return
    weight = item["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int) or weight not in (0, 1):
        yield "weight", "error", f"{at}.weight", f"weight is {_shown(weight)}", "use 0 (not learnt) or 1"
    elif role != "assistant" and at:
        yield "weight", "error", f"{at}.weight", f"weight on a message of the {role}", "only the assistant's messages take a weight; remove it"


def _instruction(row: dict[str, Any], destination: Destination, family: str | None) -> Iterator[Wrong]:
    if "messages" in row:
        yield "instruction", "error", "messages", "a chat row, where the local trainer takes instruction rows", "make the file with `ftlib format --to instruction`"
        return
    yield from _unknown(row, destination.row_keys, "")
    yield from _weight(row, "", None)
    for key in ("instruction", "input"):
        yield from _text(row.get(key), key, family, required=False)
    if row.get("instruction") == "" and row.get("input") == "":
        yield "empty", "error", "input", "instruction and input are both empty, so nothing is asked", "fill one of them, or leave the row out"
    if row.get("system") is not None:
        yield from _text(row["system"], "system", family, required=False)
    yield from _text(row.get("output"), "output", family, required=True)


def _text(value: Any, field: str, family: str | None, *, required: bool) -> Iterator[Wrong]:
    """What is wrong with one text."""
    if not isinstance(value, str):
        what = "is missing" if value is None else f"is {_kind(value)}, not a text"
        yield "content", "error", field, f"{field} {what}", "give a text"
        return
    if required and not value.strip():
        yield "empty", "error", field, f"{field} is empty", "fill it, or leave the row out"
    if _SURROGATE.search(value):
        yield "unicode", "error", field, "half of a surrogate pair, which is no character", "mend the text where it comes from, or leave the row out"
    known = FAMILY_SPECIAL.get(family or "")
    literal = known.search(value) if known else None
    if literal:
        yield "special_token", "error", field, f"the text holds {literal[0]}, a special token of the model", "remove it or write it another way"
        return
    literal = LOOKS_SPECIAL.search(value)
    if literal:
        yield "special_token", "warning", field, f"the text holds {literal[0]}, which looks like a special token", "see whether the model knows it"


def _unknown(item: dict[str, Any], keys: tuple[str, ...], at: str) -> Iterator[Wrong]:
    for key in item:
        if key not in keys:
            yield "unknown_key", "error", f"{at}{key}", f"unknown key {key!r}", f"remove it; the keys are {', '.join(keys)}"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return "an empty list" if value == [] else names[type(value)]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 40 else text[:37] + "..."
