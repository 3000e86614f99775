"""Several training seeds: how much of a difference is the luck of one training."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import msgspec

from ftlib.profile import Contestant
from ftlib.runs import Run

NOT_MEASURED = "seed variance not measured"


def _alike(contestant: Contestant) -> str:
    """A contestant without its name and seed, as a text to group by."""
    plain = msgspec.to_builtins(contestant)
    return str({key: value for key, value in plain.items() if key not in ("name", "seed")})


def spread(run: Run, systems: Mapping[str, Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """Mean and spread of the primary metric over contestants that differ by their seed alone.

    Returns ``groups`` (contestants, seeds, values, mean, sd, low, high) and ``na`` where no two seeds were trained.
    """
    groups: dict[str, list[Contestant]] = {}
    for contestant in run.profile.contestants:
        groups.setdefault(_alike(contestant), []).append(contestant)
    found = []
    for group in groups.values():
        values = {c.name: systems[f"{c.name}.tuned"]["metrics"].get(metric, {}).get("value") for c in group if f"{c.name}.tuned" in systems}
        known = [value for value in values.values() if value is not None]
        if len(known) > 1:
            found.append(
                {
                    "contestants": list(values),
                    "seeds": [run.profile.seed if c.seed is None else c.seed for c in group],
                    "values": values,
                    "mean": statistics.fmean(known),
                    "sd": statistics.stdev(known),
                    "low": min(known),
                    "high": max(known),
                }
            )
    return {"metric": metric, "groups": found, "na": None if found else NOT_MEASURED}
