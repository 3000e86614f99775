"""Rows read, counted and put through the steps that look at one row alone: in threads, or in forks where a file is large."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import msgspec
import numpy as np

from ftlib.curation.acrossrows import FirstOfEquals
from ftlib.curation.forked import Helpers, can_fork
from ftlib.curation.funnel import StepCount
from ftlib.curation.jsonlines import RowParser, parse_block
from ftlib.curation.overview import Tally, tally
from ftlib.curation.parallel import in_order
from ftlib.curation.records import Batch, Record, Rejected
from ftlib.curation.rowsteps import Change
from ftlib.curation.source import Source
from ftlib.curation.tokens import TokenCounter

Filter = Callable[[list[Record]], list[Record]]
LARGE = 16 << 20  # bytes of files from which forks are worth their start


class Done(msgspec.Struct, array_like=True):
    """What came of a batch: how many rows were read, those that are none, those that are left, and what was counted on the way."""

    rows: int
    rejected: list[Rejected]
    kept: list[Record]
    counts: list[tuple[int, int, int, list[dict[str, str]], list[dict[str, str]] | None]]  # rows in, out, changed, examples, all dropped, by step
    seen: tuple[bytes, int, int] | None = None  # counts of tokens, rows without a title, without a content

    def merge(self, counts: Sequence[StepCount]) -> None:
        """Add to the counts of the steps."""
        for count, (rows_in, rows_out, changed, dropped, gone) in zip(counts, self.counts, strict=False):
            count.merge(StepCount(count.name, count.params, rows_in, rows_out, changed, dropped, gone=gone))

    @property
    def tally(self) -> Tally | None:
        """The counts of tokens."""
        return None if self.seen is None else Tally(np.frombuffer(self.seen[0], np.int64).reshape(-1, 2), *self.seen[1:])


class Block(msgspec.Struct, array_like=True):
    """Lines of a file for a fork to parse."""

    number: int
    lines: int
    block: bytes
    too_long: bytes | None


@dataclass(frozen=True)
class RowWork:
    """What is done with a batch, wherever it is done."""

    filters: Sequence[Filter]
    counts: Sequence[StepCount]
    tokens: TokenCounter | None  # to count all rows; None where no overview of the file is asked for

    def __call__(self, batch: Batch) -> Done:
        seen = tally(batch.records, self.tokens) if self.tokens is not None else None
        mine = [count.empty() for count in self.counts]
        rows, read = batch.records, batch.rows
        rows = apply(self.filters, mine, rows)
        plain = [(count.rows_in, count.rows_out, count.changed, count.dropped, count.gone) for count in mine]
        packed = None if seen is None else (np.ascontiguousarray(seen.counts).tobytes(), seen.without_title, seen.without_content)
        return Done(read, batch.rejected, rows, plain, packed)


def apply(filters: Sequence[Filter], counts: Sequence[StepCount], rows: list[Record]) -> list[Record]:
    """Rows through several filters, each counted."""
    for keep, count in zip(filters, counts, strict=True):
        before = rows
        if isinstance(keep, Change):
            count.changed += keep.count(rows)
        else:
            rows = keep(before)
        count.add(before, rows, keep.like if isinstance(keep, FirstOfEquals) else ())
    return rows


def read_and_work(source: Source, work: RowWork, limit: int | None, threads: int) -> Generator[Done, None, None]:
    """All batches of a source up to ``limit`` rows, worked on ``threads`` at once, in order. Forks, where it does, before it returns."""
    blocks = source.blocks() if limit is None and threads > 1 and can_fork() and source.size() >= LARGE else None
    if blocks is None:
        return in_order(_limited(source, limit), work, threads)
    parser, encode, take = RowParser(source.fields), msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(Block).decode

    def one(message: bytes) -> bytes:
        given = take(message)
        return encode(work(parse_block(parser, given.number, given.lines, given.block, given.too_long)))

    return _answers(Helpers(one, threads), (encode(Block(*block)) for block in blocks))


def _answers(helpers: Helpers, messages: Iterator[bytes]) -> Generator[Done, None, None]:
    decode = msgspec.msgpack.Decoder(Done).decode
    with closing(helpers):
        for answer in helpers.map(messages):
            yield decode(answer)


def _limited(source: Source, limit: int | None) -> Iterator[Batch]:
    rows = 0
    for batch in source.batches():
        if limit is not None and rows + batch.rows > limit:
            batch = batch.first(limit - rows)
        rows += batch.rows
        yield batch
        if limit is not None and rows >= limit:
            return
