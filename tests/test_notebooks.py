"""Static tests of the notebooks: no kernel, no torch."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ftlib.colab import badge, install_cell, rewritten
from ftlib.errors import ProfileError
from ftlib.files import read_json
from ftlib.notebook import check_parameters, parameters_of

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REPOSITORY = read_json(ROOT / "notebooks" / "repository.json")
NEEDS_T4 = {"00_quickstart", "03_train_local", "05_evaluate"}

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))


def sources(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in load(path)["cells"] if cell["cell_type"] == kind]


def test_all_seven_are_there() -> None:
    assert [p.stem for p in NOTEBOOKS] == [
        "00_quickstart",
        "01_curate",
        "02_format",
        "03_train_local",
        "04_train_hosted",
        "05_evaluate",
        "06_compare",
    ]


@every
def test_valid_and_without_outputs(path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.read(path, as_version=4))
    document = load(path)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in document["cells"])
    assert "widgets" not in document["metadata"]
    assert document["metadata"]["kernelspec"]["name"] == "python3"


@every
def test_a_t4_only_where_needed(path: Path) -> None:
    metadata = load(path)["metadata"]
    assert (metadata.get("accelerator") == "GPU") == (path.stem in NEEDS_T4)
    if path.stem in NEEDS_T4:
        assert metadata["colab"]["gpuType"] == "T4"


@every
def test_cells_parse_and_are_short(path: Path) -> None:
    for source in sources(path, "code"):
        ast.parse(source)
        assert len(source.splitlines()) <= 16, source
        assert not re.search(r"^\s*(def|class) ", source, re.M), f"logic belongs in ftlib: {source}"


@every
def test_one_parameters_cell_of_literals_that_papermill_sees_whole(path: Path) -> None:
    inspect = pytest.importorskip("papermill").inspect_notebook
    tagged = [cell for cell in load(path)["cells"] if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    names = parameters_of(path.stem)
    assert {"PROFILE", "RUN"} <= set(names)
    assert set(inspect(str(path))) == set(names)
    lines = [line for line in "".join(tagged[0]["source"]).splitlines() if line.strip()]
    assert all(re.match(r"[A-Z_]+ = .+  # @param \{type:\"\w+\"\} \w", line) for line in lines), lines


@every
def test_badge_and_install_cell_are_those_of_the_repository(path: Path) -> None:
    document = load(path)
    assert badge(REPOSITORY, path.name) in "".join(document["cells"][0]["source"])
    assert rewritten(load(path), REPOSITORY) == document
    assert sources(path, "code")[0] == install_cell(REPOSITORY)


@every
def test_links_lead_somewhere(path: Path) -> None:
    for text in sources(path, "markdown"):
        for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", text):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_unknown_and_ill_typed_parameters_are_named() -> None:
    with pytest.raises(ProfileError, match=r"unknown parameter PROFIL .did you mean 'PROFILE'"):
        check_parameters("00_quickstart", {"PROFIL": "demo"})
    with pytest.raises(ProfileError, match="parameter MINUTES is 'ten'; it takes float"):
        check_parameters("00_quickstart", {"MINUTES": "ten"})
    with pytest.raises(ProfileError, match="parameter PROFILE is 3; it takes str"):
        check_parameters("00_quickstart", {"PROFILE": 3})
    check_parameters("00_quickstart", {"PROFILE": "demo", "MINUTES": 5})
