"""The workbook: readable elsewhere, live, the same bytes each time, and text is only ever text."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from ftlib.comparison import compare_run, compare_runs
from ftlib.comparison.build import build
from ftlib.comparison.cost import break_even
from ftlib.comparison.load import load_run
from ftlib.comparison.workbook.cells import CUT, LIMIT, clean, utf16
from ftlib.comparison.workbook.overview import SHEETS
from ftlib.errors import DataError
from ftlib.evaluation.judge import add_human, answer_hashes
from ftlib.evaluation.judge.human import write_sheet
from ftlib.files import read_json
from ftlib.runs import Run

RECALCULATE = (  # LibreOffice computes every formula when it opens a file, whatever values the file brings
    '<?xml version="1.0" encoding="UTF-8"?><oor:items xmlns:oor="http://openoffice.org/2001/registry">'
    '<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>'
    "</oor:items>"
)


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    compare_runs([run.path], out=folder)
    return folder


def column(sheet: Any, heading: str) -> int:
    """1-based column of a heading, in whichever row it stands."""
    for row in sheet.iter_rows():
        for cell in row:
            if cell.value == heading:
                return int(cell.column)
    raise AssertionError(f"{heading} is not in {sheet.title}")


def rows_by(sheet: Any, heading: str) -> dict[str, tuple[Any, ...]]:
    """Rows below a heading in column A, by their first cell, to the first empty one."""
    rows: dict[str, tuple[Any, ...]] = {}
    inside = False
    for row in sheet.iter_rows(values_only=True):
        if inside and row[0] is None:
            break
        if inside:
            rows[str(row[0])] = row
        inside = inside or row[0] == heading
    return rows


def test_all_sheets_read_back(made: Path) -> None:
    book = openpyxl.load_workbook(made / "comparison.xlsx", data_only=True)
    assert book.sheetnames == ["README", *SHEETS]
    for name in SHEETS:
        assert book[name].max_row > 1, name
    assert book["Samples"].max_row == 61


def test_cached_values_of_formulas_agree_with_the_page(run: Run, made: Path) -> None:
    book = openpyxl.load_workbook(made / "comparison.xlsx", data_only=True)
    live = openpyxl.load_workbook(made / "comparison.xlsx")
    comparison = build(load_run(run))
    rows = rows_by(book["Cost"], "System")
    formulas = rows_by(live["Cost"], "System")
    page = (made / "report.html").read_text("utf-8")
    for name, one in comparison.costs.items():
        assert str(formulas[name][4]).startswith("=")
        for at, volume in ((8, 1_000), (9, 1_000_000)):
            total = one.total(volume)
            assert total is not None
            assert round(rows[name][at], 2) == round(total, 2)
            assert f"{total:,.2f}" in page


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_recalculates_to_the_same_values_and_follows_a_changed_price(run: Run, made: Path, tmp_path: Path) -> None:
    def recalculated(source: Path) -> Any:
        user = tmp_path / "user"
        config = user / "user" / "registrymodifications.xcu"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(RECALCULATE)
        out = tmp_path / "out" / source.stem
        command = ["soffice", f"-env:UserInstallation=file://{user}", "--headless", "--convert-to", "xlsx", "--outdir", str(out), str(source)]
        subprocess.run(command, check=True, timeout=120, capture_output=True)
        return openpyxl.load_workbook(out / source.name, data_only=True)

    costs = build(load_run(run)).costs
    rows = rows_by(recalculated(made / "comparison.xlsx")["Cost"], "System")
    for name, one in costs.items():
        assert rows[name][9] == pytest.approx(one.total(1_000_000))
    even = {(row[0], row[1]): row[2] for row in recalculated(made / "comparison.xlsx")["Cost"].values if {row[0], row[1]} <= set(costs)}
    for (a, b), shown in even.items():
        now = break_even(costs[a], costs[b])
        assert shown == (pytest.approx(now.value) if now.known else f"n/a: {now.na}")
    assert len(even) == 6
    changed = openpyxl.load_workbook(made / "comparison.xlsx")
    sheet = changed["Cost"]
    sheet.cell(next(cell.row for cell in sheet["A"] if cell.value == "llama.base"), 4).value = None
    at = next(cell.row for cell in sheet["A"] if cell.value == "llama.tuned")
    sheet.cell(at, 4).value = 10.0  # price of a machine hour
    changed.save(tmp_path / "changed.xlsx")
    recalculation = recalculated(tmp_path / "changed.xlsx")["Cost"]
    assert any(row[0] == "llama.base" and str(row[2]).startswith("n/a: the cost of llama.base is not known") for row in recalculation.values)
    rows = rows_by(recalculation, "System")
    tuned = costs["llama.tuned"]
    assert tuned.train_hours.value is not None
    assert tuned.seconds.value is not None
    assert rows["llama.tuned"][9] == pytest.approx(10 * (tuned.train_hours.value + tuned.seconds.value * 1_000_000 / 3600))


def test_same_run_same_bytes(run: Run, made: Path, tmp_path: Path) -> None:
    compare_runs([run.path], out=tmp_path / "again")
    for name in ("comparison.xlsx", "report.html", "report.md"):
        assert (made / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    for chart in (made / "charts").iterdir():
        assert chart.read_bytes() == (tmp_path / "again" / "charts" / chart.name).read_bytes(), chart.name


def test_rebuilt_in_the_run_is_the_same_as_elsewhere(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(n=12)
    compare_run(run)
    compare_runs([run.path], out=tmp_path / "elsewhere")
    assert (run.path / "comparison.xlsx").read_bytes() == (tmp_path / "elsewhere" / "comparison.xlsx").read_bytes()


@pytest.mark.parametrize(
    "text",
    ["=1+1", "{=1+1}", "@SUM(A1)", "+1", "-1", "http://example.com/a", "mailto:a@b.c", "internal:Sheet!A1", "_x0041_", "<b>&amp;", "12", "'x", " "],
)
def test_text_comes_back_as_the_text_it_was(text: str) -> None:
    import xlsxwriter

    from ftlib.comparison.workbook.book import formats
    from ftlib.comparison.workbook.cells import Sheet

    raw = io.BytesIO()
    book = xlsxwriter.Workbook(raw)
    Sheet(book, "S", formats(book)).text(0, 0, text)
    book.close()
    cell = openpyxl.load_workbook(raw)["S"]["A1"]
    assert cell.data_type == "s"
    assert cell.hyperlink is None
    assert cell.value == text


def test_controls_are_visible_and_what_xml_cannot_hold_is_replaced() -> None:
    assert clean("a\x00b\x1bc\x7fd") == "a\u2400b\u241bc\u2421d"
    assert clean("x\ud800y\ufffez") == "x\ufffdy\ufffdz"
    assert clean("one\r\ntwo\tthree\n") == "one\ntwo\tthree\n"


@pytest.mark.parametrize("char", ["a", "é", "😀"])
def test_the_cell_limit_is_counted_in_utf16_units_and_cuts_are_marked(char: str) -> None:
    width = 2 if char == "😀" else 1
    assert clean(char * (LIMIT // width)) == char * (LIMIT // width)
    cut = clean(char * (LIMIT // width + 1))
    assert cut.endswith(CUT)
    assert LIMIT - 2 < utf16(cut) <= LIMIT


def test_hostile_texts_stay_text_in_every_cell(make_run: Callable[..., Run], tmp_path: Path) -> None:
    hostile = '=HYPERLINK("http://x")\x00\x1b]8;;\u2028</script><img src=x onerror=alert(1)> | [a](javascript:x) `c` \ud83d ' + "é😀" * 12_000
    run = make_run(n=4, hostile=hostile)
    compare_run(run)
    book = openpyxl.load_workbook(run.path / "comparison.xlsx")
    assert book["Samples"]["D2"].data_type == "s"
    assert book["Samples"]["D2"].value.endswith(CUT)
    for sheet in book:
        formulas = [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
        assert not formulas or sheet.title == "Cost"
        assert not [cell for row in sheet.iter_rows() for cell in row if cell.hyperlink]
    with zipfile.ZipFile(run.path / "comparison.xlsx") as archive:
        assert not [name for name in archive.namelist() if "hyperlink" in name or "external" in name.lower()]


def test_human_review_names_no_system_and_offers_three_choices(made: Path) -> None:
    sheet = openpyxl.load_workbook(made / "comparison.xlsx")["HumanReview"]
    texts = " ".join(str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value)
    assert "llama" not in texts
    assert "gpt" not in texts
    assert [cell.value for cell in sheet[1]][:5] == ["pair", "title", "first", "second", "better"]
    assert sheet.data_validations.dataValidation[0].formula1 == '"first,second,tie"'
    assert sheet.max_row == 31


def test_refused_contestants_and_failed_items_stand_in_errors(make_run: Callable[..., Run]) -> None:
    run = make_run(n=3)
    items = (run.path / "scores" / "items.jsonl").read_text("utf-8").splitlines()
    items[0] = items[0].replace('"failed": null', '"failed": "timed out"')
    (run.path / "scores" / "items.jsonl").write_text("\n".join(items) + "\n")
    compare_run(run)
    rows = list(openpyxl.load_workbook(run.path / "comparison.xlsx")["Errors"].iter_rows(values_only=True))
    assert any(row[0] == "gone" and row[1] == "refused" and "403" in str(row[2]) for row in rows)
    assert any(row[2] == "timed out" for row in rows)


def reviewed(run: Run) -> str:
    """All texts of the sheet HumanReview, after a comparison."""
    compare_run(run)
    sheet = openpyxl.load_workbook(run.path / "comparison.xlsx")["HumanReview"]
    return " ".join(str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value)


def test_a_blind_sheet_of_other_test_rows_is_said_to_be_old_and_not_shown(make_run: Callable[..., Run]) -> None:
    run = make_run(n=4)
    systems = ("llama.tuned", "gpt.tuned")
    pairs = [(f"{i:07d}", "asked", "one", "two") for i in range(4)]
    write_sheet(run.path / "scores", pairs, systems, 1, answer_hashes(run, systems))
    (name, *_), old = read_json(run.path / "scores" / "blind_key.json")["pairs"], "The blind sheet of this run is of earlier answers"
    assert name in reviewed(run)
    assert old not in " ".join(build(load_run(run)).limits)
    gone = [("B003239041", "asked", "one", "two"), *pairs[1:]]
    for rows, names in ((gone, systems), (pairs, ("llama.tuned", "left.tuned"))):
        write_sheet(run.path / "scores", rows, (names[0], names[1]), 1, answer_hashes(run, names))
        assert old in reviewed(run)
        assert old in (run.path / "report.html").read_text("utf-8")


def test_a_filled_sheet_of_earlier_answers_is_one_sentence(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(n=4)
    systems = ("llama.tuned", "gpt.tuned")
    write_sheet(run.path / "scores", [("0000000", "asked", "one", "two")], systems, 1, dict.fromkeys(systems, "0" * 64))
    filled = tmp_path / "filled.csv"
    filled.write_text((run.path / "scores" / "blind_sheet.csv").read_text("utf-8"), "utf-8")
    with pytest.raises(
        DataError, match=r"blind_key.json belongs to answers that have changed since, so .*filled.csv cannot be counted; `ftlib judge "
    ):
        add_human(run, filled)
    assert not (run.path / "scores" / "human.json").exists()
