"""How fast evaluation is, against rouge_score and at growing size.

    python benchmarks/evaluation.py [--items 500] [--growth 500 2000 8000] [--big 100000] [--out benchmarks/evaluation.json]

Texts are random words of Zipf-like frequency, about as long as product descriptions (100 words). Best of three for what
takes under five seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rouge_score import rouge_scorer

from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.recorded import METRICS
from ftlib.evaluation.rouge import ORDERS, rouge
from ftlib.evaluation.score import Settings, score
from ftlib.evaluation.words import google_words
from ftlib.files import write_json

WORDS = np.array([f"{stem}{ending}" for stem in ("lamp", "chair", "oak", "book", "author", "story", "hand", "light", "paper", "stone") for ending in
                  ("", "s", "er", "ing", "ed", "ful", "ly", "ness", "less", "able", "ment", "ish", "like", "wise", "ward")] * 20)  # fmt: skip


def texts(count: int, seed: int, words: int = 100) -> list[str]:
    """Texts of about so many words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(words // 2, words * 3 // 2, size=count)
    return [" ".join(WORDS[np.minimum(rng.zipf(1.3, size=length), len(WORDS)) - 1]) + "." for length in lengths]


def material(count: int, systems: int) -> tuple[list[Item], dict[str, list[Given]]]:
    """Questions and answers of so many systems."""
    titles = texts(count, 1, 8)
    items = [Item(str(i), reference, f"{title} {i}") for i, (reference, title) in enumerate(zip(texts(count, 2), titles, strict=True))]
    return items, {f"s{s}": [Given(str(i), text, "stop") for i, text in enumerate(texts(count, 10 + s))] for s in range(systems)}


def seconds(work: Callable[[], Any]) -> float:
    """Wall time, the best of three where it is short."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
        if best > 5:
            break
    return best


def against_rouge_score(count: int) -> dict[str, Any]:
    """Three ROUGEs of ``count`` pairs by both, and the largest difference."""
    answers, references = texts(count, 3), texts(count, 4)
    scorer = rouge_scorer.RougeScorer(list(ORDERS))
    theirs = seconds(lambda: [scorer.score(r, a) for r, a in zip(references, answers, strict=True)])
    ours = seconds(lambda: [rouge(google_words(a), google_words(r)) for r, a in zip(references, answers, strict=True)])
    gap = 0.0
    for reference, answer in zip(references, answers, strict=True):
        expected, found = scorer.score(reference, answer), rouge(google_words(answer), google_words(reference))
        gap = max(gap, *(abs(f / 100 - e) for name, values in zip(ORDERS, found, strict=True) for f, e in zip(values, expected[name], strict=True)))
    return {"pairs": count, "rouge_score_s": theirs, "ftlib_s": ours, "times_faster": theirs / ours, "largest_difference": gap}


def whole(count: int, systems: int, resamples: int) -> dict[str, Any]:
    """All offline metrics, flags, intervals and tests."""
    items, answers = material(count, systems)
    training = texts(1500, 5)
    settings = Settings(METRICS, resamples=resamples)
    took = seconds(lambda: score(items, answers, settings, training=training))
    return {"items": count, "systems": systems, "resamples": resamples, "seconds": took, "ms_an_item": 1000 * took / count}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--growth", type=int, nargs="*", default=[500, 2000, 8000])
    parser.add_argument("--big", type=int, default=0, help="a last, large size with two systems (100000 takes many minutes)")
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    found: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "rouge": against_rouge_score(args.items),
        "whole": whole(args.items, 4, args.resamples),
        "growth": [whole(count, 2, args.resamples) for count in args.growth],
    }
    if args.big:
        found["growth"].append(whole(args.big, 2, args.resamples))
    for small, large in pairwise(found["growth"]):
        large["times_the_items"], large["times_the_seconds"] = large["items"] / small["items"], large["seconds"] / small["seconds"]
    found["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    write_json(args.out, found)
    print(args.out.read_text())


if __name__ == "__main__":
    main()
