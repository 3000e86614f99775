"""Whether the choice changes when prices halve or double."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftlib.comparison.choice import NONE, NOTHING, UNFIT, Pick, pick
from ftlib.comparison.cost import VOLUMES, SystemCost
from ftlib.comparison.load import Material
from ftlib.comparison.table import Cell, Column, Table, known, listed

SCENARIOS: list[tuple[str, float, float]] = [
    ("as in the price book", 1, 1),
    ("GPU hour at half price", 0.5, 1),
    ("GPU hour at double price", 2, 1),
    ("bills at half price", 1, 0.5),
    ("bills at double price", 1, 2),
]


def sensitivity(material: Material, found: Mapping[str, SystemCost]) -> Table:
    """Totals and choices when prices are half or double."""
    columns = [
        Column("scenario", "Prices"),
        *(Column(f"choice.{n}", f"choice at {n:,} answers") for n in VOLUMES),
        *(Column(f"{name}.{n}", f"{name} at {n:,}", "USD") for name in found for n in VOLUMES),
    ]
    rows: list[dict[str, Cell]] = []
    picks: dict[int, list[Pick]] = {n: [] for n in VOLUMES}
    for title, gpu, hosted in SCENARIOS:
        row: dict[str, Cell] = {"scenario": title}
        for n in VOLUMES:
            picks[n].append(pick(material, found, n, gpu=gpu, hosted=hosted))
            made = picks[n][-1]
            row[f"choice.{n}"] = made.system or (f"{NONE} (among the models {made.model})" if made.model else NONE)
            row |= {
                f"{name}.{n}": known(one.total(n, gpu=gpu, hosted=hosted), one.fixed.na or one.per_1000.na, unit="USD", digits=2)
                for name, one in found.items()
            }
        rows.append(row)
    notes = list(dict.fromkeys(_steadiness(n, made) for n, made in picks.items()))
    charged = list(dict.fromkeys(name for of_volume in picks.values() for name in of_volume[0].charged))
    if charged:
        notes.append(f"Choices go by money charged, because an hour of the machine of {listed(charged)} has no price here.")
    return Table(
        "sensitivity",
        "Sensitivity to prices",
        "Accounted cost of training and so many answers, and the choice that the verdict would make at these prices.",
        columns,
        rows,
        notes,
    )


def _steadiness(volume: int, picks: Sequence[Pick]) -> str:
    """Whether the choice at a volume changes with the prices; ``picks`` holds one for each scenario."""
    first = picks[0]
    if first.model is None:
        return UNFIT if first.left else NOTHING
    if first.usd is None:
        models = f"rests on no price, because what the answers of {first.model} cost is not known"
    else:
        models = f"{'stays the same' if len({one.model for one in picks}) == 1 else 'changes'} when prices halve or double"
    if first.free:
        return f"At {volume:,} answers {NONE} is chosen at any price, because {first.free} leads; the one among the models, {first.model}, {models}."
    return f"The choice at {volume:,} answers {models}."
