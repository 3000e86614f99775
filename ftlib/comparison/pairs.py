"""Differences between two systems, looked up in what evaluation tested, in whichever order it tested them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftlib.comparison.load import TRIVIAL, Material, label
from ftlib.comparison.table import Figure, listed

ALPHA = 0.05  # of Holm's corrected p: what ``*`` means everywhere


def pair(material: Material, a: str, b: str, metric: str | None = None) -> dict[str, Any] | None:
    """The tested pair with difference, low and high as a minus b; None where it was not tested."""
    metric = metric or material.primary
    for row in material.summary.get("pairs") or []:
        if row["metric"] == metric and row["a"] == a and row["b"] == b:
            return dict(row)
        if row["metric"] == metric and row["a"] == b and row["b"] == a:
            return {**row, "a": a, "b": b, "difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    return None


def holm_p(row: Mapping[str, Any]) -> float:
    """p after Holm's correction; the plain one where it stood alone."""
    return float(row["p"] if row.get("p_holm") is None else row["p_holm"])


def significant(row: dict[str, Any]) -> bool:
    """Whether Holm's corrected p is below 5 % and the interval excludes 0."""
    return holm_p(row) < ALPHA and not row["low"] <= 0 <= row["high"]


def corrected(row: dict[str, Any]) -> str:
    """What to add where the interval alone leaves out 0 and the test over all pairs does not hold; else nothing."""
    if significant(row) or row["low"] <= 0 <= row["high"]:
        return ""
    return f"; its interval leaves out 0, but over all pairs tested p is {holm_p(row):.2g} after Holm"


def difference(material: Material, a: str, b: str | None, metric: str | None = None, *, why: str = "this pair was not tested") -> Figure:
    """a minus b as a figure with interval and mark."""
    unit = unit_of(material, metric)
    row = pair(material, a, b, metric) if b else None
    if row is None:
        return Figure(None, unit, na=why)
    return Figure(row["difference"], unit, low=row["low"], high=row["high"], mark="*" if significant(row) else "", digits=digits_of(material, metric))


def unit_of(material: Material, metric: str | None = None) -> str:
    """Unit of a metric, as evaluation names it."""
    metric = metric or material.primary
    return next((str(s["metrics"][metric].get("unit") or "") for s in material.systems.values() if metric in (s.get("metrics") or {})), "")


def digits_of(material: Material, metric: str | None = None) -> int:
    """Decimals that suit a metric: one on a scale of 100, two on one of 1 or so."""
    metric = metric or material.primary
    values = [s["metrics"][metric]["value"] for s in material.systems.values() if metric in (s.get("metrics") or {})]
    return 1 if max((abs(v) for v in values if v is not None), default=0) > 5 else 2


def score(material: Material, system: str, metric: str | None = None) -> Figure:
    """A system's metric with its interval, or n/a with the reason."""
    metric = metric or material.primary
    data = material.systems[system]
    found = (data.get("metrics") or {}).get(metric)
    if not found or found.get("value") is None:
        reasons = data.get("na") or {}
        return Figure(None, na=str(reasons.get(f"metrics.{metric}") or reasons.get("metrics") or data.get("reason") or "not scored"))
    return Figure(found["value"], str(found.get("unit") or ""), low=found.get("low"), high=found.get("high"), digits=digits_of(material, metric))


def better_is_higher(material: Material, metric: str | None = None) -> bool:
    """Whether a higher value of the metric is better (it is, unless evaluation says otherwise)."""
    metric = metric or material.primary
    return next(
        (bool(s["metrics"][metric].get("higher_is_better", True)) for s in material.systems.values() if metric in (s.get("metrics") or {})), True
    )


def ranked(material: Material, *, trivial: bool = True) -> list[str]:
    """Scored systems, best value of the primary metric first."""
    sign = -1 if better_is_higher(material) else 1
    names = [name for name in material.scored if trivial or material.state(name) != "trivial"]
    return sorted(names, key=lambda name: sign * material.systems[name]["metrics"][material.primary]["value"])


def leading(material: Material, order: list[str], called: str = "the best system") -> str:
    """Who leads, as a clause: one system only where a paired test tells it from every other of ``order`` (best figure first)."""
    first, *rest = order
    ties = [name for name in rest if tied(material, first, name)]
    untested = [name for name in rest if tied(material, first, name) is None]
    if ties:
        clause = f"these {material.n} rows cannot tell {listed([label(name) for name in [first, *ties]])} apart"
    elif untested:
        clause = f"{label(first)} has the highest figure" if better_is_higher(material) else f"{label(first)} has the lowest figure"
    else:
        yardstick = f"a yardstick that needs no model leads, {label(first)}"
        clause = f"{label(first)} is the only one" if not rest else yardstick if first in TRIVIAL else f"{called} is {label(first)}"
    return clause + (f"; it was not tested against {listed([label(name) for name in untested])}" if untested and not ties else "")


def metric_names(material: Material) -> list[str]:
    """All metrics that any system has, the primary one first."""
    names = dict.fromkeys(name for system in material.systems.values() for name in system.get("metrics") or {})
    return [material.primary, *(name for name in names if name != material.primary)]


def tied(material: Material, a: str, b: str) -> bool | None:
    """Whether a and b cannot be told apart on the primary metric; None where the pair was not tested."""
    if a == b:
        return True
    row = pair(material, a, b)
    return None if row is None else not significant(row)
