"""Cost: prices in yellow cells, totals and break-evens as formulas over them, with the values they have now."""

from __future__ import annotations

from typing import Any

from ftlib.comparison.build import Comparison
from ftlib.comparison.cost import VOLUMES, SystemCost, break_even
from ftlib.comparison.table import Figure
from ftlib.comparison.workbook.cells import Sheet

# columns of the systems' table
NAME, HOURS, BILL, PRICE, TRAIN, SECONDS, BILL_1000, PER_1000, AT = range(9)
HEADINGS = [
    "System",
    "training [machine hours]",
    "training and hosting, billed [USD]",
    "price of a machine hour [USD]",
    "training and hosting, accounted [USD]",
    "one answer [machine s]",
    "1,000 answers, billed [USD]",
    "1,000 answers, accounted [USD]",
]


def cost(book: Any, formats: dict[str, Any], comparison: Comparison) -> None:
    """The live sheet, then the tables of the page as they are."""
    page = Sheet(
        book,
        "Cost",
        formats,
        about="Change a yellow cell: hour prices, bills, numbers of answers; an empty one is not known (its comment says why) and waits for a figure."
        " Accounted = hours x price of an hour, or the bill where there is one. Hosting: a month in which a provider keeps the tuned model ready.",
    )
    rows = _systems(page, comparison.costs)
    _break_even(page, comparison.costs, rows)
    _chart(book, page, comparison.costs, rows)
    for key in ("cost", "break_even", "sensitivity"):
        table = comparison.tables[key]
        page.row += 2
        page.line(f"{table.title}, as on the page", "title")
        page.line(table.about, "about")
        page.table(table, filtered=False)
    page.widths([34, 16, 16, 16, 16, 16, 16, 16, *[16] * 8])
    page.sheet.freeze_panes(0, 1)


def name(row: int, column: int, *, fixed: bool = False) -> str:
    """A cell as formulas name it."""
    from xlsxwriter.utility import xl_rowcol_to_cell

    return str(xl_rowcol_to_cell(row, column, row_abs=fixed, col_abs=fixed))


def _systems(page: Sheet, costs: dict[str, SystemCost]) -> dict[str, int]:
    """The systems' table; returns each system's row."""
    page.line("Answers a month", "header")
    volumes = page.row
    for i, volume in enumerate(VOLUMES):
        page.text(page.row, 0, f"volume {i + 1}")
        page.sheet.write_number(page.row, 1, volume, page.formats["input.count"])
        page.row += 1
    page.row += 1
    page.header([*HEADINGS, *(f"training and volume {i + 1} [USD]" for i in range(len(VOLUMES)))])
    rows: dict[str, int] = {}
    for system, one in costs.items():
        at = rows[system] = page.row
        page.text(at, NAME, system)
        _input(page, at, HOURS, Figure(None, na="billed") if one.hosted else one.train_hours, "number.measured.4")
        _input(page, at, BILL, one.fixed if one.hosted else Figure(0.0), "input")
        _input(page, at, PRICE, Figure(None, na="billed") if one.hosted else one.hour_price, "input")
        _input(page, at, SECONDS, Figure(None, na="billed") if one.hosted else one.seconds, "number.measured.4")
        _input(page, at, BILL_1000, one.per_1000 if one.hosted else Figure(0.0), "input")
        hours, bill, price, seconds, bill_1000 = (name(at, c) for c in (HOURS, BILL, PRICE, SECONDS, BILL_1000))
        _formula(
            page,
            at,
            TRAIN,
            bill if one.hosted else f'IF({hours}=0,0,IF(ISNUMBER({price}),{hours}*{price}+{bill},"n/a"))',
            one.fixed.value,
            "money.fine",
        )
        _formula(
            page,
            at,
            PER_1000,
            bill_1000 if one.hosted else f'IF(ISNUMBER({price}),{seconds}*1000/3600*{price}+{bill_1000},"n/a")',
            one.per_1000.value,
            "money.fine",
        )
        for i, volume in enumerate(VOLUMES):
            count = name(volumes + i, 1, fixed=True)
            formula = f'IFERROR({name(at, TRAIN)}+{name(at, PER_1000)}*{count}/1000,"n/a")'
            _formula(page, at, AT + i, formula, one.total(volume), "money")
        page.row += 1
    return rows


