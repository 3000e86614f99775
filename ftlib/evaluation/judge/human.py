"""A blind sheet of pairs for a person, and the agreement when it comes back."""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftlib.errors import DataError
from ftlib.evaluation import statistics
from ftlib.files import hash_json, read_json, write_atomic, write_json

PAIRS = 30
LETTERS = str.maketrans("0123456789", "ghijklmnop")  # a spreadsheet takes no such name for a number or a date
SHEET = "blind_sheet.csv"
COLUMNS = ("pair", "request", "first", "second", "better")
MEANING = {"1": "first", "first": "first", "2": "second", "second": "second", "0": "tie", "tie": "tie", "=": "tie"}


def write_sheet(
    folder: Path, pairs: Sequence[tuple[str, str, str, str]], systems: tuple[str, str], seed: int, answers: Mapping[str, str] | None = None
) -> None:
    """Write ``blind_sheet.csv`` (who wrote what is not in it) and ``blind_key.json`` (which says so).

    A pair's name begins with letters that belong to this sheet alone, so that another sheet is not taken for it.

    Args:
        pairs: (id, what was asked, a's answer, b's answer).
        systems: the names of a and b.
        answers: hashes of the files that the answers stand in.
    """
    rng = random.Random(seed)
    sheet = hash_json([pairs, systems, seed])[:4].translate(LETTERS)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(COLUMNS)
    key = {}
    for number, (identity, request, a, b) in enumerate(pairs, 1):
        a_first = rng.random() < 0.5
        name = f"{sheet}-{number}"
        key[name] = {"id": identity, "first": "a" if a_first else "b"}
        writer.writerow([name, *(_safe(text) for text in (request, a if a_first else b, b if a_first else a)), ""])
    write_atomic(folder / SHEET, "\ufeff" + table.getvalue())
    write_json(folder / "blind_key.json", {"a": systems[0], "b": systems[1], "answers": answers, "pairs": key})


def _safe(text: str) -> str:
    """A text that a spreadsheet shows and does not run as a formula."""
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)  # a lone surrogate has no place in UTF-8
    return "'" + text if text.lstrip().startswith(("=", "+", "-", "@")) else text


def read_sheet(path: Path, key_file: Path) -> dict[str, str]:
    """A filled sheet as id -> winner (a, b or tie); rows left empty are left out.

    Raises DataError with file, row and field where a cell is none of first, second, tie (or 1, 2, 0), or a pair is none of
    the sheet that the key belongs to.
    """
    key = read_json(key_file)["pairs"]
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the blind sheet that came back filled.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error.reason}); save the sheet as CSV in UTF-8.") from None
    head = text.partition("\n")[0]
    rows = list(csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count)))  # a spreadsheet saves with its country's
    if not rows or not {"pair", "better"}.issubset(rows[0]):
        raise DataError(f"{path}: the columns pair and better are missing; fill the sheet that `ftlib judge` wrote, and change no other column.")
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        said = (row["better"] or "").strip().lower()
        if not said:
            continue
        if str(row["pair"]) not in key:
            raise DataError(
                f"{path}, row {number}: there is no pair {row['pair']} in the sheet that {key_file} belongs to; fill {key_file.parent / SHEET}."
            )
        if said not in MEANING:
            raise DataError(f"{path}, row {number}: better is {said!r} for pair {row['pair']}; write first, second or tie.")
        place = key[str(row["pair"])]
        choice = MEANING[said]
        found[place["id"]] = "tie" if choice == "tie" else ("a" if (choice == "first") == (place["first"] == "a") else "b")
    if not found:
        raise DataError(f"{path}: no row is filled; write first, second or tie into the column better.")
    return found


def agreement(human: Mapping[str, str], judge: Mapping[str, str]) -> dict[str, Any]:
    """How a person's and the judge's choices agree on the pairs that both saw: n, share, Cohen's kappa (None: undefined)."""
    both = [identity for identity in human if identity in judge]
    if not both:
        return {"n": 0, "share": None, "kappa": None, "na": "no pair was judged by both"}
    mine, its = [human[i] for i in both], [judge[i] for i in both]
    kappa = statistics.kappa(mine, its)
    return {
        "n": len(both),
        "share": sum(x == y for x, y in zip(mine, its, strict=True)) / len(both),
        "kappa": kappa,
        "na": None if kappa is not None else "kappa is undefined: both gave one and the same verdict throughout",
    }
