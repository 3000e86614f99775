"""The price book: dated, sourced rows. What is not in it is refused, never guessed."""

from __future__ import annotations

import datetime
import functools
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from ftlib.configuration import Strict, builtin_names, convert, nearest, read_yaml
from ftlib.errors import ProfileError

log = logging.getLogger("ftlib")
Unit = Literal["training_token", "input_token", "cached_input_token", "output_token", "gpu_hour", "minimum_charge", "hosting_minute"]
OLD_AFTER_DAYS = 180
NEVER = 10**6  # days
UNFILLED = "SOURCE"  # in the row to add that an unknown price is refused with; pasted as it is, it would make a price of 0
OLD_AFTER = "FTLIB_OLD_PRICE_DAYS"  # the environment variable that sets another age


class UnknownPrice(ProfileError):
    """A price that the book does not hold; the message carries the row to add."""


class _Row(Strict):
    provider: str
    model: str  # `*`: all of this provider's
    unit: Unit
    usd: float
    date: str
    source: str
    per: float = 1.0
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Price:
    """One row: ``usd`` per ``per`` units, as ``source`` said on ``date``; ``low`` and ``high`` where sources differ."""

    provider: str
    model: str
    unit: str
    usd: float
    per: float
    date: str  # ISO
    source: str
    file: str  # which price file it stands in
    low: float
    high: float
    note: str = ""

    def cost(self, quantity: float) -> float:
        """US dollars for so many units (tokens, hours, minutes, jobs)."""
        return self.usd * quantity / self.per

    def age_days(self, today: datetime.date | None = None) -> int:
        """Days since the row was last seen to hold."""
        return ((today or datetime.date.today()) - datetime.date.fromisoformat(self.date)).days

    def warning(self, old_after_days: int | None = None) -> str | None:
        """A sentence where the row is older than that (FTLIB_OLD_PRICE_DAYS, or 180, unless given), else None."""
        age = self.age_days()
        if self.usd == 0 or age <= (_old_after() if old_after_days is None else old_after_days):
            return None
        return f"the price of {self.provider} {self.model} {self.unit} is {age} days old ({self.date}, {self.source}); look it up again"


@functools.lru_cache(maxsize=32)
def _builtin(name: str) -> tuple[Price, ...]:
    return tuple(_read(name))


def read_prices(name: str) -> Sequence[Price]:
    """The rows of one price file: a built-in name, or a path. Raises ProfileError."""
    return _builtin(name) if name in builtin_names("prices") else _read(name)


def _read(name: str) -> list[Price]:
    value, where = read_yaml(name, "prices", "price file")
    if not isinstance(value, list):
        raise ProfileError(f"{where}: a price file is a list of rows such as {example('openai', 'MODEL', 'training_token')}")
    return [_price(row, f"{where}, row {number}") for number, row in enumerate(value, 1)]


def _price(value: Any, where: str) -> Price:
    if isinstance(value, dict) and isinstance(value.get("date"), datetime.date):
        value = {**value, "date": value["date"].isoformat()}
    row = convert(value, _Row, where)
    try:
        datetime.date.fromisoformat(row.date)
    except ValueError:
        raise ProfileError(f"{where}: date {row.date!r} is not a day such as 2026-11-01.") from None
    if row.source.strip() in ("", UNFILLED):
        raise ProfileError(f"{where}: source is {row.source!r}; say where you read the price, and give the price itself as usd.")
    endless = float("inf")
    low, high = row.low if row.low is not None else row.usd, row.high if row.high is not None else row.usd
    if not 0 <= row.usd < endless or not 0 < row.per < endless or low < 0 or high == endless:
        raise ProfileError(f"{where}: usd, low and high must not be negative, per must be above 0, and none endless.")
    if not low <= row.usd <= high:
        raise ProfileError(f"{where}: usd is {row.usd:g}, which is not between low ({low:g}) and high ({high:g}).")
    return Price(row.provider, row.model, row.unit, row.usd, row.per, row.date, row.source, where.partition(", row")[0], low, high, row.note)


def find_price(
    provider: str, model: str, unit: str, *, tuned: bool = False, file: str | Path | None = None, old_after_days: int | None = None
) -> Price:
    """The price of one unit of a model at a provider.

    Args:
        provider: as in a profile; for GPU hours where the machine stands (``colab``, ``own``, ``runpod`` ...).
        model: the provider's id, or the GPU's kind for ``gpu_hour``.
        unit: one of ``Unit``.
        tuned: of a fine-tune of the model, which may cost more than the model itself; an id that begins with ``ft:`` says so too.
        file: the user's own price file; its rows come before the built-in ones.
        old_after_days: an older row is used, and logged as a warning; FTLIB_OLD_PRICE_DAYS, or 180, unless given.

    Raises UnknownPrice with the row to add. The price of a tuned model is never taken from its base model's.
    """
    if unit not in get_args(Unit):
        raise ProfileError(f"{unit!r} is not a unit of the price book{nearest(unit, get_args(Unit))}.")
    base = _base_of(model)
    wanted = f"ft:{base}" if (tuned or model != base) and unit.endswith("put_token") else base
    for book in ([str(file)] if file else []) + builtin_names("prices"):
        rows = [row for row in read_prices(book) if row.provider == provider and row.unit == unit]
        price = _newest(rows, model) if model.startswith("ft:") else None
        price = price or _newest(rows, wanted) or _newest(rows, "*")
        if price:
            old = price.warning(old_after_days)
            if old:
                log.warning("%s", old)
            return price
    where = f"to {file}" if file else "to a file of your own, given as `prices:` in the profile or with --prices"
    raise UnknownPrice(f"The price of one {unit} of {wanted} at {provider} is not known; add a row {where}: {example(provider, wanted, unit)}")


def _newest(rows: Sequence[Price], model: str) -> Price | None:
    return max((row for row in rows if row.model == model), key=lambda row: row.date, default=None)


def _base_of(model: str) -> str:
    """ft:BASE:organisation:suffix:id -> BASE; anything else as it is."""
    return model.split(":")[1] if model.startswith("ft:") and model.count(":") >= 2 else model


def _old_after() -> int:
    """The age in days from which a price is warned of. Raises ProfileError where the environment's is no number."""
    text = os.environ.get(OLD_AFTER, "").strip()
    if text and not text.isdigit():
        raise ProfileError(f"{OLD_AFTER} is {text!r}; it must be a number of days.")
    return int(text) if text else OLD_AFTER_DAYS


def example(provider: str, model: str, unit: str, day: str | None = None) -> str:
    """The row to add for a price, with what must be filled in written as 0 and SOURCE; a file that holds it so is refused.

    ``day``: what stands as its date; today's unless given.
    """
    per = 1_000_000 if unit.endswith("token") else 1
    row = {"provider": provider, "model": model, "unit": unit, "usd": 0.0, "per": per}
    row |= {"date": day or datetime.date.today().isoformat(), "source": UNFILLED}
    return "- {" + ", ".join(f"{key}: {_scalar(value)}" for key, value in row.items()) + "}"


def _scalar(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text.strip('"') if isinstance(value, str) and ":" not in value and "*" not in value else text
