"""Which system one would choose for so many answers a month, and what would change that choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftlib.comparison.cost import HOURS, VOLUMES, SystemCost
from ftlib.comparison.load import Material
from ftlib.comparison.pairs import difference, pair, ranked, score, significant
from ftlib.comparison.table import Cell, Column, Figure, Table, known, listed

SCENARIOS: list[tuple[str, float, float]] = [("as in the price book", 1, 1), ("GPU hour at half price", 0.5, 1), ("GPU hour at double price", 2, 1),
                                             ("bills at half price", 1, 0.5), ("bills at double price", 1, 2)]


@dataclass(frozen=True)
class Choice:
    """The system chosen at a volume, its cost, and why in one sentence."""

    volume: int
    system: str | None
    usd: float | None
    why: str


def as_good(material: Material) -> list[str]:
    """The best system and those that cannot be told apart from it, trivial ones left out; best first.

    A system whose difference to the best was not tested counts as worse: nothing says that it is as good.
    """
    order = ranked(material, trivial=False)
    return [name for name in order if name == order[0] or ((row := pair(material, name, order[0])) is not None and not significant(row))]


def cheapest(names: list[str], found: Mapping[str, SystemCost], volume: float, gpu: float = 1, hosted: float = 1) -> tuple[str | None, float | None]:
    """The cheapest of some systems at a volume, and what it costs; the earlier one where two cost the same; None where no cost is known."""
    priced = [(total, i, name) for i, name in enumerate(names) if (total := found[name].total(volume, gpu=gpu, hosted=hosted)) is not None]
    return (min(priced)[2], min(priced)[0]) if priced else (None, None)


def choices(material: Material, found: Mapping[str, SystemCost]) -> list[Choice]:
    """One choice for each volume: the cheapest of the systems that are as good as the best."""
    return [_choose(material, found, volume) for volume in VOLUMES]


def _choose(material: Material, found: Mapping[str, SystemCost], volume: int) -> Choice:
    good = as_good(material)
    if not good:
        return Choice(volume, None, None, "No model was scored, so there is nothing to choose.")
    name, usd = cheapest(good, found, volume)
    unknown = [other for other in good if found[other].total(volume) is None]
    if name is None or usd is None:
        fastest = sorted((seconds, i, n) for i, n in enumerate(good) if (seconds := found[n].seconds.value) is not None)
        name = fastest[0][2] if fastest else good[0]
        reason = f"{listed(good)} {'is' if len(good) == 1 else 'are'} the best and cannot be told apart" if len(good) > 1 else f"{name} is the best"
        return Choice(volume, name, None, f"{reason}; what a month costs is not known ({found[name].fixed.na or found[name].per_1000.na})"
                                          + (f", and {name} takes the least time for an answer." if len(good) > 1 and fastest else "."))
    if len(good) == 1:
        why = f"{name} is better than every other model ({score(material, name).text()} on {material.primary}); {volume:,} answers cost {usd:,.2f} USD with its training."
    else:
        why = f"{listed(good)} cannot be told apart in quality, and {name} costs the least: {usd:,.2f} USD for training and {volume:,} answers."
    if unknown:
        why += f" The cost of {listed(unknown)} is not known, so {'it is' if len(unknown) == 1 else 'they are'} left out of the choice."
    return Choice(volume, name, usd, why + _capacity(found[name], volume) + _cheaper(material, found, name, usd, volume))


def _capacity(one: SystemCost, volume: int) -> str:
    hours = one.machine_hours(volume)
    return "" if hours is None or hours < HOURS else f" That is {hours / HOURS:.1f} machines at work all month."


def _cheaper(material: Material, found: Mapping[str, SystemCost], name: str, usd: float, volume: int) -> str:
    """What a cheaper but worse system would save and lose."""
    totals = {other: total for other, one in found.items() if other != name and (total := one.total(volume)) is not None and total < usd}
    if not totals:
        return ""
    other = min(totals, key=lambda key: (totals[key], key))
    gap = difference(material, other, name)
    return f" {other} would cost {totals[other]:,.2f} USD" + (f" but is {number_of(gap)}." if gap.value is not None and gap.value < 0 else ".")


def number_of(gap: Figure) -> str:
    """A negative difference in words: ``4.1 points worse (3.0 to 5.2)``."""
    assert gap.value is not None
    worse = Figure(-gap.value, gap.unit, low=None if gap.high is None else -gap.high, high=None if gap.low is None else -gap.low, digits=gap.digits)
    shown = worse.text()
    head, space, tail = shown.partition(" ")
    return f"{head} {gap.unit or 'lower'} worse{space}{tail}".replace("  ", " ")


def sensitivity(material: Material, found: Mapping[str, SystemCost]) -> Table:
    """Totals and choices when prices are half or double."""
    columns = [Column("scenario", "Prices"), *(Column(f"choice.{n}", f"choice at {n:,} answers") for n in VOLUMES),
               *(Column(f"{name}.{n}", f"{name} at {n:,}", "USD") for name in found for n in VOLUMES)]
    good = as_good(material)
    rows: list[dict[str, Cell]] = []
    for title, gpu, hosted in SCENARIOS:
        row: dict[str, Cell] = {"scenario": title}
        for n in VOLUMES:
            row[f"choice.{n}"] = cheapest(good, found, n, gpu, hosted)[0] or "n/a: no cost is known"
            row |= {f"{name}.{n}": known(one.total(n, gpu=gpu, hosted=hosted), one.fixed.na or one.per_1000.na, unit="USD", digits=2) for name, one in found.items()}
        rows.append(row)
    steady = [n for n in VOLUMES if len({str(row[f"choice.{n}"]) for row in rows}) == 1]
    notes = [f"The choice at {n:,} answers {'stays the same' if n in steady else 'changes'} when prices halve or double." for n in VOLUMES]
    return Table("sensitivity", "Sensitivity to prices", "Accounted cost of training and so many answers, and the choice among the systems that are as good as the best.", columns, rows, notes)
