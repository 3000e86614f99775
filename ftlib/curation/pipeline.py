"""Rows through the steps of a recipe: whatever looks at one row runs in parallel batches, the rest on spools."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ftlib.curation import recipe as r
from ftlib.curation.acrossrows import mark, streaming_step
from ftlib.curation.funnel import EXAMPLES, RejectedLog, Rejections, StepCount, example, labels, whole
from ftlib.curation.overview import Overview, tally
from ftlib.curation.parallel import cores
from ftlib.curation.reading import Filter, RowWork, apply, read_and_work
from ftlib.curation.rowsteps import row_step
from ftlib.curation.source import Source
from ftlib.curation.spool import Spool
from ftlib.curation.tokens import TokenCounter, counter
from ftlib.errors import DataError
from ftlib.progress import bar


@dataclass(frozen=True)
class Job:
    """How to go about it, apart from the recipe."""

    seed: int = 42
    limit: int | None = None
    max_bad_share: float = 0.01
    keep_rejected: bool = False
    overview: str = "file"  # count the tokens of the whole file, or only of the rows `kept`
    fast: bool = True  # the fast tokenizer where it is installed and right
    threads: int = field(default_factory=cores)

    def check(self) -> None:
        """Raises DataError for a value that cannot be."""
        if self.limit is not None and self.limit <= 0:
            raise DataError(f"limit is {self.limit}; give a number of rows above 0.")
        if not 0 <= self.max_bad_share <= 1:
            raise DataError(f"max_bad_share is {self.max_bad_share}; give a share from 0 to 1.")
        if self.seed < 0:
            raise DataError(f"seed is {self.seed}; give a whole number, 0 or more.")
        if self.overview not in ("file", "kept"):
            raise DataError(f"overview is {self.overview!r}; give 'file' or 'kept'.")


@dataclass
class Kept:
    """What a recipe's steps before the split leave."""

    spool: Spool
    steps: list[StepCount]
    rejections: Rejections
    rows_read: int
    overview: Overview
    tokens: TokenCounter
    bounds: list[int]  # most tokens on the lower side of each bound of the recipe


def run_steps(source: Source, recipe: r.Recipe, job: Job, folder: Path) -> Kept:
    """Read a source and take its rows through all steps but the split.

    Raises DataError where too many rows are unreadable or there are none.
    """
    tokens = counter(encoding_of(recipe), job.fast)
    log = RejectedLog(folder) if job.keep_rejected else None
    counts = _counts(recipe, whole=log is not None)
    parts = segments(recipe)
    rejections, overview = Rejections(log), Overview()
    spool = Spool(folder)
    rows_read = _first_segment(source, parts[0], counts, job, rejections, overview if job.overview == "file" else None, tokens, spool)
    _check_share(source, rows_read, rejections, job.max_bad_share)
    done = len(parts[0].rows)
    for before, part in itertools.pairwise(parts):
        assert before.barrier is not None
        _mark(spool, before.barrier, counts[done], job.seed, log)
        done += 1
        if part.rows:
            spool = _later_segment(spool, part, counts[done : done + len(part.rows)], job, log, folder)
            done += len(part.rows)
    if job.overview == "kept":
        for rows in spool.batches():
            overview.add(tally(rows, tokens))
    steps = [step for step in recipe.steps if isinstance(step, r.Tokens)]
    bounds = [step.min - 1 for step in steps if step.min] + [step.max for step in steps if step.max is not None]
    return Kept(spool, counts, rejections, rows_read, overview, tokens, bounds)


def _counts(recipe: r.Recipe, *, whole: bool) -> list[StepCount]:
    """A count for each step before the split."""
    steps = recipe.steps[:-1]
    named = zip(labels(r.NAMES[type(step)] for step in steps), steps, strict=True)
    return [StepCount(r.NAMES[type(step)], msgspec.to_builtins(step), label=label, gone=[] if whole else None) for label, step in named]


@dataclass
class Segment:
    """Steps that stream, and the step after them (if any) that needs all of their rows at once."""

    rows: list[r.Step] = field(default_factory=list)
    barrier: r.Step | None = None


