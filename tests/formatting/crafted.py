"""Crafted training files: each shows one rule of one destination.

A case is a destination, what is done to a good file, and the findings that must come of it, as "rule" or "rule:line" with a leading
``?`` for a warning. A case without findings must be accepted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Row = Any
BOM = "\ufeff"


def chat(n: int, **answer: Any) -> Row:
    """A good chat row; ``answer`` adds keys to the assistant's message."""
    return {"messages": [{"role": "user", "content": f"Cup {n}"}, {"role": "assistant", "content": f"A cup, number {n}.", **answer}]}


def instruction(n: int) -> Row:
    """A good instruction row."""
    return {"instruction": "Describe.", "input": f"Cup {n}", "output": f"A cup, number {n}."}


def turns(*said: tuple[str, Any]) -> Row:
    """A chat row of these (role, content) turns."""
    return {"messages": [{"role": role, "content": content} for role, content in said]}


@dataclass(frozen=True)
class Case:
    """One crafted file: twelve good rows, the row that is shown in line 5, and what surrounds them."""

    name: str
    destination: str
    row: Row = None  # takes the place of line 5
    raw: str | bytes | None = None  # the same, as it stands in the file
    rows: int = 12
    before: str = ""
    expect: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def data(self) -> bytes:
        """The file's bytes."""
        good = instruction if self.destination.startswith("local") else chat
        lines: list[bytes] = [json.dumps(good(n)).encode() for n in range(self.rows)]
        if self.row is not None:
            lines[4] = json.dumps(self.row).encode()
        if self.raw is not None:
            lines[4] = self.raw if isinstance(self.raw, bytes) else self.raw.encode()
        return self.before.encode() + b"".join(line + b"\n" for line in lines)


