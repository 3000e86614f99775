"""Answers of a base model that another contestant has asked already: models x recipes x seeds share few bases."""

from __future__ import annotations

import logging
from pathlib import Path

from ftlib.files import AppendLog, write_jsonl
from ftlib.profile import Contestant
from ftlib.runs import Run

log = logging.getLogger("ftlib")


def borrow(run: Run, contestant: Contestant, system: str, path: Path, made_with: str) -> None:
    """Take over what the same base model answered, or scored, for a contestant before this one: it is asked once, and paid once."""
    if system.endswith(".tuned") or path.exists():
        return
    for other in run.profile.contestants:
        if other.name == contestant.name:
            return
        for base in other.systems():
            theirs = run.answers_file(base, path.stem)
            if base.endswith(".tuned") or not theirs.exists():
                continue
            with AppendLog(theirs) as store:
                rows = [row for row in store.rows() if row.get("made_with") == made_with]
            if rows:
                log.info("%s: the %s answers of %s, the same model with the same settings", system, path.stem, base)
                write_jsonl(path, rows)
                return
