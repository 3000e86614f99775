"""One recipe on one source, into one folder; and all recipes of a run, around one test set."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftlib.curation import recipe as r
from ftlib.curation.exclusion import Exclusion
from ftlib.curation.funnel import EXAMPLES, Rejections, dropped_by, example, rejected_row, whole
from ftlib.curation.pipeline import Job, Kept, run_steps
from ftlib.curation.records import Fields, Record
from ftlib.curation.source import Source
from ftlib.curation.split import OUT, SIDES, divide, sizes
from ftlib.curation.tags import Tagged
from ftlib.errors import DataError
from ftlib.files import atomic_path, write_atomic, write_json, write_jsonl
from ftlib.runs import versions

if TYPE_CHECKING:
    from ftlib.runs import Run

Asked = dict[str, r.Size | None]
FILES = ("train.jsonl", "valid.jsonl", "test.jsonl", "tokens.json", "funnel.json", "rejected.jsonl")
STARTED = ".curating"  # stands in the folder until all files do


def curate_source(
    source: Source, recipe_name: str, out: Path, asked: Asked, job: Job, *, without: Exclusion | None = None, sides: tuple[str, ...] = SIDES
) -> dict[str, Any]:
    """Curate one source by one recipe; returns the funnel.

    ``without``: rows that must not be learnt from, since they are tested on elsewhere. ``sides``: which files to write.
    """
    started = time.perf_counter()
    recipe = r.load_recipe(recipe_name)
    for side, size in asked.items():
        if size is not None:
            r.check_size(size, side)
    r.check_shares(asked.values(), "train, valid and test")
    job.check()
    check_out(out)
    kept = run_steps(source, recipe, job, out.parent)
    steps = [count.plain() for count in kept.steps]
    if without is not None:
        steps.append(_exclude(kept, without))
    rows = int(kept.spool.alive.sum())
    if rows == 0:
        raise DataError(f"Recipe {recipe_name} keeps no row of {source.name}: {_where_lost(steps)}. Choose another recipe, or loosen that step.")
    wanted = sizes(recipe.split, rows, {**asked, **{side: 0 for side in SIDES if side not in sides}}, recipe_name)
    side, leaks, alike = divide(kept.spool, recipe.split, wanted, job.seed)
    made = {name: int((side == SIDES.index(name)).sum()) for name in sides}
    _check_made(made, wanted, asked, recipe_name)
    steps.append(_split_step(kept, side, recipe.split, wanted, alike))
    funnel = {
        "recipe": recipe_name,
        "source": source.name,
        "source_sha256": source.sha256(),
        "seed": job.seed,
        "rows_read": kept.rows_read,
        "rows_kept": sum(made.values()),
        "rejected": kept.rejections.plain(),
        "rejected_examples": [{"line": row.line, "reason": row.reason} for row in kept.rejections.examples[:3]],
        "dropped": dropped_by(steps),
        "steps": steps,
        "counted_by": kept.tokens.name,
        "splits": made,
        "leaks": {"exact": sum(what != "near" for _, _, what, _ in leaks), "near": sum(what == "near" for _, _, what, _ in leaks)},
    }
    _write(out, kept, side, sides, funnel, started)
    kept.spool.close()
    return funnel


def check_out(out: Path) -> None:
    """Raises DataError where a file that would be replaced was written by no curation: it may be all that a person has of something."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; give a folder with --out.")
    if (out / "funnel.json").exists() or (out / STARTED).exists():
        return
    if found := [name for name in FILES if (out / name).exists()]:
        raise DataError(f"{out} holds {' and '.join(found)}, which no curation wrote; give another folder with --out.")


def _where_lost(steps: list[dict[str, Any]]) -> str:
    """The step after which nothing was left."""
    for step in steps:
        if step["rows_out"] == 0 and step["rows_in"]:
            return f"step {step['name']} dropped the last {step['rows_in']:,} rows"
    return "no row could be read"


def _check_made(made: dict[str, int], wanted: dict[str, int], asked: Asked, recipe: str) -> None:
    """Whole groups go to one side, so that a side can come out short. Raises DataError where the user asked for a number, or nothing is left."""
    for side, rows in made.items():
        size = asked.get(side)
        if rows < wanted[side] and (side == "test" or (size is not None and not r.is_share(size))):
            raise DataError(
                f"Recipe {recipe} gives {rows} rows for {side}, fewer than the {wanted[side]} asked for, because similar rows stay together; "
                f"ask for fewer."
            )
    if wanted["train"] and not made.get("train", 1):
        raise DataError(f"Recipe {recipe} gives no row to train on, because similar rows stay together; ask for fewer rows to test.")


def _exclude(kept: Kept, without: Exclusion) -> dict[str, Any]:
    """Take out what is tested on elsewhere; returns the step for the funnel."""
    before = kept.spool.alive.copy()
    step = without.apply(kept.spool)
    _log_dropped(kept, step["name"], (before & ~kept.spool.alive).nonzero()[0])
    return step


def _split_step(kept: Kept, side: Any, split: r.Split, wanted: dict[str, int], alike: int) -> dict[str, Any]:
    """The split as a step of the funnel; it drops the rows for which no side has room, and ``alike`` ones that are too like another side's."""
    alive = kept.spool.alive
    gone = (alive & (side == OUT)).nonzero()[0]
    _log_dropped(kept, "split", gone)
    return {
        "name": "split",
        "params": {**wanted, "order": split.order, "groups": split.groups, "threshold": split.threshold, **({"alike": alike} if alike else {})},
        "rows_in": int(alive.sum()),
        "rows_out": int(alive.sum()) - len(gone),
        "changed": 0,
        "dropped": [example(kept.spool.row(int(i))) for i in gone[:EXAMPLES]],
    }


