"""Where the notebooks are published, and the install cell that all of them share.

``python -m ftlib.colab --owner me --repo ftlib --branch main`` writes ``notebooks/repository.json`` and from it every badge
and install cell; without arguments it only writes badges and cells again.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlib.files import read_json, write_atomic, write_json

INSTALL = """# Installs ftlib where it is missing; torch and numpy stay at the versions that are there.
import importlib.util, subprocess, sys
from importlib import metadata
from pathlib import Path

if importlib.util.find_spec("ftlib") is None:
    places = [Path.cwd(), Path.cwd().parent, Path("/content/drive/MyDrive/{repo}")]
    clone = next((p for p in places if (p / "pyproject.toml").exists()), "git+https://github.com/{owner}/{repo}@{branch}")
    extra = "gpu" if Path("/dev/nvidia0").exists() else "notebooks,training,fast"
    held = [f"{{name}}=={{metadata.version(name)}}" for name in ("torch", "numpy") if importlib.util.find_spec(name)]
    Path("/tmp/ftlib-held.txt").write_text("\\n".join(held))
    what = f"ftlib[{{extra}}] @ {{clone.as_uri() if isinstance(clone, Path) else clone}}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--progress-bar", "off", "-c", "/tmp/ftlib-held.txt", what], check=True)
for name in ("ftlib", "torch", "transformers", "trl", "unsloth", "papermill"):
    print(f"{{name:14}}", metadata.version(name) if importlib.util.find_spec(name) else "not installed")"""

_BADGE = re.compile(r"https://colab\.research\.google\.com/github/[^/\s)]+/[^/\s)]+/blob/[^/\s)]+/notebooks/([\w.-]+\.ipynb)")


def install_cell(repository: dict[str, str]) -> str:
    """The text of the install cell for a repository (owner, repo, branch)."""
    return INSTALL.format(**repository)


def badge(repository: dict[str, str], notebook: str) -> str:
    """The address that opens a notebook in Colab."""
    return "https://colab.research.google.com/github/{owner}/{repo}/blob/{branch}/notebooks/".format(**repository) + notebook


def rewritten(notebook: dict[str, Any], repository: dict[str, str]) -> dict[str, Any]:
    """A notebook with its badge and install cell as the repository wants them."""
    for cell in notebook["cells"]:
        if cell.get("id") == "install":
            cell["source"] = install_cell(repository).splitlines(keepends=True)
        elif cell["cell_type"] == "markdown":
            text = _BADGE.sub(lambda match: badge(repository, match[1]), "".join(cell["source"]))
            cell["source"] = text.splitlines(keepends=True)
    return notebook


def sync(root: Path) -> list[Path]:
    """Write badges and install cells of all notebooks and the README from ``notebooks/repository.json``; returns what changed."""
    repository = read_json(root / "notebooks" / "repository.json")
    changed = []
    for path in [*sorted((root / "notebooks").glob("*.ipynb")), root / "README.md"]:
        before = path.read_text("utf-8")
        if path.suffix == ".ipynb":
            after = json.dumps(rewritten(json.loads(before), repository), indent=1, ensure_ascii=False) + "\n"
        else:
            after = _BADGE.sub(lambda match: badge(repository, match[1]), before)
        if after != before:
            write_atomic(path, after)
            changed.append(path)
    return changed


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m ftlib.colab", description="Write badges and install cells.")
    parser.add_argument("--owner")
    parser.add_argument("--repo")
    parser.add_argument("--branch")
    parser.add_argument("--root", type=Path, default=Path())
    args = parser.parse_args(argv)
    place = args.root / "notebooks" / "repository.json"
    repository = read_json(place)
    given = {key: getattr(args, key) for key in ("owner", "repo", "branch") if getattr(args, key)}
    if given:
        write_json(place, {**repository, **given})
    for path in sync(args.root):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
