"""Every call that a notebook makes, and every call that ftlib makes of its pinned packages, exists and takes those arguments."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PINNED = ("papermill", "openai", "tiktoken", "datasets", "matplotlib", "pandas", "nbformat", "nbclient", "huggingface_hub", "xlsxwriter", "sacrebleu")
MODULES = sorted(path for path in (ROOT / "ftlib").rglob("*.py") if any(f"import {name}" in path.read_text("utf-8") for name in PINNED))
ABSENT = object()


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """(dotted name with its module, call) of each call of something imported."""
    tree = ast.parse(source)
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            known |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            known |= {name.asname or name.name.partition(".")[0]: name.name if name.asname else name.name.partition(".")[0] for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            dotted = ast.unparse(node.func)
            first, _, rest = dotted.partition(".")
            if first in known and all(part.isidentifier() for part in dotted.split(".")):
                yield f"{known[first]}.{rest}" if rest else known[first], node


def found(dotted: str) -> Any:
    """What a dotted name stands for; ABSENT where a part of it is not there."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            thing = getattr(thing, part, ABSENT)
        return thing
    return ABSENT


def wrong(source: str, packages: tuple[str, ...]) -> list[str]:
    """What is wrong with the calls of some packages in a piece of source."""
    complaints = []
    for dotted, call in calls(source):
        if dotted.partition(".")[0] not in packages:
            continue
        thing = found(dotted)
        if thing is ABSENT:
            complaints.append(f"{dotted} does not exist")
            continue
        if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
            continue
        try:
            inspect.signature(thing).bind(*call.args, **{str(k.arg): k.value for k in call.keywords})
        except TypeError as error:
            complaints.append(f"{ast.unparse(call)}: {error}")
        except ValueError:
            pass  # written in C, without a signature
    return complaints


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_calls_of_notebooks(path: Path) -> None:
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    source = "\n".join(cells)
    assert sum(1 for dotted, _ in calls(source) if dotted.startswith("ftlib.")) >= 3
    assert wrong(source, ("ftlib", *PINNED)) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_calls_of_pinned_packages(path: Path) -> None:
    assert wrong(path.read_text("utf-8"), PINNED) == []


def test_a_call_that_is_wrong_is_seen() -> None:
    source = "import papermill\nfrom ftlib.notebook import open_run, no_such\npapermill.execute_notebook(nonsense=1)\nno_such()\nopen_run()"
    assert [line.partition("(")[0] for line in wrong(source, ("papermill", "ftlib"))] == [
        "papermill.execute_notebook",
        "ftlib.notebook.no_such does not exist",
        "open_run",
    ]
