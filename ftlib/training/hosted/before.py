"""Before anything is paid: the file checked, the model asked after, the cost estimated, the budget held against it."""

from __future__ import annotations

import datetime
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from ftlib.catalogue import Model
from ftlib.errors import Refused, ServiceDown
from ftlib.formatting.check import check_file
from ftlib.formatting.tokens import rows_tokens
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.provider import Provider
from ftlib.training.hosted.rates import most_tokens, training_rate
from ftlib.training.hosted.service import Json

log = logging.getLogger("ftlib")
SOON_DAYS = 90


@dataclass(frozen=True)
class Cost:
    """What a training is expected to be billed, and the most it can be."""

    rows: int
    epochs: int
    tokens: int  # billed, over all epochs
    usd: float
    worst_usd: float
    counted_by: str

    def data(self) -> Json:
        """As JSON."""
        return {
            "rows": self.rows,
            "epochs": self.epochs,
            "tokens": {"billed": self.tokens},
            "money_usd": self.usd,
            "worst_usd": self.worst_usd,
            "counted_by": self.counted_by,
        }


def default_epochs(rows: int) -> int:
    """The epochs that a hosted service chooses by itself: 3, more for few rows, fewer for many (OpenAI's rule)."""
    if 3 * rows < 100:
        return min(25, 100 // max(1, rows))
    return max(1, 25_000 // rows) if 3 * rows > 25_000 else 3


def training_cost(
    provider: Provider, model: Model, served: str, file: Path, epochs: int | None, prices: str | None, valid: Path | None = None
) -> Cost:
    """What training on a file costs. Raises Refused where the price is not known.

    Tokens are counted as OpenAI bills them; for a model whose tokenizer is another, the worst case takes a token a byte. It takes the
    dearest of prices that differ.
    """
    encoding = model.encoding or "o200k_base"
    examples, others = chat_rows(file), chat_rows(valid) if valid and provider.evaluations else []
    times = epochs or provider.epochs or default_epochs(len(examples))
    rate, dearest, least = training_rate(provider, served, prices)
    tokens = sum(rows_tokens(examples, encoding)) * times + sum(rows_tokens(others, encoding)) * provider.evaluations
    usd = max(least, tokens * rate)
    if model.encoding is not None:
        return Cost(len(examples), times, tokens, usd, max(least, tokens * dearest), encoding)
    most = sum(most_tokens(row["messages"]) for row in examples) * times + sum(most_tokens(row["messages"]) for row in others) * provider.evaluations
    counted_by = f"{encoding} (an estimate: the model's own tokenizer is another)"
    return Cost(len(examples), times, tokens, usd, max(least, most * dearest), counted_by)


def chat_rows(file: Path) -> list[Json]:
    """The rows of a chat file of ours, with or without a byte-order mark."""
    return [json.loads(line) for line in file.read_text("utf-8-sig").split("\n") if line.strip()]


def check_files(provider: Provider, model: str, train: Path, valid: Path | None) -> None:
    """Raises Refused naming the first line that the provider would turn down."""
    found = check_file(train, destination=provider.name, validation=valid, model=model)
    wrong = [item for item in found["findings"] if item["severity"] == "error"]
    if wrong:
        place = f"line {wrong[0]['line']}: " if wrong[0]["line"] else ""
        raise Refused(f"{train if wrong[0]['file'] == 'training' else valid}, {place}{wrong[0]['message']}; {wrong[0]['remedy']}. Nothing was sent.")


def check_dates(model: Model, provider: Provider, *, tuning: bool, today: datetime.date | None = None) -> None:
    """Raises Refused where the catalogue knows that the provider serves or tunes the model no more; warns when that is near."""
    offer = model.at(provider.name)
    if offer is None:
        return
    if tuning and offer.tunable is False:
        raise Refused(f"{provider.name} does not tune {offer.id}; `ftlib models` lists those it does.")
    today = today or datetime.date.today()
    for what, date in (("answers", offer.shutdown), *((("can be tuned", offer.tunable_until),) if tuning else ())):
        if date and datetime.date.fromisoformat(date) <= today:
            raise Refused(f"{offer.id} no longer {what} at {provider.name} since {date}; choose another model (`ftlib models`).")
        _warn_if_near(f"{offer.id} {what} at {provider.name}", date, today)


def check_available(link: Link, model: str) -> Json:
    """Ask the provider after a model. Raises Refused where it is gone or not ours to use; nothing is spent by asking."""
    if not link.provider.can.models:
        return {}
    try:
        found = link.patiently(f"{model}", lambda: link.service.model(model), tries=3)
    except ServiceDown as error:
        log.warning("whether %s is available could not be learnt: %s", model, error)
        return {}
    date = str(found.get("shutdown_date"))
    try:
        day, today = datetime.date.fromisoformat(date[:10]), datetime.date.today()
    except ValueError:
        return found
    if day <= today:
        raise Refused(f"{link.provider.name} shut {model} down on {date}; choose another model (`ftlib models`).")
    _warn_if_near(f"{model} answers at {link.provider.name}", date[:10], today)
    return found


def _warn_if_near(what: str, date: str | None, today: datetime.date) -> None:
    if date and (datetime.date.fromisoformat(date) - today).days <= SOON_DAYS:
        log.warning("%s only until %s", what, date)


def require_budget(provider: Provider, cap_usd: float, what: str) -> None:
    """Raises Refused without a budget: no budget, no paid call."""
    if not provider.free and cap_usd <= 0:
        where = "in the profile, with --set budget_usd=5, or as a notebook's BUDGET_USD"
        raise Refused(f"{what} at {provider.name} costs money and budget_usd is 0: set a cap in dollars ({where}).")
