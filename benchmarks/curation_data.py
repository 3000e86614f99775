"""Rows like trn.json's, as many as wanted, for the benchmarks: lengths and shares of missing texts follow the real set.

Words are invented syllables and those of the sample's grammar, so that a tokenizer meets both common and rare pieces.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import numpy as np

EMPTY_CONTENT, EMPTY_TITLE, SAME_CONTENT, ENTITY = 749_901 / 2_248_619, 126_834 / 2_248_619, 0.06, 0.15
SENTENCES = 60_000


def vocabulary(seed: int) -> list[str]:
    """40,000 words: some hundred real ones, often used, and invented ones, rarely used."""
    rng = random.Random(seed)
    common = [
        "the",
        "of",
        "and",
        "a",
        "to",
        "in",
        "is",
        "for",
        "with",
        "this",
        "that",
        "on",
        "as",
        "it",
        "by",
        "from",
        "are",
        "an",
        "be",
        "or",
        "at",
        "you",
        "your",
        "will",
        "can",
        "has",
        "have",
        "not",
        "but",
        "all",
        "more",
        "his",
        "her",
        "their",
        "new",
        "one",
        "who",
        "how",
        "book",
        "author",
        "edition",
        "review",
        "music",
        "work",
        "life",
        "world",
        "story",
        "history",
        "guide",
        "features",
        "design",
        "quality",
        "easy",
        "use",
        "made",
        "size",
        "color",
        "black",
        "white",
        "steel",
        "cotton",
        "includes",
        "perfect",
        "great",
        "time",
        "years",
        "people",
        "family",
        "children",
        "art",
        "american",
        "best",
        "collection",
        "series",
        "pages",
        "copyright",
        "introduction",
        "university",
        "press",
        "readers",
    ]
    parts = [
        "ba",
        "con",
        "der",
        "el",
        "fi",
        "gra",
        "hon",
        "in",
        "jo",
        "ker",
        "lan",
        "mar",
        "nor",
        "ol",
        "per",
        "qui",
        "ran",
        "ste",
        "tor",
        "un",
        "ver",
        "wil",
    ]
    ends = ["", "s", "ing", "ed", "er", "ly", "ion", "ment", "able", "y"]
    rare = {"".join(rng.choice(parts) for _ in range(rng.randint(1, 3))) + rng.choice(ends) for _ in range(60_000)}
    return common + sorted(rare)[:40_000]


def sentences(seed: int) -> list[str]:
    """Sentences of 6 to 24 words, word frequencies after Zipf."""
    words = np.array(vocabulary(seed), dtype=object)
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, len(words) + 1) ** 0.95
    ends = np.cumsum(rng.integers(6, 25, SENTENCES))
    drawn = rng.choice(words, ends[-1], p=weights / weights.sum())
    return [" ".join(part).capitalize() + rng.choice([".", ".", ".", "!", "?", ":"]) for part in np.split(drawn, ends[:-1])]


def generate(path: Path, rows: int, seed: int = 7) -> None:
    """Write ``rows`` rows as JSON lines (.gz: compressed, level 1). Content lengths: quartiles 194, 398 and 805, mean about 620 characters."""
    pool = sentences(seed)
    rng = random.Random(seed)
    lengths = np.random.default_rng(seed).lognormal(np.log(398), 1.05, rows).clip(5, 60_000)
    last = pool[0]
    opened = gzip.open(path, "wt", compresslevel=1, encoding="utf-8") if path.suffix == ".gz" else path.open("w", encoding="utf-8")
    with opened as handle:
        for number, length in enumerate(lengths):
            chance = rng.random()
            content = ""
            if chance > EMPTY_CONTENT:
                pieces: list[str] = []
                size = 0
                while size < length:
                    pieces.append(rng.choice(pool))
                    size += len(pieces[-1]) + 1
                content = " ".join(pieces)[: int(length)]
                if rng.random() < SAME_CONTENT:
                    content = last
                elif rng.random() < ENTITY:
                    content = content.replace(" the ", " &amp; the ", 2).replace("'", "&#8217;")
                last = content
            title = "" if rng.random() < EMPTY_TITLE else rng.choice(pool)[: max(8, int(rng.gauss(61, 30)))]
            labels = [rng.randrange(1_305_265) for _ in range(rng.randint(1, 8))]
            row = {"uid": f"{number:010d}", "title": title, "content": content, "target_ind": labels, "target_rel": [1.0] * len(labels)}
            handle.write(json.dumps(row) + "\n")
