"""Metrics of answers: one number an item, and the sums from which a whole set's figure is computed.

A metric keeps, for each item, a row of statistics that may be added up; the figure of a set (or of a resampled one) is a
function of the sums. So means, ratios of totals and chrF are resampled by the same matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import rapidfuzz
from numpy.typing import NDArray

from ftlib.configuration import nearest
from ftlib.errors import ProfileError
from ftlib.evaluation import chrf, rouge
from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.words import TOKENIZERS, content_words, unicode_words
from ftlib.evaluation.words import signature as words_signature

Floats = NDArray[np.float64]


@dataclass
class Metric:
    """What a figure is: its name, how it was computed (signature), its unit, which way is better, and its data.

    ``statistics`` and ``values`` hold, per system, an (items, width) array to be summed and an (items,) array of the
    items' own figures, NaN where the metric does not apply to an item.
    """

    name: str
    signature: str
    unit: str
    higher_is_better: bool | None
    figure: Callable[[Floats], Floats]
    part_of: str | None = None  # precision and recall stand beside their F
    statistics: dict[str, Floats] = field(default_factory=dict)
    values: dict[str, Floats] = field(default_factory=dict)

    def add_means(self, system: str, values: Floats) -> None:
        """Take a system's item values (NaN: does not apply); the figure is their mean."""
        applies = ~np.isnan(values)
        self.values[system] = values
        self.statistics[system] = np.stack([np.where(applies, values, 0.0), applies.astype(np.float64)], axis=1)

    def add_ratios(self, system: str, above: Floats, below: Floats) -> None:
        """Take a system's item numerators and denominators; the figure is the ratio of their totals."""
        self.values[system] = np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
        self.statistics[system] = np.stack([above, below], axis=1)


def ratio(sums: Floats) -> Floats:
    """Numerator over denominator, the last axis being (numerator, denominator); NaN where nothing was counted."""
    result: Floats = np.where(sums[..., 1] > 0, sums[..., 0] / np.where(sums[..., 1] > 0, sums[..., 1], 1), np.nan)
    return result


SUFFIXES = {"unicode": "", "google": "_google", "stem": "_stem"}
ROUGES = {f"{name}{suffix}": tokenizer for tokenizer, suffix in SUFFIXES.items() for name in rouge.ORDERS}


def check_names(names: Sequence[str], primary: str, *, embedded: bool = False) -> None:
    """Raises ProfileError with the nearest valid name; ``embedded`` tells that semantic similarity was measured."""
    if "semantic" in names and not embedded:
        raise ProfileError(
            "The metric semantic needs a sentence-embedding model: name one with --embedding (in a profile: evaluation.embedding), or leave it out."
        )
    for name in names:
        if name not in NAMES:
            raise ProfileError(f"There is no metric {name!r}{nearest(name, NAMES)}.")
    if primary not in names:
        raise ProfileError(f"The primary metric {primary!r} is not among the metrics {', '.join(names)}; add it, or choose one of them.")


def measure(
    items: Sequence[Item], answers: Mapping[str, Sequence[Given]], names: Sequence[str], *, failed_score: float = 0.0, language: str = "en"
) -> dict[str, Metric]:
    """All offline metrics of all systems.

    Args:
        items: the questions.
        answers: per system, its answers in the items' order.
        names: of the metrics (``NAMES`` without ``semantic``).
        failed_score: what an item without an answer scores where the figure is a mean of items; where it is computed from
            totals (chrF, length ratio) such an item counts as an empty answer.
        language: of titles, for what counts as a content word.
    """
    made: dict[str, Metric] = {}
    for tokenizer in dict.fromkeys(ROUGES[name] for name in names if name in ROUGES):
        made |= _rouges(items, answers, [name for name in names if ROUGES.get(name) == tokenizer], tokenizer, failed_score)
    made |= {name: OTHERS[name](items, answers, failed_score, language) for name in names if name in OTHERS}
    order = [part for name in names for part in (name, f"{name}_precision", f"{name}_recall")]
    return {name: made[name] for name in order if name in made}


def _rouges(items: Sequence[Item], answers: Mapping[str, Sequence[Given]], names: Sequence[str], tokenizer: str, failed: float) -> dict[str, Metric]:
    split = TOKENIZERS[tokenizer]
    expected = [split(item.reference) for item in items]
    signature = f"{words_signature(tokenizer)}|rapidfuzz:{rapidfuzz.__version__}"
    made = {}
    for name in names:
        for part, what in (("", "F1"), ("_precision", "P"), ("_recall", "R")):
            full = name + part
            made[full] = Metric(full, f"{name.partition('_')[0]}-{what}|{signature}", "points", True, ratio, name if part else None)
    for system, given in answers.items():
        scores = np.full((len(items), 3, 3), failed)
        for row, (answer, words) in enumerate(zip(given, expected, strict=True)):
            if not answer.failed:
                scores[row] = rouge.rouge(split(answer.text or ""), words)
        for name in names:
            order = rouge.ORDERS.index(name.partition("_")[0])
            for part, column in (("_precision", 0), ("_recall", 1), ("", 2)):
                made[name + part].add_means(system, scores[:, order, column])
    return made


def _chrf(items: Sequence[Item], answers: Mapping[str, Sequence[Given]], failed: float, language: str) -> Metric:
    metric = Metric("chrf", chrf.signature(), "points", True, chrf.from_statistics)
    counter = chrf.metric()
    counts = {system: np.zeros((len(items), chrf.WIDTH)) for system in answers}
    for row, item in enumerate(items):
        texts = ["" if given[row].failed else given[row].text or "" for given in answers.values()]
        for system, found in zip(answers, chrf.statistics(counter, item.reference, texts), strict=True):
            counts[system][row] = found
    metric.statistics = counts
    metric.values = {system: chrf.from_statistics(found) for system, found in counts.items()}
    return metric


def _lengths(items: Sequence[Item], answers: Mapping[str, Sequence[Given]], failed: float, language: str) -> Metric:
    metric = Metric("length_ratio", f"words of answers / words of references|{words_signature('unicode')}", "ratio", None, ratio)
    below = np.array([len(unicode_words(item.reference)) for item in items], dtype=np.float64)
    for system, given in answers.items():
        above = np.array([0 if a.failed else len(unicode_words(a.text or "")) for a in given], dtype=np.float64)
        metric.add_ratios(system, above, below)
    return metric


def _faithfulness(items: Sequence[Item], answers: Mapping[str, Sequence[Given]], failed: float, language: str) -> Metric:
    signature = f"share of the title's content words and numbers|{words_signature('unicode')}|stop:{language}.1"
    metric = Metric("title_faithfulness", signature, "percent", True, ratio)
    titles = [content_words(item.title or "", language) for item in items]
    for system, given in answers.items():
        values = np.full(len(items), np.nan)
        for row, (words, answer) in enumerate(zip(titles, given, strict=True)):
            if words:
                values[row] = failed if answer.failed else 100 * len(words.intersection(unicode_words(answer.text or ""))) / len(words)
        metric.add_means(system, values)
    return metric


# What is computed from (items, answers of each system, what a failed item scores, language); ROUGE apart, whose names share their words.
OTHERS: dict[str, Callable[[Sequence[Item], Mapping[str, Sequence[Given]], float, str], Metric]] = {
    "chrf": _chrf,
    "length_ratio": _lengths,
    "title_faithfulness": _faithfulness,
}
NAMES = [*ROUGES, *OTHERS, "semantic"]
