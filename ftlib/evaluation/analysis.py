"""From item figures to a summary: values with intervals, pairs with tests, rates with tests."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftlib.evaluation import statistics as st
from ftlib.evaluation.metrics import Metric

ONE = "one item, or several with near-equal titles, have no interval and no test"
Floats = NDArray[np.float64]


@dataclass
class Resampled:
    """One metric of one system: the figure of the real items, of resampled ones, and the totals behind a permutation."""

    value: float
    drawn: Floats  # (resamples,)
    total: Floats  # (width,)
    flipped: Floats  # (resamples, width)


def resample(metrics: Mapping[str, Metric], labels: NDArray[np.int64], resamples: int, seed: int) -> dict[tuple[str, str], Resampled]:
    """Resample all metrics of all systems with the same draws; keyed by (metric, system)."""
    columns: list[Floats] = []
    places: dict[tuple[str, str], slice] = {}
    at = 0
    for name, metric in metrics.items():
        for system, rows in metric.statistics.items():
            columns.append(rows)
            places[name, system] = slice(at, at + rows.shape[1])
            at += rows.shape[1]
    sums = st.cluster_sums(np.concatenate(columns, axis=1), labels)
    drawn, flipped, total = st.bootstrap(sums, resamples, seed), st.sign_flips(sums, resamples, seed), sums.sum(0)
    return {
        (name, system): Resampled(float(metrics[name].figure(total[place])), metrics[name].figure(drawn[:, place]), total[place], flipped[:, place])
        for (name, system), place in places.items()
    }


def system_metrics(
    system: str, metrics: Mapping[str, Metric], found: Mapping[tuple[str, str], Resampled], *, clusters: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """A system's ``metrics`` for the summary, and the reasons for those that do not apply to it; of one cluster there is no interval."""
    shown: dict[str, Any] = {}
    na: dict[str, str] = {}
    for name, metric in metrics.items():
        result = found.get((name, system))
        usable = result is not None and np.isfinite(result.value)
        if not usable or result is None:
            na[f"metrics.{name}"] = "no item of this system has what it is computed from"
            continue
        drawn = result.drawn[np.isfinite(result.drawn)]
        low, high = st.interval(drawn) if clusters > 1 else (None, None)
        if low is None:
            na[f"metrics.{name}.low"] = na[f"metrics.{name}.high"] = ONE
        shown[name] = {
            "value": result.value,
            "low": low,
            "high": high,
            "n": int((~np.isnan(metric.values[system])).sum()),
            "signature": metric.signature,
            "unit": metric.unit,
            "higher_is_better": metric.higher_is_better,
        }
        if metric.part_of:
            shown[name]["part_of"] = metric.part_of
    return shown, na


def compare(a: str, b: str, metric: Metric, found: Mapping[tuple[str, str], Resampled]) -> dict[str, Any] | None:
    """One pair on one metric: difference a minus b, interval, p values; None where one of them lacks the metric."""
    one, two = found.get((metric.name, a)), found.get((metric.name, b))
    if one is None or two is None or not np.isfinite(one.value) or not np.isfinite(two.value):
        return None
    drawn = np.round(one.drawn - two.drawn, 9)  # so that equal systems differ by exactly 0 whatever the order of sums
    drawn = drawn[np.isfinite(drawn)]
    low, high = st.interval(drawn)
    middle, half = (one.total + two.total) / 2, (one.flipped - two.flipped) / 2
    exchanged = metric.figure(middle + half) - metric.figure(middle - half)
    difference = round(one.value - two.value, 9)
    both = ~np.isnan(metric.values[a]) & ~np.isnan(metric.values[b])
    return {
        "a": a,
        "b": b,
        "metric": metric.name,
        "difference": difference,
        "low": low,
        "high": high,
        "p": st.two_sided(drawn),
        "p_permutation": st.permutation(exchanged[np.isfinite(exchanged)], difference),
        "n": int(both.sum()),
        "smallest_difference": st.smallest_difference(drawn),
    }


def pairs_of(systems: Sequence[str], trivial: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs that a model stands in: all but trivial against trivial."""
    return [(a, b) for a, b in itertools.combinations(systems, 2) if not (a in trivial and b in trivial)]


def trivial_pairs(systems: Sequence[str], trivial: Sequence[str]) -> list[tuple[str, str]]:
    """Trivial against trivial: a family of its own, so that it costs the pairs of models no power."""
    return list(itertools.combinations([name for name in systems if name in trivial], 2))


def all_pairs(
    pairs: Sequence[tuple[str, str]], metrics: Mapping[str, Metric], found: Mapping[tuple[str, str], Resampled], *, clusters: int
) -> list[dict[str, Any]]:
    """Every pair on every metric; Holm's correction over the pairs of one metric (the family).

    With few clusters it corrects the larger of the two p values: the bootstrap's is too small there. One cluster tests nothing.
    """
    if clusters < 2:
        return []
    rows: list[dict[str, Any]] = []
    for metric in metrics.values():
        if metric.part_of:
            continue
        family = [row for a, b in pairs if (row := compare(a, b, metric, found))]
        for row, p in zip(family, st.holm([deciding(row, clusters) for row in family]), strict=True):
            row["p_holm"] = p
        rows += family
    return rows


def deciding(row: Mapping[str, Any], clusters: int) -> float:
    """The p of a pair that Holm corrects: the bootstrap's, or the larger of the two where clusters are few."""
    return float(row["p"] if clusters >= st.FEW else max(row["p"], row["p_permutation"]))


def flag_rates(rows: Sequence[set[str]], kinds: Sequence[str]) -> dict[str, Any]:
    """Each kind's rate with Wilson's interval."""
    n = len(rows)
    shown = {}
    for kind in kinds:
        count = sum(kind in row for row in rows)
        low, high = st.wilson(count, n)
        shown[kind] = {"rate": count / n, "low": low, "high": high, "count": count, "n": n}
    return shown


def flag_tests(
    pairs: Sequence[tuple[str, str]], flags: Mapping[str, Sequence[set[str]]], rates: Mapping[str, Mapping[str, Any]], kinds: Sequence[str]
) -> list[dict[str, Any]]:
    """McNemar's exact test of every kind that shows at all, on every pair of which both have its rate; Holm over the pairs of one kind."""
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        family = []
        for a, b in pairs:
            if kind not in rates[a] or kind not in rates[b]:
                continue
            has_a, has_b = [kind in row for row in flags[a]], [kind in row for row in flags[b]]
            only_a = sum(x and not y for x, y in zip(has_a, has_b, strict=True))
            only_b = sum(y and not x for x, y in zip(has_a, has_b, strict=True))
            family.append({"a": a, "b": b, "flag": kind, "only_a": only_a, "only_b": only_b, "p": st.mcnemar(only_a, only_b)})
        if any(row["only_a"] or row["only_b"] for row in family):
            for row, p in zip(family, st.holm([float(str(row["p"])) for row in family]), strict=True):
                row["p_holm"] = p
            rows += family
    return rows
