"""Near-duplicates: MinHash finds candidates, the exact Jaccard similarity of the sets of words decides.

MinHash (Broder 1997): the share of equal minima of two sets under random orders estimates their Jaccard similarity. Bands of
four minima each (Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, 3.4) make a pair of similarity s a candidate with
probability 1 - (1 - s^4)^20: 0.99997 at 0.8; bands of two serve thresholds below 0.7. In large files the commonest words do not
count for candidates, since any two texts share them; a pair at 0.8 is then at about 0.72 in the other words, and found in 998 of
1,000 cases. (rensa makes the signatures faster than numpy does, but most of the time goes into
the words before it and the check after it, so one code serves all machines.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ftlib.curation.parallel import in_order
from ftlib.curation.similarity import Similarity
from ftlib.curation.wordhash import EMPTY_TEXT, MIXER, hash_texts, text_keys, word_hashes

PERMUTATIONS = 80
LEARN_FROM = 8192  # rows whose words tell which are common; with fewer none are
COMMON = 64  # so many of them do not count for candidates,
COMMON_FROM = 400  # if they stand there more often than this
SMALL = 64  # a bucket up to this size is looked at together with all others
LEADERS = 200  # rows of a larger one that are compared with all of its others
TOGETHER = 1 << 17  # candidates that are looked at together
CROWD_PAIRS = 20_000_000  # of one bucket that are looked at; fewer rows lead in a crowd of more than 100,000
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Features:
    """What duplicates among n texts are found by: arrays with one entry (one line) a row."""

    titles: U64  # equal where titles are equal but for case, punctuation and white space
    contents: U64  # the same for contents
    signatures: U32  # n x PERMUTATIONS minima

    def __len__(self) -> int:
        return len(self.titles)


class FeatureWriter:
    """Makes Features while rows stream past. The first rows are held back until the common words are known."""

    def __init__(self) -> None:
        rng = np.random.default_rng(20110101)
        self._factors = rng.integers(1, 1 << 32, PERMUTATIONS, dtype=np.uint32) | np.uint32(1)
        self._offsets = rng.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint32)
        self._common: U64 | None = None

    def write(self, blocks: Iterable[tuple[Sequence[str], Sequence[str]]], count: int, threads: int = 1) -> Features:
        """Features of (titles, contents), block by block, in order, ``count`` rows in all; numpy lets the threads run at once."""
        parts: list[tuple[U64, U64, U64, I64]] = []
        rows = 0
        blocks = iter(blocks)
        for titles, contents in blocks:
            parts.append(self._keys(titles, contents))
            rows += len(titles)
            if rows >= LEARN_FROM:
                break
        self._learn([words for _, _, words, _ in parts] if rows >= LEARN_FROM else [])  # few rows have few candidates anyway
        whole = Features(np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty((count, PERMUTATIONS), np.uint32))
        first = (Features(titles, contents, self._sign(words, ends)) for titles, contents, words, ends in parts)
        at = 0
        for part in itertools.chain(first, in_order(blocks, self._features, threads)):
            for name in ("titles", "contents", "signatures"):
                getattr(whole, name)[at : at + len(part)] = getattr(part, name)
            at += len(part)
        return whole

    def _features(self, block: tuple[Sequence[str], Sequence[str]]) -> Features:
        titles, contents, words, ends = self._keys(*block)
        return Features(titles, contents, self._sign(words, ends))

    def _keys(self, titles: Sequence[str], contents: Sequence[str]) -> tuple[U64, U64, U64, I64]:
        """Keys of titles and contents, and the hashes of the contents' words with where each text ends."""
        words, ends = word_hashes(contents)
        return hash_texts(titles), text_keys(contents, words, ends), words, ends

    def _learn(self, words: list[U64]) -> None:
        values, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *words]), return_counts=True)
        often = counts > COMMON_FROM
        values, counts = values[often], counts[often]
        self._common = np.sort(values[np.lexsort((values, -counts))[:COMMON]])

    def _sign(self, words: U64, ends: I64) -> U32:
        """Signatures of texts given by their words' hashes one after another, and where each text ends."""
        assert self._common is not None
        starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
        rare = ~np.isin(words, self._common)
        kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(rare)])
        has_rare = 4 * (kept[ends] - kept[starts]) >= ends - starts
        keep = rare | ~np.repeat(has_rare, ends - starts)  # a text of common words almost alone keeps them
        kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
        short = (words[keep] >> np.uint64(32)).astype(np.uint32)
        low, high = kept[starts], kept[ends]
        signature = np.full((len(ends), PERMUTATIONS), 0xFFFFFFFF, np.uint32)
        full = high > low
        if full.any():
            for column in range(PERMUTATIONS):
                signature[full, column] = np.minimum.reduceat(short * self._factors[column] + self._offsets[column], low[full])
        return signature


def features_of(titles: Sequence[str], contents: Sequence[str]) -> Features:
    """Features of texts that are in memory."""
    blocks = ((titles[start : start + 2048], contents[start : start + 2048]) for start in range(0, len(titles), 2048))
    return FeatureWriter().write(blocks, len(titles))


