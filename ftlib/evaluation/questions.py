"""What each contestant is asked: the test set, and the probes. Every prompt comes from a ``Task``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from ftlib.catalogue import find_model
from ftlib.configuration import nearest
from ftlib.errors import DataError, ProfileError
from ftlib.evaluation.items import Item
from ftlib.files import hash_json, read_jsonl
from ftlib.formatting.shots import shots_of
from ftlib.formatting.task import Prompt, Record, Task, load_task
from ftlib.profile import Contestant, Evaluation
from ftlib.runs import Run
from ftlib.training import Trainer

PROBES = ("retention", "forgetting", "wording", "transfer", "bleeding")
ROWS = {"wording": 50, "transfer": 200, "reverse": 50}  # at most so many test rows where the profile does not say
AT = "@"  # between a record's id and the wording it is asked in


@dataclass(frozen=True)
class Question:
    """A prompt and the item that its answer is scored against."""

    prompt: Prompt
    item: Item


def task_of(run: Run, contestant: Contestant | None = None) -> Task:
    """The task that a contestant is asked, or the run's own."""
    return load_task((contestant.task if contestant else None) or run.profile.task)


def check_evaluation(evaluation: Evaluation) -> None:
    """Raises ProfileError where a metric, a probe or a trivial system is named that there is not, MissingExtra where a library is missing.

    Called before anything is trained or asked: a misspelt metric must not be found after the bill.
    """
    from ftlib.evaluation.metrics import ROUGES, check_names
    from ftlib.evaluation.score import check_numbers
    from ftlib.evaluation.semantic import needs
    from ftlib.evaluation.trivial import NAMES
    from ftlib.evaluation.words import signature

    for kind, names, known in (("probes", evaluation.probes, PROBES), ("trivial", evaluation.trivial, NAMES)):
        for name in names:
            if name not in known:
                raise ProfileError(f"evaluation.{kind}: there is no {name!r}{nearest(name, known)}.")
    check_numbers(evaluation.resamples, evaluation.failed_score)
    check_names(evaluation.metrics, evaluation.primary, embedded=evaluation.embedding is not None)
    for tokenizer in {ROUGES[name] for name in evaluation.metrics if name in ROUGES}:
        signature(tokenizer)
    if evaluation.embedding:
        needs()


def records(path: Path) -> list[dict[str, Any]]:
    """The records of a curated file. Raises DataError where it is missing or empty."""
    found = list(read_jsonl(path))
    if not found:
        raise DataError(f"{path} holds no record; there is nothing to ask.")
    return found


@cache
def probe(name: str) -> tuple[dict[str, Any], ...]:
    """The rows of one of ftlib's own probe files (``ftlib/probes/NAME.jsonl``)."""
    return tuple(read_jsonl(Path(str(resources.files("ftlib").joinpath("probes", f"{name}.jsonl")))))


def some(rows: Sequence[Any], most: int | None, seed: int) -> list[Any]:
    """At most so many rows, drawn with a seed, in their own order."""
    if most is None or most >= len(rows):
        return list(rows)
    return [rows[i] for i in sorted(random.Random(seed).sample(range(len(rows)), most))]


def probe_rows(run: Run, name: str) -> list[dict[str, Any]]:
    """The rows of a probe file that this run asks; where not all, as many of each kind as can be."""
    rows, most = probe(name), run.profile.evaluation.probe_items
    if most is None or most >= len(rows):
        return list(rows)
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(str(row.get("kind", "")), []).append(row)
    turn = [row for rank in range(len(rows)) for group in kinds.values() if rank < len(group) for row in [group[rank]]]
    chosen = {row["id"] for row in turn[:most]}
    return [row for row in rows if row["id"] in chosen]


def ask_task(task: Task, rows: Sequence[Record], shots: Sequence[Record] = (), wording: str | None = None) -> list[Question]:
    """A task's questions about records; in another wording, ids carry its name."""
    found = []
    for row in rows:
        record = {**row, "id": f"{row['id']}{AT}{wording}"} if wording else row
        found.append(
            Question(task.prompt(record, wording=wording, shots=shots), Item(str(record["id"]), task.expected(record), str(record["title"])))
        )
    return found


