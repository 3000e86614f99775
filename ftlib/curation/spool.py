"""Rows set aside on disk while something must be learnt about all of them; in memory only offsets, keys and signatures."""

from __future__ import annotations

import itertools
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from ftlib.curation.near import Features, FeatureWriter
from ftlib.curation.parallel import cores
from ftlib.curation.records import Record
from ftlib.progress import bar

BLOCK = 1024  # rows that are read back together
FAR = 16 << 20  # bytes between the first and the last of them, above which they are read one by one


class Spool:
    """Rows in order, in a file without a name, so that nothing is left of it after a kill.

    ``alive`` marks the rows that are still in; steps that look across rows clear it. ``features`` are what duplicates are
    found by; they are made when they are first asked for.
    """

    def __init__(self, folder: Path) -> None:
        while not folder.is_dir():
            folder = folder.parent
        self._folder = folder
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".ftlib-spool-")
        self._offsets = array("q", [0])
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(tuple[str, str, str, int, int]).decode
        self.content_chars = array("i")
        self.apart: float | None = None  # no two rows that are still in are known to be this similar

    def add(self, rows: Sequence[Record]) -> None:
        """Append rows."""
        end = self._offsets[-1]
        lines = []
        for row in rows:
            line = self._encode((row.id, row.title, row.content, row.title_tokens, row.content_tokens))
            end += len(line)
            self._offsets.append(end)
            self.content_chars.append(len(row.content))
            lines.append(line)
        self._file.write(b"".join(lines))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @cached_property
    def alive(self) -> Any:
        """A numpy array of bool, one a row; made when the last row has been added."""
        import numpy as np

        self._file.flush()
        return np.ones(len(self), dtype=bool)

    @cached_property
    def features(self) -> Features:
        """What duplicates are found by."""
        with bar(desc="comparing", unit=" rows", total=len(self)) as progress:

            def blocks() -> Iterator[tuple[list[str], list[str]]]:
                for rows in self._blocks(range(len(self))):
                    progress.update(len(rows))
                    yield [row.title for row in rows], [row.content for row in rows]

            return FeatureWriter().write(blocks(), len(self), cores())

    def row(self, index: int) -> Record:
        """One row by its place."""
        start, end = self._offsets[index], self._offsets[index + 1]
        self._file.seek(start)
        return Record(*self._decode(self._file.read(end - start)))

    def rows(self, indices: Iterable[int]) -> Iterator[Record]:
        """Rows by their places, which rise."""
        for block in self._blocks(indices):
            yield from block

    def _blocks(self, indices: Iterable[int]) -> Iterator[list[Record]]:
        places = iter(indices)
        while chosen := list(itertools.islice(places, BLOCK)):
            start, end = self._offsets[chosen[0]], self._offsets[chosen[-1] + 1]
            if end - start > FAR:
                yield [self.row(index) for index in chosen]
                continue
            self._file.seek(start)
            data = memoryview(self._file.read(end - start))
            offsets, decode = self._offsets, self._decode
            yield [Record(*decode(data[offsets[index] - start : offsets[index + 1] - start])) for index in chosen]

    def picked(self, indices: Iterable[int]) -> Spool:
        """A spool of some of the rows."""
        made = Spool(self._folder)
        for rows in self._blocks(int(index) for index in indices):
            made.add(rows)
        return made

    def batches(self) -> Iterator[list[Record]]:
        """The rows that are still in, in order, some thousand at a time."""
        yield from self._blocks(int(i) for i in self.alive.nonzero()[0])

    def content(self) -> Callable[[int], str]:
        """A function that gives the content of a row by its place."""
        return lambda index: self.row(index).content

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
