"""The payloads through executed notebooks: outputs hold text and pictures, never markup, links or scripts of a row or an answer."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftlib.configuration import convert
from ftlib.files import write_json, write_jsonl
from ftlib.profile import Profile
from ftlib.runs import Run
from ftlib.terminal import printable
from tests.reliability import chain
from tests.reliability.payloads import ATTACK, PAYLOADS, RUN_ME
from tests.reliability.test_hostile_output import ACTIVE, active_nodes

pytestmark = pytest.mark.reliability
ENTERED = {name: text for name, text in PAYLOADS.items() if name != "lone-surrogate"}  # curation rejects that row
NOTEBOOKS = ["01_curate", "02_format", "05_evaluate", "06_compare"]
LINKS = ", ".join([*ACTIVE, "a:not(.anchor-link)"])  # the converter's own anchors beside headings
OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]")
EVERYTHING = """
    import json
    from types import SimpleNamespace
    from IPython.display import Image, Markdown, display
    from ftlib.curation import showing as curation
    from ftlib.curation.records import Record
    from ftlib.evaluation import showing as evaluation
    from ftlib.formatting import showing as formatting
    from ftlib.runs import Run
    from ftlib.training.hosted import showing as hosted
    from ftlib.training.local import showing as local
    run = Run.open(RUN)
    texts = json.loads(TEXTS)
    # cell
    curation.raw_table([Record(text, text, text) for text in texts.values()], width=100_000)
    # cell
    rows = [{"id": text, "title": text, "content": text} for text in texts.values()]
    steps = [{"name": "drop", "params": {"x": text}, "rows_in": 2, "rows_out": 1, "dropped": rows} for text in texts.values()]
    curation.dropped_table({"steps": steps})
    # cell
    evaluation.answers(run, 1000)
    # cell
    evaluation.Table(["text"], [[text] for text in texts.values()], note=texts["script"])
    # cell
    hosted.print_answers([{"title": text, "expected": text, "base": text, "tuned": text} for text in texts.values()], width=100_000)
    # cell
    hosted.events(run, "far", most=1000)
    # cell
    answers = lambda prompts, tuned: enumerate(SimpleNamespace(text=text) for text in texts.values())
    contestant = SimpleNamespace(recorded=None, task=None, recipe=None, systems=lambda: ["a.base", "a.tuned"])
    local.side_by_side(SimpleNamespace(run=run, contestant=contestant, ask=answers), rows=20, width=100_000)
    # cell
    for text in texts.values():
        formatting.row_figure({"instruction": text, "output": text}, "a row").canvas.draw()
    Image(local.png(formatting.row_figure({"instruction": texts["mathtext"], "output": text}, "a row")))
    # cell
    display(Markdown((run.path / "report.md").read_text("utf-8").split("\\n## ")[0]))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The notebooks that show rows and answers, executed over a run whose source and answers are the payloads."""
    from ftlib.execute import execute

    folder = tmp_path_factory.mktemp("notebooks")
    run = hostile_source(folder)
    found = {name: folder / f"{name}.ipynb" for name in NOTEBOOKS}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, path in found.items():
            execute(name, path, {"PROFILE": str(run.path / "profile.yaml"), "RUN": str(run.path)}, timeout=200)
    write_json(run.folder("far") / "job.json", {"events": [{"message": text} for text in PAYLOADS.values()]})
    found["everything"] = everything(run, folder / "everything.ipynb")
    return found


def hostile_source(folder: Path) -> Run:
    """A run over a source of nothing but payloads, kept by its recipe; the answers are payloads too."""
    rows = [{"uid": f"{name}{n}", "title": f"{text}{n or ''}", "content": text} for n in range(3) for name, text in ENTERED.items()]
    write_jsonl(folder / "rows.jsonl", rows)
    (folder / "recipe.yaml").write_text(
        yaml.safe_dump({"name": "all", "about": "keeps all", "steps": [{"split": {"train": 30, "valid": 9, "test": 60}}]})
    )
    plain = chain.recorded_profile(folder, source=str(folder / "rows.jsonl"), trivial=["echo", "constant"])
    told = json.loads(json.dumps(plain_data(plain)))
    told["data"] |= {"recipe": str(folder / "recipe.yaml"), "train": 30, "valid": 9, "test": 60}
    run = Run.create(folder / "run", convert(told, Profile, "hostile"))
    chain.curate(run.path)
    chain.record_answers(run)
    return run


def plain_data(profile: Profile) -> dict[str, Any]:
    """A profile as plain data."""
    import msgspec

    return dict(msgspec.to_builtins(profile))


def everything(run: Run, path: Path) -> Path:
    """A notebook that shows each payload in every way that a notebook of ours shows a text."""
    import nbclient
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    head = f"RUN, TEXTS = {str(run.path)!r}, {json.dumps(PAYLOADS)!r}"
    cells = [new_code_cell(text.strip()) for text in textwrap.dedent(EVERYTHING).split("# cell")]
    document = new_notebook(cells=[new_code_cell(head), *cells])
    nbclient.NotebookClient(document, timeout=200, kernel_name="python3").execute()
    path.write_text(nbformat.writes(document), "utf-8")
    return path


def outputs(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of every output."""
    found = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data") or {output.get("name", output["output_type"]): output.get("text", "")}
            found += [(kind, "".join(text) if isinstance(text, list) else str(text)) for kind, text in data.items()]
    return found


@pytest.mark.parametrize("name", [*NOTEBOOKS, "everything"])
def test_no_output_is_more_than_text_and_pictures(name: str, executed: dict[str, Path]) -> None:
    nbformat = pytest.importorskip("nbformat")
    markdown_it = pytest.importorskip("markdown_it")
    nbformat.validate(nbformat.read(executed[name], as_version=4))
    found = outputs(executed[name])
    assert {kind for kind, _ in found} <= {"text/html", "text/plain", "text/markdown", "image/png", "stdout", "stderr"}
    for kind, text in found:
        if kind == "text/markdown":
            text = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
        if kind in ("text/html", "text/markdown"):
            assert active_nodes(text) == []
        elif kind != "image/png":
            assert OBEYED.findall(text) == []


@pytest.mark.parametrize("name", [*NOTEBOOKS, "everything"])
def test_as_a_page_it_holds_no_active_node_of_a_text(name: str, executed: dict[str, Path]) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    from bs4 import BeautifulSoup

    html, _ = nbconvert.HTMLExporter().from_filename(str(executed[name]))
    for area in BeautifulSoup(html, "lxml").select(".jp-OutputArea-output"):
        assert [str(node)[:100] for node in area.select(LINKS)] == []
        assert [str(node)[:100] for node in area.find_all(True) if any(key.startswith("on") for key in node.attrs)] == []


def test_the_texts_arrive_whole_or_marked(executed: dict[str, Path]) -> None:
    from bs4 import BeautifulSoup

    found = outputs(executed["everything"])
    pages = [BeautifulSoup(text, "lxml").get_text() for kind, text in found if kind == "text/html"]
    said = "\n".join(text for kind, text in found if kind == "stdout")
    for name, text in PAYLOADS.items():
        line = " ".join(printable(text).split())
        assert any(line in " ".join(page.split()) for page in pages), name
        assert line in " ".join(said.split()), name
    assert ATTACK in said
    assert RUN_ME in said
