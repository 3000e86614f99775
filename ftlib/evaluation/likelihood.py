"""Bits per byte: how many bits a model spends on a byte of the right answer. Comparable whatever the tokenizer.

Perplexity is per token, so a tokenizer with longer tokens looks worse for the same knowledge; dividing by the bytes of the
text removes that. A hosted chat API cannot score a given text, so there it is n/a.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftlib.evaluation.borrowing import borrow
from ftlib.evaluation.items import Item
from ftlib.evaluation.questions import Question, asking_settings, probe_rows, questions_hash
from ftlib.files import AppendLog, hash_json, sha256_file
from ftlib.formatting.task import Task
from ftlib.profile import Contestant
from ftlib.progress import bar
from ftlib.runs import Run

if TYPE_CHECKING:
    from ftlib.evaluation.answering import LazyTrainer

SETS = ("likelihood", "forgetting")  # of the test set's references, and of neutral text
HOSTED = "a hosted chat API does not score a given text"


def bits_per_byte(nats: float, size: int) -> float:
    """Bits per byte from a negative log-likelihood in nats and a length in UTF-8 bytes. Raises ValueError for an empty text."""
    if size <= 0:
        raise ValueError(f"a text of {size} bytes has no bits per byte")
    return nats / (math.log(2) * size)


def neutral(run: Run) -> list[Question]:
    """Neutral texts of our own: the first sentence is given, the rest is scored."""
    task = Task(name="forgetting", instruction="Continue the text.")
    return [
        Question(task.prompt({"id": row["id"], "title": row["start"], "content": ""}), Item(row["id"], row["rest"]))
        for row in probe_rows(run, "neutral")
    ]


def measure(run: Run, contestant: Contestant, system: str, test: Sequence[Question], trainer: LazyTrainer) -> None:
    """Likelihoods of the test set's references and, for the forgetting probe, of neutral text, item by item on disk."""
    sets = {"likelihood": list(test)}
    if "forgetting" in run.profile.evaluation.probes and contestant.few_shot is None:
        sets["forgetting"] = neutral(run)
    for name, questions in sets.items():
        _measure_set(run, contestant, system, name, questions, trainer)


def _measure_set(run: Run, contestant: Contestant, system: str, name: str, questions: Sequence[Question], trainer: LazyTrainer) -> None:
    tuned = system.endswith(".tuned")
    settings = asking_settings(run, contestant, trainer())
    training = run.folder(contestant) / "training.json"
    origin = {"training": training} if tuned and contestant.trains else {}
    asked = hash_json([questions_hash(questions), [question.item.reference for question in questions]])
    made_with = hash_json([settings, asked, sha256_file(training) if origin else None])
    path = run.answers_file(system, name)
    with run.step(f"{name}:{system}", inputs={"questions": asked, **origin}, settings=settings, outputs=[path]) as step:
        if not step.needed:
            return
        if path.exists() and any(row.get("made_with") != made_with for row in _rows(path)):
            path.unlink()
        borrow(run, contestant, system, path, made_with)
        with AppendLog(path) as store:
            done = {row["id"] for row in store.rows()}
            left = [question for question in questions if question.prompt.id not in done]
            with bar(desc=f"{system} {name}", total=len(questions), initial=len(done), unit="text") as progress:
                for position, found in _ask(trainer, left, tuned):
                    store.append(
                        {
                            "id": left[position].prompt.id,
                            "prompt_hash": left[position].prompt.hash,
                            "nats": found.nats,
                            "tokens": found.tokens,
                            "bytes": found.bytes,
                            "end_nats": found.end_nats,
                            "made_with": made_with,
                        }
                    )
                    progress.update()


def _rows(path: Any) -> list[dict[str, Any]]:
    with AppendLog(path) as store:
        return store.rows()


def _ask(trainer: LazyTrainer, questions: Sequence[Question], tuned: bool) -> Iterator[tuple[int, Any]]:
    if questions:
        local: Any = trainer()
        yield from local.likelihood([question.prompt for question in questions], [question.item.reference for question in questions], tuned=tuned)


def totals(rows: Sequence[Mapping[str, Any]]) -> tuple[float, int]:
    """Sum of nats and of bytes over rows of a likelihood file."""
    return math.fsum(row["nats"] for row in rows), sum(row["bytes"] for row in rows)
