"""What a system costs: training once, then every answer, in money paid and in the money that the same hours cost elsewhere.

Paid is what was charged: 0 on a machine of one's own or a free Colab. Shadow is the hours used at the price book's price of that
machine, so that a free machine can be set against a bill. The accounted cost, which totals, break-evens and choices use, is the
bill where there is one and the shadow price otherwise; where neither is known it is n/a. A service that keeps a tuned model ready
by the hour is billed for a whole month besides, whatever the number of answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ftlib.comparison.load import Material
from ftlib.comparison.table import Figure, known, stored

VOLUMES = (1_000, 1_000_000)  # answers a month that the verdict speaks about
ADD = "add a row to a file of your own, given as prices: in the profile, and run it again:"
HOURS = 730.0  # hours of a month, for "how many machines", and for a tuned model that is kept ready


NO_FEE = Figure(0.0, "USD", digits=2)


@dataclass(frozen=True)
class SystemCost:
    """One system's cost. Money in US dollars, hours of machine, seconds of wall time."""

    system: str
    hosted: bool
    train_paid: Figure
    train_hours: Figure
    hour_price: Figure
    seconds: Figure  # of one answer
    paid_per_1000: Figure
    hour_source: str = ""  # where the price is from; where there is none, what to add
    hosting: Figure = NO_FEE  # of a month in which the service keeps the tuned model ready
    hosting_source: str = ""  # its price of an hour, and where that is from

    @property
    def train_shadow(self) -> Figure:
        """Hours of training at the price of an hour."""
        return _times(self.train_hours, self.hour_price, 1.0)

    @property
    def shadow_per_1000(self) -> Figure:
        """Machine time of 1,000 answers at the price of an hour."""
        return _times(self.seconds, self.hour_price, 1000 / 3600)

    @property
    def fixed(self) -> Figure:
        """Accounted cost that no answer changes, USD: training, and a month of being kept ready."""
        return self.fixed_paid if self.hosted or self.train_hours.value == 0 else self.train_shadow

    @property
    def fixed_paid(self) -> Figure:
        """What of that is charged."""
        if not self.hosting.value:
            return self.train_paid if self.hosting.known else self.hosting
        if self.train_paid.value is None:
            return self.train_paid
        return replace(self.train_paid, value=self.train_paid.value + self.hosting.value, how=self.hosting.how)

    @property
    def per_1000(self) -> Figure:
        """Accounted cost of 1,000 answers, USD."""
        return self.paid_per_1000 if self.hosted else self.shadow_per_1000

    def total(self, answers: float, *, gpu: float = 1.0, hosted: float = 1.0) -> float | None:
        """Accounted cost of training and so many answers in a month, USD; ``gpu`` and ``hosted`` multiply the prices. None where unknown."""
        if self.fixed.value is None or self.per_1000.value is None:
            return None
        return (self.fixed.value + self.per_1000.value * answers / 1000) * (hosted if self.hosted else gpu)

    def paid(self, answers: float, *, hosted: float = 1.0) -> float | None:
        """Money charged for training and so many answers in a month, USD: 0 on one's own machine; ``hosted`` multiplies bills. None where unknown."""
        if self.fixed_paid.value is None or self.paid_per_1000.value is None:
            return None
        return (self.fixed_paid.value + self.paid_per_1000.value * answers / 1000) * (hosted if self.hosted else 1.0)

    def machine_hours(self, answers: float) -> float | None:
        """Machine hours that so many answers take; None for an API or where it is not known."""
        return None if self.hosted or self.seconds.value is None else self.seconds.value * answers / 3600


def _times(a: Figure, b: Figure, factor: float) -> Figure:
    if a.value is None or b.value is None:
        return Figure(None, "USD", na=a.na if a.value is None else b.na)
    return Figure(a.value * b.value * factor, "USD", how="estimated", digits=2)


def machine(device: Mapping[str, Any]) -> str | None:
    """What the price book calls a device of training.json: its GPU's name among those of the catalogue, or its kind."""
    from ftlib.catalogue.hardware import DEVICES

    name, kind = str(device.get("name") or "").lower(), device.get("kind")
    words = set(re.split(r"[^a-z0-9]+", name))
    if "a100" in words and "80gb" in words:
        return "a100-80"
    return next((known for known in DEVICES if known in words), str(kind) if kind else None)


def hour_price(kind: str | None, file: str | None) -> tuple[Figure, str]:
    """The cheapest rent of one hour of a machine of that kind, USD, and its source with date; n/a, and what to add, where the price book has none.

    Rows that cost 0 (a free Colab, a machine of one's own) are what is paid, not what the hour is worth. The user's own file wins.
    """
    from ftlib.catalogue.prices import example, read_prices
    from ftlib.configuration import builtin_names

    if not kind:
        return Figure(None, "USD/h", na="the machine is not known"), ""
    for books in ([file] if file else [], builtin_names("prices")):
        rows = [row for book in books for row in read_prices(book) if row.unit == "gpu_hour" and row.model == kind and row.usd > 0]
        if rows:
            row = min(rows, key=lambda r: (r.usd / r.per, r.provider))
            return Figure(row.usd / row.per, "USD/h", how="estimated", digits=2), f"{row.provider}, {row.date}: {row.source}"
    return Figure(None, "USD/h", na=f"the price book has no hour price of {kind}"), f"{ADD} {example('rented', kind, 'gpu_hour', 'DATE')}"


