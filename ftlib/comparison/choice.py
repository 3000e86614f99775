"""Which system one would choose for so many answers a month, and what would change that choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ftlib.comparison.cost import HOURS, VOLUMES, SystemCost
from ftlib.comparison.load import Material, label
from ftlib.comparison.pairs import better_is_higher, difference, pair, ranked, score, significant
from ftlib.comparison.table import Cell, Column, Figure, Table, known, listed, number

SCENARIOS: list[tuple[str, float, float]] = [
    ("as in the price book", 1, 1),
    ("GPU hour at half price", 0.5, 1),
    ("GPU hour at double price", 2, 1),
    ("bills at half price", 1, 0.5),
    ("bills at double price", 1, 2),
]
OWN = "On a machine of one's own they are paid with nothing but time."


@dataclass(frozen=True)
class Choice:
    """The system chosen at a volume, its cost, and why in one sentence."""

    volume: int
    system: str | None
    usd: float | None
    why: str
    time: str = ""  # what so many answers take on a machine of one's own

    def sentence(self) -> str:
        """All of it in words."""
        return f"At {self.volume:,} answers a month: {self.said()}"

    def said(self) -> str:
        """The system, its cost and why, without the volume."""
        money = "" if self.usd is None else f" ({self.usd:,.2f} USD in the first month, training included)"
        return f"{self.system or 'none'}{money}. {self.why}" + (f" {self.time} {OWN}" if self.time else "")


def paragraphs(made: Sequence[Choice]) -> list[str]:
    """The choices as paragraphs: one for all volumes at which the same is said, but for the hours that the answers take."""
    groups: dict[str, list[Choice]] = {}
    for choice in made:
        groups.setdefault(replace(choice, time="").said(), []).append(choice)
    said = []
    for text, group in groups.items():
        volumes, times = listed([f"{choice.volume:,}" for choice in group]), [choice.time for choice in group if choice.time]
        said.append(f"At {volumes} answers a month: {' '.join([text, *times, *([OWN] if times else [])])}")
    return said


def as_good(material: Material) -> list[str]:
    """The best system and those that cannot be told apart from it, trivial ones left out; best first.

    A system whose difference to the best was not tested counts as worse: nothing says that it is as good.
    """
    order = ranked(material, trivial=False)
    return [name for name in order if name == order[0] or ((row := pair(material, name, order[0])) is not None and not significant(row))]


def cheapest(
    names: Sequence[str], found: Mapping[str, SystemCost], volume: float, *, gpu: float = 1, hosted: float = 1, paid: bool = False
) -> tuple[str | None, float | None]:
    """The cheapest of some systems at a volume, and what it costs; the earlier one where two cost the same; None where no cost is known.

    ``paid`` counts money charged alone; ``gpu`` and ``hosted`` multiply the prices of the accounted cost.
    """
    totals = {name: found[name].paid(volume) if paid else found[name].total(volume, gpu=gpu, hosted=hosted) for name in names}
    priced = [(round(total, 6), i, name) for i, (name, total) in enumerate(totals.items()) if total is not None]
    return (min(priced)[2], min(priced)[0]) if priced else (None, None)


def choices(material: Material, found: Mapping[str, SystemCost]) -> list[Choice]:
    """One choice for each volume: the cheapest of the systems that are as good as the best."""
    return [_without_model(material, _choose(material, found, volume)) for volume in VOLUMES]


def _without_model(material: Material, choice: Choice) -> Choice:
    """The same choice, or what needs no model at all where that is shown to be better than the model chosen."""
    best = ranked(material)[:1]
    if choice.system is None or not best or material.state(best[0]) != "trivial":
        return choice
    gap = difference(material, choice.system, best[0])
    if not gap.mark:
        return choice
    why = f"{label(best[0]).capitalize()} is better than every model, and nothing is trained or billed for it; {choice.system} is {worse_by(gap)}."
    return Choice(choice.volume, best[0], 0.0, f"{why} Among the models: {choice.system}. {choice.why}", choice.time)


def _choose(material: Material, found: Mapping[str, SystemCost], volume: int) -> Choice:
    good = as_good(material)
    if not good:
        return Choice(volume, None, None, "No model was scored, so there is nothing to choose.")
    unpriced = [name for name in good if found[name].total(volume) is None]
    name, usd = cheapest(good, found, volume, paid=bool(unpriced))
    if name is None or usd is None:
        reason = found[good[0]].per_1000.na or found[good[0]].fixed.na
        why = f"{good[0]} has the best {material.primary}; what its answers cost is not known ({reason})."
        return Choice(volume, good[0], None, why)
    if len(good) == 1:
        why = _ahead(material, name)
    else:
        same = {round(total, 6) for other in good if (total := found[other].paid(volume) if unpriced else found[other].total(volume)) is not None}
        least = "and all of them cost the same, so the one with the best figure is taken" if len(same) == 1 else f"and {name} costs the least"
        why = f"{listed(good[1:])} cannot be told apart in quality from {good[0]}, which has the best figure, {least}."
    if unpriced:
        why += (
            f" Counted is money charged, because an hour of the machine of {listed(unpriced)} has no price here ({found[unpriced[0]].hour_price.na})."
        )
    why += _cheaper(material, found, name, usd, volume, paid=bool(unpriced)) + _no_model(material, name)
    return Choice(volume, name, usd, why, _hours(found[name], volume))


def _ahead(material: Material, name: str) -> str:
    """Why the one model that nothing is as good as is chosen."""
    others = [other for other in ranked(material, trivial=False) if other != name]
    untested = [other for other in others if pair(material, name, other) is None]
    figure = f"({score(material, name).text()} on {material.primary})"
    if untested:
        return f"{name} has the best figure of the models {figure}, and was not tested against {listed(untested)}."
    return f"{name} is better than every other model {figure}." if others else f"{name} is the only model that was scored {figure}."


def _no_model(material: Material, name: str) -> str:
    """What needs no model and cannot be told apart from a system."""
    trivial = [other for other in ranked(material) if material.state(other) == "trivial"]
    rivals = [other for other in trivial if (row := pair(material, name, other)) and not significant(row)]
    return f" Without any model, {listed([label(other) for other in rivals])} cannot be told apart from it." if rivals else ""


def _hours(one: SystemCost, volume: int) -> str:
    """Machine time of so many answers, and how many machines that keeps busy."""
    hours = one.machine_hours(volume)
    if hours is None:
        return ""
    busy = f", {hours / HOURS:.1f} machines at work all month" if hours > HOURS else ""
    return f"{volume:,} answers take {one.system} {number(hours, 1)} machine hours{busy}."


def _cheaper(material: Material, found: Mapping[str, SystemCost], name: str, usd: float, volume: int, *, paid: bool) -> str:
    """What the cheapest worse system would save and lose."""
    other, total = cheapest([other for other in found if other != name], found, volume, paid=paid)
    if other is None or total is None or total >= usd - 0.005:
        return ""
    gap = difference(material, other, name)
    worse = gap.value is not None and (gap.value < 0) == better_is_higher(material) and gap.value != 0
    return f" {other} would cost {total:,.2f} USD" + (f" but is {worse_by(gap)}." if worse else ".")


def worse_by(gap: Figure) -> str:
    """A difference in words, as a size: ``4.1 points worse (3.0 to 5.2)``."""
    assert gap.value is not None
    flip = -1 if gap.value < 0 else 1
    ends = sorted(flip * end for end in (gap.low, gap.high) if end is not None)
    shown = Figure(abs(gap.value), low=ends[0] if len(ends) == 2 else None, high=ends[-1] if len(ends) == 2 else None, digits=gap.digits).text()
    head, space, tail = shown.partition(" ")
    return f"{head} {gap.unit} worse{space}{tail}".replace("  ", " ")


def sensitivity(material: Material, found: Mapping[str, SystemCost]) -> Table:
    """Totals and choices when prices are half or double."""
    columns = [
        Column("scenario", "Prices"),
        *(Column(f"choice.{n}", f"choice at {n:,} answers") for n in VOLUMES),
        *(Column(f"{name}.{n}", f"{name} at {n:,}", "USD") for name in found for n in VOLUMES),
    ]
    good = as_good(material)
    rows: list[dict[str, Cell]] = []
    for title, gpu, hosted in SCENARIOS:
        row: dict[str, Cell] = {"scenario": title}
        for n in VOLUMES:
            row[f"choice.{n}"] = cheapest(good, found, n, gpu=gpu, hosted=hosted)[0] or "n/a: no cost is known"
            row |= {
                f"{name}.{n}": known(one.total(n, gpu=gpu, hosted=hosted), one.fixed.na or one.per_1000.na, unit="USD", digits=2)
                for name, one in found.items()
            }
        rows.append(row)
    steady = [n for n in VOLUMES if len({str(row[f"choice.{n}"]) for row in rows}) == 1]
    notes = [f"The choice at {n:,} answers {'stays the same' if n in steady else 'changes'} when prices halve or double." for n in VOLUMES]
    return Table(
        "sensitivity",
        "Sensitivity to prices",
        "Accounted cost of training and so many answers, and the choice among the systems that are as good as the best.",
        columns,
        rows,
        notes,
    )
