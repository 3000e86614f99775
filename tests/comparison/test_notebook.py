"""Notebook 06, cell by cell, on a made-up run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftlib.runs import Run

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "06_compare.ipynb"


def cells() -> list[dict[str, Any]]:
    return list(json.loads(NOTEBOOK.read_text("utf-8"))["cells"])


@pytest.mark.parametrize("weights", ["", "precision=2,cost=1"])
def test_every_cell_runs_and_shows_something(
    make_run: Callable[..., Run], weights: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("IPython")
    import ftlib.notebook

    run = make_run()

    monkeypatch.setattr(ftlib.notebook, "open_run", lambda *_: run)
    shown: list[Any] = []
    space: dict[str, Any] = {"display": shown.append}
    for cell in cells():
        if cell["cell_type"] != "code" or cell["id"] == "install":
            continue
        source = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", []):
            source += f"\nWEIGHTS = {weights!r}"
        *head, last = source.rstrip().splitlines()
        if cell["id"] not in ("parameters", "open") and last.startswith(("said(", "show(", "chart(")):
            exec("\n".join(head), space)
            shown.append(eval(last, space))
        else:
            exec(source, space)
    printed = capsys.readouterr().out
    assert "comparison.xlsx" in printed
    assert ("nothing is ranked" in printed) == (weights == "")
    pictures = [one for one in shown if type(one).__name__ == "Image"]
    tables = [one.data for one in shown if type(one).__name__ == "HTML"]
    assert len(pictures) == 12
    assert all("<script" not in table for table in tables)
    assert "<li>Fine-tuning is worth it" in tables[0]
    assert len(tables) == (9 if weights else 8)


def test_it_is_thin_and_has_no_outputs() -> None:
    for cell in cells():
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["id"] == "install" or len(cell["source"]) <= 12
