"""The verdict: sentences made from the figures by fixed rules, so that the same figures always give the same words.

1. A contestant that was refused or failed is said to be so, with the reason.
2. Tuned against its own base: better where the 95 % interval of the paired difference is above 0 and p after Holm is below 0.05; worse
   where it is below 0; else not shown.
3. Where it is not shown, and the interval still holds a gain of RELEVANT of the metric's scale or more: too few items to tell.
   Where it holds none: do not fine-tune, the base is as good.
4. Where tuned is better than its base, but something that needs no training (any base, few-shot, nearest, echo, constant) cannot be
   told apart from it or is better: do not fine-tune, that one is as good.
5. Instead of any "do not fine-tune": too little training to tell, where there were fewer than 30 optimiser steps or half of the answers are
   the base's word for word; instead of that of rule 3 also where the validation loss was still falling. Elsewhere a falling loss is added.
6. A system is called the best only where a paired test tells it from every other one.
7. Where more than half of a contestant's tuned answers are degenerate, its finding says so, and no headline calls its tuning worth it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ftlib.comparison.choice import Choice, not_tested, paragraphs, worse_by
from ftlib.comparison.enough import mostly_degenerate, still_falling, too_little
from ftlib.comparison.load import TRIVIAL, Material, label
from ftlib.comparison.pairs import better_is_higher, corrected, difference, leading, metric_names, pair, ranked, significant, tied, unit_of
from ftlib.comparison.table import Figure, listed, number

RELEVANT = 0.01  # of the metric's scale: 1 point on a scale of 100 is a difference worth having
HELPS = "fine-tuning helps"


@dataclass(frozen=True)
class Finding:
    """What is said of one contestant: ``fine-tuning helps`` (``, but not enough to be used``), ``do not fine-tune``, ``too few items to tell``,
    ``too little training to tell``, ``refused``, ``failed``, ``not scored``, ``not tested`` or ``not trained here``.
    """

    contestant: str
    decision: str
    sentence: str


@dataclass
class Verdict:
    """The headline, a finding for every contestant, and the sentences that compare them."""

    headline: str
    findings: list[Finding]
    between: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """All of it as sentences."""
        return [
            self.headline,
            *(f"{f.contestant}: {f.decision}. {f.sentence}" for f in self.findings),
            *self.between,
            *paragraphs(self.choices),
        ]


def verdict(material: Material, choices: list[Choice]) -> Verdict:
    """The verdict on a run."""
    findings = [_with_defects(material, _finding(material, name)) for name in material.contestants]
    headline, best = _headline(material, findings), ranked(material)[:1]
    unfit = mostly_degenerate(material, best[0], f"the answers of {best[0]}") if best else ""
    headline += f" But {unfit}." if unfit and unfit not in headline else ""
    if material.stopped and material.scored:
        headline += f" Not tested: {listed(not_tested(material))}."
    return Verdict(headline, findings, [*_seeds(material), *_between(material)], choices)


def _with_defects(material: Material, finding: Finding) -> Finding:
    """The finding, with what is wrong with most of the tuned answers."""
    tuned = f"{finding.contestant}.tuned"
    unfit = mostly_degenerate(material, tuned) if tuned in material.scored else ""
    if not unfit:
        return finding
    decision = f"{HELPS}, but not enough to be used" if finding.decision == HELPS else finding.decision
    return replace(finding, decision=decision, sentence=f"{finding.sentence} Tuned, {unfit}, whatever its {material.primary} says.")


def _seeds(material: Material) -> list[str]:
    """What the intervals do not hold: that another training of the same kind gives other figures."""
    tuned = {name.removesuffix(".tuned") for name in material.scored if material.state(name) == "tuned"}
    if not tuned:
        return []
    groups, unit = (material.summary.get("seeds") or {}).get("groups") or [], f"{unit_of(material)} of {material.primary}".strip()
    rows = "intervals are over test rows, not over trainings"
    if not groups:
        return [f"Each contestant was trained once: {rows}, and another seed may shift a figure by more than its interval."]
    spread = [f"{listed(group['contestants'])} have a standard deviation of {number(group['sd'], 1)} {unit} over their seeds" for group in groups]
    once = tuned - {name for group in groups for name in group["contestants"]}
    return [f"The {rows}: {'; '.join(spread)}{'; the others were trained once' if once else ''}."]


def _oriented(material: Material, row: dict[str, Any]) -> dict[str, Any]:
    """A pair with its sign such that positive is better."""
    return row if better_is_higher(material) else {**row, "difference": -row["difference"], "low": -row["high"], "high": -row["low"]}


def _relevant(material: Material) -> float:
    scale = (
        100.0
        if max(
            (abs(s["metrics"][material.primary]["value"]) for s in material.systems.values() if material.primary in (s.get("metrics") or {})),
            default=0,
        )
        > 1.5
        else 1.0
    )
    return RELEVANT * scale


def _finding(material: Material, name: str) -> Finding:
    tuned, base = f"{name}.tuned", f"{name}.base"
    scored = [system for system in (tuned, base) if system in material.scored]
    stands = f"{scored[0]} stands at place {ranked(material).index(scored[0]) + 1} of {len(material.scored)}." if scored else ""
    stopped = next((who for who in (name, tuned, base) if who in material.stopped), None)
    if stopped:
        told = material.stopped[stopped]
        why = f"{told.get('reason') or 'No reason was given'}.".replace("..", ".")
        return Finding(name, str(told["status"]), why if stopped == name else f"{stopped}: {why} {stands}".strip())
    if not scored:
        return Finding(name, "not scored", "It has no answers on the test set.")
    if tuned not in scored or base not in scored:
        return Finding(name, "not trained here", stands)
    row = pair(material, tuned, base)
    if row is None:
        return Finding(name, "not tested", f"{tuned} and {base} were not compared item by item.")
    return _judged(material, name, _oriented(material, row))


def _judged(material: Material, name: str, row: dict[str, Any]) -> Finding:
    """What the tested difference to the own base says, where the training was long enough to say it."""
    tuned, base = f"{name}.tuned", f"{name}.base"
    gain = Figure(row["difference"], low=row["low"], high=row["high"]).text()
    unit = f"{unit_of(material)} of {material.primary}".strip()
    sure, falling = significant(row), still_falling(material, name)
    if sure and row["difference"] < 0:
        worse = worse_by(difference(material, tuned, base)).replace(" worse", "")
        return _against_tuning(material, name, f"Tuning made it worse by {worse} of {material.primary}.")
    if not sure and row["high"] >= _relevant(material):
        hardly = too_little(material, name)
        more = f" Besides, {listed(hardly)}." if hardly else ""
        why = f"The difference to its base is {gain} {unit} on {row['n']} items: it may be nothing, and it may be worth having{corrected(row)}."
        return Finding(name, "too few items to tell", why + more)
    if not sure:
        why = f"No gain over its base worth having: the difference is {gain} {unit}{corrected(row)}."
        return _against_tuning(material, name, why, enough=not falling)
    rivals = untrained_as_good(material, tuned)
    if rivals:
        worst = [f"{label(r)} ({'not told apart' if not better else 'better'})" for r, better in rivals]
        why = f"It beats its base by {gain} {unit}, but is not shown to beat what needs no training: {listed(worst)}."
        return _against_tuning(material, name, why)
    return Finding(name, HELPS, f"Tuned beats its base by {gain} {unit}, and everything that needs no training.")


def _against_tuning(material: Material, name: str, why: str, *, enough: bool = True) -> Finding:
    """Do not fine-tune, unless too little was trained to say so; a loss that was still falling is told in either case."""
    hardly, falling = too_little(material, name), still_falling(material, name)
    if hardly or not enough:
        reasons = listed([*hardly, *falling])
        return Finding(name, "too little training to tell", f"{reasons[:1].upper()}{reasons[1:]}. {why}")
    more = f" {falling[0][:1].upper()}{falling[0][1:]}: longer training might change this." if falling else ""
    return Finding(name, "do not fine-tune", why + more)


def untrained_as_good(material: Material, tuned: str) -> list[tuple[str, bool]]:
    """Systems that need no training and are not shown to be worse than a tuned one, each with whether it is better."""
    found = []
    for system in material.scored:
        if material.state(system) == "tuned" or system == tuned:
            continue
        row = pair(material, tuned, system)
        if row is None:
            continue
        row = _oriented(material, row)
        if not (significant(row) and row["difference"] > 0):
            found.append((system, significant(row)))
    return found


def _headline(material: Material, findings: list[Finding]) -> str:
    decisions = {f.decision for f in findings}
    order = ranked(material)
    if not order:
        return "Nothing was scored, so nothing can be said."
    helped = [f.contestant for f in findings if f.decision.startswith(HELPS)]
    fit = [name for name in helped if not mostly_degenerate(material, f"{name}.tuned")]
    if helped and not fit:
        unfit = [mostly_degenerate(material, f"{name}.tuned", f"the answers of {name}.tuned") for name in helped]
        return f"Fine-tuning improves {material.primary} of {listed(helped)}, but {'; '.join(unfit)}."
    if helped:
        helped = fit
        names = [name for name in order if name.removesuffix(".tuned") in helped and material.state(name) == "tuned"]
        return f"Fine-tuning is worth it for {listed(helped)}{'' if len(names) < 2 else '; ' + leading(material, names, 'the best of them')}."
    against = [f.contestant for f in findings if f.decision == "do not fine-tune"]
    little = [f.contestant for f in findings if f.decision == "too little training to tell"]
    if against:
        best = order[0]
        owner = best.removesuffix(".tuned")
        whom = f" {listed(against)} ({listed(little)}: too little training to tell)" if little else ""
        if material.state(best) == "tuned" and owner not in [*against, *little]:
            return f"Do not fine-tune {listed(against)}; {best}, which was not trained here, has the best figure."
        if material.state(best) == "tuned":
            return f"Do not fine-tune{whom}: {best} has the best figure, but nothing shows that it is worth more than what needs no training."
        free = [name for name in order if material.state(name) != "tuned" and (name == best or tied(material, best, name))]
        if len(free) > 1:
            whose = listed([label(name) for name in free])
            return f"Do not fine-tune{whom}: no tuned system is shown to do better than {whose}, which need no training."
        return f"Do not fine-tune{whom}: {leading(material, order)}."
    if little:
        return f"Too little training to tell whether fine-tuning helps: {listed(little)} hardly learned anything or had not learned to the end."
    if "too few items to tell" in decisions:
        return f"Too few items to tell: {material.n} items do not show whether fine-tuning helps."
    return f"Nothing was tuned and tested; {leading(material, order)}."


def _between(material: Material) -> list[str]:
    """Who is ahead of whom among the tuned, and how the best stands to the best trivial system."""
    sentences = []
    tuned = [name for name in ranked(material) if material.state(name) == "tuned"]
    unit = f"{unit_of(material)} of {material.primary}".strip()
    for i, a in enumerate(tuned[:4]):
        for b in tuned[i + 1 : 4]:
            row = pair(material, a, b)
            if row is None:
                sentences.append(f"{a} and {b} were not tested against each other.")
            elif significant(row):
                row = _oriented(material, row)
                sentences.append(f"{a} beats {b} by {Figure(row['difference'], low=row['low'], high=row['high']).text()} {unit}.")
            else:
                sentences.append(
                    f"{a} and {b} cannot be told apart on {row['n']} items ({difference(material, a, b).text()} {unit}{corrected(row)})."
                )
    trivial = [name for name in ranked(material) if name in TRIVIAL]
    if tuned and trivial and pair(material, tuned[0], trivial[0]):
        sentences.append(_against(material, tuned[0], trivial[0], unit))
    return sentences


def _against(material: Material, a: str, b: str, unit: str) -> str:
    """How a stands to b, in one sentence."""
    gap = difference(material, a, b)
    assert gap.value is not None
    if not gap.mark:
        return f"{a} and {label(b)} cannot be told apart ({gap.text()} {unit})."
    better = (gap.value > 0) == better_is_higher(material)
    said = f"{a} is {'better' if better else 'worse'} than {label(b)} by {worse_by(gap).replace(' worse', '')} of {material.primary}"
    return f"{said}{'' if better else _otherwise(material, a, b)}."


def _otherwise(material: Material, a: str, b: str) -> str:
    """By which other metrics a is shown to be better than b, as a clause: the verdict goes by the primary one alone."""
    better = []
    for metric in metric_names(material)[1:]:
        entry: Mapping[str, Any] = next((s["metrics"][metric] for s in material.systems.values() if metric in (s.get("metrics") or {})), {})
        gap = difference(material, a, b, metric)
        whole = "part_of" not in entry and entry.get("higher_is_better") is not None
        if whole and gap.mark and ((gap.value or 0.0) > 0) == better_is_higher(material, metric):
            unit = gap.unit.replace("percent", "percentage points")
            better.append(f"{gap.text().replace('*', '')} {unit} of {metric}".replace("  ", " "))
    return f", and better by {listed(better)}; this verdict goes by {material.primary} alone" if better else ""
