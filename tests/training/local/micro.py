"""A model small enough to be trained in a second, and rows for it."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from ftlib.training.local.rows import Example, user_turn
from ftlib.training.local.settings import TuneSettings

THINGS = ("mug", "tent", "lamp", "chair", "drum", "boat", "kettle", "glove")
COLOURS = ("red", "blue", "green", "white")


def examples(count: int, start: int = 0) -> list[Example]:
    """Rows of unequal lengths, none like another."""
    rows = []
    for number in range(start, start + count):
        thing, colour = THINGS[number % 8], COLOURS[number // 8 % 4]
        title = f"{colour} {thing} no. {number}"
        rows.append(Example((user_turn("Describe it.", title),), f"This {thing} is {colour}. " * (1 + number % 3) + f"Number {number}."))
    return rows


def settings(**changes: object) -> TuneSettings:
    """Quick settings for twelve steps."""
    base: dict[str, object] = {
        "epochs": 1.0, "lr": 5e-3, "batch": 4, "accumulate": 1, "max_length": 256, "r": 4, "dropout": 0.1,
        "checkpoint_steps": 2, "checkpoint_minutes": None, "keep": 2, "loader": "transformers",
    }  # fmt: skip
    return TuneSettings(**{**base, **changes})  # type: ignore[arg-type]


@functools.cache
def model() -> Path:
    """The folder of the micro model, built in this session's FTLIB_HOME."""
    assert os.environ.get("FTLIB_HOME"), "tests must not touch the user's cache"
    from ftlib.training.local.tiny import build_tiny

    return build_tiny("tiny-micro")
