"""What answering took: seconds, tokens, money; estimated, measured and billed figures are told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ftlib.evaluation.items import Given
from ftlib.runs import Run


def add(about: dict[str, Any], answers: Sequence[Given], run: Run) -> None:
    """Add latency, tokens and money of a system's answers to its entry, each unknown with its reason in ``na``."""
    trivial = about["state"] == "trivial"
    unknown = "it is no model" if trivial else "the answers do not say"
    seconds = sorted(a.seconds for a in answers if a.seconds is not None)
    about["latency"] = {"p50": quantile(seconds, 0.5), "p95": quantile(seconds, 0.95)}
    how: dict[str, str] = {}
    if seconds:
        how["latency"] = "measured"
    else:
        about["na"]["latency"] = unknown
    for key in ("tokens_in", "tokens_out"):
        counts = [value for a in answers if (value := getattr(a, key)) is not None]
        about[key] = sum(counts) if counts else None
        if counts:
            how[key] = "measured"
        else:
            about["na"][key] = unknown
    money = [a.usd for a in answers if a.usd is not None]
    about["usd"] = sum(money) if money else None
    about["usd_per_1000"] = 1000 * sum(money) / len(money) if money else None
    if money:
        how["usd"] = how["usd_per_1000"] = "estimated"  # tokens that the service reports, times a dated price
    else:
        local = not trivial and run.contestant(about["contestant"]).trainer == "local"
        about["na"]["usd"] = about["na"]["usd_per_1000"] = "nothing is charged on one's own machine" if local else unknown
    about["how"] = how


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """A quantile of sorted numbers by the nearest rank (numpy's ``inverted_cdf``); None of none."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else None
