"""Flexibility: what a tuned model can still do besides its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.table import Cell, Column, Figure, Table

# column -> probe, the names under which its figure may stand, heading, unit, scale, whether higher is better, what it means
PROBES: dict[str, tuple[str, tuple[str, ...], str, str, float, bool, str]] = {
    "retention": ("retention", ("rate", "value"), "retention", "%", 100, True, "share of 60 short instructions outside the domain that are still carried out, checked by programs"),
    "forgetting": ("forgetting", ("bits_per_byte", "value"), "forgetting", "bits/byte", 1, False, "bits per byte on neutral text; lower is better, a rise is forgetting"),
    "wording_mean": ("wording", ("mean",), "wording, mean", "", 1, True, "primary metric when the task is asked in other words"),
    "wording_worst": ("wording", ("worst",), "wording, worst", "", 1, True, "the worst of the wordings"),
    "wording_spread": ("wording", ("spread",), "wording, spread", "", 1, False, "best minus worst wording; smaller is better"),
    "transfer": ("transfer", ("value", "mean"), "transfer", "", 1, True, "primary metric on a slice never trained on"),
    "bleeding": ("bleeding", ("rate", "value"), "bleeding", "%", 100, False, "share of questions outside the domain that are answered with a product blurb"),
}


def probe(material: Material, system: str, column: str) -> Figure:
    """One probe's figure of one system, or n/a with the reason."""
    name, keys, _, unit, scale, _, _ = PROBES[column]
    data = (material.summary.get("flexibility") or {}).get(system)
    if not isinstance(data, Mapping):
        return Figure(None, unit, na=str(material.systems[system].get("reason") or "not probed"))
    found: Any = data.get(name)
    reasons = data.get("na") or {}
    why = str(reasons.get(name) or next((v for k, v in reasons.items() if str(k).startswith(f"{name}.")), "") or "this probe was not run")
    if not isinstance(found, Mapping):
        return Figure(None, unit, na=why)
    key = next((key for key in keys if isinstance(found.get(key), int | float)), None)
    if key is None:
        return Figure(None, unit, na=why)
    low, high = found.get("low"), found.get("high")
    interval = (scale * low, scale * high) if key in ("rate", "value") and low is not None and high is not None else (None, None)
    return Figure(scale * found[key], unit, low=interval[0], high=interval[1], digits=3 if name == "forgetting" else 1)


def flexibility(material: Material) -> Table:
    """Every probe of every system, with the change against the own base."""
    columns = [Column("system", "System")]
    for key, (_, _, title, unit, _, _, about) in PROBES.items():
        columns += [Column(key, title, unit, about), Column(f"{key}.change", f"{title}, change", unit, "tuned minus own base")]
    rows: list[dict[str, Cell]] = []
    for system in material.systems:
        if material.state(system) == "trivial":
            continue
        row: dict[str, Cell] = {"system": system}
        base = material.base_of(system)
        for key, spec in PROBES.items():
            mine = row[key] = probe(material, system, key)
            before = probe(material, base, key) if base else Figure(None, na="no tuned state" if material.state(system) != "tuned" else "its base was not scored")
            both = mine.value is not None and before.value is not None
            row[f"{key}.change"] = Figure(mine.value - before.value, spec[3], digits=mine.digits) if both else Figure(None, spec[3], na=mine.na or before.na)  # type: ignore[operator]
        rows.append(row)
    return Table("flexibility", "Flexibility", "What a model can still do besides the task it was tuned for; before and after.", columns, rows)
