"""Scores of a set of answers: the one function behind a run's scores and behind `ftlib score`."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ftlib.errors import ProfileError
from ftlib.evaluation import analysis, statistics
from ftlib.evaluation.flags import KINDS, LIMITS, find_flags, languages
from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.metrics import Metric, check_names, measure
from ftlib.evaluation.similar import THRESHOLD, clusters

log = logging.getLogger("ftlib")
FEWEST = 20  # resamples


def check_numbers(resamples: int, failed_score: float) -> None:
    """Raises ProfileError where there are too few resamples for a 95 % interval, or a failed item would score no number."""
    if resamples < FEWEST:
        raise ProfileError(f"resamples: {resamples} are too few for an interval; give {FEWEST} or more (10,000 is the default).")
    if not math.isfinite(failed_score):
        raise ProfileError(f"failed_score: {failed_score} is no number that could be averaged; 0 is the default.")


@dataclass(frozen=True)
class Settings:
    """What a scoring depends on besides its files."""

    metrics: Sequence[str]
    primary: str = "rougeL"
    seed: int = 42
    resamples: int = 10_000
    failed_score: float = 0.0
    language: str = "en"
    trivial: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Raises ProfileError as ``check_numbers`` does."""
        check_numbers(self.resamples, self.failed_score)


@dataclass
class Scored:
    """What a scoring found: the summary's parts, and the metrics and flags of each item."""

    summary: dict[str, Any]
    metrics: dict[str, Metric]
    flags: dict[str, list[set[str]]]
    extra: dict[str, Any] = field(default_factory=dict)


def score(
    items: Sequence[Item],
    answers: Mapping[str, Sequence[Given]],
    settings: Settings,
    *,
    prompts: Callable[[Item], str] = lambda item: item.title or "",
    training: Iterable[str] | None = None,
    more: Mapping[str, Metric] | None = None,
) -> Scored:
    """Score every system's answers to the same items, in the same order.

    Args:
        items: the questions.
        answers: per system, one answer an item.
        prompts: what an item's question looked like, for the echo flag.
        training: texts that were learned from, for the memorised flag; None where they are not known.
        more: metrics that were measured elsewhere (bits per byte, semantic similarity), resampled with the rest.
    """
    check_names(settings.metrics, settings.primary, embedded="semantic" in (more or {}))
    metrics = measure(
        items, answers, [name for name in settings.metrics if name != "semantic"], failed_score=settings.failed_score, language=settings.language
    )
    metrics |= more or {}
    labels = clusters([item.title for item in items])
    count = int(labels.max()) + 1
    found = analysis.resample(metrics, labels, settings.resamples, settings.seed)
    titled, trained = any(item.title for item in items), training is not None
    flags, openings = find_flags(items, dict(answers), prompts=prompts, language=settings.language, training=training)
    judged = {"memorised": trained, "nothing_of_title": titled, "filled_template": titled, "wrong_language": settings.language in languages()}
    kinds = [kind for kind in KINDS if judged.get(kind, True)]
    systems: dict[str, Any] = {}
    for name, given in answers.items():
        shown, na = analysis.system_metrics(name, metrics, found, clusters=count)
        known = [kind for kind in kinds if kind != "cut" or any(a.finish for a in given)]
        na |= {f"flags.{kind}": _why_unknown(kind) for kind in KINDS if kind not in known}
        rates = analysis.flag_rates(flags[name], known)
        if "common_opening" in rates:
            rates["common_opening"]["opening"] = openings[name]
        systems[name] = {"failed": sum(a.failed for a in given), "n": len(items), "metrics": shown, "flags": rates, "na": na}
    tested = analysis.pairs_of(list(answers), settings.trivial)
    _warn_of_few(len(tested), settings.resamples)
    pairs = analysis.all_pairs(tested, metrics, found, clusters=count)
    among_trivial = analysis.all_pairs(analysis.trivial_pairs(list(answers), settings.trivial), metrics, found, clusters=count)
    summary = {
        "n": len(items),
        "primary": settings.primary,
        "settings": _stated(settings, metrics, labels),
        "systems": systems,
        "pairs": pairs + among_trivial,
        "mcnemar": analysis.flag_tests(tested, flags, {name: data["flags"] for name, data in systems.items()}, kinds),
        "smallest_difference": smallest(pairs, settings, metrics[settings.primary].unit),
    }
    return Scored(summary, metrics, flags)


