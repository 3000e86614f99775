"""Which system one would choose for so many answers a month, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ftlib.comparison.cost import HOURS, VOLUMES, SystemCost
from ftlib.comparison.enough import DEGENERATE, mostly_degenerate
from ftlib.comparison.load import Material, label
from ftlib.comparison.pairs import better_is_higher, difference, pair, ranked, score, significant, tied
from ftlib.comparison.table import Figure, listed, number

CENTS = 2  # decimals of a dollar in which two costs are told apart
NONE = "no model"
NOTHING = "No model was scored, so there is nothing to choose."
UNFIT = f"More than {100 * DEGENERATE:.0f} % of the answers of every model are degenerate, so none is chosen."
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

    @property
    def money(self) -> str:
        """What it costs, in words; empty where that is not known."""
        return money(self.usd)

    @property
    def reason(self) -> str:
        """Why, and what the answers take on a machine of one's own."""
        return self.why + (f" {self.time} {OWN}" if self.time else "")

    def said(self) -> str:
        """The system, its cost and the reason, without the volume."""
        return f"{self.system or NONE}{f' ({self.money})' if self.money else ''}. {self.reason}"


def money(usd: float | None) -> str:
    """A month's cost in words; empty where it is not known."""
    return "" if usd is None else f"{usd:,.2f} USD in the first month, training included"


def merged(made: Sequence[Choice]) -> list[tuple[str, Choice]]:
    """Volumes and choice: one for all volumes at which the same is said, but for the hours that the answers take."""
    groups: dict[str, list[Choice]] = {}
    for choice in made:
        groups.setdefault(replace(choice, time="").said(), []).append(choice)
    return [
        (listed([f"{choice.volume:,}" for choice in group]), replace(group[0], time=" ".join(choice.time for choice in group if choice.time)))
        for group in groups.values()
    ]


def paragraphs(made: Sequence[Choice]) -> list[str]:
    """The choices as paragraphs."""
    return [f"At {volumes} answers a month: {choice.said()}" for volumes, choice in merged(made)]


def as_good(material: Material) -> list[str]:
    """The best system and those that cannot be told apart from it, best first; trivial ones and those that are mostly degenerate left out.

    A system whose difference to the best was not tested counts as worse: nothing says that it is as good.
    """
    order = [name for name in ranked(material, trivial=False) if not mostly_degenerate(material, name)]
    return [name for name in order if name == order[0] or ((row := pair(material, name, order[0])) is not None and not significant(row))]


def left_out(material: Material, good: Sequence[str]) -> list[str]:
    """The models that are mostly degenerate and by their figure would be among those as good as the best, or ahead of them; best first."""
    order = ranked(material, trivial=False)
    ahead = order[: order.index(good[0])] if good else order
    return [name for name in order if mostly_degenerate(material, name) and (name in ahead or tied(material, name, good[0]))]


def cheapest(
    names: Sequence[str], found: Mapping[str, SystemCost], volume: float, *, gpu: float = 1, hosted: float = 1, paid: bool = False
) -> tuple[str | None, float | None]:
    """The cheapest of some systems at a volume, and what it costs; the earlier one where two cost the same to the cent; None where none is known.

    ``paid`` counts money charged alone; ``gpu`` and ``hosted`` multiply the prices.
    """
    totals = {name: found[name].paid(volume, hosted=hosted) if paid else found[name].total(volume, gpu=gpu, hosted=hosted) for name in names}
    priced = [(round(total, CENTS), i, name) for i, (name, total) in enumerate(totals.items()) if total is not None]
    _, _, name = min(priced, default=(0.0, 0, None))
    return name, totals[name] if name else None


