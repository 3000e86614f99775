"""No other place builds a prompt: messages and turns are written in ``formatting`` alone."""

from __future__ import annotations

import ast
from pathlib import Path

import ftlib

ROOT = Path(ftlib.__file__).parent
HOME = {"formatting/task.py", "formatting/rows.py"}  # the task's prompt, and the rows that are made of it
BUILDERS = {"message", "join_turn", "user_turn", "Prompt"}  # what makes a turn or a question when called
# what may write messages for another reason than to ask a task's question, and that reason
DECLARED = {
    "training/local/rows.py": "puts instruction and input, which Alpaca shows apart, beside the turn that join_turn made",
    "training/local/template.py": "renders a probe conversation to find the token that ends a turn; holds the Alpaca template",
    "training/local/prose.py": "writes the general conversations that a tiny model is pre-trained on",
    "training/sandbox/api.py": "plays the service: reads the messages it is sent and answers with one",
}


def turns_built(path: Path) -> list[int]:
    """Lines of dictionaries that name a role and a content, of chat turns spelled out in a text, and of calls that build a turn."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            if {"role", "content"} <= keys:
                found.append(node.lineno)
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in BUILDERS or {"role", "content"} <= {keyword.arg for keyword in node.keywords}:
                found.append(node.lineno)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ("### Instruction" in node.value or "### Response" in node.value):
            found.append(node.lineno)
    return sorted(found)


def test_messages_are_written_in_one_place() -> None:
    elsewhere = {
        path.relative_to(ROOT).as_posix(): lines
        for path in sorted(ROOT.rglob("*.py"))
        if (lines := turns_built(path)) and path.relative_to(ROOT).as_posix() not in HOME
    }
    assert set(elsewhere) <= set(DECLARED), "a prompt is built outside formatting/task.py; ask a Task for it, or declare why not"


def test_every_declared_place_is_there_and_builds_turns() -> None:
    for name in (*HOME, *DECLARED):
        assert (ROOT / name).is_file(), f"{name} is gone; declare where it went"
        assert turns_built(ROOT / name), f"{name} builds no turn any more; take it off the list"


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    lines = (
        'a = {"role": "user", "content": "x"}',
        'b = f"### Instruction:\\n{a}"',
        'c = {"role": "user"}',
        'd = message("user", "x")',
        'e = task.join_turn("a", "b")',
        'f = rows.user_turn("a", "b")',
        'g = dict(role="user", content="x")',
        'h = messages("x")',
    )
    path.write_text("\n".join(lines))
    assert turns_built(path) == [1, 2, 4, 5, 6, 7]


def test_notebooks_build_no_prompt_either() -> None:
    import json

    for path in (ROOT.parent / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            assert cell["cell_type"] != "code" or '"role":' not in source, path.name
