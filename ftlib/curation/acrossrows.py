"""The steps that must look across rows. Those that keep the first of equals stream; the others mark the rows of a spool."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from ftlib.curation import recipe as r
from ftlib.curation.records import Record
from ftlib.curation.spool import Spool
from ftlib.errors import ProfileError


def streaming_step(step: r.Step, *, named: bool = False) -> Callable[[list[Record]], list[Record]] | None:
    """The function of a step that keeps 8 bytes a row (with ``named`` its id, too) and needs no second look; None for the others."""
    if isinstance(step, r.Deduplicate) and step.by != "near":
        return FirstOfEquals(with_title=step.by == "pair", named=named)
    if isinstance(step, r.Sample) and step.method == "first" and not r.is_share(step.size):
        return first_rows(int(step.size))
    return None


class FirstOfEquals:
    """Keeps a row whose content (and title) was not seen before, to the letter; a missing one never was.

    ``like``: the first ones of those last dropped, by id.
    """

    def __init__(self, *, with_title: bool, named: bool) -> None:
        self._with_title, self._seen = with_title, set[bytes]()
        self._ids: dict[bytes, str] | None = {} if named else None
        self.like: list[str] = []

    def __call__(self, rows: list[Record]) -> list[Record]:
        """The rows that come for the first time."""
        kept, self.like = [], []
        for row in rows:
            text = f"{len(row.title)}\n{row.title}{row.content}" if self._with_title else row.content
            key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            if key not in self._seen or not text:
                self._seen.add(key)
                kept.append(row)
                if self._ids is not None:
                    self._ids[key] = row.id
            elif self._ids is not None:
                self.like.append(self._ids[key])
        return kept


def first_rows(size: int) -> Callable[[list[Record]], list[Record]]:
    """Keep the first rows."""
    left = size

    def keep(rows: list[Record]) -> list[Record]:
        nonlocal left
        kept = rows[:left]
        left -= len(kept)
        return kept

    return keep


def mark(step: r.Step, spool: Spool, seed: int) -> tuple[Any, dict[int, int]]:
    """Which rows of a spool a step keeps, as a numpy array of bool, never true where ``spool.alive`` is not; dropped row -> the row it is like."""
    if isinstance(step, r.Deduplicate):
        return _without_near(spool, step.threshold)
    if isinstance(step, r.Sample):
        return _sampled(spool, step, seed), {}
    raise ProfileError(f"{r.NAMES[type(step)]} cannot stand here.")


def _without_near(spool: Spool, threshold: float) -> tuple[Any, dict[int, int]]:
    """Drop a row that is near a row before it that was kept, so that no two kept rows are near."""
    from ftlib.curation.near import equal_edges

    kept = spool.alive.copy()
    like: dict[int, int] = {}
    earlier: dict[int, list[int]] = {}
    for a, b, _ in near_among(spool, threshold):
        earlier.setdefault(b, []).append(a)
    for b in sorted(earlier):
        first = next((a for a in earlier[b] if kept[a]), None)
        if kept[b] and first is not None:
            kept[b], like[b] = False, first
    # equal but for case and punctuation: near, and never a pair of near_pairs
    for a, b in equal_edges(spool.features.contents, spool.alive).tolist():
        if spool.alive[a] and kept[b]:
            kept[b], like[b] = False, like.get(a, a)
    spool.apart = threshold
    return kept, like


def near_among(spool: Spool, threshold: float) -> list[tuple[int, int, float]]:
    """Pairs of near rows that are still in; none where a step before has seen to that."""
    if spool.apart is not None and spool.apart <= threshold:
        return []
    import numpy as np

    from ftlib.curation.near import near_pairs

    return near_pairs(spool.features, spool.content(), threshold, rows=np.flatnonzero(spool.alive))


def _sampled(spool: Spool, step: r.Sample, seed: int) -> Any:
    """A sample of the rows that are still in. Raises nothing where there are fewer than asked: all are kept."""
    import numpy as np

    places = np.flatnonzero(spool.alive)
    wanted = min(len(places), round(step.size * len(places)) if r.is_share(step.size) else int(step.size))
    rng = np.random.default_rng([seed, 1])
    if step.method == "first":
        chosen = places[:wanted]
    elif step.method == "random":
        chosen = rng.choice(places, wanted, replace=False)
    else:
        chosen = _stratified(places, np.asarray(spool.content_chars)[places], wanted, step.strata, rng)
    kept = np.zeros(len(spool), bool)
    kept[chosen] = True
    return kept


def _stratified(places: Any, lengths: Any, wanted: int, strata: int, rng: Any) -> Any:
    """Rows drawn so that each stratum of content length (equally many rows each) has its fair part."""
    import numpy as np

    parts = [rng.permutation(part) for part in np.array_split(places[np.argsort(lengths, kind="stable")], strata)]
    ends = np.round(np.linspace(0, wanted, strata + 1)).astype(int)
    taken = [part[: end - start] for part, start, end in zip(parts, ends, ends[1:], strict=False)]
    short = wanted - sum(len(part) for part in taken)
    rest = np.concatenate([part[len(took) :] for part, took in zip(parts, taken, strict=True)])
    return np.concatenate([*taken, rest[:short]])
