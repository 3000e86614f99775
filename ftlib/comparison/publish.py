"""Publishing a run: what a reader needs of it, copied into results/published and images, small enough for a repository.

``python -m ftlib.comparison.publish RUN``. What is published is a run folder again: ``ftlib compare results/published --out DIR``
makes the same workbook and page from it, and the claims in README are written from it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ftlib.errors import DataError, FtlibError
from ftlib.files import write_atomic
from ftlib.runs import Run

LIMIT = 8_000_000  # bytes in all
PARTS = (
    *("profile.yaml", "comparison.xlsx", "report.html", "report.md", "charts/*.png", "scores/summary.json", "scores/items.jsonl"),
    *("curated/funnel.json", "curated/tokens.json", "*/training.json", "*/format.json", "answers/*/test.jsonl", "steps/*.json"),
    "notebooks/06_compare.ipynb",
)
NEEDED = ("comparison.xlsx", "report.html", "report.md", "scores/summary.json", "notebooks/06_compare.ipynb")
TEXTS = {".json", ".jsonl", ".yaml", ".md", ".html", ".ipynb"}


def publish(run: Run, *, results: Path, images: Path) -> list[Path]:
    """Copy the published parts of a finished run; returns the files written. What was published before is replaced.

    Paths of this machine in texts become ``results/published``, ``.`` and ``~``. Raises DataError where the run is not
    finished, or its parts are over LIMIT bytes.
    """
    missing = [name for name in NEEDED if not (run.path / name).exists()]
    if missing:
        raise DataError(f"{run.path} is not a finished run: {', '.join(missing)} is missing; `ftlib run` finishes it.")
    found = sorted({path for pattern in PARTS for path in run.path.glob(pattern) if path.is_file()})
    size = sum(path.stat().st_size for path in found)
    if size > LIMIT:
        raise DataError(f"{run.path}: the parts to publish take {size / 1e6:.1f} MB, over {LIMIT / 1e6:.0f} MB; publish a run with fewer test rows.")
    if results.resolve() != run.path:
        shutil.rmtree(results, ignore_errors=True)
    places = {str(run.path): "results/published", str(Path.cwd()): ".", str(Path.home()): "~"}
    written = []
    for path in found:
        target = results / path.relative_to(run.path)
        write_atomic(target, _without(path, places))
        written.append(target)
    for chart in sorted((run.path / "charts").iterdir()):
        write_atomic(images / chart.name, chart.read_bytes())
        written.append(images / chart.name)
    return written


def _without(path: Path, places: dict[str, str]) -> bytes:
    """A file's bytes, in texts without the paths of this machine."""
    data = path.read_bytes()
    if path.suffix in TEXTS:
        for place, name in places.items():
            data = re.sub(re.escape(place).encode() + rb"(?![\w.-])", name.encode(), data)
    return data


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 done, 2 it could not."""
    parser = argparse.ArgumentParser(prog="python -m ftlib.comparison.publish", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--results", type=Path, default=Path("results/published"))
    parser.add_argument("--images", type=Path, default=Path("images"))
    args = parser.parse_args(argv)
    try:
        written = publish(Run.open(args.run), results=args.results, images=args.images)
    except (FtlibError, OSError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    print(f"{len(written)} files, {sum(path.stat().st_size for path in written) / 1e6:.1f} MB, in {args.results} and {args.images}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
