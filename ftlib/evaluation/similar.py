"""Near-equal titles, found in nearly linear time, so that they are resampled together.

Two volumes or two colours of one product are not two independent observations; drawing them together keeps intervals honest.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ftlib.evaluation.words import unicode_words

THRESHOLD = 0.8  # Jaccard similarity of the titles' sets of words
CLOSE = 1e-9  # so that 0.8 x 5 is 4 whatever floating point makes of it


def clusters(titles: Sequence[str | None], threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """A label for each title; titles whose words overlap by ``threshold`` (Jaccard), directly or through others, share one.

    Exact, by the prefix, size and position filters of PPJoin (Xiao et al. 2008): with the words of all titles in one order,
    rarest first, the first word that two titles share tells how many they can share at most. A title is only compared with
    those for which that is enough. A missing or empty title is a cluster of its own.
    """
    sets = [frozenset(unicode_words(title or "")) for title in titles]
    counts = Counter(word for words in sets for word in words)
    parent = list(range(len(sets)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[frozenset[str], int] = {}
    seen_under: dict[str, dict[tuple[int, int], list[int]]] = defaultdict(dict)  # word -> (size of its title, its place there) -> titles
    for i, words in enumerate(sets):
        if words in first:
            parent[root(i)] = root(first[words])
        elif words:
            first[words] = i
            size = len(words)
            prefix = sorted(words, key=lambda w: (counts[w], w))[: size - math.ceil(threshold * size - CLOSE) + 1]
            for place, word in enumerate(prefix):
                for (other, there), rows in seen_under[word].items():
                    needed = math.ceil(threshold / (1 + threshold) * (size + other) - CLOSE)
                    if needed <= min(size - place, other - there) and needed < max(size, other):  # else too few, or equal ones only
                        for j in rows:
                            if len(words & sets[j]) >= needed:
                                parent[root(i)] = root(j)
            for place, word in enumerate(prefix):
                seen_under[word].setdefault((size, place), []).append(i)
    roots: dict[int, int] = {}
    return np.array([roots.setdefault(root(i), len(roots)) for i in range(len(sets))], dtype=np.int64)
