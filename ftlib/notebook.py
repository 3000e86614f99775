"""What the notebooks share: opening a run, checking their parameters, telling versions and device."""

from __future__ import annotations

import ast
import json
import logging
import os
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import ftlib
from ftlib.chain import ensure
from ftlib.configuration import nearest
from ftlib.errors import ProfileError
from ftlib.profile import load_profile
from ftlib.progress import RELAY
from ftlib.runs import Run, versions


def notebooks_folder() -> Path:
    """Where the notebooks are: beside the package in a clone, inside it once installed."""
    package = Path(str(resources.files("ftlib")))
    inside, beside = package / "notebooks", package.parent / "notebooks"
    return inside if inside.is_dir() else beside


def parameters_of(notebook: str) -> dict[str, Any]:
    """Names and default values in the one cell tagged ``parameters`` of a notebook, such as ``01_curate``."""
    cells = json.loads((notebooks_folder() / f"{notebook}.ipynb").read_text("utf-8"))["cells"]
    tagged = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    found: dict[str, Any] = {}
    for node in ast.parse("\n".join(tagged)).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def check_parameters(notebook: str, given: Mapping[str, Any]) -> None:
    """Refuse a parameter that the notebook does not have, or whose type is not its default's.

    Raises ProfileError naming the parameter and the nearest valid one (papermill alone only warns).
    """
    known = parameters_of(notebook)
    for name, value in given.items():
        if name not in known:
            raise ProfileError(f"{notebook}: unknown parameter {name}{nearest(name, list(known))}.")
        kind = type(known[name])
        fits = isinstance(value, int | float) and not isinstance(value, bool) if kind in (int, float) else isinstance(value, kind)
        if not fits:
            raise ProfileError(f"{notebook}: parameter {name} is {value!r}; it takes {kind.__name__}, as in {name} = {known[name]!r}.")


def _given(notebook: str) -> dict[str, Any]:
    """The parameters as this kernel holds them: plain values under names in capitals, or under a parameter's name in small letters."""
    known = parameters_of(notebook)
    names = {name: value for name, value in vars(sys.modules["__main__"]).items() if not name.startswith("_")}
    plain = {name: value for name, value in names.items() if value is None or isinstance(value, str | int | float | bool | list)}
    return {name: value for name, value in plain.items() if name.isupper() or name.upper() in known}


def open_run(profile: str, run: str, notebook: str, overrides: Mapping[str, Any] | None = None) -> Run:
    """Open the run that a notebook works on, do the earlier steps that are missing, and say on what it runs.

    Args:
        profile: a built-in profile or a YAML file.
        run: the run folder; empty for ``results/<profile's name>``.
        notebook: which one is asking, such as ``05_evaluate``.
        overrides: profile key -> value; empty texts, 0 and None leave the profile as it is.
    """
    _show_log()
    check_parameters(notebook, _given(notebook))
    sets = [f"{key}={json.dumps(value)}" for key, value in (overrides or {}).items() if value not in ("", 0, None)]
    checked = load_profile(profile, sets)
    opened = Run.create(Path(run) if run else project_folder() / "results" / checked.name, checked)
    print(f"ftlib {ftlib.__version__}, run {opened.path.name} in {opened.path.parent}")
    print(", ".join(f"{name} {version}" for name, version in versions().items()))
    print(device())
    ensure(opened, notebook)
    return opened


def project_folder() -> Path:
    """The folder that ``results/`` stands in: the clone's root when working in its ``notebooks/``, else the current one."""
    here = Path.cwd()
    return here.parent if here.name == "notebooks" and (here.parent / "pyproject.toml").exists() else here


def device() -> str:
    """The device that local training would use, without importing torch."""
    from ftlib.doctor import gpus

    found = gpus()
    if found:
        return "; ".join(f"GPU {gpu['name']}, {gpu['memory_bytes'] / 2**30:.0f} GiB" for gpu in found)
    return f"no GPU: {os.cpu_count()} CPU cores"


def _show_log() -> None:
    """Show ftlib's messages in the notebook, and to the batch runner where there is one."""
    logger = logging.getLogger("ftlib")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stdout))
        if os.environ.get(RELAY):
            logger.addHandler(logging.FileHandler(os.environ[RELAY], encoding="utf-8"))
    logger.propagate = False
