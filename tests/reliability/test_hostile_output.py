"""The payloads through everything that is written: no formula, link, script or active node comes of them, and the text arrives."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ftlib.comparison.workbook.cells import clean, utf16
from ftlib.files import read_json, read_jsonl
from ftlib.runs import Run
from tests.reliability import hostile_run
from tests.reliability.payloads import ATTACK, PAYLOADS, RUN_ME

TELLTALE = re.compile(r"attacker|cmd\||SUM\(1,2\)|^=?[+-]?[12]\+|A1:A9|calc|notepad", re.IGNORECASE)
ACTIVE = {"script", "iframe", "object", "embed", "meta", "base", "form", "link", "svg", "animate"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hostile_run.make(tmp_path_factory.mktemp("hostile"))


def test_every_file_reopens(run: Run) -> None:
    for path in run.path.rglob("*.json"):
        read_json(path)
    for path in run.path.rglob("*.jsonl"):
        assert list(read_jsonl(path))
    image = pytest.importorskip("PIL.Image")
    pictures = list(run.path.rglob("*.png"))
    assert pictures
    for path in pictures:
        image.open(path).verify()


def test_json_lines_hold_the_text_whole(run: Run) -> None:
    answers = {row["id"]: row["answer"] for row in read_jsonl(run.answers_file("one.tuned"))}
    items = {row["id"]: row for row in read_jsonl(run.path / "scores" / "items.jsonl") if row["system"] == "one.tuned"}
    for name, text in PAYLOADS.items():
        assert answers[name] == text
        assert items[name]["answer"] == items[name]["title"] == items[name]["reference"] == text


def test_training_files_hold_the_text_whole(run: Run) -> None:
    rows = list(read_jsonl(run.folder("one") / "train.jsonl")) if (run.folder("one") / "train.jsonl").exists() else []
    assert not rows or any("=1+1" in row["output"] for row in rows)


def test_the_workbook_has_no_formula_or_link_of_a_text_and_holds_it_whole_or_marked(run: Run) -> None:
    import openpyxl

    book = openpyxl.load_workbook(run.path / "comparison.xlsx")
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert [c.coordinate for c in cells if c.data_type == "f" and TELLTALE.search(str(c.value))] == []
    assert [c.coordinate for c in cells if c.hyperlink and (ATTACK in str(c.hyperlink.target) or c.hyperlink.target)] == []
    with zipfile.ZipFile(run.path / "comparison.xlsx") as archive:
        names = archive.namelist()
        assert [n for n in names if "externalLink" in n or "vbaProject" in n or "embeddings" in n] == []
        links = [n for n in names if n.endswith(".rels") and b'TargetMode="External"' in archive.read(n)]
        assert links == []
        for name in names:
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(archive.read(name))
    texts = {str(cell.value).replace("_x000D_", "\r") for cell in cells}
    for name, text in PAYLOADS.items():
        wanted = clean(text)
        assert any(found == wanted or found.strip() == wanted.strip() for found in texts), name
        assert utf16(text) <= 32_767 or "cut: the cell holds no more" in wanted


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
@pytest.mark.reliability
def test_the_workbook_opens_in_a_spreadsheet_program(run: Run, tmp_path: Path) -> None:
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{tmp_path}/profile", "--convert-to", "csv", "--outdir", str(tmp_path)]
    subprocess.run([*command, str(run.path / "comparison.xlsx")], check=True, capture_output=True, timeout=180)
    assert (tmp_path / "comparison.csv").stat().st_size > 100


def active_nodes(html: str) -> list[str]:
    """Scripts that are not the page's own, active elements, handlers, and addresses outside the page."""
    from bs4 import BeautifulSoup

    found = []
    for node in BeautifulSoup(html, "lxml").find_all(True):
        text = str(node)[:100]
        if node.name in ACTIVE and not (node.name == "meta" and not node.get("http-equiv")):
            own = node.name == "script" and not re.search(rf"{RUN_ME}=1", node.get_text().replace("\\u003c", "<")[:80]) and not node.get("src")
            policy = node.name == "meta" and node.get("http-equiv", "").lower() == "content-security-policy"
            search = node.name == "form" and node.get("id") == "controls" and not node.get("action")
            found += [] if own or policy or search or (node.name == "svg" and not node.get("onload")) else [text]
        found += [text for key in node.attrs if key.lower().startswith("on")]
        addresses = [str(node.get(key)) for key in ("href", "src", "action", "data", "srcdoc") if node.get(key)]
        found += [text for address in addresses if not address.startswith(("#", "data:image/"))]
    return found


