"""Intervals and tests for paired answers: what a difference between two systems on the same items can and cannot say.

Everything is resampled by cluster (near-equal titles move together) and with the same draws for all systems and metrics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Z = 1.959963984540054  # the normal's 97.5 % point
Z_POWER = Z + 0.8416212335729143  # and 80 % power
FEW = 30  # clusters below which a percentile interval is too narrow and a bootstrap p too small
CELLS = 4_000_000  # numbers drawn at once: bounds memory for any number of items


def cluster_sums(statistics: Floats, labels: Labels) -> Floats:
    """Sum rows that share a label: (items, width) to (clusters, width)."""
    sums = np.zeros((int(labels.max()) + 1, statistics.shape[1]))
    np.add.at(sums, labels, statistics)
    return sums


def bootstrap(sums: Floats, resamples: int, seed: int) -> Floats:
    """Totals of ``resamples`` sets, each of as many clusters drawn with replacement: (resamples, width).

    Efron's nonparametric bootstrap; the draws depend on the seed and the number of clusters alone.
    """
    clusters = len(sums)
    rng = np.random.default_rng([seed, 1])
    out = np.empty((resamples, sums.shape[1]))
    step = max(1, CELLS // clusters)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        weights = np.empty((count, clusters))
        for row, drawn in enumerate(rng.integers(0, clusters, size=(count, clusters), dtype=np.int64)):
            weights[row] = np.bincount(drawn, minlength=clusters)
        out[start : start + count] = weights @ sums
    return out


def sign_flips(sums: Floats, resamples: int, seed: int) -> Floats:
    """Totals with each cluster's sign drawn at random: (resamples, width).

    The difference of two systems' totals, so signed, is what exchanging their answers at random gives.
    """
    clusters = len(sums)
    rng = np.random.default_rng([seed, 2])
    out = np.empty((resamples, sums.shape[1]))
    step = max(1, CELLS // clusters)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        signs = rng.integers(0, 2, size=(count, clusters), dtype=np.int8).astype(np.float64) * 2 - 1
        out[start : start + count] = signs @ sums
    return out


def interval(values: Floats) -> tuple[float, float]:
    """The 95 % percentile interval."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def two_sided(differences: Floats) -> float:
    """Two-sided p of a bootstrap: twice the smaller share on one side of 0, each counted with one added (Davison and Hinkley)."""
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(differences) + 1))


def permutation(differences: Floats, observed: float) -> float:
    """p of a permutation test: the share of differences at least as large as the observed one, the observed counted."""
    return (1 + int((np.abs(differences) >= abs(observed) - 1e-9).sum())) / (len(differences) + 1)


def wilson(count: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share (Wilson 1927), wider than need be where halves are counted. (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share = count / n
    below = 1 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / below
    half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / below
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return low, 1.0 if count == n else min(1.0, middle + half)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p: a fair coin on the items where only one of the two has the property."""
    n = only_a + only_b
    if n == 0:
        return 1.0
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(min(only_a, only_b) + 1)
    tail = np.exp(logs[n] - logs[k] - logs[n - k] - n * math.log(2)).sum()
    return min(1.0, 2 * float(tail))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values (Holm 1979), in the given order."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return adjusted


def kappa(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Cohen's kappa of two raters' labels; None where both used one and the same label throughout (it is undefined)."""
    n = len(a)
    agreed = sum(x == y for x, y in zip(a, b, strict=True)) / n
    chance = sum(list(a).count(label) * list(b).count(label) for label in {*a, *b}) / n**2
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def smallest_difference(differences: Floats) -> float:
    """The smallest true difference that a set of this size shows in four cases of five (5 % two-sided, 80 % power).

    2.80 standard errors, the standard error being that of the bootstrap's paired differences.
    """
    return Z_POWER * float(differences.std(ddof=1))
