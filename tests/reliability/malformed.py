"""Sixty kinds of malformed line, and files made of them with a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

Kind = Callable[[random.Random], bytes]


def row(rng: random.Random, **fields: object) -> dict[str, object]:
    """A good row; ``fields`` take the place of its own."""
    number = rng.randrange(10**9)
    return {"uid": f"{number:010d}", "title": f"Blue mug number {number}", "content": f"A mug of {number} grams that keeps tea warm.", **fields}


def line(rng: random.Random, **fields: object) -> bytes:
    """A good row as a line, without its end."""
    return json.dumps(row(rng, **fields)).encode()


def _cut(rng: random.Random) -> bytes:
    whole = line(rng)
    return whole[: rng.randrange(1, len(whole) - 1)]


def _flip(rng: random.Random) -> bytes:
    whole = bytearray(line(rng))
    whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    return bytes(whole).replace(b"\n", b"?")


def _noise(rng: random.Random) -> bytes:
    return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200))).replace(b"\n", b"?")


def _raw(text: bytes) -> Kind:
    return lambda rng: text


def _with(before: bytes, after: bytes) -> Kind:
    return lambda rng: before + line(rng) + after


def _content(value: object) -> Kind:
    return lambda rng: line(rng, content=value)


def _title(value: object) -> Kind:
    return lambda rng: line(rng, title=value)


def _inside(text: bytes) -> Kind:
    """A row whose content holds raw bytes that JSON does not allow there."""
    return lambda rng: line(rng, content="@@").replace(b"@@", text)


def _without(field: str) -> Kind:
    return lambda rng: json.dumps({key: value for key, value in row(rng).items() if key != field}).encode()


KINDS: dict[str, Kind] = {
    "cut": _cut,
    "one-bit": _flip,
    "noise": _noise,
    "blank": _raw(b""),
    "spaces": _raw(b"   \t "),
    "null": _raw(b"null"),
    "true": _raw(b"true"),
    "number": _raw(b"17"),
    "string": _raw(b'"a text"'),
    "array": _raw(b"[1, 2, 3]"),
    "array-of-rows": lambda rng: b"[" + line(rng) + b"," + line(rng) + b"]",
    "empty-object": _raw(b"{}"),
    "not-a-number": _raw(b'{"uid": "1", "title": NaN, "content": Infinity}'),
    "two-rows": lambda rng: line(rng) + line(rng),
    "two-rows-comma": lambda rng: line(rng) + b"," + line(rng),
    "trailing-comma": _with(b"", b","),
    "comma-inside": lambda rng: line(rng)[:-1] + b",}",
    "trailing-junk": _with(b"", b" xyz"),
    "leading-junk": _with(b"xyz ", b""),
    "bom": _with(b"\xef\xbb\xbf", b""),
    "single-quotes": lambda rng: line(rng).replace(b'"', b"'"),
    "no-quotes": lambda rng: line(rng).replace(b'"', b""),
    "inner-quote": _inside(b'a 5" pipe'),
    "bare-backslash": _inside(b"a \\x b"),
    "cut-escape": _inside(b"a \\u12"),
    "lone-high-surrogate": _inside(b"a \\ud800 b"),
    "lone-low-surrogate": _inside(b"a \\udc00 b"),
    "swapped-surrogates": _inside(b"a \\udc00\\ud800 b"),
    "escaped-null": _inside(b"a \\u0000 b"),
    "escaped-nonchar": _inside(b"a \\ufffe b"),
    "raw-null": _inside(b"a \x00 b"),
    "raw-tab": _inside(b"a \t b"),
    "raw-return": _inside(b"a \r b"),
    "raw-escape": _inside(b"a \x1b[31m b"),
    "latin-1": _inside("café".encode("latin-1")),
    "cut-utf-8": _inside(b"a \xe2\x82 b"),
    "overlong-utf-8": _inside(b"a \xc0\xaf b"),
    "cesu-surrogate": _inside(b"a \xed\xa0\x80 b"),
    "byte-ff": _inside(b"\xff\xfe"),
    "utf-16": lambda rng: line(rng).decode().encode("utf-16-le").replace(b"\n", b"?"),
    "line-separator": _inside("a \u2028 b \x85 c".encode()),
    "content-null": _content(None),
    "content-number": _content(12.5),
    "content-bool": _content(True),
    "content-list": _content(["a", "b"]),
    "content-object": _content({"a": "b"}),
    "content-empty": _content(""),
    "content-spaces": _content(" \u00a0\u200b\t "),
    "title-null": _title(None),
    "title-number": _title(1984),
    "title-empty": _title(""),
    "no-title": _without("title"),
    "no-content": _without("content"),
    "no-uid": _without("uid"),
    "twice-a-key": lambda rng: line(rng)[:-1] + b', "content": "another"}',
    "case-of-keys": lambda rng: line(rng).replace(b'"title"', b'"Title"').replace(b'"content"', b'"CONTENT"'),
    "huge-number": lambda rng: line(rng)[:-1] + b', "target_rel": [' + b"9" * 5_000 + b", 1e999]}",
    "deep": lambda rng: b'{"uid": "1", "title": "t", "content": "c", "target_ind": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep-open": _raw(b'{"a":' * 50_000),
    "long": lambda rng: line(rng, content="y" * 1_000_000),
}
assert len(KINDS) == 60


def make_file(path: Path, seed: int, *, good: int = 200, bad: int = 12) -> list[bytes]:
    """Write good rows with malformed lines between them; returns the good lines."""
    rng = random.Random(seed)
    rows = [line(rng) for _ in range(good)]
    lines = list(rows)
    for kind in rng.sample(list(KINDS), bad):
        lines.insert(rng.randrange(len(lines) + 1), KINDS[kind](rng))
    path.write_bytes(b"\n".join(lines) + rng.choice([b"", b"\n", b"\r\n"]))
    return rows
