"""The README's promises: commands that it marks as runnable run, links lead somewhere, its profile is a profile."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ftlib.arguments import parser, spread
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


def test_the_profile_in_the_readme_is_one(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(name: mine.*?)```", README, re.S)
    assert block
    path = tmp_path / "mine.yaml"
    path.write_text(block[1], "utf-8")
    assert [c.name for c in load_profile(path).contestants] == ["llama-3b", "gpt", "five-shot"]


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)[^)]*\)", text):
        assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"
