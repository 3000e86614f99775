"""Bleeding: does a model that was tuned on product texts answer other questions with a product text?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ftlib.evaluation.words import unicode_words

LEAST_WORDS, SHARE = 8, 0.4


def blurbs(answers: Sequence[str | None], questions: Sequence[str], training: Iterable[str]) -> list[bool]:
    """Which answers to questions outside the domain read like the training texts.

    An answer of at least eight words counts where 40 % of its word 3-grams stand in the training texts and not in its own
    question. The training texts are read once and not held.
    """
    grams = [_grams(answer or "") - _grams(question) for answer, question in zip(answers, questions, strict=True)]
    wanted = set().union(*grams) if grams else set()
    known: set[tuple[str, str, str]] = set()
    for text in training:
        words = unicode_words(text)
        known.update(gram for gram in zip(words, words[1:], words[2:], strict=False) if gram in wanted)
    return [
        len(unicode_words(answer or "")) >= LEAST_WORDS and bool(own) and len(own & known) >= SHARE * len(own)
        for answer, own in zip(answers, grams, strict=True)
    ]


def _grams(text: str) -> set[tuple[str, str, str]]:
    words = unicode_words(text)
    return set(zip(words, words[1:], words[2:], strict=False))
