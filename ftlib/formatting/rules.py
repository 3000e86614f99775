"""The rules for one row of a training file: pure functions from a row to what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ftlib.formatting.destinations import Destination, as_chat

Severity = Literal["error", "warning"]
Wrong = tuple[str, Severity, str, str, str]  # rule, severity, field, message, remedy


def _special(*names: str, more: str = "") -> re.Pattern[str]:
    return re.compile(rf"<\|(?:{'|'.join(names)})\|>" + more)


# texts that a family's tokenizer reads as commands: they would cut or bend a turn, and OpenAI fails the job for them
SPECIAL = {
    "gpt": _special(
        "endoftext",
        "endofprompt",
        "fim_prefix",
        "fim_middle",
        "fim_suffix",
        "im_start",
        "im_end",
        "im_sep",
        "start",
        "end",
        "message",
        "channel",
        "return",
        "call",
    ),
    "llama": _special("begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id", "eom_id", "python_tag"),
    "qwen2": _special("endoftext", "im_start", "im_end"),
    "qwen3": _special("endoftext", "im_start", "im_end", more=r"|</?think>|</?tool_call>"),
    "gemma3": re.compile(r"<(?:bos|eos|pad|start_of_turn|end_of_turn)>"),
    "mistral": re.compile(r"\[/?INST\]|</?s>"),
    "phi": _special("endoftext", "system", "user", "assistant", "end"),
    "smollm": _special("endoftext", "im_start", "im_end"),
    "tiny": _special("end", "pad", "eos", "bos", "system", "user", "assistant"),
}
LOOKS_SPECIAL = re.compile(r"<\|[a-z_]{2,30}\|>")
SURROGATE = re.compile("[\ud800-\udfff]")
TYPES = {"tools": list, "parallel_tool_calls": bool, "tool_calls": list, "name": str, "tool_call_id": str}  # of what stands beside the texts


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


def check_row(row: Any, destination: Destination, family: str | None = None) -> Iterator[Wrong]:
    """What is wrong with one row at a destination. Where instruction rows go, a row with messages is judged as the chat row it is.

    Args:
        row: the parsed JSON value of a line.
        family: of the model, for its special tokens (``llama`` ...).
    """
    if not isinstance(row, dict):
        yield "object", "error", "", f"the line is {_kind(row)}, not an object", "write one JSON object a line"
    elif destination.format == "chat" or "messages" in row:
        yield from _chat(row, as_chat(destination), family)
    else:
        yield from _instruction(row, destination, family)


def _chat(row: dict[str, Any], destination: Destination, family: str | None) -> Iterator[Wrong]:
    if "messages" not in row:
        shape = "an instruction row" if "output" in row else "a row without messages"
        yield "messages", "error", "messages", f"{shape}, where {destination.name} takes messages", "make the file with `ftlib format --to chat`"
        return
    yield from _unknown(row, destination.row_keys, "")
    yield from _typed(row, "", family)
    messages = row["messages"]
    if not isinstance(messages, list) or not messages:
        yield "messages", "error", "messages", f"messages is {_kind(messages)}, not a list of messages", "give at least a user's and an assistant's"
        return
    for place, item in enumerate(messages):
        yield from _message(item, f"messages[{place}]", destination, family)
    yield from _order([item.get("role") if isinstance(item, dict) else None for item in messages], destination)
    answers = [item for item in messages if isinstance(item, dict) and item.get("role") == "assistant"]
    if answers and all(item.get("weight") == 0 for item in answers):
        yield "weight", "warning", "messages", "every answer has weight 0, so nothing is learnt", "give one answer weight 1, or leave the row out"


def _order(roles: Sequence[Any], destination: Destination) -> Iterator[Wrong]:
    """Who speaks when."""
    if "assistant" not in roles:
        yield "assistant", "error", "messages", "no message is the assistant's", "add the expected answer as the last message, role assistant"
    elif roles[-1] != "assistant":
        yield "last_message", "error", f"messages[{len(roles) - 1}].role", f"the last message is the {roles[-1]}'s", "end with the assistant's"
    if "user" not in roles:
        yield "user", "warning", "messages", "no message is the user's, so nothing is asked", "put what is asked before the answer, role user"
    twice: Severity = "error" if destination.alternate else "warning"
    for place, role in enumerate(roles):
        if role == "system" and place > 0:
            yield "order", "warning", f"messages[{place}].role", "a system message stands after others", "put the system text first"
        if place and role == roles[place - 1] and role in ("user", "assistant", "system"):
            yield "alternate", twice, f"messages[{place}].role", f"two messages of the {role} in a row", "join them, or put the other's turn between"


def _message(item: Any, at: str, destination: Destination, family: str | None) -> Iterator[Wrong]:
    if not isinstance(item, dict):
        yield "message", "error", at, f"the message is {_kind(item)}, not an object", "write {role, content}"
        return
    yield from _unknown(item, destination.message_keys, f"{at}.")
    yield from _typed(item, f"{at}.", family)
    role = item.get("role")
    if role not in destination.roles:
        yield "role", "error", f"{at}.role", f"role is {_shown(role)}", f"use one of {', '.join(destination.roles)}"
    if "weight" in item:
        yield from _weight(item["weight"], f"{at}.weight", role)
    if item.get("content") is not None or not item.get("tool_calls"):
        yield from _text(item.get("content"), f"{at}.content", family, required=True)


def _weight(weight: Any, at: str, role: Any) -> Iterator[Wrong]:
    if isinstance(weight, bool) or not isinstance(weight, int) or weight not in (0, 1):
        yield "weight", "error", at, f"weight is {_shown(weight)}", "use 0 (not learnt) or 1"
    elif role != "assistant":
        yield "weight", "error", at, f"weight on a message of the {role}", "only the assistant's messages take a weight; remove it"


def _instruction(row: dict[str, Any], destination: Destination, family: str | None) -> Iterator[Wrong]:
    yield from _unknown(row, destination.row_keys, "")
    if "weight" in row:
        yield from _weight(row["weight"], "weight", "assistant")
        if row["weight"] == 0:
            yield "weight", "warning", "weight", "the answer has weight 0, so nothing is learnt", "give it weight 1, or leave the row out"
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
        yield "content", "error", field, f"{field} is " + ("missing" if value is None else f"{_kind(value)}, not a text"), "give a text"
        return
    if required and not value.strip():
        yield "empty", "error", field, f"{field} is empty", "fill it, or leave the row out"
    if SURROGATE.search(value):
        yield "unicode", "error", field, "half a surrogate pair, which is no character", "mend the text where it comes from, or leave the row out"
    yield from _tokens(value, field, family)


def _tokens(value: str, field: str, family: str | None) -> Iterator[Wrong]:
    """Spellings of special tokens in a text."""
    known = SPECIAL.get(family or "")
    if known and (literal := known.search(value)):
        yield "special_token", "error", field, f"the text holds {literal[0]}, a special token of the model", "remove it or write it another way"
    elif literal := LOOKS_SPECIAL.search(value):
        yield "special_token", "warning", field, f"the text holds {literal[0]}, which looks like a special token", "see whether the model knows it"


def _unknown(item: dict[str, Any], keys: Sequence[str], at: str) -> Iterator[Wrong]:
    for key in item:
        if key not in keys:
            yield "unknown_key", "error", f"{at}{key}", f"unknown key {key!r}", f"remove it; the keys are {', '.join(keys)}"


def _typed(item: dict[str, Any], at: str, family: str | None) -> Iterator[Wrong]:
    """Tools, calls and names: of the right type, and their texts without special tokens. Null is as good as absent."""
    for key, kind in TYPES.items():
        value = item.get(key)
        if value is None:
            continue
        if not isinstance(value, kind):
            yield "type", "error", f"{at}{key}", f"{key} is {_kind(value)}, not {KINDS[kind]}", f"make it {KINDS[kind]}, or remove it"
        elif isinstance(value, list) and not all(isinstance(part, dict) for part in value):
            yield "type", "error", f"{at}{key}", f"{key} holds something else than objects", "write each as an object"
        elif kind is not bool:
            yield from _tokens(json.dumps(value, ensure_ascii=False), f"{at}{key}", family)


KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}


def _kind(value: Any) -> str:
    """What a JSON value is, in words."""
    return "an empty list" if isinstance(value, list) and not value else KINDS[type(value)]


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 40 else text[:37] + "..."
