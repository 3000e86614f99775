"""How the house is built, as CONTRIBUTING promises: small files and functions, everything public documented, tests beside what they test."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "ftlib").rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_files_are_short() -> None:
    assert len(MODULES) > 100
    assert statistics.median(lines(path) for path in MODULES) < 200
    long = {name(path): lines(path) for folder in ("ftlib", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py") if lines(path) > 400}
    assert not long


def public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """The public definitions of a module, and the methods of its classes; what a Protocol only names is documented where it is done."""
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_") and ast.unparse(node.body[-1]) != "...":
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def test_functions_are_short_and_what_is_public_is_documented() -> None:
    long, silent = {}, []
    for path in MODULES:
        tree = ast.parse(path.read_text("utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
        long.update({f"{name(path)}: {f.name}": length for f in functions if (length := (f.end_lineno or 0) - f.lineno + 1) > 60})
        silent += [f"{name(path)}: {node.name}" for node in public(tree.body) if not ast.get_docstring(node)]
        silent += [name(path)] * (bool(tree.body) and not ast.get_docstring(tree))
    assert not long
    assert not silent


def test_tests_mirror_the_rooms() -> None:
    def folders(of: str) -> set[str]:
        return {path.parent.relative_to(ROOT / of).as_posix() for path in (ROOT / of).rglob("*.py")}

    own = {room for room in folders("ftlib") if room.count("/") == 0 or room.startswith("training/")} - {"sample"}
    assert folders("tests") - {"reliability"} == own
