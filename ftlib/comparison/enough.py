"""Whether a result can be read: training was long enough (steps, answers that changed, a loss that no longer falls), answers are texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ftlib.comparison.load import Material

FEW_STEPS = 30  # optimiser steps; a warm-up alone takes several of them
ALIKE = 0.5  # share of answers that are the base's, word for word
DEGENERATE = 0.5  # share of a model's test answers with a defect above which it is not chosen, whatever its figures
MOVED = 0.02  # share of the validation loss by which it must move to count as rising or falling


def valid_losses(report: Mapping[str, Any]) -> list[float]:
    """The validation losses of a training, in order."""
    return [float(point["valid"]) for point in report.get("loss") or [] if point.get("valid") is not None]


def course(report: Mapping[str, Any]) -> str | None:
    """``rising``, ``falling`` or ``level``: the validation loss at the end of a training; None with fewer than two of them."""
    losses = valid_losses(report)
    if len(losses) < 2:
        return None
    if losses[-1] > min(losses) * (1 + MOVED):
        return "rising"
    return "falling" if losses[-1] < losses[-2] * (1 - MOVED) else "level"


def unchanged(material: Material, name: str) -> tuple[int, int]:
    """How many of a contestant's tuned answers are its base's, and how many both answered."""
    before, after = (material.items.get(f"{name}.{state}", {}) for state in ("base", "tuned"))
    both = [(before[i].answer, after[i].answer) for i in after if i in before and after[i].answer is not None and before[i].answer is not None]
    return sum((a or "").split() == (b or "").split() for a, b in both), len(both)


def too_little(material: Material, name: str) -> list[str]:
    """What says that a contestant was hardly trained at all, with figures; empty where nothing does."""
    steps = material.trainings.get(name, {}).get("steps")
    same, both = unchanged(material, name)
    said = (
        [f"it was trained for {steps:,} optimiser {'step' if steps == 1 else 'steps'} (fewer than {FEW_STEPS})"]
        if steps and steps < FEW_STEPS
        else []
    )
    return said + ([f"{same} of {both} answers are word for word its base's ({100 * ALIKE:.0f} % or more)"] if both and same >= ALIKE * both else [])


def mostly_degenerate(material: Material, system: str, whose: str = "its answers") -> str:
    """``98.5 % of its answers are degenerate (looping, cut)``, with the most frequent defects; empty unless more than DEGENERATE of a model's are.

    A second defect is named where it is at least half as frequent. Trivial systems are degenerate by construction, so nothing is said of them.
    """
    items, bad = material.items.get(system, {}), material.flagged.get(system, 0)
    if material.state(system) == "trivial" or bad <= DEGENERATE * len(items):
        return ""
    counts = Counter(flag for item in items.values() for flag in item.flags).most_common(2)
    main = [flag.replace("_", " ") for flag, count in counts if 2 * count >= counts[0][1]]
    share = f"{100 * bad / len(items):.1f}".removesuffix(".0")
    return f"{share} % of {whose} are degenerate ({', '.join(main)})"


def still_falling(material: Material, name: str) -> list[str]:
    """That a contestant's validation loss was still falling at its end, with figures; empty where it was not."""
    report = material.trainings.get(name, {})
    if course(report) != "falling":
        return []
    before, last = valid_losses(report)[-2:]
    return [
        f"its validation loss was still falling at the end ({before:.2f} to {last:.2f} between the last two looks, more than {100 * MOVED:.0f} %)"
    ]
