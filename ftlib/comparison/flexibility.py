"""Flexibility: what a tuned model can still do besides its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.table import Cell, Column, Figure, Table
from ftlib.evaluation.flexibility import failed_items

ALPHA = 0.05  # of the paired test against the own base


@dataclass(frozen=True)
class Probe:
    """One figure of a probe: where it stands in the summary, its heading and unit, which way is better."""

    path: str  # below the system's entry; its first part is the probe
    title: str
    unit: str
    higher: bool
    about: str
    scale: float = 1.0
    digits: int = 1


PROBES = {
    "retention": Probe(
        "retention.rate", "retention", "%", True, "share of short instructions outside the domain carried out, checked by programs", 100
    ),
    "forgetting": Probe(
        "forgetting.bits_per_byte", "forgetting", "bits/byte", False, "bits per byte on neutral text: a rise is forgetting", digits=3
    ),
    "wording_mean": Probe("wording.mean", "other wordings, mean", "points", True, "ROUGE-L when the task is asked in other words"),
    "wording_worst": Probe("wording.worst", "other wordings, worst", "points", True, "ROUGE-L of the worst of the wordings"),
    "wording_spread": Probe("wording.spread", "other wordings, spread", "points", False, "best minus worst wording: smaller is steadier"),
    "transfer": Probe("transfer.value", "transfer", "points", True, "ROUGE-L on a slice never trained on"),
    "reverse": Probe("transfer.reverse.value", "reverse task", "points", True, "ROUGE-L when the task is turned round"),
    "bleeding": Probe("bleeding.rate", "bleeding", "%", False, "share of questions outside the domain answered as if they were the task", 100),
}


def probe(material: Material, system: str, key: str) -> Figure:
    """One probe's figure of one system, or n/a with the reason; ``*`` where a paired test tells it from the own base."""
    spec = PROBES[key]
    data = (material.summary.get("flexibility") or {}).get(system)
    if not isinstance(data, Mapping):
        return Figure(None, spec.unit, na=str(material.systems[system].get("reason") or "not probed"))
    found, value = _found(data, key)
    if not isinstance(value, int | float):
        reasons = data.get("na") or {}
        return Figure(None, spec.unit, na=str(reasons.get(spec.path) or reasons.get(spec.path.split(".")[0]) or "this probe was not run"))
    told = (found.get("against_base") or {}).get("p", 1.0) < ALPHA
    return _figure(spec, value, found, "*" if told else "")


def change(material: Material, system: str, key: str) -> Figure:
    """Tuned minus own base of one probe, or n/a with the reason."""
    mine, base = probe(material, system, key), material.base_of(system)
    if mine.value is None or base is None:
        return Figure(None, mine.unit, na=mine.na or ("its base was not scored" if material.state(system) == "tuned" else "no tuned state"))
    before = probe(material, base, key)
    if before.value is None:
        return Figure(None, mine.unit, na=before.na)
    paired = _found(material.summary["flexibility"][system], key)[0].get("against_base") or {}
    return _figure(PROBES[key], (mine.value - before.value) / PROBES[key].scale, paired, mine.mark)


def _found(data: Mapping[str, Any], key: str) -> tuple[Mapping[str, Any], Any]:
    """What the summary says around a figure (its interval, its test), and the figure; the worst wording and the spread have it alone."""
    *parts, last = PROBES[key].path.split(".")
    found: Any = data
    for part in parts:
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return {}, None
    return (found if last in ("rate", "value", "mean") else {}), found.get(last)


def _figure(spec: Probe, value: float, around: Mapping[str, Any], mark: str) -> Figure:
    low, high = (None if (end := around.get(name)) is None else spec.scale * end for name in ("low", "high"))
    return Figure(spec.scale * value, spec.unit, low=low, high=high, mark=mark, digits=spec.digits)


def flexibility(material: Material) -> Table:
    """Every probe of every model, with the change against the own base."""
    columns = [Column("system", "System")]
    for key, spec in PROBES.items():
        columns += [
            Column(key, spec.title, spec.unit, spec.about + ("" if spec.higher else "; lower is better")),
            Column(
                f"{key}.change",
                f"{spec.title}, change",
                spec.unit,
                "tuned minus own base; * where a paired test (exact McNemar of shares, permutation of points) gives p below 0.05",
            ),
        ]
    rows: list[dict[str, Cell]] = []
    for system in material.systems:
        if material.state(system) != "trivial":
            row: dict[str, Cell] = {"system": system}
            for key in PROBES:
                row |= {key: probe(material, system, key), f"{key}.change": change(material, system, key)}
            rows.append(row)
    failed = failed_items(material.summary.get("flexibility") or {}, material.summary["settings"].get("failed_score", 0))
    about = "What a model can still do besides the task it was tuned for; before and after."
    meanings = f"What these are. {'. '.join(f'{spec.title}: {spec.about}' for spec in PROBES.values())}."
    return Table("flexibility", "Flexibility", about, columns, rows, [meanings, failed] if failed else [meanings])
