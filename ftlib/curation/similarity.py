"""The exact similarity of candidate pairs: Jaccard on the sets of words, many pairs at once where few words make up all texts."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

WORDS = 2048  # a bit each; texts of more different words than these are compared as sets, and few of those are candidates at all
SETS = 2000  # texts whose words are held at once, some 10 KB each
TOGETHER = 1 << 16  # pairs
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


def word_set(text: str) -> frozenset[str]:
    """The words of a text in lower case: what the similarity of two texts is computed on."""
    return frozenset(re.findall(r"\w+", text.lower()))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Size of the intersection over size of the union; a text without words ("!!!", or a missing one) is near nothing."""
    return len(a & b) / len(a | b) if a or b else 0.0


class Similarity:
    """Similarities of pairs among ``count`` texts; ``text`` gives one by its place. A text is looked at when it is first in a pair."""

    def __init__(self, text: Callable[[int], str], count: int) -> None:
        self._text = text
        self._words: dict[str, int] | None = {}
        self._line = np.full(count, -1, np.int32)  # where a text's bits stand
        self._bits = np.zeros((64, WORDS // 64), np.uint64)
        self._used = 0
        self._sets: dict[int, frozenset[str]] = {}
        self._known: dict[tuple[int, int], float] = {}

    def __call__(self, pairs: I64) -> F64:
        """The similarity of each pair, an array of n x 2 places."""
        if self._words is not None:
            for index in np.unique(pairs).tolist():
                if self._line[index] < 0 and not self._learn(index, self._words):
                    self._words, self._bits = None, self._bits[:0]
                    break
        if self._words is None:
            return np.array([self._of(a, b) for a, b in pairs.tolist()], np.float64)
        parts = np.array_split(pairs, len(pairs) // TOGETHER + 1)
        return np.concatenate([self._of_bits(part) for part in parts])

    def _learn(self, index: int, words: dict[str, int]) -> bool:
        """Put down a text's words as bits; false where there are too many words for that."""
        own = [words.setdefault(word, len(words)) for word in word_set(self._text(index))]
        if len(words) > WORDS:
            return False
        if self._used == len(self._bits):
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)])
        at = np.array(own, np.int64)
        np.bitwise_or.at(self._bits[self._used], at // 64, np.uint64(1) << (at % 64).astype(np.uint64))
        self._line[index] = self._used
        self._used += 1
        return True

    def _of_bits(self, pairs: I64) -> F64:
        a, b = self._bits[self._line[pairs[:, 0]]], self._bits[self._line[pairs[:, 1]]]
        common = np.bitwise_count(a & b).sum(axis=1, dtype=np.int64)
        both = np.bitwise_count(a | b).sum(axis=1, dtype=np.int64)
        return np.asarray(common / np.maximum(both, 1), np.float64)

    def _of(self, a: int, b: int) -> float:
        if (a, b) not in self._known:
            if len(self._sets) > SETS:
                self._sets.clear()
            for index in (a, b):
                if index not in self._sets:
                    self._sets[index] = word_set(self._text(index))
            self._known[a, b] = jaccard(self._sets[a], self._sets[b])
        return self._known[a, b]