@dataclass(frozen=True)
class Pick:
    """What one would choose at a volume and at some prices: what verdict and sensitivity both go by."""

    good: list[str]  # the models that are as good as the best model, best first
    model: str | None  # the one among them; None where no model was scored
    usd: float | None  # None: not known
    charged: list[str]  # of ``good``: whose machine hours have no price, so that money charged is counted for all
    unknown: list[str]  # of ``good``: of whose cost nothing is known
    left: list[str]  # models left out, because they are mostly degenerate
    free: str | None  # what needs no model, where it has the best figure of all: a yardstick, which is not chosen

    @property
    def system(self) -> str | None:
        """The system chosen."""
        return None if self.free else self.model


def pick(material: Material, found: Mapping[str, SystemCost], volume: float, *, gpu: float = 1, hosted: float = 1) -> Pick:
    """The cheapest of the models that are as good as the best."""
    good = as_good(material)
    charged = [name for name in good if found[name].total(volume) is None and found[name].paid(volume) is not None]
    unknown = [name for name in good if (found[name].paid(volume) if charged else found[name].total(volume)) is None]
    model, usd = cheapest(good, found, volume, gpu=gpu, hosted=hosted, paid=bool(charged))
    best = ranked(material)[:1]
    free = best[0] if good and material.state(best[0]) == "trivial" else None
    return Pick(good, model or (good[0] if good else None), usd, charged, unknown, left_out(material, good), free)


def choices(material: Material, found: Mapping[str, SystemCost]) -> list[Choice]:
    """One choice for each volume."""
    return [_choice(material, found, volume) for volume in VOLUMES]


def _choice(material: Material, found: Mapping[str, SystemCost], volume: int) -> Choice:
    made = pick(material, found, volume)
    left = f"Left out: {'; '.join(f'{name}, {mostly_degenerate(material, name)}' for name in made.left)}." if made.left else ""
    if made.model is None:
        return Choice(volume, None, None, f"{UNFIT} {left}" if left else NOTHING)
    why = f"{left} {_why(material, found, made, volume)}".lstrip()
    time = _hours(found[made.model], volume)
    if made.free is None:
        return Choice(volume, made.model, made.usd, why, time)
    among = f"{made.model} ({money(made.usd)})" if made.usd is not None else made.model
    return Choice(volume, None, None, f"{_yardstick(material, made.free, made.model)} Among the models: {among}. {why}", time)


def _yardstick(material: Material, free: str, model: str) -> str:
    """Why no model is chosen: what needs none has the best figure; what a test says of it and the models, and that it is no product."""
    gap = difference(material, model, free)
    if all(tied(material, free, other) is False for other in ranked(material, trivial=False)):
        ahead = "is better than every model"
    else:
        ahead = f"has the best {material.primary} of all ({score(material, free).text()})"
    if gap.value is None:
        stands = "was not tested against it"
    else:
        stands = f"is {worse_by(gap)}" if gap.mark else f"cannot be told apart from it ({gap.text()} {gap.unit})".replace(" )", ")")
    what = "It leads as a yardstick alone: it needs no model, but its texts are not written for the title, so it is no product"
    return f"{label(free).capitalize()} {ahead}. {what}; {model} {stands}."


def _why(material: Material, found: Mapping[str, SystemCost], made: Pick, volume: int) -> str:
    """Why that model among the models."""
    good, name = made.good, made.model
    assert name is not None
    if len(good) == 1:
        why = _ahead(material, name, made.left)
    else:
        alike = f"{listed(good[1:])} cannot be told apart in quality from {good[0]}"
        why = f"{alike}, which has the best figure of the models{' that are left' if made.left else ''}{_least(found, made, volume)}."
    if made.unknown:
        reasons = {found[other].per_1000.na or found[other].fixed.na: None for other in made.unknown}
        why += f" What the answers of {listed(made.unknown)} cost is not known ({'; '.join(reasons)})."
    if made.charged:
        why += (
            f" Counted is money charged, because an hour of the machine of {listed(made.charged)} has no price here"
            f" ({found[made.charged[0]].hour_price.na}; the row to add stands under Operational cost)."
        )
    if found[name].hosting.value:
        why += f" {found[name].hosting.text()} USD a month of it keep {name} ready, whether it is asked or not."
    why += _cheaper(material, found, made, volume)
    return why + _no_model(material, name, made.free)


