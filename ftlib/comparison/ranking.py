"""A ranking by the reader's own weights, and how firmly it stands. There is no ranking without them."""

from __future__ import annotations

from collections.abc import Mapping

from ftlib.comparison.cost import SystemCost
from ftlib.comparison.flexibility import probe
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import better_is_higher
from ftlib.comparison.table import Cell, Column, Figure, Table
from ftlib.configuration import nearest
from ftlib.errors import ProfileError

CRITERIA = {
    "precision": "primary metric",
    "efficiency": "training wall time (0 for what is not trained)",
    "cost": "accounted cost of training and 10,000 answers",
    "flexibility": "retention",
}
ANSWERS = 10_000


def read_weights(text: str) -> dict[str, float]:
    """``precision=2,cost=1`` as weights that sum to 1. Raises ProfileError naming what is wrong."""
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if name not in CRITERIA:
            raise ProfileError(f"weights: unknown criterion {name!r}{nearest(name, list(CRITERIA))}.")
        if name in weights:
            raise ProfileError(f"weights: {name} is given twice.")
        try:
            weights[name] = float(value) if sign else -1.0
        except ValueError:
            weights[name] = -1.0
        if not 0 <= weights[name] < float("inf"):
            raise ProfileError(f"weights: {part!r} must be written as {name}=NUMBER with a number of 0 or more, for example precision=2,cost=1.")
    total = sum(weights.values())
    if total == 0:
        raise ProfileError(f"weights: give at least one above 0, for example precision=2,cost=1 (there are: {', '.join(CRITERIA)}).")
    return {name: value / total for name, value in weights.items()}


def measured(material: Material, found: Mapping[str, SystemCost], system: str) -> dict[str, float | None]:
    """The figure of each criterion, signed so that more is better; None where it is n/a."""
    value = material.systems[system]["metrics"][material.primary]["value"]
    one = found[system]
    total, hours = one.total(ANSWERS), one.train_hours.value
    return {
        "precision": value if better_is_higher(material) else -value,
        "efficiency": None if hours is None else -hours,
        "cost": None if total is None else -total,
        "flexibility": probe(material, system, "retention").value,
    }


def scaled(values: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, float | None]]:
    """Each criterion scaled between its worst (0) and best (1) system; all 1 where they are equal."""
    out: dict[str, dict[str, float | None]] = {name: {} for name in values}
    for criterion in CRITERIA:
        known = [v for row in values.values() if (v := row[criterion]) is not None]
        low, high = min(known, default=0.0), max(known, default=0.0)
        for name, row in values.items():
            v = row[criterion]
            out[name][criterion] = None if v is None else 1.0 if high == low else (v - low) / (high - low)
    return out


def order(values: Mapping[str, Mapping[str, float | None]], weights: Mapping[str, float]) -> list[tuple[str, float]]:
    """Systems with their weighted sums, best first; those without a weighted criterion's figure are left out."""
    sums = {}
    for name, row in values.items():
        parts = [None if (v := row[c]) is None else w * v for c, w in weights.items() if w > 0]
        if None not in parts:
            sums[name] = sum(p for p in parts if p is not None) / sum(weights.values())
    return sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))


def ranking(material: Material, found: Mapping[str, SystemCost], text: str) -> Table:
    """The ranking by the reader's weights, and the first place when each weight is halved, doubled or dropped."""
    weights = read_weights(text)
    raw = {name: measured(material, found, name) for name in found}
    values = scaled(raw)
    placed = order(values, weights)
    columns = [
        Column("place", "Place"),
        Column("system", "System"),
        Column("sum", "weighted sum", "", "0 is the worst of these systems in everything, 1 the best"),
        *(
            Column(name, f"{name} (weight {weights.get(name, 0):.2f})", "", f"{about}, scaled from worst (0) to best (1)")
            for name, about in CRITERIA.items()
        ),
    ]
    rows: list[dict[str, Cell]] = []
    for place, (name, total) in enumerate(placed, 1):
        cells = {c: Figure(None, na="n/a here, weight 0") if (v := values[name][c]) is None else Figure(v, digits=2) for c in CRITERIA}
        rows.append({"place": str(place), "system": name, "sum": Figure(total, digits=3), **cells})
    for name in (name for name in found if name not in dict(placed)):
        missing = [c for c, w in weights.items() if w > 0 and raw[name][c] is None]
        rows.append(
            {
                "place": "n/a",
                "system": name,
                "sum": Figure(None, na=f"no figure for {', '.join(missing)}"),
                **{c: Figure(None, na="no figure") if (v := values[name][c]) is None else Figure(v, digits=2) for c in CRITERIA},
            }
        )
    return Table(
        "ranking",
        "Ranking by your own weights",
        "Your weights, your ranking: it says nothing beyond them.",
        columns,
        rows,
        firmness(values, weights, placed),
    )


def firmness(values: Mapping[str, Mapping[str, float | None]], weights: Mapping[str, float], placed: list[tuple[str, float]]) -> list[str]:
    """What happens to the first place when each weight is halved, doubled or dropped."""
    if not placed:
        return ["No system has figures for every criterion with a weight, so none is ranked."]
    notes, first = [], placed[0][0]
    for name, weight in weights.items():
        for word, factor in (("halved", 0.5), ("doubled", 2.0), ("dropped", 0.0)):
            changed = {**weights, name: weight * factor}
            if sum(changed.values()) == 0:
                continue
            again = order(values, changed)
            if again and again[0][0] != first:
                notes.append(f"With the weight of {name} {word}, {again[0][0]} would be first.")
    return notes or [f"{first} stays first when any weight is halved, doubled or dropped."]
