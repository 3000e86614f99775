"""Filters: steps that keep or drop a row by itself. A class holds its parameters and its rule; FILTERS gives it its name in a recipe."""

from __future__ import annotations

from ftlib.configuration import Strict
from ftlib.curation.records import Record


class Step(Strict):
    """One step; its name in a recipe is the key it stands under."""


class Filter(Step):
    """A step that sees one row at a time and changes none."""

    def keeps(self, row: Record) -> bool:
        """Whether the row stays."""
        raise NotImplementedError


class TitleChars(Filter):
    """Keep titles of ``min`` to ``max`` characters, both included."""

    min: int = 0
    max: int | None = None

    def keeps(self, row: Record) -> bool:
        """Whether the row stays."""
        return within(len(row.title), self.min, self.max)


class ContentChars(Filter):
    """Keep contents of ``min`` to ``max`` characters, both included."""

    min: int = 0
    max: int | None = None

    def keeps(self, row: Record) -> bool:
        """Whether the row stays."""
        return within(len(row.content), self.min, self.max)


FILTERS: dict[str, type[Filter]] = {"title_chars": TitleChars, "content_chars": ContentChars}


def within(size: int, low: int, high: int | None) -> bool:
    """Whether a size lies between two bounds, both included; None is no upper bound."""
    return size >= low and (high is None or size <= high)
