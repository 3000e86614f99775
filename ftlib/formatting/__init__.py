"""Formatting: tasks, training files, and whether their destination takes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from ftlib.catalogue import Model, find_model
from ftlib.errors import DataError
from ftlib.files import read_json, write_json
from ftlib.formatting.destinations import Destination, as_chat, find_destination, for_provider
from ftlib.formatting.task import Task, load_task
from ftlib.profile import Contestant
from ftlib.runs import Run, versions

__all__ = ["Task", "destination_of", "format_folder", "format_run", "format_text", "load_task"]
Tokens = Callable[[Any], int | None]  # of a row, by the model's own tokenizer; None where it is not at hand


def destination_of(contestant: Contestant) -> Destination:
    """Where a contestant's training files go: its provider, or this machine."""
    return for_provider(contestant.provider) if contestant.provider else find_destination("local")[0]


def format_run(run: Run) -> None:
    """Training files of every contestant that trains: train.jsonl, valid.jsonl and format.json in its folder."""
    for contestant in run.profile.contestants:
        if contestant.trains:
            format_contestant(run, contestant)


def format_contestant(run: Run, contestant: Contestant) -> dict[str, Any]:
    """One contestant's training files; returns its format.json.

    The step depends on the curated rows, the task, the destination's rules and the model (its context and special tokens).
    """
    source, folder = run.curated_for(contestant), run.folder(contestant)
    task, destination = load_task(contestant.task or run.profile.task), destination_of(contestant)
    model = find_model(contestant.model, run.profile.models)
    cut = contestant.max_length if contestant.truncate and destination.format == "chat" else None  # a local trainer cuts by its own tokenizer
    inputs = {name: source / f"{name}.jsonl" for name in ("train", "valid")}
    outputs = [*(folder / path.name for path in inputs.values()), folder / "format.json"]
    with run.step(
        f"format:{contestant.name}",
        inputs={name: path for name, path in inputs.items() if path.exists()},
        settings={
            "task": msgspec.to_builtins(task),
            "destination": destination.__dict__,
            "model": msgspec.to_builtins(model),
            "truncate": cut,
            "versions": {name: version for name, version in versions().items() if name in ("tiktoken", "gigatoken")},
        },
        outputs=outputs,
    ) as step:
        if step.needed:
            _write(source, folder, task, destination, model, cut)
    return dict(read_json(folder / "format.json"))


def _write(
    source: Path, out: Path, task: Task, destination: Destination, model: Model | None, truncate: int | None, tokens: Tokens | None = None
) -> dict[str, Any]:
    """Both splits and format.json. A split without rows is not written."""
    from ftlib.formatting.write import Writer

    train = source / "train.jsonl"
    if not train.exists():
        raise DataError(f"{train} does not exist; make it with `ftlib curate RAW --out {source}`.")
    if not train.stat().st_size:
        raise DataError(f"{train} holds no rows, so there is nothing to train on; curate more rows (--train N).")
    if out.resolve() == source.resolve():
        raise DataError(f"{out} holds the records; write the training files to another folder.")
    writer = Writer(task, destination, model=model, truncate=truncate, tokens=tokens)
    splits: dict[str, Any] = {}
    (out / "format.json").unlink(missing_ok=True)
    with _no_empty_folder(out):
        for name in ("train", "valid"):
            path = source / f"{name}.jsonl"
            (out / path.name).unlink(missing_ok=True)
            if path.exists() and path.stat().st_size:
                splits[name] = writer.write(path, out / path.name)
    report = {
        "task": task.name,
        "task_hash": task.hash,
        "instruction": task.instruction,
        "format": destination.format,
        "destination": destination.name,
        "model": model.name if model else None,
        "rows": {name: split["rows"] for name, split in splits.items() if split["rows"]},
        "tokens": {name: split["tokens"] for name, split in splits.items() if split["rows"]},
        "left_out": {name: {"counts": split["left_out"], "rows": split["left_out_rows"]} for name, split in splits.items() if split["left_out"]},
        "truncate": truncate,
        "cut": {name: {"count": split["cut"], "rows": split["cut_rows"]} for name, split in splits.items() if split["cut"]},
        "checked": {"ok": True, "findings": {name: split["findings"] for name, split in splits.items()}},
    }
    write_json(out / "format.json", report)
    return report


@contextmanager
def _no_empty_folder(folder: Path) -> Iterator[None]:
    """What fails inside leaves no empty folder that was not there before."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            with suppress(OSError):  # not made, or not empty
                path.rmdir()
        raise


def format_folder(
    folder: Path | str,
    *,
    to: str,
    task: str,
    out: Path | str,
    destination: str | None = None,
    model: str | None = None,
    truncate: int | None = None,
    tokens: Tokens | None = None,
) -> dict[str, Any]:
    """Training files from a folder of curated records.

    Args:
        folder: holds train.jsonl and, perhaps, valid.jsonl.
        to: ``instruction`` or ``chat``; the local trainer takes both, a hosted service chat.
        task: a built-in task or a YAML file.
        out: where train.jsonl, valid.jsonl and format.json are written.
        destination: whose rules the files are held to; OpenAI's for chat, the local trainer's for instruction.
        model: the model to be tuned, for its context and special tokens, as ``check_file`` takes it.
        truncate: cut the answer of an example of more tokens than that; nothing is cut unless it is given.
        tokens: counts a row's tokens with the model's own tokenizer, where it is at hand.

    Returns format.json. Raises DataError or ProfileError.
    """
    if truncate is not None and truncate < 1:
        raise DataError(f"--truncate is {truncate}; give a number of tokens above 0.")
    rules, named = find_destination(destination or ("openai" if to == "chat" else "local"))
    if to == "chat":
        rules = as_chat(rules)
    if rules.format != to:
        raise DataError(f"{rules.name} takes {rules.format} rows; give --to {rules.format}.")
    wanted = model or named
    return _write(Path(folder), Path(out), load_task(task), rules, find_model(wanted) if wanted else None, truncate, tokens)


def format_text(made: dict[str, Any]) -> str:
    """format.json for a reader."""
    lines = [f"task {made['task']}, {made['format']} rows, good at {made['destination']}"]
    for name, rows in made["rows"].items():
        tokens = made["tokens"][name]
        each = f"{tokens['mean']} a row, at most {tokens['max']}; {tokens['counted_by']}"
        lines.append(f"  {name}.jsonl: {rows} rows, {tokens['total']:,} tokens ({each})")
    for name, cut in made["cut"].items():
        lines.append(f"  {name}: {cut['count']} answers cut, so that no example has more than {made['truncate']} tokens")
        lines += [f"    {row['id']}: had {row['tokens']} tokens" for row in cut["rows"][:20]]
    for name, left in made["left_out"].items():
        lines.append(f"  {name}: {sum(left['counts'].values())} rows left out, which {made['destination']} would refuse")
        lines += [f"    {row['id']}: {row['reason']}" for row in left["rows"]]
    return "\n".join(lines)
