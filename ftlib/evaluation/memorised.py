"""Answers that hold a long run of words from the training texts, found without holding those texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ftlib.evaluation.words import unicode_words

Hashes = NDArray[np.uint64]
BATCH = 1_000_000  # runs of training words looked up at once


def run_hashes(words: Sequence[str], size: int) -> Hashes:
    """A 64-bit hash of every run of ``size`` words (a polynomial over the words' own hashes): (words - size + 1,)."""
    if len(words) < size:
        return np.empty(0, dtype=np.uint64)
    own = np.fromiter((hash(word) & 0xFFFFFFFFFFFFFFFF for word in words), dtype=np.uint64, count=len(words))
    powers = np.cumprod(np.full(size, 0x9E3779B97F4A7C15, dtype=np.uint64))
    runs: Hashes = (np.lib.stride_tricks.sliding_window_view(own, size) * powers).sum(axis=1, dtype=np.uint64)
    return runs


def memorised(words: Mapping[str, Sequence[Sequence[str]]], training: Iterable[str], size: int) -> dict[str, list[bool]]:
    """Which answers hold ``size`` words in a row that stand in one training text.

    Args:
        words: per system, its answers as words.
        training: texts, read once; memory grows with the answers alone, by 8 bytes a word.
    """
    own = {system: [run_hashes(answer, size) for answer in answers] for system, answers in words.items()}
    wanted = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *(runs for answers in own.values() for runs in answers)]))
    seen = np.zeros(len(wanted), dtype=bool)
    for batch in _batches(training, size):
        seen[np.searchsorted(wanted, batch[np.isin(batch, wanted)])] = True
    known = wanted[seen]
    return {system: [bool(np.isin(runs, known).any()) for runs in answers] for system, answers in own.items()}


def _batches(training: Iterable[str], size: int) -> Iterator[Hashes]:
    held: list[Hashes] = []
    count = 0
    for text in training:
        held.append(run_hashes(unicode_words(text), size))
        count += len(held[-1])
        if count >= BATCH:
            yield np.concatenate(held)
            held, count = [], 0
    if held:
        yield np.concatenate(held)