def hosting(material: Material, contestant: Mapping[str, Any]) -> tuple[Figure, str]:
    """What a month costs in which a provider keeps a contestant's tuned model ready, USD, and its price of an hour with source.

    0 where tuned models answer without being deployed; n/a where they are and the price book has no price of it.
    """
    from ftlib.catalogue import find_model
    from ftlib.catalogue.prices import NEVER, UnknownPrice, example, find_price
    from ftlib.training.hosted.provider import load_provider

    own = {key: {k: v for profile in material.profiles for k, v in (profile.get(key) or {}).items()} for key in ("providers", "models")}
    provider = load_provider(str(contestant["provider"]), own["providers"])
    if not provider.needs_deployment or provider.free:
        return NO_FEE, ""
    model = find_model(str(contestant.get("model") or contestant["existing"]), own["models"]).id_at(provider.name)
    try:
        price = find_price(provider.name, model, "hosting_minute", file=material.prices, old_after_days=NEVER)
    except UnknownPrice:
        why = f"what {provider.name} charges for keeping {model} ready is not known"
        return Figure(None, "USD", na=why), f"{ADD} {example(provider.name, model, 'hosting_minute', 'DATE')}"
    hour = price.cost(60)
    note = f" ({price.note})" if price.note else ""
    return Figure(hour * HOURS, "USD", how="estimated", digits=2), f"{hour:.2f} USD an hour; {provider.name}, {price.date}: {price.source}{note}"


def system_cost(material: Material, system: str) -> SystemCost:
    """The cost of one system that is no trivial one."""
    data = material.systems[system]
    name = data.get("contestant") or ""
    profile, training = material.contestants.get(name, {}), material.trainings.get(name, {})
    hosted = profile.get("trainer") == "hosted"
    tuned = material.state(system) == "tuned"
    fee, fee_source = NO_FEE, ""
    seconds = known(material.answers[system].seconds, str(data.get("reason") or "no answer carries its seconds"), unit="s", how="measured", digits=3)
    if not tuned or training.get("status") == "nothing_to_train":
        hours, money = Figure(0.0, "h", digits=2), Figure(0.0, "USD", digits=2)
    else:
        hours = stored(training, "seconds.total", scale=1 / 3600, unit="h", digits=2)
        money = stored(training, "money_usd", unit="USD", digits=2)
        if not hosted and money.value is None and training.get("status") == "done":
            money = Figure(0.0, "USD", digits=2)
    if hosted:
        price, source = Figure(None, "USD/h", na="an API bills tokens, not hours"), ""
        per_1000 = stored(data, "usd_per_1000", unit="USD", digits=2)
        if tuned and profile.get("recorded") is None:
            fee, fee_source = hosting(material, profile)
    else:
        price, source = hour_price(machine(training.get("device") or {}), material.prices)
        per_1000 = Figure(0.0, "USD", digits=2) if seconds.known else Figure(None, "USD", na=seconds.na)
    return SystemCost(system, hosted, money, hours, price, seconds, per_1000, source, fee, fee_source)


def costs(material: Material) -> dict[str, SystemCost]:
    """The cost of every system that was answered with and is no trivial one."""
    return {name: system_cost(material, name) for name in material.scored if material.state(name) != "trivial"}


def break_even(a: SystemCost, b: SystemCost) -> Figure:
    """Number of answers from which a and b have cost the same; n/a where one is cheaper at every number."""
    fa, fb, va, vb = a.fixed.value, b.fixed.value, a.per_1000.value, b.per_1000.value
    if fa is None or fb is None or va is None or vb is None:
        missing = next(c for c in (a, b) if c.fixed.value is None or c.per_1000.value is None)
        return Figure(None, "answers", na=f"the cost of {missing.system} is not known: {missing.fixed.na or missing.per_1000.na}")
    if va == vb:
        return Figure(
            None, "answers", na="both cost the same for an answer" if fa == fb else f"{(a if fa < fb else b).system} is cheaper at every number"
        )
    crossing = (fb - fa) / (va - vb) * 1000
    if crossing <= 0:
        return Figure(None, "answers", na=f"{(a if (fa, va) < (fb, vb) else b).system} is cheaper at every number")
    return Figure(crossing, "answers", digits=0)


def break_even_price(local: SystemCost, hosted: SystemCost, answers: float) -> Figure:
    """Price of a machine hour at which a local system costs what a hosted one does, training and so many answers, USD per hour."""
    total = hosted.total(answers)
    if total is None or local.train_hours.value is None or local.seconds.value is None:
        return Figure(None, "USD/h", na="a cost or a time is not known")
    if total == 0:
        return Figure(None, "USD/h", na="the billed one costs nothing")
    hours = local.train_hours.value + local.seconds.value * answers / 3600
    return Figure(total / hours, "USD/h", digits=3) if hours > 0 else Figure(None, "USD/h", na="no time was measured")
