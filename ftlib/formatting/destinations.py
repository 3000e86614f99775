"""Where a training file can go, and the rules that hold there."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Literal

from ftlib.configuration import nearest
from ftlib.errors import ProfileError

MB = 10**6
GB = 10**9
VALIDATION = ("valid.jsonl", "validation.jsonl")  # names of files that are held to a validation file's rules


@dataclass(frozen=True)
class Destination:
    """The rules of one destination; ``source`` says who states them."""

    name: str
    format: Literal["chat", "instruction"]
    source: str
    min_examples: int = 10  # of a training file; a validation file needs one
    max_bytes: int | None = None
    bom: Literal["forbidden", "required", "ignored"] = "forbidden"
    alternate: bool = False  # two turns of the same role in a row are refused
    roles: tuple[str, ...] = ("system", "user", "assistant", "tool")
    row_keys: tuple[str, ...] = ("messages", "tools", "parallel_tool_calls")
    message_keys: tuple[str, ...] = ("role", "content", "weight", "name", "tool_calls", "tool_call_id")
    context: int | None = None  # tokens of one example, where it is the same for all models
    encoding: str | None = None  # tiktoken's name of the tokenizer, where it is the same for all models
    family: str | None = None  # whose special tokens are refused; None: the model's own
    suffix_max: int | None = None  # characters of a job's suffix
    suffix_dots: bool = True


OPENAI = Destination(
    "openai",
    "chat",
    "OpenAI's fine-tuning guide and API reference: at least 10 examples, 512 MB, UTF-8 JSON lines, suffix of at most 64 characters; "
    "65,536 tokens an example of gpt-4o-mini and gpt-4.1",
    max_bytes=512 * MB,
    context=65_536,
    encoding="o200k_base",
    family="gpt",
    suffix_max=64,
)
DESTINATIONS = {
    "openai": OPENAI,
    "azure": replace(
        OPENAI,
        name="azure",
        source="Azure OpenAI's how-to for fine-tuning: UTF-8 with a byte-order mark, under 512 MB; a suffix of at most 18 characters without dots",
        bom="required",
        suffix_max=18,
        suffix_dots=False,
    ),
    "sandbox": replace(OPENAI, name="sandbox", source="ftlib's own service, which checks as OpenAI does", bom="ignored", context=None, encoding=None),
    "nebius": Destination(
        "nebius",
        "chat",
        "Nebius Token Factory, dataset formats and API reference: JSON lines, 50 GB, the last message the assistant's, a suffix of at most 64 "
        "characters, 8,192 tokens an example (its default, which ftlib leaves); it states no fewest examples, so OpenAI's 10",
        max_bytes=50 * GB,
        row_keys=("messages", "tools"),
        context=8_192,
        suffix_max=64,
    ),
    "together": Destination(
        "together",
        "chat",
        "the together client, 1.6.0 and 3.1.1: 50.1 GiB, one example, roles that alternate, weight 0 or 1, no further columns than tools",
        min_examples=1,
        max_bytes=int(50.1 * 2**30),
        alternate=True,
        row_keys=("messages", "tools"),
    ),
    "local": Destination(
        "local",
        "instruction",
        "ftlib's local trainer",
        min_examples=1,
        bom="ignored",
        row_keys=("instruction", "input", "output", "system", "weight"),
    ),
}


@functools.cache
def as_chat(rules: Destination) -> Destination:
    """A destination's rules for chat rows. The local trainer takes them too; it knows no tools, and none of a service's limits."""
    if rules.format == "chat":
        return rules
    roles, row_keys, keys = ("system", "user", "assistant"), ("messages",), ("role", "content", "weight", "name")
    return replace(rules, format="chat", roles=roles, row_keys=row_keys, message_keys=keys)


def find_destination(name: str) -> tuple[Destination, str | None]:
    """The rules for a name such as ``openai`` or ``local:MODEL``, and the model where one is named. Raises ProfileError."""
    kind, colon, model = name.partition(":")
    if kind not in DESTINATIONS or (colon and kind != "local"):
        raise ProfileError(f"There is no destination {name!r}{nearest(kind, list(DESTINATIONS))}; local may name a model, as local:tiny-llama.")
    return DESTINATIONS[kind], model or None


def rules_for(name: str) -> tuple[Destination, str | None]:
    """As ``find_destination``, but any other name is taken for a provider of one's own."""
    return find_destination(name) if name.partition(":")[0] in DESTINATIONS else (for_provider(name), None)


def for_provider(provider: str) -> Destination:
    """The rules of a provider; one that is not known here is held to OpenAI's form, which most follow, not to its limits."""
    source = "a provider of one's own: OpenAI's form"
    plain = replace(OPENAI, name=provider, source=source, min_examples=1, max_bytes=None, context=None, encoding=None, family=None, suffix_max=None)
    return DESTINATIONS.get(provider, plain)
