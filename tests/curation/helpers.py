"""Small files of rows for the tests of curation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WORDS = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fable",
    "grove",
    "haven",
    "ivory",
    "jetty",
    "knoll",
    "lunar",
    "maple",
    "north",
    "ocean",
    "pearl",
    "quartz",
    "river",
    "stone",
    "tulip",
    "umber",
    "velvet",
    "willow",
    "xenon",
    "yarrow",
    "zephyr",
    "anchor",
    "bridge",
    "candle",
    "dragon",
    "engine",
    "feather",
    "garden",
    "hammer",
    "island",
    "jungle",
    "kettle",
    "ladder",
    "mirror",
    "needle",
    "orchid",
    "pepper",
    "quiver",
    "ribbon",
    "saddle",
    "temple",
    "urchin",
]


def sentence(number: int, size: int = 24) -> str:
    """A text of ``size`` words that shares few words with that of another number."""
    return " ".join(f"{WORDS[(number * 7 + k * 13) % len(WORDS)]}{number * 31 + k * k}" for k in range(size))


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Rows in the raw format, all different."""
    return [{"uid": f"{n:010d}", "title": f"Title {sentence(n, 4)}", "content": sentence(n)} for n in range(start, start + count)]


def write(path: Path, rows: Iterable[Any]) -> Path:
    """Rows as JSON lines."""
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return path


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file that curation wrote."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]
