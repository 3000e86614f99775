"""A title that was trained on cannot be tested on."""

from __future__ import annotations

import logging
from pathlib import Path

from ftlib.errors import DataError
from ftlib.files import read_json, read_jsonl, write_json
from ftlib.runs import Run

log = logging.getLogger("ftlib")


def same(title: str) -> str:
    """A title as it is compared: case folded, white space collapsed."""
    return " ".join(title.casefold().split())


def seen_titles(test: Path, train: Path) -> list[str]:
    """Ids of test records whose title stands in the training file too."""
    wanted: dict[str, list[str]] = {}
    for record in read_jsonl(test):
        wanted.setdefault(same(str(record["title"])), []).append(str(record["id"]))
    learned = {title for record in read_jsonl(train) if (title := same(str(record["title"]))) in wanted}
    return [identity for title, ids in wanted.items() if title in learned for identity in ids]


def check_titles(run: Run) -> None:
    """Refuse to evaluate on titles that were learned; the ``seed-*`` recipes, which break this, get a figure instead.

    Writes ``scores/seen.json``: recipe -> number of test titles that stand in its training rows, and their share.
    Raises DataError naming recipe and ids.
    """
    folders = {run.profile.recipe_of(c): run.curated_for(c) for c in run.profile.contestants}
    files = {recipe: folder / "train.jsonl" for recipe, folder in folders.items()}
    out = run.path / "scores" / "seen.json"
    with run.step("answer:titles", inputs={"test": run.test_file, **files}, settings={"rule": "titles, case folded"}, outputs=[out]) as step:
        if not step.needed:
            return
        rows = sum(1 for _ in read_jsonl(run.test_file))
        found = {}
        for recipe, train in files.items():
            ids = seen_titles(run.test_file, train)
            found[recipe] = {"count": len(ids), "n": rows, "ids": ids}
            if ids and not Path(recipe).name.startswith("seed-"):
                some = ", ".join(map(repr, ids[:5])) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
                raise DataError(
                    f"{train}: the titles of test records {some} stand in the training rows of recipe {recipe}; "
                    f"a model cannot be tested on what it has seen. Curate again with a recipe that removes duplicates."
                )
            if ids:
                log.warning(
                    "recipe %s: %d of %d test titles stand in the training rows; figures on them flatter the tuned model", recipe, len(ids), rows
                )
        write_json(out, found)


def seen_figures(run: Run) -> dict[str, dict[str, int]]:
    """Recipe -> count and n, as ``check_titles`` found."""
    return {recipe: {"count": row["count"], "n": row["n"]} for recipe, row in read_json(run.path / "scores" / "seen.json").items()}