def near_pairs(
    features: Features, text: Callable[[int], str], threshold: float, *, rows: I64 | None = None, side: I64 | None = None
) -> list[tuple[int, int, float]]:
    """Pairs (i, j, similarity), i < j, of ``rows`` (all by default) whose contents are at least ``threshold`` similar and not equal.

    Of rows with equal contents only the first takes part. Where more than SMALL rows are alike not all pairs of them are
    named, but enough to connect them. With ``side`` given, only pairs of different sides count, and the
    first of each side takes part. ``text`` gives a row's content.
    """
    firsts = _first_of_each(features.contents, np.arange(len(features)) if rows is None else rows, side)
    similarity = Similarity(text, len(features))
    found: dict[tuple[int, int], float] = {}
    for candidates in _together(_candidates(features.signatures, firsts, threshold, side)):
        pairs = np.sort(candidates, axis=1)
        pairs = pairs[features.contents[pairs[:, 0]] != features.contents[pairs[:, 1]]]
        if side is not None:
            pairs = pairs[side[pairs[:, 0]] != side[pairs[:, 1]]]
        if len(pairs):
            similar = similarity(pairs)
            near = similar >= threshold
            found.update(zip(map(tuple, pairs[near].tolist()), similar[near].tolist(), strict=True))
    return sorted((a, b, similar) for (a, b), similar in found.items())


def _together(batches: Iterable[I64]) -> Iterable[I64]:
    """The same pairs in fewer batches, since each costs a number of calls."""
    waiting: list[I64] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += len(batch)
        if size >= TOGETHER:
            yield np.concatenate(waiting)
            waiting, size = [], 0
    if size:
        yield np.concatenate(waiting)


def _first_of_each(keys: U64, rows: I64, side: I64 | None) -> I64:
    """Of some rows the first one with each key (on each side), in order."""
    marked = keys[rows] if side is None else keys[rows] ^ (side[rows].astype(np.uint64) * MIXER)
    return np.sort(rows[np.unique(marked, return_index=True)[1]]).astype(np.int64)


def _candidates(signatures: U32, rows: I64, threshold: float, side: I64 | None) -> Iterable[I64]:
    """Arrays of pairs of rows that share a band and whose signatures make the threshold plausible."""
    enough = max(0.0, threshold - 0.3) * PERMUTATIONS
    width = 4 if threshold >= 0.7 else 2
    for first in range(0, PERMUTATIONS, width):
        columns = signatures[rows, first : first + width].astype(np.uint64)
        key = columns[:, 0]
        for column in range(1, width):
            key = (key ^ (key >> np.uint64(29))) * MIXER + columns[:, column]
        ranking = np.argsort(key)  # whose order within a bucket does not count
        order, ranked = rows[ranking], key[ranking]
        starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(order) else np.empty(0, np.int64)
        sizes = np.diff(np.append(starts, len(order)))
        ends = np.repeat(starts + sizes, sizes)  # for each place where its bucket ends
        at = np.flatnonzero(np.repeat((sizes > 1) & (sizes <= SMALL), sizes))
        for distance in range(1, SMALL):  # all small buckets at once: neighbours, then neighbours of neighbours ...
            at = at[at + distance < ends[at]]  # a place that has no neighbour so far off has none farther off
            if not len(at):
                break
            for part in np.array_split(at, len(at) // 100_000 + 1):
                pairs = np.stack([order[part], order[part + distance]], axis=1)
                yield pairs[(signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).sum(axis=1, dtype=np.uint8) >= enough]
        for start, size in zip(starts[sizes > SMALL].tolist(), sizes[sizes > SMALL].tolist(), strict=True):
            yield from _crowd_pairs(np.sort(order[start : start + size]), signatures, enough, (1 + threshold) / 2 * PERMUTATIONS, side)


def _crowd_pairs(members: I64, signatures: U32, enough: float, alike: float, side: I64 | None) -> Iterable[I64]:
    """Plausible pairs of a crowded bucket, without comparing all with all: leaders with everybody.

    The first row leads; rows that are nearly the same (``alike`` equal minima: halfway from the threshold to all) follow it and
    lead no more; then the next row leads, up to LEADERS of them. So near-identical texts by the ten thousand cost one look each,
    and are still connected. With sides, each side has leaders of its own, since only pairs across sides count.
    """
    for this in [None] if side is None else np.unique(side[members]).tolist():
        free = np.ones(len(members), bool) if side is None else side[members] == this
        for _ in range(max(10, min(LEADERS, CROWD_PAIRS // len(members)))):
            at = int(free.argmax())
            if not free[at]:
                break
            same = (signatures[members] == signatures[members[at]]).sum(axis=1, dtype=np.uint8)
            near = same >= enough
            near[at] = False
            if near.any():
                others = members[near]
                yield np.stack([np.full(len(others), members[at]), others], axis=1)
            free &= same < alike
            free[at] = False


def components(count: int, *edges: Iterable[tuple[Any, ...]]) -> I64:
    """For each of ``count`` rows the smallest row that it is connected with (union-find)."""
    parent = np.arange(count, dtype=np.int64)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for group in edges:
        for edge in group:
            a, b = root(int(edge[0])), root(int(edge[1]))
            if a != b:
                parent[max(a, b)] = min(a, b)
    while True:  # path halving for all at once
        above = parent[parent]
        if (above == parent).all():
            return parent
        parent = above


def equal_edges(keys: U64, usable: npt.NDArray[np.bool_] | None = None) -> I64:
    """Pairs (earlier, next) of rows with the same key, enough to connect all of them; missing texts are not equal."""
    places = np.flatnonzero(keys != EMPTY_TEXT if usable is None else usable & (keys != EMPTY_TEXT))
    order = places[np.argsort(keys[places], kind="stable")]
    same = keys[order][1:] == keys[order][:-1]
    return np.stack([order[:-1][same], order[1:][same]], axis=1).astype(np.int64)
