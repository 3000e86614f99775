"""Work to be killed: each room of the chain in one run folder, on settings so small that it can be done hundreds of times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ftlib import chain
from ftlib.configuration import convert
from ftlib.files import write_jsonl
from ftlib.formatting.task import load_task
from ftlib.profile import Contestant, Profile
from ftlib.runs import Run

TRIVIAL: dict[str, Any] = {"resamples": 500, "probes": []}


def recorded_profile(folder: Path, *, source: str = "sample", **evaluation: Any) -> Profile:
    """A comparison of two systems whose answers were recorded elsewhere: the whole chain but for models."""
    answers = {name: folder / f"{name}.jsonl" for name in ("one", "two")}
    return convert(
        {
            "name": "rehearsal",
            "data": {"source": source, "train": 200, "valid": 30, "test": 60},
            "contestants": [{"name": name, "trainer": "local", "model": "tiny-llama", "recorded": str(path)} for name, path in answers.items()],
            "evaluation": {**TRIVIAL, **evaluation},
        },
        Profile,
        "rehearsal",
    )


def with_training(profile: Profile) -> Profile:
    """The same with a contestant that trains, so that there are training files to be written."""
    told = {"name": "micro", "trainer": "local", "model": "micro", "epochs": 2, "batch": 4, "truncate": True, "checkpoints": {"steps": 2}}
    micro = convert(told, Contestant, "rehearsal")
    models = {"micro": {"id": "tiny-micro", "build": "tiny-micro"}}
    return msgspec.structs.replace(profile, contestants=[*profile.contestants, micro], models=models)


def record_answers(run: Run) -> None:
    """Answers of both contestants: a part of the expected one, and the title."""
    from ftlib.files import read_jsonl

    task = load_task(run.profile.task)
    for contestant in run.profile.contestants:
        if contestant.recorded is None:
            continue
        rows = [
            {"id": row["id"], "answer": task.expected(row)[: 20 + 7 * (number % 9)] if contestant.name == "one" else row["title"]}
            for number, row in enumerate(read_jsonl(run.test_file))
        ]
        write_jsonl(contestant.recorded, rows)


def curate(folder: Path) -> None:
    """Raw rows to splits."""
    chain.curate(Run.open(folder))


def format_files(folder: Path) -> None:
    """Splits to training files."""
    chain.format_files(Run.open(folder))


def train(folder: Path) -> None:
    """All contestants."""
    run = Run.open(folder)
    for contestant in run.profile.contestants:
        chain.train(run, contestant)


def answer(folder: Path) -> None:
    """Answers of all systems."""
    from ftlib.evaluation import answer_run

    answer_run(Run.open(folder))


def score(folder: Path) -> None:
    """Scores of the answers."""
    from ftlib.evaluation import score_run

    score_run(Run.open(folder))


def compare(folder: Path) -> None:
    """Workbook, charts and page."""
    chain.compare(Run.open(folder))


ROOMS = {"curate": curate, "format": format_files, "train": train, "answer": answer, "score": score, "compare": compare}


def up_to(room: str, base: Path, profile: Profile) -> Path:
    """A run folder in which everything before ``room`` is done."""
    run = Run.create(base, profile)
    for name, work in ROOMS.items():
        if name == room:
            break
        work(run.path)
        if name == "curate":
            record_answers(run)
    return run.path
