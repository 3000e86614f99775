"""How fast evaluation is, against rouge_score and at growing size.

    OPENBLAS_NUM_THREADS=1 python benchmarks/evaluation.py [--items 500] [--growth 1000 10000 100000] [--out benchmarks/evaluation.json]

Texts are random words of Zipf-like frequency, of a vocabulary that grows with them as a shop's does, about as long as
product descriptions (100 words); in the growth series they have 25, so that its largest size ends in minutes. Best of three
for what takes under five seconds.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rouge_score import rouge_scorer

from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.recorded import METRICS
from ftlib.evaluation.rouge import ORDERS, rouge
from ftlib.evaluation.score import Settings, score
from ftlib.evaluation.similar import clusters
from ftlib.evaluation.words import google_words
from ftlib.files import write_json

STEMS = ("lamp", "chair", "oak", "book", "author", "story", "hand", "light", "paper", "stone")
ENDINGS = ("", "s", "er", "ing", "ed", "ful", "ly", "ness", "less", "able", "ment", "ish", "like", "wise", "ward")
PLAIN = [stem + ending for stem in STEMS for ending in ENDINGS]


def word(rank: int) -> str:
    """The word of a rank, for any rank: the commonest ones are plain, the others carry a number."""
    number, place = divmod(rank - 1, len(PLAIN))
    return f"{PLAIN[place]}{number or ''}"


def texts(count: int, seed: int, words: int = 100) -> list[str]:
    """Texts of about so many words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(words // 2, words * 3 // 2, size=count)
    return [" ".join(map(word, rng.zipf(1.3, size=length).tolist())) + "." for length in lengths]


def material(count: int, systems: int, words: int) -> tuple[list[Item], dict[str, list[Given]]]:
    """Questions and answers of so many systems."""
    titles = texts(count, 1, 8)
    items = [Item(str(i), reference, f"{title} {i}") for i, (reference, title) in enumerate(zip(texts(count, 2, words), titles, strict=True))]
    return items, {f"s{s}": [Given(str(i), text, "stop") for i, text in enumerate(texts(count, 10 + s, words))] for s in range(systems)}


def seconds(work: Callable[[], Any]) -> dict[str, float]:
    """Wall and processor time (of all threads), the best of three where it is short."""
    best = {"wall_s": float("inf"), "cpu_s": float("inf")}
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        best = {key: min(best[key], took[key]) for key in best}
        if took["cpu_s"] > 5:
            break
    return {key: round(value, 3) for key, value in best.items()}


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
    faster = theirs["cpu_s"] / ours["cpu_s"]
    return {"pairs": count, "rouge_score": theirs, "ftlib": ours, "times_faster_cpu": round(faster, 1), "largest_difference": gap}


def whole(count: int, systems: int, resamples: int, words: int = 100) -> dict[str, Any]:
    """All offline metrics, flags, intervals and tests."""
    items, answers = material(count, systems, words)
    training = texts(1500, 5)
    settings = Settings(METRICS, resamples=resamples)
    took = seconds(lambda: score(items, answers, settings, training=training))
    per_item = round(1000 * took["cpu_s"] / count, 3)
    return {"items": count, "systems": systems, "words": words, "resamples": resamples, **took, "cpu_ms_an_item": per_item}


def clusters_alone(count: int) -> dict[str, Any]:
    """Near-equal titles alone: the one part that compares items with each other."""
    titles = [item.title for item in material(count, 0, 5)[0]]
    return {**seconds(lambda: clusters(titles)), "distinct_words": len({word for title in titles for word in (title or "").split()})}


def processor() -> str:
    """The processor's own name, where Linux tells it."""
    cpus = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in cpus.read_text().splitlines() if line.startswith("model name")] if cpus.exists() else []
    return names[0] if names else platform.machine()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--growth", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    machine = {
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "processor": processor(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "rapidfuzz", "sacrebleu", "rouge-score")},
    }
    found: dict[str, Any] = {
        "machine": machine,
        "rouge": against_rouge_score(args.items),
        "whole": whole(args.items, 4, args.resamples),
        "growth": [],
    }
    for count in args.growth:
        write_json(args.out, found)  # each size is kept, should a larger one be too much
        found["growth"].append(whole(count, 2, args.resamples, 25))
    for small, large in pairwise(found["growth"]):
        large["times_the_items"], large["times_the_cpu"] = large["items"] / small["items"], round(large["cpu_s"] / small["cpu_s"], 2)
    for row in found["growth"]:
        row["clusters"] = clusters_alone(row["items"])
    found["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    write_json(args.out, found)
    print(args.out.read_text())


if __name__ == "__main__":
    main()
