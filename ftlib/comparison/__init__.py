"""Comparison: the four criteria as a workbook, charts and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlib.runs import Run, versions

__all__ = ["compare_run", "compare_runs"]
VERSION = 11  # of what is made from the same figures; raised when the page or the workbook changes


def compare_run(run: Run, weights: str | None = None) -> None:
    """Write comparison.xlsx, report.html, report.md and charts/ into the run folder, from what is stored there.

    Args:
        weights: the reader's own, as ``precision=2,cost=1``; none by default, and then there is no ranking.
    """
    from ftlib.comparison.load import sources

    files = [run.path / "comparison.xlsx", run.path / "report.html", run.path / "report.md", run.path / "charts"]
    drawn_with = {name: version for name, version in versions().items() if name in ("matplotlib", "xlsxwriter", "jinja2", "numpy")}
    settings = {"version": VERSION, "weights": weights, "versions": drawn_with}
    with run.step("compare", inputs=sources(run), settings=settings, outputs=files) as step:
        if step.needed:
            from ftlib.comparison.load import load_run

            step.note["verdict"] = _write(load_run(run), run.path, weights)["verdict"][0]


def compare_runs(runs: Sequence[Path], *, out: Path, weights: str | None = None) -> dict[str, Any]:
    """Compare one or several run folders and write the workbook, the charts and the page into another folder.

    Args:
        runs: run folders with scores; they must have been tested on the same rows.
        out: where to write.
        weights: as for ``compare_run``.

    Returns ``files`` (what -> path), ``verdict`` (sentences) and ``tables`` (name -> headings and rows as texts).
    Raises DataError where a run has no scores or is given twice, or the test sets differ (both hashes are named).
    """
    from ftlib.comparison.across import complete
    from ftlib.comparison.load import load_run, merge, refuse_twice

    parts = [load_run(Run.open(path)) for path in runs]
    refuse_twice(parts, runs)
    material = merge(parts)
    if len(parts) > 1:
        complete(material)
    out.mkdir(parents=True, exist_ok=True)
    return _write(material, out.resolve(), weights)


def _write(material: Any, folder: Path, weights: str | None) -> dict[str, Any]:
    """Build once, write everything; returns what was written and said."""
    from ftlib.comparison.build import build
    from ftlib.comparison.charts import draw_all
    from ftlib.comparison.markdown import write_markdown
    from ftlib.comparison.page import write_page
    from ftlib.comparison.workbook import write_workbook

    material.weights = weights or None
    comparison = build(material)
    comparison.charts = draw_all(material, comparison.costs)
    for chart in comparison.charts:
        chart.write(folder / "charts")
    for old in sorted((folder / "charts").glob("*")):
        if old.stem not in {chart.name for chart in comparison.charts}:
            old.unlink()
    files = {"workbook": folder / "comparison.xlsx", "page": folder / "report.html", "text": folder / "report.md"}
    write_workbook(comparison, files["workbook"])
    write_page(comparison, files["page"])
    write_markdown(comparison, files["text"])
    return {
        "files": {**{name: str(path) for name, path in files.items()}, "charts": str(folder / "charts")},
        "verdict": comparison.verdict.sentences(),
        "tables": {key: {"columns": [c.heading for c in table.columns], "rows": table.texts()} for key, table in comparison.tables.items()},
    }