def retention(rows: Sequence[dict[str, Any]]) -> list[Question]:
    """Instructions outside the domain, without system text or worked examples."""
    found = []
    for row in rows:
        task = Task(name="retention", instruction=row["instruction"], max_new_tokens=64)
        record = {"id": row["id"], "title": row.get("input", ""), "content": ""}
        found.append(Question(task.prompt(record), Item(row["id"], "", None)))
    return found


def question_sets(run: Run, contestant: Contestant) -> dict[str, list[Question]]:
    """Everything that one contestant is asked, by set: ``test`` and the probes that answers are needed for.

    Recorded answers are for the test set alone; where the prompt is all that differs (few_shot), retention would only
    measure the base model again.
    """
    wanted, most, seed = run.profile.evaluation.probes, run.profile.evaluation.probe_items, run.profile.seed
    task, shots, test = task_of(run, contestant), shots_of(run, contestant), records(run.test_file)
    sets = {"test": ask_task(task, test, shots)}
    if contestant.recorded is not None:
        return sets
    if "wording" in wanted and task.paraphrases:
        rows = some(test, most or ROWS["wording"], seed)
        sets["wording"] = [question for name in task.paraphrases for question in ask_task(task, rows, shots, name)]
    if "transfer" in wanted:
        held_out = run.curated / "transfer.jsonl"
        if held_out.exists():
            sets["transfer"] = ask_task(task, some(records(held_out), most or ROWS["transfer"], seed), shots)
        if task.input == "{title}" and not shots:
            sets["reverse"] = ask_task(load_task("title"), some(test, most or ROWS["reverse"], seed))
    if {"retention", "bleeding"}.intersection(wanted) and not shots:
        sets["retention"] = retention(probe_rows(run, "retention"))
    return sets


def questions_hash(questions: Sequence[Question]) -> str:
    """Hash of all that a set asks, worked examples included."""
    return hash_json([[q.prompt.hash, q.prompt.max_new_tokens, q.prompt.stop, q.prompt.shots] for q in questions])


def asking_settings(run: Run, contestant: Contestant, trainer: Trainer, *, tuned: bool = False) -> dict[str, Any]:
    """What a model's answers depend on besides its training and its questions."""
    keys = ("trainer", "model", "revision", "provider", "existing", "recorded", "quant", "loader", "template", "engine", "decoding")
    plain, known = msgspec.to_builtins(contestant), trainer.settings()
    own = {"models": run.profile.models.get(contestant.model), "provider": _described(run, contestant, tuned)}
    seed = (run.profile.seed if contestant.seed is None else contestant.seed) if contestant.decoding.temperature > 0 else None
    identity = {key: known.get(key) for key in ("model", "revision", "build", "provider")}
    if contestant.existing is not None and not tuned:  # its base is the same model, whichever tuned one stands beside it
        plain["existing"], identity["model"] = None, _base(run, contestant)
    versions = known.get("versions") if contestant.trainer == "local" else None  # a newer client is no reason to pay for answers again
    return {**{key: plain[key] for key in keys}, "own": own, "seed": seed, "identity": identity, "versions": versions}


def _base(run: Run, contestant: Contestant) -> str:
    """The id of a contestant's base model as its provider spells it."""
    return find_model(contestant.model, run.profile.models).id_at(contestant.provider or "")


def _described(run: Run, contestant: Contestant, tuned: bool) -> dict[str, Any] | None:
    """What the profile says of a provider that its answers depend on: where they come from, not how fast, together or at what price."""
    provider = run.profile.providers.get(contestant.provider or "", {})
    found: dict[str, Any] = {key: provider[key] for key in ("client", "base_url", "base_url_env", "max_tokens") if key in provider}
    name = contestant.existing or contestant.name
    if provider.get("served") and not (tuned and contestant.few_shot is None):
        name = _base(run, contestant)
    served = (provider.get("served") or {}).get(name)
    return {**found, "served": served} if served else found or None
