"""Rows that a recipe must not learn from, because a run tests on them: the same row, an equal title, or a similar content."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ftlib.curation import recipe as r
from ftlib.curation.funnel import EXAMPLES, example
from ftlib.curation.leaks import leaking
from ftlib.curation.near import FeatureWriter
from ftlib.curation.parallel import cores
from ftlib.curation.pipeline import Job, run_steps
from ftlib.curation.source import Source
from ftlib.curation.spool import Spool
from ftlib.errors import DataError
from ftlib.files import read_jsonl, write_jsonl

TRANSFER = 200  # rows of the transfer set where the profile gives no size of the test set


class Exclusion:
    """Ids, and texts of the rows that are tested on. ``apply`` takes them out of a spool."""

    def __init__(self, name: str, ids: set[bytes], titles: Sequence[str], contents: Sequence[str], beside: Exclusion | None = None) -> None:
        self.name, self.ids, self.titles, self.contents, self.beside = name, ids, list(titles), list(contents), beside

    @classmethod
    def of_files(cls, paths: Sequence[Path], name: str, beside: Exclusion | None = None) -> Exclusion:
        """The rows of files of records."""
        rows = [row for path in paths for row in read_jsonl(path)]
        return cls(name, {key(row["id"]) for row in rows}, [row["title"] for row in rows], [row["content"] for row in rows], beside)

    @classmethod
    def of_recipe(cls, source: Source, recipe_name: str, folder: Path, job: Job, size: r.Size | None) -> Exclusion:
        """All rows that a recipe keeps, of which a random few become ``transfer.jsonl`` in ``folder``.

        Raises DataError where the recipe keeps none.
        """
        kept = run_steps(source, r.load_recipe(recipe_name), job, folder)
        places = kept.spool.alive.nonzero()[0]
        if not len(places):
            raise DataError(f"Recipe {recipe_name} (data.held_out) keeps no row of {source.name}; choose another, or leave held_out empty.")
        wanted = min(len(places), int(size) if size is not None and not r.is_share(size) else TRANSFER)
        chosen = np.sort(np.random.default_rng([job.seed, 2]).choice(places, wanted, replace=False))
        rows = list(kept.spool.rows(int(i) for i in chosen))
        write_jsonl(folder / "transfer.jsonl", ({"id": row.id, "title": row.title, "content": row.content} for row in rows))
        ids = {key(row.id) for block in kept.spool.batches() for row in block}
        kept.spool.close()
        return cls("held_out", ids, [row.title for row in rows], [row.content for row in rows])

    def apply(self, spool: Spool) -> dict[str, Any]:
        """Clear the rows of a spool that are excluded; returns the step for the funnel."""
        before = spool.alive.copy()
        here: Exclusion | None = self
        while here is not None:
            here._clear(spool)
            here = here.beside
        gone = (before & ~spool.alive).nonzero()[0]
        dropped = [example(spool.row(int(i))) for i in gone[:EXAMPLES]]
        rows_in, rows_out = int(before.sum()), int(spool.alive.sum())
        return {"name": self.name, "params": {"rows": len(self.titles)}, "rows_in": rows_in, "rows_out": rows_out, "changed": 0, "dropped": dropped}

    def _clear(self, spool: Spool) -> None:
        places, count, content = np.flatnonzero(spool.alive), len(self.titles), spool.content()
        theirs = (([row.title for row in rows], [row.content for row in rows]) for rows in spool.batches())
        # made together, so that the same words count as common
        features = FeatureWriter().write(itertools.chain([(self.titles, self.contents)], theirs), count + len(places), cores())
        side = np.concatenate([np.zeros(count, np.int64), np.ones(len(places), np.int64)])
        found = leaking(features, side, lambda i: self.contents[i] if i < count else content(int(places[i - count])), 0.8)
        for _, found_at, _, _ in found:
            spool.alive[places[found_at - count]] = False
        for place, row in zip(places.tolist(), spool.rows(places.tolist()), strict=True):
            if key(row.id) in self.ids:
                spool.alive[place] = False


def key(identity: str) -> bytes:
    """Eight bytes for an id, so that a set of millions stays small."""
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
