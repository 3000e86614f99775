"""Asking the judge about pairs, controls and single answers, and adding up what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftlib.evaluation.judge import prompts
from ftlib.evaluation.judge.record import replies
from ftlib.evaluation.judge.verdicts import Verdict, control, length_controlled, marks, tally
from ftlib.evaluation.questions import records
from ftlib.formatting.task import Prompt, Task
from ftlib.profile import Judge
from ftlib.runs import Run

Pair = tuple[str, str, str, str]
CONTROLS = 10  # items of each control
EXPECTED = {"identical": "tie", "shuffled_reference": "a", "constant": "a"}  # the reference is a


def both_orders(group: str, pairs: Sequence[Pair]) -> list[Prompt]:
    """Each pair as two questions, a first and b first."""
    found = []
    for identity, request, a, b in pairs:
        found.append(prompts.pairwise(f"{group}:{identity}:ab", request, a, b))
        found.append(prompts.pairwise(f"{group}:{identity}:ba", request, b, a))
    return found


def read_pairs(group: str, pairs: Sequence[Pair], said: dict[str, str | None]) -> list[Verdict]:
    """Verdicts in the order of the pairs."""
    return [Verdict(*(prompts.read_choice(said[f"{group}:{identity}:{order}"]) for order in ("ab", "ba"))) for identity, *_ in pairs]


def control_pairs(run: Run, pairs: Sequence[Pair], task: Task) -> dict[str, list[Pair]]:
    """Pairs whose outcome is known: an answer with itself, the reference with another item's, the reference with one constant answer."""
    from ftlib.evaluation.trivial import answer_trivially

    wanted = [identity for identity, *_ in pairs[:CONTROLS]]
    by_id = {str(record["id"]): record for record in records(run.test_file)}
    rows = [by_id[identity] for identity in wanted]
    expected = [task.expected(row) for row in rows]
    constant = answer_trivially("constant", task, rows, records(run.curated / "train.jsonl"))
    asked = [task.prompt(row).user for row in rows]
    shuffled = [(i, q, e, other) for i, q, e, other in zip(wanted, asked, expected, [*expected[1:], *expected[:1]], strict=True) if e != other]
    return {
        "identical": [(i, q, e, e) for i, q, e in zip(wanted, asked, expected, strict=True)],
        "shuffled_reference": shuffled,
        "constant": [(i, q, e, c) for i, q, e, c in zip(wanted, asked, expected, constant, strict=True) if e != c],
    }


def judge_pairs(run: Run, judge: Judge, systems: tuple[str, str], pairs: Sequence[Pair], task: Task) -> dict[str, Any]:
    """The whole judgement: pairs in both orders, controls, and marks on the rubric.

    Every reply is in ``scores/judge-record.jsonl`` before the next question; with that file the judgement is replayed
    without asking anybody. Raises Refused or BudgetExceeded.
    """
    controls = control_pairs(run, pairs, task)
    asked = [prompt for name, group in controls.items() for prompt in both_orders(name, group)] + both_orders("pair", pairs)
    if judge.rubric:
        asked += [prompts.rubric(f"rubric:{which}:{p[0]}", p[1], p[2 + side]) for side, which in enumerate("ab") for p in pairs]
    said = replies(run, judge, asked, run.path / "scores" / "judge-record.jsonl")
    verdicts = read_pairs("pair", pairs, said)
    found: dict[str, Any] = {"status": "done", "reason": None, **tally(verdicts)}
    if found["win_rate_a"] is None:
        found["reason"] = "no reply of this judge could be read"
    found["length_controlled"] = length_controlled(verdicts, [(a, b) for _, _, a, b in pairs])
    found["controls"] = {name: control(read_pairs(name, group, said), EXPECTED[name]) for name, group in controls.items()}
    found["trusted"] = all(result["passed"] for result in found["controls"].values())
    found["empty"] = {system: sum(not pair[2 + side].strip() for pair in pairs) for side, system in enumerate(systems)}
    found["verdicts"] = {identity: verdict.winner for (identity, *_), verdict in zip(pairs, verdicts, strict=True) if not verdict.unparsable}
    found["systems"] = {}
    for side, (which, system) in enumerate(zip("ab", systems, strict=True)):
        share = {key: found[key] for key in ("win_rate_a", "low", "high")}
        if side and share["win_rate_a"] is not None:
            share = {"win_rate_a": 1 - share["win_rate_a"], "low": 1 - share["high"], "high": 1 - share["low"]}
        rubric = {p[0]: prompts.read_marks(said[f"rubric:{which}:{p[0]}"]) for p in pairs} if judge.rubric else {}
        found["systems"][system] = {
            "win_rate": share["win_rate_a"],
            "low": share["low"],
            "high": share["high"],
            "n": len(pairs),
            "rubric": marks(rubric, run.profile.seed) if judge.rubric else None,
        }
    return found
