"""Tokens as services count them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

PER_MESSAGE = 4  # start, role, separator and end of a message
PER_EXAMPLE = 1


@functools.cache
def encoder(name: str) -> Any:
    """A tiktoken encoding, loaded without the network."""
    import base64
    import gzip
    from importlib import resources

    import tiktoken
    from tiktoken_ext import openai_public

    packed = resources.files("bpe_openai").joinpath("data", f"{name}.tiktoken.gz").read_bytes()
    ranks = {base64.b64decode(token): int(rank) for token, _, rank in (line.partition(b" ") for line in gzip.decompress(packed).splitlines() if line)}
    real, openai_public.load_tiktoken_bpe = openai_public.load_tiktoken_bpe, lambda *_, **__: ranks
    try:
        return tiktoken.Encoding(**openai_public.ENCODING_CONSTRUCTORS[name]())
    finally:
        openai_public.load_tiktoken_bpe = real


def count(text: str, name: str = "o200k_base") -> int:
    """Tokens of a text; special tokens in it are read as plain text."""
    return len(encoder(name).encode_ordinary(text.encode("utf-8", "replace").decode("utf-8")))


def example_tokens(row: Mapping[str, Any], name: str = "o200k_base") -> int:
    """Tokens that a hosted service trains on, and bills, for one chat row in one epoch.

    4 for each message and 1 for the example, beside the contents: with it the original's job of 1,500 two-message rows comes to the
    990,507 tokens that were billed (OpenAI's cookbook, which counts 3 and the role for each message and 3 for the example, says 2 more a row).
    Texts of names and tool calls are counted, what surrounds them is not known.
    """
    total = PER_EXAMPLE
    for message in row["messages"]:
        content = message.get("content")
        total += PER_MESSAGE + (count(content, name) if isinstance(content, str) else 0)
    return total
