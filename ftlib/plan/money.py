"""Money: an amount with its bounds, and the price rows that it was worked out from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ftlib.catalogue.prices import NEVER, Price, UnknownPrice, find_price, read_prices


@dataclass(frozen=True)
class Amount:
    """US dollars: the expected amount, and bounds."""

    usd: float
    low: float
    high: float

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.usd + other.usd, self.low + other.low, self.high + other.high)

    def __mul__(self, times: float) -> Amount:
        return Amount(self.usd * times, self.low * times, self.high * times)

    def at_least(self, other: Amount) -> Amount:
        """The same, where no less than that is charged."""
        return Amount(max(self.usd, other.usd), max(self.low, other.low), max(self.high, other.high))

    def data(self, key: str) -> dict[str, float]:
        """As JSON: ``key``, ``key_low``, ``key_high``."""
        return {key: dollars(self.usd), f"{key}_low": dollars(self.low), f"{key}_high": dollars(self.high)}


def unknown(key: str) -> dict[str, None]:
    """The keys of an amount that is not known."""
    return {key: None, f"{key}_low": None, f"{key}_high": None}


NOTHING = Amount(0.0, 0.0, 0.0)


def dollars(amount: float) -> float:
    """An amount as it is shown: whole cents from a dollar on, a millionth below."""
    return round(amount, 2 if amount >= 1 else 6)


@dataclass
class Prices:
    """Looks prices up in a book, and remembers which rows were used. ``free`` providers charge nothing."""

    file: str | None = None
    free: bool = False
    used: dict[tuple[str, str, str], Price] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file:
            read_prices(self.file)  # a file that is missing or wrong is an error, also where nothing in it is needed

    def of(self, provider: str, model: str, unit: str, quantity: tuple[float, float, float], *, tuned: bool = False) -> Amount:
        """What (expected, low, high) units cost. Raises UnknownPrice."""
        if self.free:
            return NOTHING
        price = find_price(provider, model, unit, tuned=tuned, file=self.file, old_after_days=NEVER)  # `warnings` says which are old
        self.used[price.provider, price.model, price.unit] = price
        expected, low, high = quantity
        return Amount(price.cost(expected), price.low * low / price.per, price.high * high / price.per)

    def known(self, provider: str, model: str, unit: str) -> Amount:
        """The price of one unit that not every provider has (minimum charge, hosting); nothing where the book has none."""
        try:
            return self.of(provider, model, unit, (1.0, 1.0, 1.0))
        except UnknownPrice:
            return NOTHING

    def rows(self) -> list[dict[str, Any]]:
        """The rows that were used, as JSON."""
        keys = ("provider", "model", "unit", "usd", "per", "low", "high", "date", "source", "file", "note")
        return [{key: getattr(price, key) for key in keys} for price in self.used.values()]

    def warnings(self) -> list[str]:
        """A sentence for each row that is old."""
        return [sentence for price in self.used.values() if (sentence := price.warning())]
