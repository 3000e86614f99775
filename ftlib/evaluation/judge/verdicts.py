"""From the judge's choices in both orders to shares, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftlib.evaluation import statistics
from ftlib.evaluation.judge.prompts import CRITERIA, Choice
from ftlib.evaluation.words import unicode_words

OVERLAP = 1.25  # answers whose lengths differ by less than this factor
FEWEST = 10  # pairs of like length below which no length-controlled figure is given
PASSED = 0.8  # share of a control's pairs that must come out as they should


@dataclass(frozen=True)
class Verdict:
    """One pair: what the judge said with a first, and with b first (None: the reply could not be read)."""

    a_first: Choice | None
    b_first: Choice | None

    @property
    def unparsable(self) -> bool:
        """At least one of the two replies could not be read."""
        return self.a_first is None or self.b_first is None

    @property
    def consistent(self) -> bool:
        """Both orders say the same of the two answers."""
        return not self.unparsable and (self.a_first, self.b_first) in {("first", "second"), ("second", "first"), ("tie", "tie")}

    @property
    def winner(self) -> str:
        """a, b or tie; a pair that is judged differently in the other order is a tie."""
        if not self.consistent or self.a_first == "tie":
            return "tie"
        return "a" if self.a_first == "first" else "b"


def tally(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Wins, ties and how steady the judge was.

    Returns n, wins_a, wins_b, ties, unparsable, win_rate_a (ties half, with Wilson's interval, which eight wins of eight do
    not shrink to nothing; None where no reply could be read), p (exact sign test on the pairs with a winner), consistency
    (of the pairs that could be read) and first_position_rate (how often the first place won, of the replies that chose one;
    0.5 is fair).
    """
    winners = [verdict.winner for verdict in verdicts]
    points = winners.count("a") + winners.count("tie") / 2
    readable = [verdict for verdict in verdicts if not verdict.unparsable]
    chosen = [choice for verdict in verdicts for choice in (verdict.a_first, verdict.b_first) if choice in ("first", "second")]
    found: dict[str, Any] = {
        "n": len(verdicts),
        "wins_a": winners.count("a"),
        "wins_b": winners.count("b"),
        "ties": winners.count("tie"),
        "unparsable": len(verdicts) - len(readable),
        "win_rate_a": None,
        "low": None,
        "high": None,
    }
    if readable:
        low, high = statistics.wilson(points, len(verdicts))
        found |= {"win_rate_a": points / len(verdicts), "low": low, "high": high}
    found["p"] = statistics.mcnemar(winners.count("a"), winners.count("b"))
    found["consistency"] = sum(verdict.consistent for verdict in readable) / len(readable) if readable else None
    found["first_position_rate"] = chosen.count("first") / len(chosen) if chosen else None
    return found


def length_controlled(verdicts: Sequence[Verdict], texts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The tally of the pairs whose answers are about equally long; n/a where there are too few of them."""
    sizes = [(len(unicode_words(a)), len(unicode_words(b))) for a, b in texts]
    alike = [verdict for verdict, (a, b) in zip(verdicts, sizes, strict=True) if max(a, b) <= OVERLAP * min(a, b)]
    if len(alike) < FEWEST:
        return {"n": len(alike), "win_rate_a": None, "na": f"{len(alike)} of {len(verdicts)} pairs have answers of like length; {FEWEST} are needed"}
    return {**tally(alike), "na": None}


def control(verdicts: Sequence[Verdict], expected: str) -> dict[str, Any]:
    """How often a control came out as it should: ``expected`` is the winner (a or tie), said in both orders.

    A judge that chooses the first place always makes ties of its inconsistency; that is not what a control asks for.
    """
    right = sum(verdict.winner == expected and verdict.consistent for verdict in verdicts)
    rate = right / len(verdicts) if verdicts else None
    low, high = statistics.wilson(right, len(verdicts))
    return {
        "expected": expected,
        "right": right,
        "n": len(verdicts),
        "rate": rate,
        "low": low,
        "high": high,
        "passed": rate is not None and rate >= PASSED,
    }


def marks(found: Mapping[str, dict[str, float] | None], seed: int) -> dict[str, Any]:
    """Mean marks of one system's answers, each with its interval; replies that could not be read are counted."""
    good = [row for row in found.values() if row is not None]
    result: dict[str, Any] = {"n": len(good), "unparsable": len(found) - len(good)}
    if good:
        values = np.array([[row[name] for name in CRITERIA] for row in good])
        drawn = statistics.bootstrap(values, 10_000, seed) / len(good)
        for column, name in enumerate(CRITERIA):
            low, high = statistics.interval(drawn[:, column])
            result[name] = {"value": float(values[:, column].mean()), "low": low, "high": high, "unit": "of 5"}
    return result
