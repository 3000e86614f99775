"""The README's promises: commands that it marks as runnable run, links lead somewhere, its profile is a profile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftlib.arguments import parser, spread
from ftlib.formatting.task import load_task
from ftlib.profile import load_profile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_blocks_marked_runnable_run(tmp_path: Path) -> None:
    blocks = re.findall(r"<!-- runnable -->\n```\n(.*?)```", README, re.S)
    assert blocks
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for block in blocks:
        ended = subprocess.run(["bash", "-e", "-c", block], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr


def test_every_ftlib_command_in_a_block_parses() -> None:
    lines = [line for block in re.findall(r"```\n(.*?)```", README, re.S) for line in block.splitlines()]
    commands = [line.partition("ftlib ")[2].split() for line in lines if re.match(r"(\.venv/bin/)?ftlib ", line)]
    assert len(commands) > 5
    for command in commands:
        parser().parse_args(spread(command))


def named() -> Iterator[tuple[str, str]]:
    """Each piece of inline code in the documents and in the notebooks' prose, with where it stands."""
    for path in [*ROOT.glob("*.md"), ROOT / "data" / "README.md", *(ROOT / "benchmarks").glob("*.md")]:
        prose = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.S)
        yield from ((path.name, code) for code in re.findall(r"`([^`\n]+)`", prose))
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        yield from ((path.name, code) for code in re.findall(r"`([^`\n]+)`", prose))


def test_every_command_that_is_named_has_the_options_that_are_named_with_it() -> None:
    commands = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
    seen = 0
    for where, code in named():
        words = code.split()
        if words[:1] == ["ftlib"] and len(words) > 1:
            options = {option for action in commands[words[1]]._actions for option in action.option_strings}
            assert {word for word in words if word.startswith("--")} <= options, f"{where}: {code}"
            seen += 1
    assert seen > 20


def test_every_file_that_is_named_is_there() -> None:
    roots = ("ftlib/", "tests/", "benchmarks/", "notebooks/", "data/", "images/", ".ci/")
    seen = 0
    for where, code in named():
        for word in code.split():
            if word.startswith(roots) and not re.search(r"[A-Z]{3}", word):
                assert (ROOT / word).exists(), f"{where}: {code}"
                seen += 1
    assert seen > 20


def test_the_profile_in_the_readme_is_one(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(name: mine.*?)```", README, re.S)
    assert block
    path = tmp_path / "mine.yaml"
    path.write_text(block[1], "utf-8")
    names = ["small", "rehearsal", "llama-3b", "gpt", "five-shot", "tuned-before"]
    assert [c.name for c in load_profile(path).contestants] == names
    path.write_text(block[1].replace("  # - {name: theirs", "  - {name: theirs"), "utf-8")  # the one that needs a file of the reader's
    assert [c.name for c in load_profile(path).contestants] == [*names, "theirs"]


def test_the_task_in_the_readme_is_one_and_shares_no_folder_with_the_profile(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(name: plants.*?)```", README, re.S)
    assert block
    (tmp_path / "plants.yaml").write_text(block[1], "utf-8")
    task = load_task(str(tmp_path / "plants.yaml"))
    assert task.prompt({"id": "1", "title": "Fern", "content": ""}).user == "Describe the plant that has this name.\n\nFern"
    assert "--out results/mine " not in README


@pytest.mark.parametrize(
    "name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "ftlib/recipes/README.md", "ftlib/tasks/README.md"]
)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", text):
        assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"


def test_the_rehearsals_are_those_on_record() -> None:
    recorded = (ROOT / "benchmarks" / "reliability.md").read_text("utf-8").partition("| rehearsal")
    quoted = README.partition("<!-- rehearsals -->\n")[2].partition("<!-- /rehearsals -->")[0]
    assert quoted == "".join(recorded[1:])
    assert "| 0 | `" in quoted
