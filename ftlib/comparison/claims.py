"""Figures in README and docs: written between marks from the stored scores, never by hand.

``<!-- claims:NAME -->`` ... ``<!-- /claims -->`` is filled with the block NAME of a run. Write them with
``python -m ftlib.comparison.claims README.md --run results/published``; ``--check`` only tells whether they are up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ftlib.comparison.build import Comparison, build
from ftlib.comparison.choice import paragraphs
from ftlib.comparison.load import load_run
from ftlib.comparison.markdown import grid, light, table
from ftlib.comparison.table import Table, cell_text
from ftlib.comparison.workbook.overview import summary_table
from ftlib.configuration import nearest
from ftlib.errors import DataError, FtlibError
from ftlib.files import write_atomic
from ftlib.runs import Run

MARK = re.compile(r"(<!-- claims:([a-z_]+) -->\n)(.*?)(<!-- /claims -->)", re.S)
OPEN = re.compile(r"<!-- claims:")
RESULT = ("system", "primary", "own_base", "degenerate", "wall", "train_paid", "paid", "p50")


def blocks(comparison: Comparison) -> dict[str, Callable[[], str]]:
    """What each block says, by name."""
    made: dict[str, Callable[[], str]] = {
        "results": lambda: narrow(summary_table(comparison), RESULT),
        "verdict": lambda: "\n".join(f"- {light(sentence)}" for sentence in comparison.verdict.sentences()),
        "headline": lambda: light(comparison.verdict.headline),
        "choice": lambda: "\n".join(f"- {light(said)}" for said in paragraphs(comparison.verdict.choices)),
        "setting": lambda: setting(comparison),
        "limits": lambda: "\n".join(f"- {light(limit)}" for limit in comparison.limits),
        "charts": lambda: "\n\n".join(f"![{light(name)}](images/{name}.png)" for name in ("differences", "cost_quality")),
    }
    for key, found in comparison.tables.items():
        made[key] = lambda found=found: table(found)  # type: ignore[misc]
    return made


def narrow(made: Table, keys: Sequence[str]) -> str:
    """Some columns of a table, with the rows that were scored; the reasons of the n/a stay in the report."""
    columns = [column for column in made.columns if column.key in keys]
    rows = [
        [light(re.sub("^n/a: .*", "n/a", cell_text(row.get(column.key, "")))) for column in columns] for row in made.rows if row["status"] == "done"
    ]
    left_out = [f"{row['system']}: {row['status']}." for row in made.rows if row["status"] != "done"]
    notes = "\n\n" + light(" ".join(left_out)) if left_out else ""
    return grid([column.heading for column in columns], rows) + notes


def setting(comparison: Comparison) -> str:
    """Rows, models, devices and hours behind the figures, in one paragraph."""
    material = comparison.material
    splits = ", ".join(f"{count:,} {name}" for name, count in (material.funnel.get("splits") or {}).items())
    parts = [f"Rows: {splits or f'{material.n:,} test'}."]
    for name, report in material.trainings.items():
        device, seconds = report.get("device") or {}, (report.get("seconds") or {}).get("total")
        spent = "" if seconds is None else f", trained in {seconds:,.0f} s"
        where = device.get("name") or device.get("kind") or "device not said"
        parts.append(f"{name}: {(report.get('model') or {}).get('id')} ({report.get('trainer')}, {where}){spent}.")
    return light(" ".join(parts))


def fill(text: str, comparison: Comparison, where: str) -> str:
    """A text with all its blocks written anew. Raises DataError naming a block that is unknown or not closed."""
    made = blocks(comparison)

    def one(match: re.Match[str]) -> str:
        if match[2] not in made:
            raise DataError(f"{where}: there is no block {match[2]!r}{nearest(match[2], list(made))}.")
        return f"{match[1]}{made[match[2]]()}\n{match[4]}"

    if len(OPEN.findall(text)) != len(MARK.findall(text)):
        raise DataError(
            f"{where}: a block begins with <!-- claims:NAME --> on a line of its own and ends with <!-- /claims -->; one of them is not so."
        )
    return MARK.sub(one, text)


def update(files: Sequence[Path], run: Path, *, check: bool = False) -> list[Path]:
    """Write the blocks of some files from a run; returns the files whose blocks were out of date (with ``check`` nothing is written)."""
    comparison = build(load_run(Run.open(run)))
    changed = []
    for file in files:
        before = file.read_text("utf-8")
        after = fill(before, comparison, str(file))
        if after != before:
            changed.append(file)
            if not check:
                write_atomic(file, after)
    return changed


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 all is up to date or was written, 1 with --check where it is not, 2 it could not."""
    parser = argparse.ArgumentParser(prog="python -m ftlib.comparison.claims", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--run", type=Path, default=Path("results/published"), help="the run that the figures come from")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a block differs from the run")
    args = parser.parse_args(argv)
    try:
        changed = update(args.files, args.run, check=args.check)
    except (FtlibError, OSError) as error:
        print(f"claims: {error}", file=sys.stderr)
        return 2
    for file in changed:
        print(f"{file}: {'differs from' if args.check else 'written from'} {args.run}")
    return 1 if changed and args.check else 0


if __name__ == "__main__":
    sys.exit(main())
