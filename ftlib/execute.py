"""Executing one notebook headless, and knowing whether it really ran to its end."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ftlib.errors
from ftlib.errors import FtlibError, MissingExtra, NotebookFailed
from ftlib.files import atomic_path, scratch_folder, sha256_file
from ftlib.notebook import check_parameters, notebooks_folder

log = logging.getLogger("ftlib")
WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST_OUTPUT = 40_000  # characters of one text output that an executed notebook keeps


def source_hash(notebook: str) -> str:
    """Hash of a notebook's file, so that a changed notebook is executed again."""
    return sha256_file(notebooks_folder() / f"{notebook}.ipynb")


def up_to_date(output: Path, notebook: str) -> bool:
    """Whether ``output`` is a finished execution of the notebook as it stands."""
    if not output.exists():
        return False
    try:
        metadata = json.loads(output.read_bytes())["metadata"]
    except (ValueError, KeyError):
        return False
    return bool(metadata.get("ftlib", {}).get("source_sha256") == source_hash(notebook))


def execute(notebook: str, output: Path, parameters: Mapping[str, Any], *, timeout: float | None = None) -> Path:
    """Execute a notebook of ftlib with papermill and write it to ``output``.

    Unknown and ill-typed parameters raise ProfileError before a kernel starts. An error in a cell, a dead kernel, a cell
    over its time limit and a ``sys.exit`` before the last cell raise NotebookFailed; what ran until then is kept
    beside ``output`` as ``<name>.failed.ipynb``.
    """
    try:
        import nbclient.exceptions
        import nbformat
        import papermill
        from traitlets.config import Config
    except ImportError as error:
        raise MissingExtra(f'Executing notebooks needs {error.name}: pip install "ftlib[notebooks]".') from error
    check_parameters(notebook, parameters)
    output.parent.mkdir(parents=True, exist_ok=True)
    failed = output.with_suffix(".failed.ipynb")
    source = notebooks_folder() / f"{notebook}.ipynb"
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is raised from here in one sentence
    with atomic_path(failed) as partial, scratch_folder() as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not end in one of")  # papermill on the temporary name
        try:
            papermill.execute_notebook(
                str(source),
                str(partial),
                dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                log_output=False,
                cwd=os.getcwd(),
                timeout_func=lambda _: timeout,  # the client's own limit takes whole seconds alone
                start_timeout=120,
                extra_arguments=["--IPKernelApp.log_level=50"],  # what goes wrong in a cell stands in the cell; its advice is not ours to show
                config=Config(KernelManager={"connection_file": str(scratch / "kernel.json")}),  # where a killed process's is found and removed
            )
            reason = _unfinished(_read(partial))
        except papermill.PapermillExecutionError as error:
            reason = _sentence(error)
        except nbclient.exceptions.CellTimeoutError:
            reason = f"a cell took longer than {timeout:g} s"
        except nbclient.exceptions.DeadKernelError:
            reason = "its kernel died (out of memory, or killed)"
        except KeyboardInterrupt:
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what it cuts short complains once it is collected
            raise
        document = _read(partial)
        _tidy(document, notebook)
        partial.write_text(nbformat.writes(document, version=4), "utf-8")
    if reason:
        raise NotebookFailed(f"{notebook}: {reason.rstrip('.')}. What ran is in {failed}.")
    os.replace(failed, output)
    return output


def _read(path: Path) -> Any:
    import nbformat

    return nbformat.reads(path.read_text("utf-8"), as_version=4)


def _unfinished(document: Any) -> str:
    """Why a notebook that papermill calls completed is not: a cell that never ran."""
    for number, cell in enumerate(document["cells"], 1):
        if cell["cell_type"] == "code" and cell["source"].strip() and cell.get("execution_count") is None:
            return f"cell {number} never ran; something ended the kernel before it (sys.exit?)"
    return ""


def _sentence(error: Any) -> str:
    """The error of a cell: ftlib's own in its one sentence, any other with its type and cell."""
    own = getattr(ftlib.errors, error.ename, None)
    if isinstance(own, type) and issubclass(own, FtlibError):
        return str(error.evalue)
    return f"cell {error.cell_index + 1} raised {error.ename}: {error.evalue}"


def _tidy(document: Any, notebook: str) -> None:
    """Make an executed notebook readable anywhere: no widgets, a cell's text in one piece and of bounded size, where it came from."""
    document["metadata"].pop("widgets", None)
    document["metadata"]["ftlib"] = {"source_sha256": source_hash(notebook)}
    for cell in document["cells"]:
        cell["metadata"].pop("papermill", None)
        if "outputs" in cell:
            cell["outputs"] = _joined(output for output in cell["outputs"] if WIDGET not in output.get("data", {}))
        for output in cell.get("outputs", []):
            if len(output.get("text", "")) > LARGEST_OUTPUT:
                output["text"] = output["text"][:LARGEST_OUTPUT] + f"\n… cut: {len(output['text'])} characters"


def _joined(outputs: Iterable[Any]) -> list[Any]:
    """Outputs with the pieces of a stream put together; pages show each piece as a block, so that a line could be broken within."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output["output_type"] == joined[-1]["output_type"] == "stream" and output["name"] == joined[-1]["name"]:
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined
