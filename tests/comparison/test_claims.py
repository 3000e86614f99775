"""Figures in README and docs come from the published run; publishing copies what that needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ftlib.comparison import compare_run, compare_runs
from ftlib.comparison.build import build
from ftlib.comparison.claims import MARK, blocks, main, update
from ftlib.comparison.load import load_run
from ftlib.comparison.publish import main as publish
from ftlib.runs import Run

PROJECT = Path(__file__).resolve().parents[2]


def test_a_block_is_written_checked_and_found_out_of_date(run: Run, tmp_path: Path) -> None:
    names = blocks(build(load_run(run)))
    file = tmp_path / "README.md"
    file.write_text("before\n" + "".join(f"<!-- claims:{name} -->\nold\n<!-- /claims -->\n" for name in names) + "after\n", "utf-8")
    assert main([str(file), "--run", str(run.path), "--check"]) == 1
    assert "\nold\n" in file.read_text("utf-8")
    assert main([str(file), "--run", str(run.path)]) == 0
    assert main([str(file), "--run", str(run.path), "--check"]) == 0
    text = file.read_text("utf-8")
    assert "\nold\n" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    wrong = text.replace("23", "24", 1)
    file.write_text(wrong, "utf-8")
    assert main([str(file), "--run", str(run.path), "--check"]) == 1


@pytest.mark.parametrize("text", ["<!-- claims:verdit -->\nx\n<!-- /claims -->\n", "<!-- claims:verdict -->\nnever closed\n"])
def test_an_unknown_or_open_block_is_named(run: Run, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "doc.md"
    file.write_text(text, "utf-8")
    assert main([str(file), "--run", str(run.path)]) == 2
    assert "doc.md" in capsys.readouterr().err
    assert file.read_text("utf-8") == text


def test_claims_of_this_project_are_those_of_its_published_run() -> None:
    files = [path for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))) if MARK.search(path.read_text("utf-8"))]
    if not files:
        pytest.skip("no file of the project has a block")
    assert update(files, PROJECT / "results" / "published", check=True) == []


def test_published_parts_make_the_same_comparison_again(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(n=6)
    compare_run(run)
    (run.path / "notebooks").mkdir()
    (run.path / "notebooks" / "06_compare.ipynb").write_text(f'{{"cells": [], "run": "{run.path}"}}', "utf-8")
    results, images = tmp_path / "results" / "published", tmp_path / "images"
    assert publish([str(run.path), "--results", str(results), "--images", str(images)]) == 0
    assert str(run.path) not in (results / "notebooks" / "06_compare.ipynb").read_text("utf-8")
    assert {path.name for path in images.iterdir()} == {path.name for path in (run.path / "charts").iterdir()}
    compare_runs([results], out=tmp_path / "again")
    assert (tmp_path / "again" / "report.md").read_text("utf-8") == (results / "report.md").read_text("utf-8")


def test_an_unfinished_run_is_not_published(make_run: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(n=2)
    assert publish([str(run.path), "--results", str(tmp_path / "r"), "--images", str(tmp_path / "i")]) == 2
    assert "not a finished run" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
