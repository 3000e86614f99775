"""Executing notebooks: two cells each, made to show one way to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
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


def test_what_a_cell_wrote_in_pieces_stands_in_one_and_widgets_do_not_stay(make: Make, tmp_path: Path) -> None:
    pieces = "import sys, time\nfor n in range(3):\n    print('line', end='', flush=True); time.sleep(0.2); print(n, flush=True)"
    widget = "display({'application/vnd.jupyter.widget-view+json': {'model_id': '1'}, 'text/plain': '0%|   | 0/1'}, raw=True)\nprint('end')"
    cells = nbformat.read(execute(make(pieces, widget), tmp_path / "out.ipynb", {}), 4).cells
    assert [[output.get("text") for output in cell.outputs] for cell in cells[-2:]] == [["line0\nline1\nline2\n"], ["end\n"]]


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
        ("import time; time.sleep(60)", r"took longer than 2\.5 s"),
    ],
    ids=["own error", "other error", "sys.exit", "dead kernel", "hang"],
)
def test_every_bad_end_is_seen(make: Make, tmp_path: Path, cell: str, reason: str) -> None:
    output = tmp_path / "out" / "case.ipynb"
    with pytest.raises(NotebookFailed, match=reason):
        execute(make(cell, "print('end')"), output, {}, timeout=2.5)
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
    assert "unknown parameter PROFIL (did you mean 'PROFILE'? there are: " in ended.stderr
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


def test_what_a_killed_process_left_among_temporary_files_is_gone_after_the_next(make: Make, tmp_path: Path) -> None:
    """Jupyter's connection file holds the key of a kernel; SIGKILL leaves nobody to remove it."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    name = make("import os, signal; os.kill(os.getppid() if N == 1 else 0, signal.SIGKILL if N == 1 else 0); print(N)")
    code = f"""
import sys
from pathlib import Path
import ftlib.execute, ftlib.notebook
folder = Path({str(tmp_path / "notebooks")!r})
ftlib.notebook.notebooks_folder = ftlib.execute.notebooks_folder = lambda: folder
ftlib.execute.execute({name!r}, Path({str(tmp_path / "o.ipynb")!r}), {{"N": int(sys.argv[1])}})
"""
    environment = {**os.environ, "TMPDIR": str(temporary)}
    killed = subprocess.run([sys.executable, "-c", code, "1"], env=environment, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(temporary.rglob("kernel.json"))
    subprocess.run([sys.executable, "-c", code, "2"], env=environment, timeout=120, check=True)
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_an_interrupt_from_the_terminal_leaves_no_kernel_and_no_traceback(make: Make, tmp_path: Path) -> None:
    deaf = "import os, signal, time; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)]"  # as a long C call is
    name = make(f"{deaf}; open({str(tmp_path / 'kernel')!r}, 'w').write(str(os.getpid())); time.sleep(120)")
    code = f"""
import asyncio, sys
from pathlib import Path
from jupyter_core.utils import run_sync
from nbclient.client import NotebookClient
import ftlib.execute, ftlib.notebook
tidy = NotebookClient._async_cleanup_kernel
async def slowly(self):
    await tidy(self)
    await asyncio.sleep(2)  # a busy machine: what was cut short has the time to notice it
NotebookClient._cleanup_kernel = run_sync(slowly)
folder = Path({str(tmp_path / "notebooks")!r})
ftlib.notebook.notebooks_folder = ftlib.execute.notebooks_folder = lambda: folder
try:
    ftlib.execute.execute({name!r}, Path({str(tmp_path / "o.ipynb")!r}), {{}})
except KeyboardInterrupt:
    sys.exit(130)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, start_new_session=True)
    until = time.monotonic() + 60
    while not (tmp_path / "kernel").exists() or not (tmp_path / "kernel").read_text():
        assert time.monotonic() < until
        time.sleep(0.1)
    kernel = int((tmp_path / "kernel").read_text())
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
