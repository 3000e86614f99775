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


def clusters(titles: Sequence[str | None], threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """A label for each title; titles whose words overlap by ``threshold`` (Jaccard), directly or through others, share one.

    Exact: each title is compared with those that share one of its rarest words (prefix filter of Chaudhuri et al. 2006).
    A missing or empty title is a cluster of its own.
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
    seen_under: dict[str, list[int]] = defaultdict(list)
    for i, words in enumerate(sets):
        if not words:
            continue
        if words in first:
            parent[root(i)] = root(first[words])
            continue
        first[words] = i
        prefix = sorted(words, key=lambda w: (counts[w], w))[: len(words) - math.ceil(threshold * len(words)) + 1]
        for j in {j for word in prefix for j in seen_under[word]}:
            common = len(words & sets[j])
            if common >= threshold * (len(words) + len(sets[j]) - common):
                parent[root(i)] = root(j)
        for word in prefix:
            seen_under[word].append(i)
    roots: dict[int, int] = {}
    return np.array([roots.setdefault(root(i), len(roots)) for i in range(len(sets))], dtype=np.int64)
