"""Executing notebooks: two cells each, made to show one way to end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ftlib.execute
import ftlib.notebook
from ftlib.errors import NotebookFailed, ProfileError
from ftlib.execute import execute, up_to_date

pytest.importorskip("papermill")
nbformat = pytest.importorskip("nbformat")
Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Write a notebook with a parameters cell (N = 1) and the given cells; returns its name."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(ftlib.notebook, "notebooks_folder", lambda: folder)
    monkeypatch.setattr(ftlib.execute, "notebooks_folder", lambda: folder)

    def write(*cells: str) -> str:
        first = nbformat.v4.new_code_cell("N = 1")
        first["metadata"]["tags"] = ["parameters"]
        notebook = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
        notebook["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "case.ipynb")
        return "case"

    return write


def test_a_good_one_is_written_and_known_as_up_to_date(make: Make, tmp_path: Path) -> None:
    name, output = make("print(N * 2)"), tmp_path / "out" / "case.ipynb"
    execute(name, output, {"N": 21})
    assert "42" in output.read_text()
    assert up_to_date(output, name)
    make("print(N * 3)")
    assert not up_to_date(output, name)
    assert [p.name for p in output.parent.iterdir()] == ["case.ipynb"]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (
            "from ftlib.errors import DataError\nraise DataError('rows.csv is empty; give a file with rows')",
            r"rows\.csv is empty; give a file with rows\. What ran",
        ),
        ("1 / 0", "cell 2 raised ZeroDivisionError"),
        ("import sys; sys.exit(0)", "cell 3 never ran"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its kernel died"),
        ("import time; time.sleep(60)", "took longer than 2 s"),
    ],
    ids=["own error", "other error", "sys.exit", "dead kernel", "hang"],
)
def test_every_bad_end_is_seen(make: Make, tmp_path: Path, cell: str, reason: str) -> None:
    output = tmp_path / "out" / "case.ipynb"
    with pytest.raises(NotebookFailed, match=reason):
        execute(make(cell, "print('end')"), output, {}, timeout=2)
    assert not output.exists()
    assert json.loads((tmp_path / "out" / "case.failed.ipynb").read_text())["cells"]


def test_wrong_parameters_stop_before_a_kernel_starts(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="unknown parameter M "):
        execute(make("print(N)"), tmp_path / "o.ipynb", {"M": 2})
    assert not (tmp_path / "o.ipynb").exists()


def test_plain_papermill_with_a_misspelt_parameter_stops_at_the_first_step(tmp_path: Path) -> None:
    source = Path(__file__).parent.parent / "notebooks" / "01_curate.ipynb"
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(source),
        str(tmp_path / "o.ipynb"),
        "-p",
        "PROFIL",
        "demo",
        "-p",
        "RUN",
        str(tmp_path / "run"),
        "-k",
        "python3",
    ]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "unknown parameter PROFIL; did you mean 'PROFILE'?" in ended.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_plain_papermill_reads_and_writes_cloud_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import papermill
    from papermill.iorw import papermill_io

    stored = {"bucket://notebooks/in.ipynb": (Path(__file__).parent.parent / "notebooks" / "01_curate.ipynb").read_text("utf-8")}

    class Bucket:
        """A place that has names and texts and no files, as papermill's handlers of s3://, gs:// and abs:// have."""

        def read(self, path: str) -> str:
            return stored[path]

        def write(self, buf: str, path: str) -> None:
            stored[path] = buf

        def pretty_path(self, path: str) -> str:
            return path

    handlers = list(papermill_io._handlers)
    papermill_io.register("bucket://", Bucket())
    monkeypatch.chdir(tmp_path)
    try:
        parameters = {"RUN": str(tmp_path / "run"), "TRAIN": 40, "VALID": 10, "TEST": 12}
        papermill.execute_notebook("bucket://notebooks/in.ipynb", "bucket://results/out.ipynb", parameters, kernel_name="python3", progress_bar=False)
    finally:
        papermill_io._handlers = handlers
    cells = nbformat.reads(stored["bucket://results/out.ipynb"], as_version=4).cells
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code")
    assert (tmp_path / "run" / "curated" / "train.jsonl").exists()
