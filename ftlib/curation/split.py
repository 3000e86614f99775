"""The split: how many rows each side gets, and which, with similar rows on one side."""

from __future__ import annotations

from typing import Any

from ftlib.curation import recipe as r
from ftlib.curation.acrossrows import near_among
from ftlib.curation.leaks import leaking
from ftlib.curation.near import components, equal_edges
from ftlib.curation.spool import Spool
from ftlib.errors import DataError

SIDES = ("train", "valid", "test")
OUT = -1
Leak = tuple[int, int, str, float]


def sizes(split: r.Split, rows: int, asked: dict[str, r.Size | None], recipe: str) -> dict[str, int]:
    """Rows of each side. ``asked`` holds what the user gave; None leaves it to the recipe.

    The test set comes first, then validation; where the recipe's own train or valid cannot be filled they get what is left. A share that
    is asked for train is given: the recipe's own shares of valid and test become smaller, alike, where they have no room beside it.
    Raises DataError where a number that was asked for, or any test set, cannot be filled, or no row is left to train on.
    """
    wanted: dict[str, int] = {}
    for side, size in _with_room(split, rows, asked).items():
        wanted[side] = max(1, round(size * rows)) if r.is_share(size) else int(size)
    left = rows
    for side in ("test", "valid", "train"):
        if wanted[side] <= left:
            left -= wanted[side]
            continue
        explicit = asked.get(side) is not None
        if side == "test" or (explicit and not r.is_share(asked[side] or 0)):
            others = " and ".join(f"{wanted[s]} {s}" for s in ("test", "valid") if s != side and s in wanted and _before(s, side) and wanted[s])
            taken = f" beside {others}" if others else ""
            raise DataError(
                f"Recipe {recipe} keeps {rows:,} rows, which leaves {left:,} for {side}{taken}, fewer than the {wanted[side]:,} asked for; "
                f"ask for fewer (--{side} N, or data.{side} in a profile) or give more rows."
            )
        if side == "train" and not left:
            beside = " and ".join(f"{wanted[s]:,} {s}" for s in ("test", "valid") if wanted[s])
            kept = "1 row" if rows == 1 else f"{rows:,} rows"
            raise DataError(f"Recipe {recipe} keeps {kept}, which leaves none to train on beside {beside}; give more rows, or ask for fewer to test.")
        wanted[side], left = left, 0
    return wanted


def _with_room(split: r.Split, rows: int, asked: dict[str, r.Size | None]) -> dict[str, r.Size]:
    """The size of each side, the recipe's own shares beside a share that is asked for train no larger than what that leaves."""
    made: dict[str, r.Size] = {side: getattr(split, side) if (size := asked.get(side)) is None else size for side in SIDES}
    own = [side for side in ("valid", "test") if asked.get(side) is None and r.is_share(made[side])]
    room = round(1 - sum(size if r.is_share(size) else size / rows for side, size in made.items() if side not in own), 9)
    wants = sum(made[side] for side in own)
    if r.is_share(asked.get("train") or 0) and round(wants, 9) > room:
        made |= {side: made[side] * max(0.0, room) / wants for side in own}
    return made


def _before(one: str, other: str) -> bool:
    order = ("test", "valid", "train")
    return order.index(one) < order.index(other)


def divide(spool: Spool, split: r.Split, wanted: dict[str, int], seed: int) -> tuple[Any, list[Leak], int]:
    """The side of each row (an index into SIDES, OUT for none: a numpy array), what leaks between the sides, and how many rows stay out for that.

    Of very many rows that are alike not every pair is known (``near_pairs``), so that the guard may find what the groups did not.
    With groups such a row stays out, another takes its place, and the guard looks again; without, it only reports.
    """
    import numpy as np

    places = np.flatnonzero(spool.alive)
    groups = group(spool, split.threshold)[places] if split.groups == "near" else places
    out = np.zeros(len(spool), bool)
    while True:
        side = assign(spool, split, wanted, seed, groups, out)
        found = leaks_between(spool, side, split.threshold)
        if split.groups == "none" or not found:
            return side, found, int(out.sum())
        out[[later for _, later, _, _ in found]] = True


def leaks_between(spool: Spool, side: Any, threshold: float) -> list[Leak]:
    """Rows of valid and test that stand in an earlier side, as ``leaking`` gives them."""
    import numpy as np

    if (side == OUT).mean() <= 0.5:
        return leaking(spool.features, side.astype(np.int64), spool.content(), threshold)
    used = np.flatnonzero(side != OUT)  # of a few rows the features are soon made; those of all rows may not have been needed
    few = spool.picked(used)
    found = leaking(few.features, side[used].astype(np.int64), few.content(), threshold)
    few.close()
    return [(int(used[a]), int(used[b]), what, similarity) for a, b, what, similarity in found]


def assign(spool: Spool, split: r.Split, wanted: dict[str, int], seed: int, groups: Any, out: Any) -> Any:
    """The side of each row of a spool; ``groups`` are those of the rows that are in, ``out`` marks the rows that go to no side."""
    import numpy as np

    side = np.full(len(spool), OUT, np.int8)
    places = np.flatnonzero(spool.alive)
    if split.order == "file":
        leaders = np.unique(groups)
        order: tuple[str, ...] = SIDES
    else:
        leaders = np.random.default_rng([seed, 0]).permutation(np.unique(groups))
        order = ("test", "valid", "train")
    free = ~out[places]  # the order of the groups is that of all rows, so that one row less does not shuffle the others
    places, groups = places[free], groups[free]
    by_group = np.argsort(groups, kind="stable")
    ranked = groups[by_group]
    starts, ends = np.searchsorted(ranked, leaders), np.searchsorted(ranked, leaders, side="right")
    waiting = list(zip(starts.tolist(), ends.tolist(), strict=True))
    for name in order:
        room, later = wanted[name], []
        for at, (start, end) in enumerate(waiting):
            if room == 0:
                later += waiting[at:]
                break
            if end - start <= room:
                side[places[by_group[start:end]]] = SIDES.index(name)
                room -= end - start
            else:
                later.append((start, end))
        waiting = later
    return side


def group(spool: Spool, threshold: float) -> Any:
    """For each row the first row of its group: rows with equal titles, or equal or near-equal contents, hang together."""
    features = spool.features
    return components(
        len(spool),
        near_among(spool, threshold),
        equal_edges(features.contents, spool.alive).tolist(),
        equal_edges(features.titles, spool.alive).tolist(),
    )
