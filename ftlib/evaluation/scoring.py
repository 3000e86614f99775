"""The scores of a run: ``scores/items.jsonl`` and ``scores/summary.json`` from the answers on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from ftlib.errors import DataError
from ftlib.evaluation import likelihood
from ftlib.evaluation.answering import ANSWERS, training_status
from ftlib.evaluation.items import Given, Item, match, read_answers
from ftlib.evaluation.questions import ask_task, records, task_of
from ftlib.evaluation.recorded import training_texts
from ftlib.evaluation.seen import seen_figures
from ftlib.files import read_json, read_jsonl, sha256_file, write_json, write_jsonl
from ftlib.profile import Evaluation, Judge
from ftlib.runs import Run, StepNeeded, versions

VERSION = 7  # of the scoring: raised when a figure changes its meaning


def score_run(run: Run, *, judge: bool = True) -> dict[str, Any]:
    """Score all answers of a run; returns the summary. The profile's judge, where it names one, is asked first if ``judge``.

    A system without answers stands in it with its status and reason. Raises DataError where answers are missing that no
    refusal accounts for.
    """
    if run.only_look and not run.test_file.exists():
        raise StepNeeded("score: not curated yet")
    if judge and run.profile.evaluation.judge is not None:
        _judge(run, run.profile.evaluation.judge)
    scores = run.path / "scores"
    summary, items = scores / "summary.json", scores / "items.jsonl"
    statuses = {c.name: training_status(run, c) for c in run.profile.contestants}
    refusals = {path.parent.name: path for path in sorted((run.path / "answers").glob("*/refused.json"))}
    inputs: dict[str, Path | str | None] = {"test": run.test_file, "answers": run.path / "answers" if (run.path / "answers").exists() else None}
    inputs |= {f"train:{folder.name}": folder / "train.jsonl" for folder in training_folders(run)}
    inputs |= {f"training:{name}": ": ".join(filter(None, (status["status"], status.get("reason")))) for name, status in statuses.items()}
    inputs |= {name: path if (path := scores / f"{name}.json").exists() else None for name in ("judge", "human")}
    evaluation = msgspec.to_builtins(run.profile.evaluation)
    settings = {
        "version": VERSION,
        "evaluation": {k: v for k, v in evaluation.items() if k != "judge"},
        "seed": run.profile.seed,
        "task": task_of(run).hash,
        "versions": {name: version for name, version in versions().items() if name in _libraries(run.profile.evaluation)},
    }
    with run.step("score", inputs=inputs, settings=settings, outputs=[summary, items]) as step:
        if step.needed:
            _score(run, statuses, {name: read_json(path) for name, path in refusals.items()}, summary, items)
    return dict(read_json(summary))


def _libraries(evaluation: Evaluation) -> list[str]:
    """What figures are computed with."""
    stems = any(metric.endswith("_stem") for metric in evaluation.metrics)
    return ["numpy", "rapidfuzz", "regex", "sacrebleu", *(["nltk"] if stems else []), *(["torch", "transformers"] if evaluation.embedding else [])]


def _judge(run: Run, judge: Judge) -> None:
    """The profile's judge, where two systems answered."""
    from ftlib.evaluation.judge import choose, judge_step

    if run.only_look and not list((run.path / "answers").glob("*/test.jsonl")):
        raise StepNeeded("judge: not answered yet")
    judge_step(run, judge, choose(run))


def training_folders(run: Run) -> list[Path]:
    """The folders of all training rows of a run, each once."""
    return list(dict.fromkeys([run.curated_for(c) for c in run.profile.contestants])) or [run.curated]


def training(run: Run) -> Iterator[str]:
    """All texts that contestants of a run learn from."""
    return chain.from_iterable(training_texts(folder / "train.jsonl") for folder in training_folders(run))


def all_systems(run: Run) -> dict[str, dict[str, Any]]:
    """Every system of a run: its contestant and state, in the profile's order, trivial ones last."""
    found = {system: {"contestant": c.name, "state": system.rsplit(".", 1)[1]} for c in run.profile.contestants for system in c.systems()}
    return found | {name: {"contestant": None, "state": "trivial"} for name in run.profile.evaluation.trivial}


