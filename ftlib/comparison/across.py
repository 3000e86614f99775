"""Differences between systems of different runs, which no run tested: from the item scores, with evaluation's own statistics."""

from __future__ import annotations

import itertools
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.pairs import pair

NEAR = 1e-4  # a system's stored figure and the mean of its items may differ by rounding


def complete(material: Material) -> None:
    """Add the pairs of the primary metric that are missing, and correct Holm's p over all pairs of it.

    Only where the metric is the mean of its items, as ROUGE is; a pair of a corpus metric stays untested.
    """
    from ftlib.evaluation.analysis import deciding
    from ftlib.evaluation.statistics import holm

    added = [
        row
        for a, b in itertools.combinations(material.scored, 2)
        if not pair(material, a, b) and "tuned" in (material.state(a), material.state(b)) and (row := paired(material, a, b))
    ]
    if not added:
        return
    clusters = int((material.summary.get("settings") or {}).get("clusters") or material.n)
    rows = [*material.summary["pairs"], *added]
    family = [row for row in rows if row["metric"] == material.primary and {"tuned", "base"} & {material.state(row[end]) for end in "ab"}]
    corrected = {id(row): p for row, p in zip(family, holm([deciding(row, clusters) for row in family]), strict=True)}
    material.summary["pairs"] = [{**row, "p_holm": corrected[id(row)]} if id(row) in corrected else row for row in rows]


def paired(material: Material, a: str, b: str) -> dict[str, Any] | None:
    """One pair: paired bootstrap and sign flips over clusters of near-equal titles; None where the items cannot carry it."""
    import numpy as np

    from ftlib.evaluation import statistics
    from ftlib.evaluation.similar import clusters

    metric, ids = material.primary, material.ids()
    settings = material.summary.get("settings") or {}
    values = {}
    for name in (a, b):
        scores = [material.items[name][i].metrics.get(metric) if i in material.items.get(name, {}) else None for i in ids]
        known = [score for score in scores if score is not None]
        if len(known) < len(ids) or abs(float(np.mean(known)) - material.systems[name]["metrics"][metric]["value"]) > NEAR:
            return None
        values[name] = np.array(known)
    first = next(iter(material.items.values()))
    labels = clusters([first[i].title for i in ids])
    if len(set(labels)) < 2:
        return None
    gaps = values[a] - values[b]
    sums = statistics.cluster_sums(np.stack([gaps, np.ones(len(ids))], axis=1), labels)
    resamples, seed = int(settings.get("resamples") or 10_000), int(settings.get("seed") or 42)
    drawn = statistics.bootstrap(sums, resamples, seed)
    means = drawn[:, 0] / drawn[:, 1]
    flipped = statistics.sign_flips(sums[:, :1], resamples, seed)[:, 0] / len(ids)
    low, high = statistics.interval(means)
    p = statistics.two_sided(means)
    return {"a": a, "b": b, "metric": metric, "difference": float(gaps.mean()), "low": low, "high": high, "p": p,
            "p_permutation": statistics.permutation(flipped, float(gaps.mean())), "p_holm": p, "n": len(ids)}  # fmt: skip