U, A, S = ("user", "Cup"), ("assistant", "A cup."), ("system", "Be brief.")
LONG = "word " * 70_000
LLAMA = {"model": "llama-3.1-8b"}
ACCEPTED = (
    Case("plain", "openai"),
    Case("ten examples are enough", "openai", rows=10),
    Case("a system message first", "openai", turns(S, U, A)),
    Case("several turns", "openai", turns(S, U, A, U, A)),
    Case("weights 0 and 1", "openai", {"messages": [*chat(0, weight=0)["messages"], *chat(1, weight=1)["messages"]]}),
    Case("tools", "openai", {**chat(90), "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}),
    Case("a call without content", "openai", {"messages": [{"role": "user", "content": "Cup"}, {"role": "assistant", "tool_calls": [{"id": "1"}]}]}),
    Case("what is absent as null", "openai", chat(88, name=None, tool_calls=None)),
    Case("any Unicode", "openai", turns(("user", "caf\u00e9 \u4e2d\u6587 \U0001f469\u200d\U0001f467"), ("assistant", "\u2028 \u00a0 na\u00efve"))),
    Case("lines end in CRLF", "openai", raw=json.dumps(chat(91)) + "\r"),
    Case("long, within the context", "openai", turns(U, ("assistant", "word " * 60_000))),
    Case("a suffix", "openai", options={"suffix": "my-model.v2"}),
    Case("a byte-order mark at azure", "azure", before=BOM),
    Case("one example at together", "together", rows=1),
    Case("a system message at nebius", "nebius", turns(S, U, A)),
    Case("sandbox with a mark", "sandbox", before=BOM),
    Case("one row is enough here", "local", rows=1),
    Case("an empty input", "local", {"instruction": "Say something.", "input": "", "output": "Something."}),
    Case("an empty instruction", "local", {"instruction": "", "input": "Cup", "output": "A cup."}),
    Case("system and weight", "local", {**instruction(92), "system": "Be brief.", "weight": 1}),
    Case("a chat row among instruction rows", "local", turns(S, U, A, U, A)),
    Case("a chat row for a model here", "local:tiny-llama", chat(89, weight=1)),
    Case("one example in validation.jsonl", "openai", rows=1, options={"name": "validation.jsonl"}),
    Case("another family's token", "local:llama-3.2-3b", {**instruction(93), "output": "a [INST] b"}),
)
REJECTED = (
    Case("not JSON", "openai", raw='{"messages": [', expect=("json:5",)),
    Case("NaN", "openai", raw='{"messages": NaN}', expect=("json:5",)),
    Case("a list", "openai", [1, 2], expect=("object:5",)),
    Case("not UTF-8", "openai", raw=b'{"messages": "\xff"}', expect=("utf8:5",)),
    Case("a blank line", "openai", raw="", expect=("?blank_line:5",)),
    Case("a byte-order mark", "openai", before=BOM, expect=("bom:1",)),
    Case("no byte-order mark at azure", "azure", expect=("bom:1",)),
    Case("nine examples", "openai", rows=9, expect=("min_examples:0",)),
    Case("nothing", "openai", rows=0, expect=("min_examples:0",)),
    Case("not named .jsonl", "openai", options={"name": "train.json"}, expect=("?extension:0",)),
    Case("a name that only begins with valid", "openai", rows=9, options={"name": "valid-cups.jsonl"}, expect=("min_examples:0",)),
    Case("an instruction row", "openai", instruction(1), expect=("messages:5",)),
    Case("prompt and completion", "openai", {"prompt": "a", "completion": "b"}, expect=("messages:5",)),
    Case("messages is a text", "openai", {"messages": "hello"}, expect=("messages:5",)),
    Case("messages is empty", "openai", {"messages": []}, expect=("messages:5",)),
    Case("a message is a text", "openai", {"messages": ["hello", chat(1)["messages"][1]]}, expect=("message:5", "?user:5")),
    Case("an unknown key of the row", "openai", {**chat(94), "id": 7}, expect=("unknown_key:5",)),
    Case("an unknown key of a message", "openai", chat(95, score=1), expect=("unknown_key:5",)),
    Case("an unknown role", "openai", turns(("human", "Cup"), A), expect=("role:5", "?user:5")),
    Case("no role", "openai", {"messages": [{"content": "Cup"}, chat(1)["messages"][1]]}, expect=("role:5", "?user:5")),
    Case("content is a number", "openai", turns(("user", 3), A), expect=("content:5",)),
    Case("content is null", "openai", turns(U, ("assistant", None)), expect=("content:5",)),
    Case("content is empty", "openai", turns(U, ("assistant", "  \n")), expect=("empty:5",)),
    Case("the user speaks last", "openai", turns(U, A, U), expect=("last_message:5",)),
    Case("no assistant", "openai", turns(S, U), expect=("assistant:5",)),
    Case("weight is a half", "openai", chat(96, weight=0.5), expect=("weight:5",)),
    Case("weight is true", "openai", chat(97, weight=True), expect=("weight:5",)),
    Case("weight on the user", "openai", {"messages": [{**chat(1)["messages"][0], "weight": 1}, chat(98)["messages"][1]]}, expect=("weight:5",)),
    Case("nothing is learnt", "openai", chat(99, weight=0), expect=("?weight:5",)),
    Case("tools is an object", "openai", {**chat(87), "tools": {"type": "function"}}, expect=("type:5",)),
    Case("a call is a text", "openai", {"messages": [chat(1)["messages"][0], {"role": "assistant", "tool_calls": ["f"]}]}, expect=("type:5",)),
    Case("a name is a number", "openai", chat(86, name=7), expect=("type:5",)),
    Case("parallel_tool_calls is a text", "openai", {**chat(85), "parallel_tool_calls": "no"}, expect=("type:5",)),
    Case("a special token in a call", "openai", chat(84, tool_calls=[{"arguments": "<|fim_suffix|>"}]), expect=("special_token:5",)),
    Case("a special token", "openai", turns(U, ("assistant", "a <|fim_suffix|> b")), expect=("special_token:5",)),
    Case("looks like a special token", "openai", turns(U, ("assistant", "a <|magic|> b")), expect=("?special_token:5",)),
    Case("half a surrogate pair", "openai", turns(("user", "\ud83d"), A), expect=("unicode:5",)),
    Case("longer than the context", "openai", turns(U, ("assistant", LONG)), expect=("context:5",)),
    Case("twice the same", "openai", chat(1), expect=("?duplicate:5",)),
    Case("a late system message", "openai", turns(U, S, A), expect=("?order:5",)),
    Case("two users in a row", "openai", turns(U, U, A), expect=("?alternate:5",)),
    Case("a suffix that is too long", "openai", options={"suffix": "x" * 65}, expect=("suffix:0",)),
    Case("a dot in azure's suffix", "azure", before=BOM, options={"suffix": "v1.2"}, expect=("suffix:0",)),
    Case("azure's suffix is shorter", "azure", before=BOM, options={"suffix": "x" * 19}, expect=("suffix:0",)),
    Case("two users in a row at together", "together", turns(U, U, A), expect=("alternate:5",)),
    Case("a further column at together", "together", {**chat(1), "source": "x"}, expect=("unknown_key:5",)),
    Case("the user speaks last at nebius", "nebius", turns(U, A, U), expect=("last_message:5",)),
    Case("longer than nebius takes unasked", "nebius", turns(U, ("assistant", "word " * 9_000)), options=LLAMA, expect=("?context:5",)),
    Case("a suffix that is too long at nebius", "nebius", options={"suffix": "x" * 65}, expect=("suffix:0",)),
    Case("nine examples in the sandbox", "sandbox", rows=9, expect=("min_examples:0",)),
    Case("the model's special token at nebius", "nebius", turns(U, ("assistant", "<|eot_id|>")), options=LLAMA, expect=("special_token:5",)),
    Case("a chat row with an unknown key", "local", {**chat(1), "text": "x"}, expect=("unknown_key:5",)),
    Case("a chat row that calls a tool", "local", turns(U, ("tool", "x"), A), expect=("role:5",)),
    Case("a chat row without an answer", "local", turns(S, U), expect=("assistant:5",)),
    Case("a special token in a chat row", "local:llama-3.2-3b", turns(U, ("assistant", "x<|eot_id|>")), expect=("special_token:5",)),
    Case("nothing is learnt of an instruction row", "local", {**instruction(1), "weight": 0}, expect=("?weight:5",)),
    Case("no output", "local", {"instruction": "Say.", "input": ""}, expect=("content:5",)),
    Case("an empty output", "local", {"instruction": "Say.", "input": "", "output": ""}, expect=("empty:5",)),
    Case("nothing is asked", "local", {"instruction": "", "input": "", "output": "x"}, expect=("empty:5",)),
    Case("an unknown key here", "local", {**instruction(1), "text": "x"}, expect=("unknown_key:5",)),
    Case("input is a list", "local", {**instruction(1), "input": ["x"]}, expect=("content:5",)),
    Case("the model's own special token", "local:llama-3.2-3b", {**instruction(1), "output": "x<|eot_id|>"}, expect=("special_token:5",)),
    Case("gemma's special token", "local:gemma-3-1b", {**instruction(1), "output": "<end_of_turn>"}, expect=("special_token:5",)),
    Case("the tiny model's special token", "local:tiny-llama", {**instruction(1), "output": "<|end|>"}, expect=("special_token:5",)),
)
