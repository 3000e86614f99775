"""One contestant by itself: train it, ask it, take it away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ftlib.errors import DataError, ProfileError
from ftlib.files import read_json, read_jsonl
from ftlib.formatting.shots import shots_of
from ftlib.formatting.task import load_task
from ftlib.preflight import preflight
from ftlib.profile import load_profile
from ftlib.runs import Run
from ftlib.training import train_or_report, trainer_for
from ftlib.training.local.distributed import main_process, wait
from ftlib.training.local.trainer import LocalTrainer


def train_one(profile: str, contestant: str, *, out: Path | None = None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Train one contestant of a profile, doing the curation and formatting it needs first; returns its training.json.

    On several devices: ``accelerate launch --multi_gpu --num_processes N -m ftlib train PROFILE CONTESTANT``; the first process prepares
    and keeps the record.
    """
    from ftlib.curation import curate_run
    from ftlib.formatting import format_run

    checked = load_profile(profile, overrides)
    preflight(checked)
    if not main_process():
        wait()  # until the first process has made the folder
    run = Run.create(out or Path("results") / checked.name, checked)
    chosen = run.contestant(contestant)
    if not main_process():
        with closing(LocalTrainer(run, chosen)) as helper:
            helper.train()
        return dict(read_json(run.folder(chosen) / "training.json"))
    with run.lock():
        curate_run(run)
        format_run(run)
        wait()
        return train_or_report(run, chosen)


def ask_one(run: Path, contestant: str, text: str | None = None, *, base: bool = False) -> list[dict[str, Any]]:
    """Ask a contestant of a run one question: ``text``, or the title of the first test row.

    Returns a row {system, input, answer, error, finish, tokens_in, tokens_out, seconds} for each of its systems that was asked:
    the tuned one, and the base too with ``base`` (or where that is all there is). Where no answer came, ``answer`` is None and ``error`` says why.
    """
    opened = Run.open(run)
    chosen = opened.contestant(contestant)
    if chosen.recorded is not None:
        raise ProfileError(f"{contestant} holds recorded answers; there is no model behind it to ask.")
    task = load_task(chosen.task or opened.profile.task)
    record = {"id": "question", "title": text, "content": ""} if text else next(iter(read_jsonl(opened.test_file)), None)
    if record is None:
        raise DataError(f"{opened.test_file} holds no row; give the question as a third argument.")
    prompt = task.prompt(record, shots=shots_of(opened, chosen))
    systems = [s for s in chosen.systems() if base or s.endswith(".tuned")] or chosen.systems()
    rows = []
    with closing(trainer_for(opened, chosen)) as trainer:
        for system in systems:
            _, answer = next(iter(trainer.ask([prompt], tuned=system.endswith(".tuned"))))
            figures = {key: getattr(answer, key) for key in ("error", "finish", "tokens_in", "tokens_out", "seconds")}
            rows.append({"system": system, "input": prompt.input, "answer": answer.text, **figures})
    return rows


def export_one(
    run: Path, contestant: str, *, to: str, out: Path | None = None, quantisation: str = "q8_0", repo: str | None = None
) -> dict[str, Any]:
    """Take a tuned local model away as ``adapter``, ``merged``, ``gguf`` or to the ``hub``; returns {what, where, bytes}.

    Raises ProfileError for a hosted contestant, TrainingFailed for one that is not trained, MissingExtra, Refused.
    """
    from ftlib.training.local.export import export

    opened = Run.open(run)
    chosen = opened.contestant(contestant)
    if chosen.trainer != "local":
        raise ProfileError(f"{contestant} was tuned at {chosen.provider}, which keeps its weights; only local contestants can be taken away.")
    with closing(LocalTrainer(opened, chosen)) as trainer:
        made: dict[str, Any] = export(trainer, to=to, out=out, quantisation=quantisation, repo=repo)
    return made
