"""Worked examples: training rows that stand in a few-shot contestant's prompt."""

from __future__ import annotations

import random

from ftlib.errors import ProfileError
from ftlib.files import read_jsonl
from ftlib.formatting.task import Record
from ftlib.profile import Contestant
from ftlib.runs import Run


def shots_of(run: Run, contestant: Contestant) -> list[Record]:
    """The worked examples of a few-shot contestant: seeded rows of its training file. Raises ProfileError where there are too few."""
    if not contestant.few_shot:
        return []
    rows = list(read_jsonl(run.curated_for(contestant) / "train.jsonl"))
    seed = run.profile.seed if contestant.seed is None else contestant.seed
    if contestant.few_shot > len(rows):
        raise ProfileError(f"contestant {contestant.name!r}: few_shot is {contestant.few_shot}, but there are {len(rows)} training rows.")
    return list(random.Random(seed).sample(rows, contestant.few_shot))
