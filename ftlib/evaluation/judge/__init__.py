"""A judge: a model that compares two systems' answers pairwise, with what tells whether it can be believed.

A constant answer has won 77 % of a well-known judge's comparisons, so a share of wins proves nothing by itself: both orders
are asked, and controls whose outcome is known stand beside the result.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ftlib.errors import BudgetExceeded, DataError, ProfileError, Refused, ServiceDown
from ftlib.evaluation.judge.family import family_warning
from ftlib.evaluation.judge.human import PAIRS, agreement, read_sheet, write_sheet
from ftlib.evaluation.judge.text import judge_text
from ftlib.evaluation.questions import records, task_of
from ftlib.files import read_json, read_jsonl, sha256_file, write_json
from ftlib.profile import Decoding, Judge
from ftlib.runs import Run
from ftlib.training.hosted.provider import load_provider

__all__ = ["choose", "judge_run", "judge_step", "judge_text", "judgement"]
log = logging.getLogger("ftlib")
VERSION = 4  # of prompts and counting
Pair = tuple[str, str, str, str]  # id, what was asked, a's answer, b's answer


def judge_run(
    run_path: Path | str,
    *,
    provider: str | None = None,
    model: str | None = None,
    pairs: int = 100,
    systems: Sequence[str] | None = None,
    human: Path | str | None = None,
    temperature: float = 0.0,
    max_new_tokens: int | None = None,
) -> dict[str, Any]:
    """Judge two systems of a run, or take in a blind sheet that a person filled; scores the run again with the result.

    Args:
        provider: where the judge is (as in a profile, or ``local``); the profile's ``evaluation.judge`` where none is given.
        model: its id there.
        pairs: at most so many test items.
        systems: the two to compare; the first two tuned ones where not given.
        human: a filled ``blind_sheet.csv``.
        temperature: of the judge that is named; some models take 1 alone.
        max_new_tokens: of a reply; 64 for a verdict and 96 for marks where not given, too few for a model that reasons first.

    Returns the result, which is also in ``scores/judge.json``. Raises ProfileError, DataError, Refused.
    """
    from ftlib.evaluation.scoring import score_run

    run = Run.open(run_path)
    judge = _which(run, provider, model, pairs, Decoding(temperature=temperature, max_new_tokens=max_new_tokens))
    if not run.test_file.exists():
        raise DataError(
            f"{run.path} holds no test rows (curated/{run.test_file.name}), which a judge is shown; run its profile again, then judge that run."
        )
    with run.lock():
        chosen = choose(run, systems)
        if judge is not None:
            judge_step(run, judge, chosen)
        elif human is None:
            blind(run, chosen)
        if human is not None:
            add_human(run, Path(human))
        score_run(run, judge=False)
    found = judgement(run) or {"systems": {}, "a": chosen[0], "b": chosen[1], "human": None}
    return found | {"blind_sheet": str(run.path / "scores" / "blind_sheet.csv")}


def _which(run: Run, provider: str | None, model: str | None, pairs: int, decoding: Decoding) -> Judge | None:
    """The judge that the arguments name, else the profile's, else none."""
    if (provider is None) != (model is None):
        raise ProfileError("Give --provider and --model together (--provider local for a model on this machine).")
    if provider is not None and model is not None:
        if provider != "local":
            load_provider(provider, run.profile.providers)
        return Judge(provider=provider, model=model, pairs=pairs, decoding=decoding)
    return run.profile.evaluation.judge


def choose(run: Run, systems: Sequence[str] | None = None) -> tuple[str, str]:
    """The two systems to compare: those named, else the first two tuned ones, else the first tuned one and its base.

    Raises DataError where one has no answers.
    """
    answered = {path.parent.name for path in (run.path / "answers").glob("*/test.jsonl")}
    known = [system for contestant in run.profile.contestants for system in contestant.systems()] + run.profile.evaluation.trivial
    if systems is None:
        tuned = [system for system in known if system.endswith(".tuned") and system in answered]
        systems = (tuned + [system for system in known if system.endswith(".base") and system in answered])[:2]
    for system in systems:
        if system not in answered:
            raise DataError(f"{system!r} has no answers in {run.path}; there are: {', '.join(sorted(answered)) or 'none'}.")
    if len(systems) != 2 or systems[0] == systems[1]:
        raise DataError(
            f"{run.path}: two different systems with answers are needed to compare, and there {'is 1' if len(set(systems)) == 1 else 'are none'}."
        )
    return systems[0], systems[1]


def pairs_of(run: Run, systems: tuple[str, str], most: int) -> list[Pair]:
    """Test items with both answers, drawn in the run's seed's order; an answer that failed is an empty text."""
    texts = [{str(row["id"]): row["answer"] or "" for row in read_jsonl(run.answers_file(system))} for system in systems]
    rows = records(run.test_file)
    random.Random(run.profile.seed).shuffle(rows)
    task = task_of(run)
    asked = [(str(row["id"]), task.prompt(row).user) for row in rows]
    return [(i, request, texts[0][i], texts[1][i]) for i, request in asked if i in texts[0] and i in texts[1]][:most]


