"""The leak guard: rows of one file that stand in another, exactly or nearly. A model tested on them is tested on its memory."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from ftlib.curation.near import Features, features_of, near_pairs
from ftlib.curation.records import Fields
from ftlib.curation.source import Source, open_rows
from ftlib.curation.wordhash import EMPTY_TEXT
from ftlib.errors import DataError

I64 = npt.NDArray[np.int64]


def find_leaks(paths: Sequence[Path | str], threshold: float = 0.8, fields: Fields = Fields()) -> dict[str, Any]:  # noqa: B008
    """Rows of later files that stand in an earlier file.

    Args:
        paths: two files or more, each of records, instruction rows or chat rows.
        threshold: Jaccard similarity of the sets of words from which two contents are near.
        fields: what the columns of your own tables are called; a file of our formats that has no such columns is read as it is.

    Returns ``exact``, the number of rows of later files whose content or title stands in an earlier one (but for case,
    punctuation, white space and the way accents are written), and ``near``, of those whose content nearly does; a row counts once, exact before near.
    ``pairs`` names them: the two rows (file, id, and line, or the number of the row in a table), what is alike, and how similar. Raises DataError.
    """
    if len(paths) < 2:
        raise DataError(f"Leaks are looked for between files; {paths[0] if paths else 'none'} is only one, so name two or more.")
    if not 0 < threshold <= 1:
        raise DataError(f"--threshold is {threshold}; give a similarity above 0 and at most 1.")
    titles, contents, origin = [], [], []
    for number, path in enumerate(paths):
        place = "line" if _is_ours(path, fields) else "row"
        for at, identity, title, content in read_texts(path, fields):
            titles.append(normalize("NFC", title))  # an accent is the same, written as one character or as two
            contents.append(normalize("NFC", content))
            origin.append((number, place, at, identity))
    side = np.array([row[0] for row in origin], np.int64)

    def named(row: int) -> dict[str, Any]:
        number, place, at, identity = origin[row]
        return {"file": str(paths[number]), place: at, "id": identity}

    pairs = [
        {
            "a": named(a),
            "b": named(b),
            "kind": "near" if what == "near" else "exact",
            "what": "title" if what == "title" else "content",
            "similarity": round(similarity, 4),
            "title": titles[b][:200],
        }
        for a, b, what, similarity in leaking(features_of(titles, contents), side, lambda i: contents[i], threshold)
    ]
    return {**count(pairs), "pairs": pairs, "rows": {str(path): int((side == n).sum()) for n, path in enumerate(paths)}, "threshold": threshold}


def count(pairs: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many exact and near leaks there are."""
    return {kind: sum(pair["kind"] == kind for pair in pairs) for kind in ("exact", "near")}


def leaking(features: Features, side: I64, text: Callable[[int], str], threshold: float) -> list[tuple[int, int, str, float]]:
    """For each row that leaks: (row of an earlier side, row, ``content`` | ``title`` | ``near``, similarity), in order of rows.

    A row whose side is negative takes no part.
    """
    rows = np.flatnonzero(side >= 0)
    found: dict[int, tuple[int, str, float]] = {}
    for keys, what in ((features.contents, "content"), (features.titles, "title")):
        for a, b in _equal_across(keys, rows, side):
            found.setdefault(b, (a, what, 1.0))
    for a, b, similarity in near_pairs(features, text, threshold, rows=rows, side=side):
        early, late = (a, b) if side[a] < side[b] else (b, a)
        for row in np.flatnonzero((features.contents == features.contents[late]) & (side == side[late])).tolist():
            found.setdefault(row, (early, "near", similarity))
    return [(a, b, what, similarity) for b, (a, what, similarity) in sorted(found.items())]


def _equal_across(keys: npt.NDArray[np.uint64], rows: I64, side: I64) -> Iterator[tuple[int, int]]:
    """(first row of an earlier side with the same key, row) for each row of a later side; an empty text equals nothing."""
    rows = rows[keys[rows] != EMPTY_TEXT]
    order = rows[np.lexsort((rows, side[rows], keys[rows]))]
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])) if len(order) else np.empty(0, np.int64)
    first = np.repeat(order[starts], np.diff(np.append(starts, len(order))))
    later = side[order] > side[first]
    yield from zip(first[later].tolist(), order[later].tolist(), strict=True)