def _log_dropped(kept: Kept, name: str, places: Any) -> None:
    if kept.rejections.log is not None:
        kept.rejections.log.dropped(name, map(whole, kept.spool.rows(int(i) for i in places)))


def _write(out: Path, kept: Kept, side: Any, sides: tuple[str, ...], funnel: dict[str, Any], started: float) -> None:
    """All files of a curation; funnel.json, which says that the rest is whole, first goes and comes last."""
    write_atomic(out / STARTED, b"")
    for name in FILES:
        (out / name).unlink(missing_ok=True)
    unique, tagged = unique_ids(), Tagged()
    for name in sides:
        places = (int(i) for i in (side == SIDES.index(name)).nonzero()[0])
        write_records(out / f"{name}.jsonl", unique(tagged.watch(kept.spool.rows(places))))
    _write_rejected(out, kept.rejections)
    write_json(out / "tokens.json", kept.overview.plain(kept.tokens.encoding, kept.tokens.name, kept.bounds))
    funnel["tags"] = {"rows": tagged.rows, "first": tagged.first}
    funnel["seconds"] = round(time.perf_counter() - started, 2)
    write_json(out / "funnel.json", funnel)
    (out / STARTED).unlink()


def write_records(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Write rows as JSON lines atomically, several times as fast as ``files.write_jsonl``; a million rows come this way."""
    encode = msgspec.json.Encoder().encode
    with atomic_path(path) as temporary, temporary.open("wb", buffering=1 << 20) as handle:
        handle.writelines(encode(row) + b"\n" for row in rows)


def _write_rejected(out: Path, rejections: Rejections) -> None:
    if rejections.log is not None:
        rejections.log.write(out / "rejected.jsonl")
    elif rejections.total:
        write_jsonl(out / "rejected.jsonl", (rejected_row(row) for row in rejections.examples))


def unique_ids() -> Callable[[Iterable[Record]], Iterator[dict[str, str]]]:
    """Records as rows to write; where the source gives one id to several rows, the later ones become ``ID#2``, ``ID#3``."""
    seen: dict[str, int] = {}

    def rows(records: Iterable[Record]) -> Iterator[dict[str, str]]:
        for record in records:
            identity = record.id
            while identity in seen:
                seen[record.id] += 1
                identity = f"{record.id}#{seen[record.id]}"
            seen[identity] = 1
            yield {"id": identity, "title": record.title, "content": record.content}

    return rows


def curate_run(run: Run) -> None:
    """Curate the rows of a run: one test set, and each recipe's train and valid, disjoint from it.

    Writes ``curated/`` as ARCHITECTURE.md says. Raises DataError or ProfileError.
    """
    profile, data = run.profile, run.profile.data
    recipes = profile.recipes()
    source = Source(data.source, Fields(data.id_field, data.title_field or "title", data.content_field or "content"))
    asked: Asked = {"train": data.train, "valid": data.valid, "test": data.test}
    job = Job(seed=profile.seed, limit=data.limit, max_bad_share=data.max_bad_share)
    named = dict.fromkeys([*recipes, *([data.held_out] if data.held_out else [])])
    settings = {
        "recipes": {name: r.load_recipe(name).plain() for name in named},
        "train_on": recipes,
        "held_out": data.held_out,
        "fields": [data.id_field, data.title_field, data.content_field],
        "seed": profile.seed,
        "asked": asked,
        "limit": data.limit,
        "max_bad_share": data.max_bad_share,
        "versions": {name: version for name, version in versions().items() if name in ("numpy", "tiktoken", "gigatoken")},
    }
    outputs = [run.curated / name for name in FILES]
    outputs += [run.curated / "transfer.jsonl"] if data.held_out else []
    folders = {name: run.recipe_folder(name) for name in recipes} if len(recipes) > 1 else {}
    outputs += list(folders.values())
    with run.step("curate", inputs={f"source{n or ''}": path for n, path in enumerate(source.paths)}, settings=settings, outputs=outputs) as step:
        if not step.needed:
            return
        held = Exclusion.of_recipe(source, data.held_out, run.curated, job, data.test) if data.held_out else None
        funnel = curate_source(source, recipes[0], run.curated, asked, job, without=held)
        step.note.update(rows=funnel["splits"], counted_by=funnel["counted_by"])
        for name, folder in folders.items():
            if name == recipes[0]:
                for file in ("train.jsonl", "valid.jsonl", "funnel.json"):
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(run.curated / file, folder / file)
            else:
                tested = Exclusion.of_files([run.curated / "test.jsonl"], "not_tested_on", beside=held)
                funnel = curate_source(source, name, folder, asked, job, without=tested, sides=("train", "valid"))
                step.note[f"rows of {name}"] = funnel["splits"]
        _clear_old(run.curated, set(folders.values()), keep_transfer=held is not None)


def _clear_old(folder: Path, recipes: set[Path], *, keep_transfer: bool) -> None:
    """Remove what an earlier profile of the run left: other recipes' folders, and a transfer set that is no longer asked for."""
    if not keep_transfer:
        (folder / "transfer.jsonl").unlink(missing_ok=True)
    for old in folder.iterdir():
        if old.is_dir() and old not in recipes and (old / "funnel.json").exists():
            shutil.rmtree(old)
