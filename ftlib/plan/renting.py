"""What a training would cost on a GPU that is rented by the hour."""

from __future__ import annotations

import statistics
from typing import Any

from ftlib.catalogue.prices import read_prices
from ftlib.configuration import builtin_names
from ftlib.plan.money import Amount

HOUR = 3600


def rented(gpu: str, seconds: dict[str, int]) -> dict[str, Any]:
    """The hourly prices of a GPU, and with them ``rented_cost_usd`` (the median's) from the cheapest, fastest case to the dearest.

    Args:
        gpu: its name in the catalogue.
        seconds: of the training, as ``seconds``, ``seconds_low`` and ``seconds_high``.

    No cost where nobody is known to rent it. Free offers stand in the list and not in the cost.
    """
    rows = [price for book in builtin_names("prices") for price in read_prices(book) if price.unit == "gpu_hour" and price.model == gpu]
    hours = [{"provider": price.provider, "usd": price.usd, "date": price.date, "source": price.source} for price in rows]
    paid = [price for price in rows if price.usd]
    if not paid:
        return {"gpu_hour_usd": hours}
    cost = Amount(
        statistics.median(price.usd for price in paid) * seconds["seconds"] / HOUR,
        min(price.low for price in paid) * seconds["seconds_low"] / HOUR,
        max(price.high for price in paid) * seconds["seconds_high"] / HOUR,
    )
    return {"gpu_hour_usd": hours, **cost.data("rented_cost_usd")}
