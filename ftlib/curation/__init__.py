"""Curation: raw rows to train, valid, test and a funnel that says what went and why."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftlib.runs import Run

__all__ = ["curate", "curate_run", "funnel_text"]


def curate(
    source: str | Path,
    *,
    recipe: str = "default",
    out: Path | str,
    train: int | float | None = None,
    valid: int | float | None = None,
    test: int | float | None = None,
    seed: int = 42,
    limit: int | None = None,
    id_field: str | None = None,
    title_field: str | None = None,
    content_field: str | None = None,
    max_bad_share: float = 0.01,
    keep_rejected: bool = False,
    overview: str = "file",
) -> dict[str, Any]:
    """Turn raw rows into ``train.jsonl``, ``valid.jsonl``, ``test.jsonl``, ``funnel.json`` and ``tokens.json`` in ``out``.

    Args:
        source: a file (JSON lines, CSV, Parquet; .gz, .zst, .zip), ``hf://OWNER/NAME``, or ``sample``.
        recipe: a built-in recipe or a YAML file.
        train, valid, test: rows, or shares below 1 of the rows that the recipe keeps; None leaves it to the recipe.
        seed: of everything random.
        limit: read at most so many rows.
        id_field, title_field, content_field: the source's names for them.
        max_bad_share: more unreadable rows than this share are an error.
        keep_rejected: write every unreadable row to ``rejected.jsonl``, not only the first, and every row that a step
            dropped, whole, with the id of the row that it is like where it was dropped as a duplicate.
        overview: count the tokens of the whole ``file`` for tokens.json, or only of the rows ``kept``, which is faster.

    Returns the funnel. Raises DataError or ProfileError; nothing is written then.
    """
    from ftlib.curation.pipeline import Job
    from ftlib.curation.records import Fields
    from ftlib.curation.source import Source
    from ftlib.curation.work import curate_source

    opened = Source(source, Fields(id_field, title_field or "title", content_field or "content"))
    earlier = (Path(out) / "funnel.json").exists()
    asked = {"train": train, "valid": valid, "test": test}
    job = Job(seed=seed, limit=limit, max_bad_share=max_bad_share, keep_rejected=keep_rejected, overview=overview)
    funnel = curate_source(opened, recipe, Path(out), asked, job)
    if earlier:
        logging.getLogger("ftlib").info("%s: the earlier curation there is replaced; its rows and ids may have been others.", out)
    return funnel


def funnel_text(funnel: dict[str, Any]) -> str:
    """A funnel as a table for a terminal."""
    from ftlib.curation.funnel import funnel_text as text

    return text(funnel)


def curate_run(run: Run) -> None:
    """Curate the rows of a run: one test set, and each recipe's train and valid, disjoint from it."""
    from ftlib.curation.work import curate_run as do

    do(run)