def _warn_of_few(pairs: int, resamples: int) -> None:
    """A bootstrap's smallest p is 2 / (resamples + 1), and Holm multiplies it by the number of pairs: many systems need many resamples."""
    least = 2 * pairs / (resamples + 1)
    if least >= 0.05:
        log.warning(
            "%d resamples are too few for %d pairs of systems: after Holm no p can be below %.2g; set evaluation.resamples to %d or more",
            resamples, pairs, least, 40 * pairs,
        )  # fmt: skip


def _stated(settings: Settings, metrics: Mapping[str, Metric], labels: np.ndarray) -> dict[str, Any]:
    return {
        "metrics": list(dict.fromkeys([*settings.metrics, *(name for name in metrics if name == "semantic")])),
        "seed": settings.seed,
        "resamples": settings.resamples,
        "failed_score": settings.failed_score,
        "language": settings.language,
        "interval": "95 % percentile, paired bootstrap",
        "clusters": int(labels.max()) + 1,
        "few_items": few_items(len(labels), int(labels.max()) + 1),
        "cluster_threshold": THRESHOLD,
        "holm_family": "all pairs shown, on one metric or flag; pairs of trivial systems apart",
        "flag_limits": LIMITS,
    }


def few_items(items: int, clusters: int) -> str | None:
    """A warning that stands beside intervals of too few items; None where there are enough."""
    if clusters >= statistics.FEW:
        return None
    what = f"{items} {'item' if items == 1 else 'items'}" + (f" in {clusters} groups of near-equal titles" if clusters < items else "")
    if clusters == 1:
        return f"{what}: {analysis.ONE}; the figures say nothing beyond these answers."
    return f"{what}: fewer than {statistics.FEW}, so the intervals are too narrow and the figures say little beyond these answers."


def _why_unknown(kind: str) -> str:
    return {
        "memorised": "no training file was given",
        "nothing_of_title": "the items have no titles",
        "filled_template": "the items have no titles",
        "cut": "the answers do not say how they ended",
        "wrong_language": "there is no list of function words for this language",
    }[kind]


def smallest(pairs: Sequence[Mapping[str, Any]], settings: Settings, unit: str) -> dict[str, Any]:
    """The smallest difference on the primary metric that these items can show (median over the pairs of real systems)."""
    real = [
        row["smallest_difference"]
        for row in pairs
        if row["metric"] == settings.primary and row["smallest_difference"] > 0 and not {row["a"], row["b"]}.intersection(settings.trivial)
    ]
    return {
        "metric": settings.primary,
        "value": float(np.median(real)) if real else None,
        "unit": unit if real else None,
        "how": "80 % power at 5 % two-sided, from the paired bootstrap; median over pairs of models",
        "na": None if real else "there is no pair of different systems to take it from",
        "z": statistics.Z_POWER,
    }


def item_rows(items: Sequence[Item], answers: Mapping[str, Sequence[Given]], scored: Scored, item_set: str = "test") -> Iterable[dict[str, Any]]:
    """The per-item table: one row a system and item."""
    for system, given in answers.items():
        for row, (item, answer) in enumerate(zip(items, given, strict=True)):
            values = {name: _plain(metric.values[system][row]) for name, metric in scored.metrics.items() if system in metric.values}
            yield {
                "id": item.id,
                "system": system,
                "set": item_set,
                "title": item.title or "",
                "reference": item.reference,
                "answer": answer.text,
                "failed": answer.failed,
                "metrics": values,
                "flags": sorted(scored.flags[system][row]),
            }


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
