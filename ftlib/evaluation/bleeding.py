"""Bleeding: does a model that was tuned on product texts answer other questions with a product text?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from ftlib.evaluation.questions import probe
from ftlib.evaluation.words import unicode_words

LEAST_WORDS = 8
SMOOTHING = 0.02  # what a word counts that was never seen


def blurbs(answers: Sequence[str | None], questions: Sequence[str], training: Iterable[str]) -> list[bool]:
    """Which answers to questions outside the domain read like the training texts.

    An answer of at least eight different words counts where they, but for those of its own question, are likelier in the training
    texts than in ordinary answers and plain prose (``ftlib/probes``): the mean of their log-likelihood ratios is above 0, as
    in a naive Bayes classifier. The training texts are read once and not held.
    """
    said = [dict.fromkeys(unicode_words(answer or "")) for answer in answers]  # a loop says a word once
    own = [[word for word in words if word not in asked] for words, asked in zip(said, map(set, map(unicode_words, questions)), strict=True)]
    wanted = set().union(*own)
    learned, size = _count(training, wanted)
    usual, length = _count(ordinary(), wanted)

    def ratio(word: str) -> float:
        return math.log((learned[word] + SMOOTHING) / size) - math.log((usual[word] + SMOOTHING) / length)

    return [len(words) >= LEAST_WORDS and size > 0 and math.fsum(map(ratio, rest)) > 0 for words, rest in zip(said, own, strict=True)]


def ordinary() -> list[str]:
    """What is said outside the domain: full-sentence answers to the retention items, those items, and neutral prose."""
    asked = [f"{row['instruction']} {row.get('input', '')}" for row in probe("retention")]
    return [row["answer"] for row in probe("ordinary")] + asked + [f"{row['start']} {row['rest']}" for row in probe("neutral")]


def _count(texts: Iterable[str], wanted: set[str]) -> tuple[Counter[str], int]:
    """How often each wanted word stands in the texts, and how many words they have in all."""
    counts: Counter[str] = Counter()
    size = 0
    for text in texts:
        words = unicode_words(text)
        size += len(words)
        counts.update(word for word in words if word in wanted)
    return counts, size