def read_texts(path: Path | str, fields: Fields = Fields()) -> Iterator[tuple[int, str, str, str]]:  # noqa: B008
    """(line, id, title, content) of each row of a file of records, instruction rows or chat rows; none of an empty file.

    A table has (row, id, title, content), its columns named as ``fields`` says, or as ours.
    """
    if Path(path).is_file() and not Path(path).stat().st_size:
        return  # a recipe without validation rows writes such a file
    if not _is_ours(path, fields):
        rows = 0
        for batch in _table(path, fields).batches():
            bad = sorted(row.after for row in batch.rejected)
            for number, record in enumerate(batch.records):
                yield rows + number + bisect.bisect_right(bad, number) + 1, record.id, record.title, record.content
            rows += batch.rows
        return
    kind = ""
    for line, row in open_rows(path):
        kind = kind or _kind(row, path)
        try:
            identity, title, content = _texts(kind, row)
            yield line, identity, _text(title), _text(content)
        except (KeyError, TypeError, IndexError, AttributeError):
            raise DataError(f"{path}, line {line}: no row of {kind} (a text is missing, or is not a text); mend the file.") from None


def _is_ours(path: Path | str, fields: Fields) -> bool:
    """Whether a file is read line by line as one of our formats, and not as a table (or as JSON lines with the columns that ``fields`` names)."""
    if Path(path).is_file() and not Path(path).stat().st_size:
        return True
    first = next((row for _, row in open_rows(path)), None)
    if first is None or fields == Fields():
        return first is not None
    return bool(_kind_of(first)) and not (isinstance(first, dict) and {fields.title, fields.content} <= first.keys())


def _table(path: Path | str, fields: Fields) -> Source:
    """A table with the columns that ``fields`` names, or ours where it has none of these."""
    try:
        return Source(path, fields)
    except DataError as error:
        if fields != Fields():
            with suppress(DataError):
                return Source(path)
        raise error


def _kind_of(row: Any) -> str | None:
    if isinstance(row, dict):
        for kind, keys in (("chat", {"messages"}), ("instruction", {"instruction", "output"}), ("records", {"title", "content"})):
            if keys <= row.keys():
                return kind
    return None


def _kind(row: Any, path: Path | str) -> str:
    if kind := _kind_of(row):
        return kind
    raise DataError(f"{path}: its first row is neither a record (title, content) nor instruction (instruction, output) nor chat (messages).")


def _text(value: Any) -> str:
    """A text; null is a missing one. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, str):
        raise TypeError(value)
    return value or ""


def _texts(kind: str, row: dict[str, Any]) -> tuple[str, Any, Any]:
    """Id, title and content of a row; a prompt's title is what follows its first paragraph, the instruction."""
    identity = str(row.get("id", row.get("uid", "")))
    if kind == "records":
        return identity, row["title"], row["content"]
    if kind == "instruction":
        return identity, row.get("input"), row["output"]
    users = [turn["content"] for turn in row["messages"] if turn["role"] == "user"]
    return identity, users[-1].split("\n\n", 1)[-1] if users else "", row["messages"][-1]["content"]


def leaks_text(found: dict[str, Any]) -> str:
    """What was found, for a terminal: the counts and the first pairs."""
    files = ", ".join(f"{name} ({rows:,} rows)" for name, rows in found["rows"].items())
    lines = [f"{found['exact']:,} exact and {found['near']:,} near duplicates between {files}"]
    for pair in found["pairs"][:20]:
        a, b = (f"{row['file']}:{row['line']}" if "line" in row else f"{row['file']} row {row['row']}" for row in (pair["a"], pair["b"]))
        lines.append(f"  {a} ~ {b}  {pair['kind']} {pair['what']} {pair['similarity']:.2f}  {pair['title'][:60]!r}")
    if len(found["pairs"]) > 20:
        lines.append(f"  and {len(found['pairs']) - 20} more (--json lists all)")
    return "\n".join(lines)