def segments(recipe: r.Recipe) -> list[Segment]:
    """A recipe's steps before the split, cut after each one that must see all rows."""
    parts = [Segment()]
    for step in recipe.steps[:-1]:
        if (isinstance(step, r.Deduplicate) and step.by == "near") or (isinstance(step, r.Sample) and streaming_step(step) is None):
            parts[-1].barrier = step
            parts.append(Segment())
        else:
            parts[-1].rows.append(step)
    return parts


def encoding_of(recipe: r.Recipe) -> str:
    """The encoding that a recipe counts in; all of its tokens steps must agree on it."""
    found = {step.encoding for step in recipe.steps if isinstance(step, r.Tokens)}
    if len(found) > 1:
        raise DataError(f"Recipe {recipe.name} counts in {' and '.join(sorted(found))}; choose one encoding.")
    return found.pop() if found else "o200k_base"


def _first_segment(
    source: Source,
    part: Segment,
    counts: list[StepCount],
    job: Job,
    rejections: Rejections,
    overview: Overview | None,
    tokens: TokenCounter,
    spool: Spool,
) -> int:
    """Read, count, filter into the spool; returns how many rows were read. What looks at one row alone is done in parallel, the rest in order."""
    free: list[Filter] = []
    for step in part.rows:
        made = row_step(step, lambda encoding: counter(encoding, job.fast))
        if made is None:
            break
        free.append(made)
    ordered = [_filter(step, job) for step in part.rows[len(free) :]]
    work = RowWork(free, counts[: len(free)], tokens if overview is not None else None)
    rows = 0
    with closing(read_and_work(source, work, job.limit, job.threads)) as done, bar(desc="reading", unit=" rows", total=job.limit) as progress:
        for batch in done:
            rows += batch.rows
            rejections.add(batch.rejected)
            progress.update(batch.rows)
            if rows >= 1000 and rejections.total == rows:
                break  # no row of a thousand is one: the check on the share says so
            batch.merge(counts)
            if overview is not None and (seen := batch.tally) is not None:
                overview.add(seen)
            spool.add(apply(ordered, counts[len(free) : len(part.rows)], batch.kept))
            if rejections.log is not None:
                rejections.log.take(counts)
    return rows


def _later_segment(spool: Spool, part: Segment, counts: list[StepCount], job: Job, log: RejectedLog | None, folder: Path) -> Spool:
    """The steps between two that need all rows: from one spool to the next."""
    filters = [_filter(step, job) for step in part.rows]
    after = Spool(folder)
    for rows in spool.batches():
        after.add(apply(filters, counts, rows))
        if log is not None:
            log.take(counts)
    spool.close()
    return after


def _filter(step: r.Step, job: Job) -> Filter:
    made = row_step(step, lambda encoding: counter(encoding, job.fast)) or streaming_step(step, named=job.keep_rejected)
    assert made is not None
    return made


def _mark(spool: Spool, step: r.Step, count: StepCount, seed: int, log: RejectedLog | None) -> None:
    """Let a step mark which rows of a spool stay."""
    alive, like = mark(step, spool, seed)
    count.rows_in, count.rows_out = int(spool.alive.sum()), int(alive.sum())
    gone = (spool.alive & ~alive).nonzero()[0]
    ids = {place: spool.row(place).id for place in {like[int(i)] for i in (gone if log is not None else gone[:EXAMPLES]) if int(i) in like}}
    matched = [ids.get(like.get(int(i), -1)) for i in gone]
    count.dropped = [example(spool.row(int(i)), name) for i, name in zip(gone[:EXAMPLES], matched, strict=False)]
    if log is not None:
        log.dropped(count.label, map(whole, spool.rows(int(i) for i in gone), matched))
    spool.alive = alive


def _check_share(source: Source, rows: int, rejections: Rejections, limit: float) -> None:
    """Raises DataError where there are no rows, or too many that cannot be read."""
    if rows == 0:
        raise DataError(f"{source.name} holds no rows; give a file with at least one row.")
    if rejections.total > limit * rows:
        first = rejections.examples[0]
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in rejections.plain().items())
        encoding = "save the file as UTF-8 (it may be Latin-1)" if "invalid UTF-8" in rejections.counts else "mend the file"
        raise DataError(
            f"{source.name}: {rejections.total:,} of {rows:,} rows cannot be read, more than the {limit:.2%} allowed "
            f"({reasons}; the first is line {first.line}); {encoding}, or allow more with --max-bad-share (data.max_bad_share in a profile)."
        )
