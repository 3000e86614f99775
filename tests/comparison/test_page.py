"""The page and its text: self-contained, usable, and no text of data or models becomes markup."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ftlib.comparison import compare_run, compare_runs
from ftlib.comparison.build import build
from ftlib.comparison.load import load_run
from ftlib.comparison.markdown import escape, light
from ftlib.comparison.page import embed
from ftlib.files import read_json, write_json
from ftlib.runs import Run
from tests.comparison.conftest import LEVEL

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> \u2028 {{ 7*7 }} "
    "| [a](javascript:alert(1)) `x` <!-- \x00"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Outline(html.parser.HTMLParser):
    """Elements with their attributes, ids, and texts by element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    compare_runs([run.path], out=folder)
    return (folder / "report.html").read_text("utf-8")


def dump(path: Path, folder: Path, *more: str) -> str:
    """The page's document after its script has run."""
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *more, "--dump-dom", f"file://{path}"]
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout.decode("utf-8")


def test_one_file_that_asks_nothing_of_the_network(page: str) -> None:
    outline = Outline(page)
    for tag, attributes in outline.elements:
        for name in ("src", "href", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert not value or value.startswith(("data:", "#")), (tag, value[:80])
    assert not re.search(r"@import|url\(", page.split("</style>")[0])
    policy = next(m["content"] for m in outline.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert "default-src 'none'" in policy


def test_structure_serves_keyboard_and_screen_readers(page: str) -> None:
    outline = Outline(page)
    assert outline.all("html")[0]["lang"] == "en"
    assert len(outline.all("h1")) == 1
    assert {"header", "nav", "main"} <= {tag for tag, _ in outline.elements}
    assert all(image.get("alt") for image in outline.all("img"))
    assert len(outline.all("caption")) == len(outline.all("table"))
    assert all("scope" in cell for cell in outline.all("th"))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all((a["href"] or "#")[1:] in ids for a in outline.all("a"))
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_rules_say_the_numbers_they_go_by(page: str) -> None:
    assert "fewer than 30 optimiser steps, or 50 % of the answers or more are the base's word for word" in page
    assert "fell by more than 2 % between its last two looks" in page


def test_verdict_tables_charts_and_limits_are_on_it(run: Run, page: str) -> None:
    comparison = build(load_run(run))
    text = page.replace("&#39;", "'").replace("&#34;", '"')
    assert comparison.verdict.headline in text
    for finding in comparison.verdict.findings:
        assert finding.sentence in text
    assert any(choice.time for choice in comparison.verdict.choices)
    for choice in comparison.verdict.choices:
        assert choice.why in text
        assert choice.time in text
        assert "training included" in text
    for table in comparison.tables.values():
        assert table.key in ("mcnemar", "pairwise") or f'id="h-{table.key}"' in page
    assert page.count("data:image/svg+xml;base64,") >= 9


def test_choices_that_say_the_same_stand_in_one_box(make_run: Callable[..., Run], page: str) -> None:
    assert page.count("answers a month</dt>") == 2
    run = make_run(n=6, level={**LEVEL, "llama.tuned": 0.5, "gpt.tuned": 2.0, "nearest": 3.0})
    summary = read_json(run.path / "scores" / "summary.json")
    for name in ("gpt.base", "gpt.tuned"):
        summary["systems"][name] |= {"usd_per_1000": 0.0}
    write_json(run.path / "scores" / "summary.json", summary)
    compare_run(run)
    same = (run.path / "report.html").read_text("utf-8")
    assert same.count("answers a month</dt>") == 1
    assert "<dt>At 1,000 and 1,000,000 answers a month</dt>" in same


TINY = [
    {"name": "llama", "trainer": "local", "model": "tiny", "epochs": 1},
    {"name": "gpt", "trainer": "hosted", "provider": "sandbox", "model": "gpt-4o-mini", "epochs": 1},
    {"name": "gone", "trainer": "hosted", "provider": "openai", "model": "gpt-4.1-mini", "epochs": 1},
]


@pytest.mark.parametrize("name", ["demo", "mine"])
def test_models_built_on_the_spot_are_said_to_be_whatever_the_profile_is_called(make_run: Callable[..., Run], page: str, name: str) -> None:
    run = make_run(n=6, name=name, contestants=TINY)
    compare_run(run)
    tiny = (run.path / "report.html").read_text("utf-8")
    said = "The models of llama and gpt are tiny and built on the spot, and gpt stands behind our own loopback service. Such figures say nothing"
    assert said in tiny
    assert said in (run.path / "report.md").read_text("utf-8")
    assert ("The original project" in tiny) == (name == "demo")
    assert "say nothing about real models" not in page
    assert "The original project" not in page


def test_a_profile_called_demo_with_real_models_is_not_said_to_be_tiny(make_run: Callable[..., Run]) -> None:
    assert build(load_run(make_run(n=6, name="demo"))).warning == ""


def test_recorded_answers_and_folders_that_are_gone_have_no_tiny_model(make_run: Callable[..., Run]) -> None:
    made = [{"name": "a", "trainer": "hosted", "recorded": "a.jsonl"}, {"name": "b", "trainer": "local", "model": "models/mine", "epochs": 1}]
    assert build(load_run(make_run(n=6, contestants=made))).warning == ""


def test_json_cannot_end_its_script_element() -> None:
    value = ["</script>", "<!--", "\u2028\u2029", "&amp;", 'quote"']
    text = embed(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_hostile_texts_are_inert_in_the_page(make_run: Callable[..., Run], page: str) -> None:
    run = make_run(n=5, hostile=HOSTILE)
    compare_run(run)
    hostile = (run.path / "report.html").read_text("utf-8")
    count = [tag for tag, _ in Outline(hostile).elements].count
    plain = [tag for tag, _ in Outline(page).elements].count
    assert count("script") == plain("script") == 3
    assert not [a for _, attributes in Outline(hostile).elements for a in attributes if a.startswith("on")]
    assert "innerHTML" not in hostile
    assert "\x00" not in hostile


def test_hostile_texts_are_inert_in_markdown(make_run: Callable[..., Run]) -> None:
    run = make_run(n=3, hostile=HOSTILE)
    compare_run(run)
    text = (run.path / "report.md").read_text("utf-8")
    assert not re.search(r"<(script|img|!--)", text)
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    body = [line for line in text.splitlines() if "document" in line and line.startswith("|")]
    assert body
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in body)


@pytest.mark.parametrize("text", ["a|b", "# h", "- l", "1. n", "<b>", "[x](y)", "![i](j)", "`c`", "~~s~~", "$m$", "a\nb", "http://x.y", "a@b.c"])
def test_escaped_text_renders_as_itself(text: str) -> None:
    markdown = pytest.importorskip("mistune")
    rendered = markdown.html(escape(text))
    assert html.unescape(re.sub(r"</?p>|\n$", "", rendered)) == text.replace("\n", " ")
    assert "<a" not in markdown.create_markdown(plugins=["url", "table"])(light(text))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_script_shows_pages_and_treats_texts_as_texts(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(n=25, hostile=HOSTILE)
    compare_run(run)
    shown = dump(run.path / "report.html", tmp_path)
    outline = Outline(shown)
    assert len([a for a in outline.all("article") if a.get("class") == "item"]) == 10
    assert "25 of 25 items" in shown
    assert "page 1 of 3" in shown
    assert "<title>owned" not in shown
    assert "<title>Comparison: synthetic" in shown
    assert not [image for image in outline.all("img") if image.get("src") == "x"]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (500, "dark")])
def test_no_sideways_scrolling_at_desk_and_phone_width(run: Run, tmp_path: Path, width: int, scheme: str) -> None:
    compare_runs([run.path], out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    probe = "<script>document.documentElement.dataset.over=document.documentElement.scrollWidth-window.innerWidth</script></body>"
    (tmp_path / "probe.html").write_text(page.replace("</body>", probe), "utf-8")
    dark = ["--force-dark-mode"] if scheme == "dark" else []
    shown = dump(tmp_path / "probe.html", tmp_path, f"--window-size={width},900", *dark)
    found = re.search(r'data-over="(-?\d+)"', shown)
    assert found
    assert int(found[1]) <= 0


def test_the_lines_of_the_tokens_figure_are_explained(page: str) -> None:
    assert "longer than 256 tokens, where the project that this one grew from cut its rows, or 1,024" in page


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_names_of_systems_stay_whole_and_wide_tables_say_that_they_scroll(run: Run, tmp_path: Path) -> None:
    compare_runs([run.path], out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    probe = """<script>
const lines = [...document.querySelectorAll("tbody th[scope=row]")].filter((cell) => !cell.closest(".prose")).map((cell) => {
  const range = document.createRange(); range.selectNodeContents(cell); return range.getClientRects().length; });
const wrong = [...document.querySelectorAll(".scroll")].filter((box) => box.previousElementSibling.hidden !== (box.scrollWidth <= box.clientWidth));
document.documentElement.dataset.found = [Math.max(...lines), wrong.length, document.querySelectorAll(".wide:not([hidden])").length];
</script></body>"""
    (tmp_path / "probe.html").write_text(page.replace("</body>", probe), "utf-8")
    found = re.search(r'data-found="(\d+),(\d+),(\d+)"', dump(tmp_path / "probe.html", tmp_path, "--window-size=500,900"))
    assert found
    assert (found[1], found[2]) == ("1", "0")
    assert int(found[3]) > 3