def _input(page: Sheet, row: int, column: int, figure: Figure, style: str) -> None:
    """A cell for the reader to change; empty and yellow where the value is not known, with the reason as its comment."""
    if figure.value is not None:
        page.sheet.write_number(row, column, figure.value, page.formats[style])
    elif figure.na == "billed":
        page.text(row, column, "n/a: billed", "na")
    else:
        page.sheet.write_blank(row, column, None, page.formats["input"])
        page.sheet.write_comment(row, column, f"n/a: {figure.na}. Put a figure here and the totals follow.", {"author": "ftlib", "x_scale": 2})


def _formula(page: Sheet, row: int, column: int, formula: str, value: float | None, style: str) -> None:
    """A formula with the value that it has now, so that a reader without a calculator sees it too."""
    page.sheet.write_formula(row, column, f"={formula}", page.formats[style], "n/a" if value is None else value)


def _break_even(page: Sheet, costs: dict[str, SystemCost], rows: dict[str, int]) -> None:
    """Number of answers from which two systems have cost the same, for every two."""
    page.row += 1
    page.line("Break-even: number of answers from which A and B have cost the same (moves with the yellow cells)", "title")
    page.header(["A", "B", "answers"])
    names = list(rows)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            fa, fb, va, vb = name(rows[a], TRAIN), name(rows[b], TRAIN), name(rows[a], PER_1000), name(rows[b], PER_1000)
            page.text(page.row, 0, a)
            page.text(page.row, 1, b)
            now = break_even(costs[a], costs[b])
            said = now.value if now.value is not None else f"n/a: {now.na}"
            page.sheet.write_formula(page.row, 2, f"={_crossing(costs[a], costs[b], fa, fb, va, vb)}", page.formats["count"], said)
            page.row += 1


def _crossing(a: SystemCost, b: SystemCost, fa: str, fb: str, va: str, vb: str) -> str:
    """The formula of a break-even: the number, or the words of the page where there is none."""

    def words(text: str) -> str:
        return '"' + text[:250].replace('"', '""') + '"'  # a text in a formula holds 255 characters

    unknown_a, unknown_b = (words(f"n/a: the cost of {s.system} is not known: {s.fixed.na or s.per_1000.na or 'see the row'}") for s in (a, b))
    never_a, never_b = (words(f"n/a: {s.system} is cheaper at every number") for s in (a, b))
    cheaper = f"IF(OR({fa}<{fb},AND({fa}={fb},{va}<{vb})),{never_a},{never_b})"
    crossing = f"({fb}-{fa})/({va}-{vb})*1000"
    known = (
        f"IF(AND({fa}={fb},{va}={vb}),{words('n/a: both cost the same for an answer')},IF({va}={vb},{cheaper},IF({crossing}>0,{crossing},{cheaper})))"
    )
    return f"IF(AND(ISNUMBER({fa}),ISNUMBER({va})),IF(AND(ISNUMBER({fb}),ISNUMBER({vb})),{known},{unknown_b}),{unknown_a})"


def _chart(book: Any, page: Sheet, costs: dict[str, SystemCost], rows: dict[str, int]) -> None:
    """Cumulative cost over the number of answers, drawn from formulas so that it moves too."""
    page.row += 1
    page.line("Cumulative cost [USD] by number of answers", "title")
    names = list(rows)
    header = page.header(["answers", *names])
    counts = [0, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    for count in counts:
        page.sheet.write_number(page.row, 0, count, page.formats["input.count"])
        for column, system in enumerate(names, 1):
            formula = f'IFERROR({name(rows[system], TRAIN, fixed=True)}+{name(rows[system], PER_1000, fixed=True)}*{name(page.row, 0)}/1000,"n/a")'
            _formula(page, page.row, column, formula, costs[system].total(count), "money")
        page.row += 1
    if names:
        chart = book.add_chart({"type": "scatter", "subtype": "straight_with_markers"})
        for column, system in enumerate(names, 1):
            chart.add_series(
                {"name": system, "categories": ["Cost", header + 1, 0, page.row - 1, 0], "values": ["Cost", header + 1, column, page.row - 1, column]}
            )
        chart.set_title({"name": "Training and answers [USD]", "name_font": {"size": 12}})
        chart.set_x_axis({"name": "answers", "min": 0})
        page.sheet.insert_chart(1, 11, chart, {"x_scale": 1.4, "y_scale": 1.2})
