"""ARCHITECTURE.md against the code: every module is named, every module that is named is there, and so is every field of the published run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftlib.files import read_json, read_jsonl

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")


def paragraph(room: str) -> str:
    """What is said of a room: from its name in bold to the next one."""
    found = re.search(rf"^(?:- )?\*\*{room}/\*\*:(.*?)(?=^(?:- )?\*\*\w+/\*\*|^## )", TEXT, re.S | re.M)
    assert found, room
    return found[1]


def modules(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}


def test_each_room_names_its_modules_and_no_others() -> None:
    rooms = {path.name: path for path in (ROOT / "ftlib").iterdir() if (path / "__init__.py").exists() and path.name != "sample"}
    rooms |= {path.name: path for path in rooms["training"].iterdir() if (path / "__init__.py").exists()}
    assert len(rooms) == 10
    for room, folder in rooms.items():
        inner = [path for path in folder.iterdir() if (path / "__init__.py").exists() and path.name not in rooms]
        there = modules(folder).union(*map(modules, inner))
        assert set(re.findall(r"`(\w+)`", paragraph(room))) == there, room


def test_the_modules_outside_the_rooms_are_named() -> None:
    named = set(re.findall(r"`(\w+)\.py`", TEXT))
    assert named == modules(ROOT / "ftlib")


@pytest.mark.parametrize(
    "name",
    [
        "curated/funnel.json",
        "curated/tokens.json",
        "tiny-llama/format.json",
        "tiny-llama/training.json",
        "tiny-hosted/training.json",
        "scores/summary.json",
    ],
)
def test_every_field_of_the_published_run_is_named(name: str) -> None:
    document = read_json(ROOT / "results" / "published" / name)
    fields = {
        *document,
        *(key for part in ("seconds", "tokens", "memory", "device") if isinstance(document.get(part), dict) for key in document[part]),
    }
    fields |= {key for part in ("pairs", "mcnemar") for row in document.get(part, [])[:1] for key in row}
    fields |= set(document.get("systems", {}).get("tiny-llama.tuned", {}))
    fields |= set(document.get("flexibility", {}).get("tiny-llama.tuned", {}).get("retention", {}))
    unnamed = {field for field in fields if not re.search(rf"\b{field}\b", TEXT)}
    assert unnamed <= {"train", "valid"}


@pytest.mark.parametrize("name", ["scores/items.jsonl", "answers/tiny-llama.base/test.jsonl"])
def test_every_field_of_a_published_row_is_named(name: str) -> None:
    row = next(iter(read_jsonl(ROOT / "results" / "published" / name)))
    assert not {field for field in row if not re.search(rf"\b{field}\b", TEXT)}