def _score(run: Run, statuses: Mapping[str, Mapping[str, Any]], refusals: Mapping[str, Any], summary: Path, items_file: Path) -> None:
    from ftlib.evaluation import costs, flexibility, seeds
    from ftlib.evaluation.judge import judgement
    from ftlib.evaluation.judge.prompts import CRITERIA
    from ftlib.evaluation.score import Settings, item_rows, score
    from ftlib.evaluation.semantic import semantic

    evaluation, task = run.profile.evaluation, task_of(run)
    questions = ask_task(task, records(run.test_file))
    items = [question.item for question in questions]
    prompts = {question.item.id: question.prompt.user for question in questions}
    systems = all_systems(run)
    answers, absent = load_answers(run, items, systems, statuses, refusals)
    if not answers:
        raise DataError(f"{run.path / 'answers'}: no system answered; see the reasons in each contestant's training.json.")
    more = likelihood_metric(run, items, answers)
    if evaluation.embedding:
        more |= semantic(items, answers, evaluation.embedding, evaluation.failed_score)
    scored = score(
        items,
        answers,
        Settings(
            evaluation.metrics, evaluation.primary, run.profile.seed, evaluation.resamples, evaluation.failed_score, task.language, evaluation.trivial
        ),
        prompts=lambda item: prompts[item.id],
        training=training(run),
        more=more,
    )
    found = scored.summary
    for name, about in systems.items():
        if name in answers:
            about |= {"status": "done", "reason": None, **found["systems"][name]}
            about["bits_per_byte"] = about["metrics"].get("bits_per_byte", {}).get("value")
            if about["bits_per_byte"] is None:
                about["na"]["bits_per_byte"] = about["na"]["metrics.bits_per_byte"] = why_no_likelihood(run, about)
            costs.add(about, answers[name], run)
        else:
            about |= absent[name]
    judged = judgement(run)
    if judged is None:
        for about in systems.values():
            about["na"] |= {f"judge.{name}": "no judge was run" for name in CRITERIA}
    flexible, rows = flexibility.measure(run, {name: about for name, about in systems.items() if about["status"] == "done"}, training)
    found |= {
        "test_hash": sha256_file(run.test_file),
        "task": task.name,
        "systems": systems,
        "flexibility": flexible,
        "judge": judged,
        "seeds": seeds.spread(run, systems, evaluation.primary),
    }
    found["settings"] |= {
        "probes": evaluation.probes,
        "probe_items": evaluation.probe_items,
        "task_hash": task.hash,
        "seen_titles": seen_figures(run),
        "differing": differing(run),
    }
    write_jsonl(items_file, chain(item_rows(items, answers, scored), rows))
    write_json(summary, found)


def load_answers(
    run: Run, items: list[Item], systems: Mapping[str, Mapping[str, Any]], statuses: Mapping[str, Mapping[str, Any]], refusals: Mapping[str, Any]
) -> tuple[dict[str, list[Given]], dict[str, dict[str, Any]]]:
    """Answers to the test set by system, and status and reason of the systems that have none."""
    answers: dict[str, list[Given]] = {}
    absent: dict[str, dict[str, Any]] = {}
    for name, about in systems.items():
        status = statuses.get(about["contestant"] or "", {"status": "done"})
        if status["status"] not in ANSWERS:
            absent[name] = nothing(status["status"], status.get("reason"))
        elif name in refusals and _unfinished(run, name, items):
            absent[name] = nothing(refusals[name]["status"], refusals[name]["reason"])
        else:
            path = run.answers_file(name)
            answers[name] = match(items, read_answers(path), str(path))
    return answers, absent


def _unfinished(run: Run, system: str, items: list[Item]) -> bool:
    """Whether a system that was refused on the way has not answered the whole test set."""
    path = run.answers_file(system)
    return not path.exists() or {str(row["id"]) for row in read_jsonl(path)} != {item.id for item in items}


def nothing(status: str, reason: str | None) -> dict[str, Any]:
    """The summary's entry for a system that gave no answers."""
    empty = dict.fromkeys(("failed", "bits_per_byte", "tokens_in", "tokens_out", "usd", "usd_per_1000"))
    return {
        "status": status,
        "reason": reason,
        **empty,
        "n": 0,
        "metrics": {},
        "flags": {},
        "latency": {"p50": None, "p95": None},
        "how": {},
        "na": dict.fromkeys(("metrics", "flags", "latency", *empty), f"{status}: {reason}"),
    }


def likelihood_metric(run: Run, items: list[Item], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Bits per byte of the references as a metric of the systems that have likelihoods, resampled like the others."""
    import numpy as np

    from ftlib.evaluation.metrics import Metric, ratio

    signature = "sum of nats / (ln 2 x UTF-8 bytes of the references), the end-of-turn token apart|tok:each model's own|stem:no"
    metric = Metric("bits_per_byte", signature, "bits/byte", False, ratio)
    for system in answers:
        path = run.answers_file(system, "likelihood")
        if path.exists():
            by_id = {row["id"]: row for row in read_jsonl(path)}
            rows = [by_id[item.id] for item in items]
            nats = np.array([row["nats"] for row in rows])
            metric.add_ratios(system, nats / np.log(2), np.array([row["bytes"] for row in rows], dtype=np.float64))
    return {"bits_per_byte": metric} if metric.statistics else {}


def why_no_likelihood(run: Run, about: Mapping[str, Any]) -> str:
    """Why a system has no bits per byte."""
    if about["state"] == "trivial":
        return "it is no model"
    contestant = run.contestant(about["contestant"])
    return "its answers were recorded elsewhere" if contestant.recorded is not None else likelihood.HOSTED


def differing(run: Run) -> dict[str, Any]:
    """Declared settings in which contestants differ where a fair comparison would have them equal: task, decoding, engine."""
    values: dict[str, dict[str, Any]] = {
        "task": {c.name: task_of(run, c).name for c in run.profile.contestants},
        "decoding": {
            c.name: {k: v for k, v in msgspec.to_builtins(c.decoding).items() if k != "batch"}  # answers at once: speed, not content
            for c in run.profile.contestants
        },
    }
    return {key: by_name for key, by_name in values.items() if len({str(value) for value in by_name.values()}) > 1}