def test_the_page_has_no_active_node_of_a_text(run: Run) -> None:
    html = (run.path / "report.html").read_text("utf-8")
    assert active_nodes(html) == []
    assert html.count("<script") == html.count("</script")


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed")
@pytest.mark.reliability
def test_nothing_runs_when_a_browser_draws_it(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    watch = f"<script>addEventListener('load',()=>setTimeout(()=>{{document.title='ran:'+('{RUN_ME}' in window)}},1500))</script>"
    page.write_text((run.path / "report.html").read_text("utf-8") + watch, "utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/c", "--virtual-time-budget=4000", "--dump-dom"]
    drawn = subprocess.run([*command, page.as_uri()], capture_output=True, timeout=180).stdout.decode("utf-8", "replace")
    assert "<title>ran:false</title>" in drawn
    assert active_nodes(drawn.replace(watch, "")) == []
    assert "HYPERLINK" in drawn


def test_markdown_is_only_text(run: Run) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    html = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render((run.path / "report.md").read_text("utf-8"))
    from bs4 import BeautifulSoup

    tree = BeautifulSoup(html, "lxml")
    assert [str(node)[:100] for node in tree.find_all([*ACTIVE, "a"])] == []
    assert [node["src"] for node in tree.find_all("img") if not node["src"].startswith("charts/")] == []
    assert [str(node)[:100] for node in tree.find_all(True) if any(key.startswith("on") for key in node.attrs)] == []
    rows = {len(row.find_all(["td", "th"])) for table in tree.find_all("table")[-1:] for row in table.find_all("tr")}
    assert len(rows) <= 1, "a pipe in a text made a cell of its own"


def test_drawings_are_only_drawings(run: Run) -> None:
    drawings = list(run.path.rglob("*.svg"))
    assert drawings
    for path in drawings:
        for node in ElementTree.parse(path).iter():
            assert node.tag.rpartition("}")[2] not in {"script", "foreignObject", "a", "animate", "set"}
            assert not [key for key in node.attrib if key.lower().startswith("on")]
            assert not [value for key, value in node.attrib.items() if key.endswith("href") and not value.startswith(("#", "data:image/png"))]


def test_a_terminal_obeys_nothing(run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from ftlib.cli import main

    recorded = run.profile.contestants[0].recorded
    for argv in (
        ["score", "--references", str(run.test_file), "--answers", str(recorded)],
        ["compare", str(run.path), "--out", str(run.path.parent / "out")],
    ):
        for more in ([], ["--json"]):
            assert main([*argv, *more]) == 0
            said = capsys.readouterr()
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", said.out)
            assert "\x1b[31m" not in said.err


def test_the_persons_sheet_has_no_formula(run: Run, tmp_path: Path) -> None:
    import csv

    from ftlib.evaluation.judge.human import write_sheet

    write_sheet(tmp_path, [(name, text, text, text) for name, text in PAYLOADS.items()], ("a", "b"), 1)
    with (tmp_path / "blind_sheet.csv").open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.reader(handle))
    assert len(rows) == 41
    assert [cell for row in rows[1:] for cell in row[1:4] if cell.lstrip("\t\r\n ").startswith(("=", "+", "-", "@"))] == []