def _least(found: Mapping[str, SystemCost], made: Pick, volume: int) -> str:
    """How the model chosen stands in cost to the others that are as good, as a clause."""
    known = [name for name in made.good if name not in made.unknown]
    if not known:
        return ", and is taken because no cost is known"
    if len(known) == 1:
        return f", and only of {known[0]} the cost is known"
    totals = {round(found[name].paid(volume) if made.charged else found[name].total(volume), CENTS) for name in known}  # type: ignore[arg-type]
    if len(totals) > 1:
        least, *_, most = sorted(totals)
        return (
            f", and {made.model} costs the least" + (" of those whose cost is known" if made.unknown else "") + f" ({least:,.2f} to {most:,.2f} USD)"
        )
    if made.unknown:
        return f", and {listed(known)} cost the same, of which {made.model} has the best figure"
    return ", and all of them cost the same to the cent, so the one with the best figure is taken"


def _ahead(material: Material, name: str, left: Sequence[str]) -> str:
    """Why the one model that nothing is as good as is chosen."""
    others = [other for other in ranked(material, trivial=False) if other not in (name, *left)]
    untested = [other for other in others if pair(material, name, other) is None]
    figure, absent = f"({score(material, name).text()} on {material.primary})", _absent(material)
    there = "that is left" if left else "that was scored"
    if untested:
        said = f"{name} has the best figure of the models{' that are left' if left else ''} {figure}, and was not tested against {listed(untested)}."
    elif not others:
        said = f"{name} is the only model {there} {figure}."
    elif len(others) == 1:
        whom = "its own base" if others[0] == material.base_of(name) else others[0]
        said = f"{name} is better than {whom}, the only other model {there} {figure}."
    else:
        said = f"{name} is better than every other model{f' {there}' if left or absent else ''} {figure}."
    return said + absent


def _absent(material: Material) -> str:
    """Which contestants and systems have no figure, and why in a word."""
    owners = {name.removesuffix(".base").removesuffix(".tuned") for name in (*material.scored, *material.stopped)}
    names = [*not_tested(material), *(f"{name} (not scored)" for name in material.contestants if name not in owners)]
    return f" Without a figure: {listed(names)}." if names else ""


def not_tested(material: Material) -> list[str]:
    """What was refused or failed, each with that word: ``gpt (refused)``."""
    return [f"{name} ({told['status']})" for name, told in material.stopped.items()]


def _no_model(material: Material, name: str, besides: str | None) -> str:
    """What needs no model and is better than a model or cannot be told apart from it, but for the one that is named already."""
    rivals = [other for other in ranked(material) if material.state(other) == "trivial" and other != besides]
    alike = [label(other) for other in rivals if tied(material, other, name)]
    higher = ranked(material).index(name)
    better = [label(other) for other in ranked(material)[:higher] if other in rivals and tied(material, other, name) is False]
    said = [f"{listed(better)} {'is' if len(better) == 1 else 'are'} better than {name}"] if better else []
    said += [f"{listed(alike)} cannot be told apart from {name}"] if alike else []
    return f" Without any model, {listed(said)}." if said else ""


def _hours(one: SystemCost, volume: int) -> str:
    """Machine time of so many answers, and how many machines that keeps busy."""
    hours = one.machine_hours(volume)
    if hours is None:
        return ""
    busy = f", {hours / HOURS:.1f} machines at work all month" if hours > HOURS else ""
    return f"{volume:,} answers take {one.system} {number(hours, 1)} machine hours{busy}."


def _cheaper(material: Material, found: Mapping[str, SystemCost], made: Pick, volume: int) -> str:
    """What the cheapest worse model would save and lose."""
    name, usd = made.model, made.usd
    if name is None or usd is None:
        return ""
    other, total = cheapest([other for other in found if other not in (name, *made.left)], found, volume, paid=bool(made.charged))
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
