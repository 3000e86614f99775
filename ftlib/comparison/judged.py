"""What a judge said, beside the controls that tell what its word is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.table import Cell, Column, Figure, Table

RUBRIC = ("relevance", "faithfulness", "fluency", "coherence")


def share(found: Mapping[str, Any], key: str, why: str) -> Figure:
    """A stored share with its interval, in per cent."""
    if found.get(key) is None:
        return Figure(None, "%", na=why)
    low, high = found.get("low"), found.get("high")
    return Figure(100 * found[key], "%", low=None if low is None else 100 * low, high=None if high is None else 100 * high)


def judged(material: Material) -> Table | None:
    """Pairs won and marks from 1 to 5 of the two judged systems; None where neither a judge nor a person was asked."""
    judge = material.summary.get("judge")
    if not judge:
        return None
    columns = [
        Column("system", "System"),
        Column("won", "pairs won", "%", "ties count half; each pair was shown in both orders, and one judged differently then is a tie"),
        *(Column(name, name, "of 5", "mean of the judge's marks") for name in RUBRIC),
    ]
    rows: list[dict[str, Cell]] = []
    for system, found in (judge.get("systems") or {}).items():
        rubric = found.get("rubric") or {}
        row: dict[str, Cell] = {"system": system, "won": share(found, "win_rate", str(judge.get("reason") or "no pair was judged"))}
        for name in RUBRIC:
            mark = rubric.get(name)
            row[name] = Figure(mark["value"], low=mark["low"], high=mark["high"], digits=2) if mark else Figure(None, na="no marks were asked for")
        rows.append(row)
    return Table(
        "judge",
        "Judge",
        "A model that compared answers in pairs; a constant answer can please a judge, so read the controls first.",
        columns,
        rows,
        _notes(judge),
    )


def _notes(judge: Mapping[str, Any]) -> list[str]:
    """How steady the judge was, its controls, and whether a person agrees."""
    about = judge.get("judge") or {}
    notes = [
        f"Judge: {about.get('model')} at {about.get('provider')}; status: {judge.get('status')}"
        + (f", {str(judge['reason']).rstrip('.')}." if judge.get("reason") else ".")
    ]
    for name, control in (judge.get("controls") or {}).items():
        notes.append(
            f"Control {name.replace('_', ' ')}: {control['right']} of {control['n']} as expected, {'passed' if control['passed'] else 'FAILED'}."
        )
    if judge.get("consistency") is not None:
        notes.append(f"{100 * judge['consistency']:.0f} % of the pairs that could be read were judged alike in both orders.")
    if judge.get("n"):
        notes.append(f"The replies to {judge.get('unparsable', 0)} of {judge['n']} pairs could not be read.")
    if judge.get("first_position_rate") is not None:
        notes.append(f"The first place won in {100 * judge['first_position_rate']:.0f} % of the replies that chose one; 50 % is fair.")
    if judge.get("family_warning"):
        notes.append(str(judge["family_warning"]))
    human = judge.get("human")
    if human:
        agreement = human.get("agreement") or {}
        kappa = f"Cohen's kappa {agreement['kappa']:.2f}" if agreement.get("kappa") is not None else f"kappa n/a: {agreement.get('na')}"
        notes.append(
            f"A person preferred {human['a']} in {100 * human['win_rate_a']:.0f} % of {human['n']} pairs (ties half); "
            f"agreement with the judge: {kappa}."
        )
    return notes
