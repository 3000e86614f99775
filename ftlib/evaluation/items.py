"""Questions with their references, and answers to them: reading, and matching one to one by id."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftlib.errors import DataError


@dataclass(frozen=True)
class Item:
    """One question: its id, what the right answer is, and the title where there is one."""

    id: str
    reference: str
    title: str | None = None


@dataclass(frozen=True)
class Given:
    """One answer as it was recorded; ``text`` is None where none came back."""

    id: str
    text: str | None
    finish: str | None = None
    error: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float | None = None
    usd: float | None = None

    @property
    def failed(self) -> bool:
        """No answer came back."""
        return self.text is None or self.finish == "error" or bool(self.error)


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and rows of a user's JSON-lines file. Raises DataError with file and line."""
    try:
        handle = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file of JSON lines.") from None
    with handle:
        for number, line in enumerate(handle, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: not valid JSON ({error}).") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: a line must be an object with id and answer (or reference), not a {type(row).__name__}.")
            yield number, row


def read_references(path: Path) -> list[Item]:
    """Lines ``{id, title?, reference}``; ``content`` is taken for a reference, so that a test.jsonl can be given.

    Raises DataError with file, line and field; where an id stands twice; where there is no line.
    """
    found: list[Item] = []
    for number, row in rows(path):
        reference = row.get("reference", row.get("content"))
        if not isinstance(reference, str):
            raise DataError(f"{path}, line {number}: reference is missing or no text; a line is {{id, title?, reference}}.")
        title = row.get("title")
        found.append(Item(_id(path, number, row), reference, None if title is None else str(title)))
    _unique(path, [item.id for item in found])
    return found


def read_answers(path: Path) -> list[Given]:
    """Lines ``{id, answer, ...}``. Raises DataError with file, line and field; where an id stands twice."""
    found: list[Given] = []
    for number, row in rows(path):
        if "answer" not in row:
            raise DataError(f"{path}, line {number}: answer is missing; a line is {{id, answer}}, with answer null where none came back.")
        if not isinstance(row["answer"], str | None):
            raise DataError(f"{path}, line {number}: answer is a {type(row['answer']).__name__}; it must be a text or null.")
        _check(f"{path}, line {number}", row)
        found.append(given(row, _id(path, number, row)))
    _unique(path, [answer.id for answer in found])
    return found


def _check(where: str, row: Mapping[str, Any]) -> None:
    """Raises DataError where what an answer row tells besides its answer is neither of the right kind nor null."""
    for key in ("finish", "error"):
        if not isinstance(row.get(key), str | None):
            raise DataError(f"{where}: {key} is {row[key]!r}; it must be a text or null.")
    for key in ("tokens_in", "tokens_out", "seconds", "usd"):
        value = row.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf):
            raise DataError(f"{where}: {key} is {value!r}; it must be a number from 0 on, or null.")


def given(row: Mapping[str, Any], identity: str | None = None) -> Given:
    """An answer row as an object; keys that it lacks are None."""
    keys = ("finish", "error", "tokens_in", "tokens_out", "seconds", "usd")
    return Given(identity or str(row["id"]), row["answer"], **{key: row.get(key) for key in keys})


def _id(path: Path, number: int, row: Mapping[str, Any]) -> str:
    if row.get("id") is None:
        raise DataError(f"{path}, line {number}: id is missing.")
    return str(row["id"])


def _unique(path: Path, ids: Sequence[str]) -> None:
    if not ids:
        raise DataError(f"{path} holds no line; nothing can be scored.")
    seen: set[str] = set()
    twice = [i for i in ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
    if twice:
        raise DataError(f"{path}: {_some(twice)} stand more than once; ids must differ.")


def match(items: Sequence[Item], answers: Sequence[Given], name: str) -> list[Given]:
    """The answers in the order of the items. Raises DataError naming the ids that have no partner."""
    by_id = {answer.id: answer for answer in answers}
    wanted = {item.id for item in items}
    missing = [item.id for item in items if item.id not in by_id]
    extra = [i for i in by_id if i not in wanted]
    if missing or extra:
        parts = [f"{_some(missing)} have no answer"] if missing else []
        parts += [f"{_some(extra)} have no reference"] if extra else []
        raise DataError(f"{name}: {'; '.join(parts)}. Ids must match one to one; record a failed item as answer null.")
    return [by_id[item.id] for item in items]


def _some(ids: Sequence[str], most: int = 5) -> str:
    """The first few ids in words."""
    return f"ids {', '.join(map(repr, ids[:most]))}" + (f" and {len(ids) - most} more" if len(ids) > most else "")
