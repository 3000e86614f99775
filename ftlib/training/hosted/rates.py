"""What a model's tokens cost, and the bounds of what one call can cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftlib.catalogue.prices import UnknownPrice, find_price
from ftlib.errors import Refused
from ftlib.training.hosted.provider import Provider

TEMPLATE = 128  # tokens


@dataclass(frozen=True)
class Rates:
    """Dollars for one token."""

    input: float
    cached: float
    output: float

    def worst(self, messages: Sequence[Mapping[str, Any]], max_tokens: int) -> float:
        """The most that one call can cost: a token is at least one byte, and an answer has at most ``max_tokens``."""
        return self.input * most_tokens(messages) + self.output * max_tokens

    def cost(self, usage: Mapping[str, Any]) -> float | None:
        """What a call with this usage cost; None where the usage does not say."""
        asked, said = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not isinstance(asked, int) or not isinstance(said, int):
            return None
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
        cached = min(asked, cached) if isinstance(cached, int) else 0
        return self.input * (asked - cached) + self.cached * cached + self.output * said

    def times(self, share: float) -> Rates:
        """The same at a share of the price (batches)."""
        return Rates(self.input * share, self.cached * share, self.output * share)


def most_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """An upper bound of a prompt's tokens: its bytes, sixteen for the frame of each message, and what a template adds by itself.

    Where no system text is given, Llama's template puts two dates, Qwen's a sentence and that of gpt-oss some sixty tokens in its place.
    """
    return TEMPLATE + sum(len(str(message["content"]).encode("utf-8", "replace")) + 16 for message in messages)


def chat_rates(provider: Provider, model: str, prices: str | None, *, known_as: str | None = None, tuned: bool = False) -> Rates:
    """The rates of a model. Raises Refused where a price is not known: it is not guessed.

    Args:
        model: the name that is asked, which at some providers is a deployment's.
        known_as: the provider's id behind that name; ``tuned``: of a fine-tune of it.
    """
    if provider.free:
        return Rates(0.0, 0.0, 0.0)

    def price(unit: str) -> float:
        try:
            return find_price(provider.name, model, unit, file=prices).cost(1)
        except UnknownPrice:
            return find_price(provider.name, known_as or model, unit, tuned=tuned, file=prices).cost(1)

    try:
        given, said = price("input_token"), price("output_token")
    except UnknownPrice as error:
        raise Refused(str(error)) from None
    try:
        cached = price("cached_input_token")
    except UnknownPrice:
        cached = given
    return Rates(given, cached, said)


def training_rate(provider: Provider, model: str, prices: str | None) -> tuple[float, float, float]:
    """Dollars for one trained token, the most that it may be where sources differ, and the least that a job costs.

    Raises Refused where the price is not known.
    """
    if provider.free:
        return 0.0, 0.0, 0.0
    try:
        token = find_price(provider.name, model, "training_token", file=prices)
    except UnknownPrice as error:
        raise Refused(str(error)) from None
    try:
        least = find_price(provider.name, model, "minimum_charge", file=prices).cost(1)
    except UnknownPrice:
        least = 0.0
    return token.cost(1), token.high / token.per, least