def blind(run: Run, systems: tuple[str, str]) -> None:
    """Write the blind sheet of these two systems' answers, unless it is there already: a person may be filling it in."""
    folder = run.path / "scores"
    key, answers = folder / "blind_key.json", answer_hashes(run, systems)
    if key.exists() and (lambda k: ((k["a"], k["b"]), k.get("answers")))(read_json(key)) == (systems, answers):
        return
    write_sheet(folder, pairs_of(run, systems, PAIRS), systems, run.profile.seed, answers)


def answer_hashes(run: Run, systems: Sequence[str]) -> dict[str, str]:
    """The files that systems' answers stand in, by hash: what is said of them holds for these answers alone."""
    return {system: sha256_file(path) for system in systems if (path := run.answers_file(system)).exists()}


def judge_step(run: Run, judge: Judge, systems: tuple[str, str]) -> None:
    """Let a judge compare two systems, as a step of the run."""
    from ftlib.evaluation.judge.judging import judge_pairs

    out = run.path / "scores" / "judge.json"
    inputs: dict[str, Path | str | None] = {system: run.answers_file(system) for system in systems}
    settings = {"judge": msgspec.to_builtins(judge), "version": VERSION, "seed": run.profile.seed, "systems": systems}
    about = {"judge": {"provider": judge.provider, "model": judge.model}, "a": systems[0], "b": systems[1], "version": VERSION}
    about["answers"] = answer_hashes(run, systems)
    try:
        with run.step("judge", inputs={**inputs, "test": run.test_file}, settings=settings, outputs=[out]) as step:
            if step.needed:
                blind(run, systems)
                about["family_warning"] = family_warning(run, judge)
                write_json(out, about | judge_pairs(run, judge, systems, pairs_of(run, systems, judge.pairs), task_of(run)))
    except (Refused, BudgetExceeded, ServiceDown) as error:  # the step stays undone, so that the next run goes on
        log.warning("judge: %s", error)
        write_json(out, about | {"status": "refused", "reason": str(error), "systems": {}})


def add_human(run: Run, sheet: Path) -> None:
    """Take in a filled blind sheet: ``scores/human.json`` holds a person's verdicts."""
    key = run.path / "scores" / "blind_key.json"
    if not key.exists():
        raise DataError(f"{key} does not exist; `ftlib judge {run.path}` writes the blind sheet and its key.")
    names = read_json(key)
    if outdated(run, names):
        raise DataError(
            f"{key} belongs to answers that have changed since, so {sheet} cannot be counted; `ftlib judge {run.path}` writes a new sheet to fill."
        )
    said = list(read_sheet(sheet, key).items())
    counts = Counter(winner for _, winner in said)
    found = {"a": names["a"], "b": names["b"], "n": len(said), "wins_a": counts["a"], "wins_b": counts["b"], "ties": counts["tie"]}
    found["answers"] = names.get("answers")
    found |= {"win_rate_a": (counts["a"] + counts["tie"] / 2) / len(said), "sheet_sha256": sha256_file(sheet), "verdicts": dict(said)}
    write_json(run.path / "scores" / "human.json", found)


def judgement(run: Run) -> dict[str, Any] | None:
    """What a judge and a person said of a run's answers, with their agreement; None where neither did.

    What was said of answers that have changed since is left out, with a warning or, of a judge, the reason.
    """
    judged, human = run.path / "scores" / "judge.json", run.path / "scores" / "human.json"
    if not judged.exists() and not human.exists():
        return None
    person = dict(read_json(human)) if human.exists() else None
    if person is not None and outdated(run, person):
        log.warning("%s is left out: the answers that it judges have changed; fill a new blind sheet (`ftlib judge %s`)", human, run.path)
        person = None
    nobody: dict[str, Any] = {"status": "no judge was run", "reason": None, "systems": {}, "a": person and person["a"], "b": person and person["b"]}
    found: dict[str, Any] = dict(read_json(judged)) if judged.exists() else nobody
    if outdated(run, found):
        found = {key: value for key, value in found.items() if key in ("judge", "a", "b", "family_warning")}
        found |= {"status": "outdated", "reason": "the answers that it judged have changed; run `ftlib judge` again", "systems": {}}
    if person is not None:
        same = (found["a"], found["b"]) == (person["a"], person["b"])
        person["agreement"] = agreement(person["verdicts"], found.get("verdicts", {}) if same else {})
        if not judged.exists():
            person["agreement"]["na"] = "no judge was run"
    return found | {"human": person} if judged.exists() or person else None


def outdated(run: Run, said: dict[str, Any]) -> bool:
    """Whether the answers that something was said of are no longer those of the run."""
    known: dict[str, str] = said.get("answers") or {}
    return known != answer_hashes(run, list(known))
