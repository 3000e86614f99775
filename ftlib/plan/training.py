"""What training on a file takes: billed tokens and money at a service, time and memory on a machine."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, Shape
from ftlib.catalogue import hardware as hw
from ftlib.errors import DataError
from ftlib.formatting.destinations import DESTINATIONS
from ftlib.formatting.rules import check_row
from ftlib.formatting.tokens import ENCODING, rows_tokens
from ftlib.plan.money import Amount, Prices
from ftlib.plan.renting import rented
from ftlib.plan.tokenizers import local_tokens
from ftlib.training.hosted.before import default_epochs
from ftlib.training.hosted.provider import Provider
from ftlib.training.local.packing import packed_rows
from ftlib.training.local.settings import TuneSettings

OTHER_TOKENIZER = 0.2  # how far another tokenizer's count may be off (Llama's and Qwen's are within it on English prose)
UNREADABLE = ("messages", "message", "content", "type")  # what the check finds in a row whose texts cannot be counted
OTHER_FRAME = 0.05  # or another service's way to frame the turns
Json = dict[str, Any]


def read_rows(path: Path) -> list[Json]:
    """The rows of a training file. Raises DataError with file and line."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
        rows = {number: json.loads(line) for number, line in enumerate(lines, 1) if line.strip()}
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a training file ({error}); `ftlib check {path} --for DESTINATION` names the line.") from error
    if not rows or not all(isinstance(row, dict) and ("messages" in row or "output" in row) for row in rows.values()):
        raise DataError(f"{path} holds no instruction or chat rows; `ftlib format` makes them.")
    for number, row in rows.items():
        rules = DESTINATIONS["openai" if "messages" in row else "local"]
        if wrong := next((message for rule, _, _, message, _ in check_row(row, rules) if rule in UNREADABLE), None):
            raise DataError(f"{path}, line {number}: {wrong}; `ftlib check {path} --for DESTINATION` says more.")
    return list(rows.values())


def spread(tokens: Sequence[int]) -> Json:
    """Least, mean and most tokens of a row."""
    return {"min": min(tokens), "mean": round(sum(tokens) / len(tokens), 1), "max": max(tokens)}


def hosted_training(rows: Sequence[Json], model: Model, provider: Provider, epochs: float | None, valid: Sequence[Json] = ()) -> Json:
    """Billed tokens of a job, with ``billed_low`` and ``billed_high``.

    They are exact where the model's encoding is known, within 5 % where its tokenizer is at hand (a service may frame the turns in another
    way), else another tokenizer's, give or take 20 %. ``valid`` counts where the service bills its evaluations.
    """
    tokens, counted_by, slack = hosted_tokens(rows, model)
    offer = model.at(provider.name)
    if offer and offer.context:
        tokens = [min(count, offer.context) for count in tokens]
    times = int(epochs) if epochs else provider.epochs or default_epochs(len(rows))
    evaluated = sum(hosted_tokens(valid, model)[0]) * provider.evaluations if valid and provider.evaluations else 0
    billed = sum(tokens) * times + evaluated
    return {
        "examples": len(rows),
        "epochs": times,
        "steps": None,
        "tokens_per_example": spread(tokens),
        "billed_training_tokens": billed,
        "billed_low": round(billed * (1 - slack)),
        "billed_high": round(billed * (1 + slack)),
        "counted_by": counted_by,
        "reasoning": [
            f"{sum(tokens):,} tokens in {len(rows):,} examples x {in_epochs(times)}"
            + (f" + {len(valid):,} validation examples x {provider.evaluations} evaluations" if evaluated else "")
            + f" = {billed:,} billed",
            *([] if epochs else [f"{in_epochs(times)}: the service's own choice for {len(rows)} examples"]),
        ],
        "na": {"steps": "the service chooses the batch size"},
    }


def in_epochs(times: float) -> str:
    """``1 epoch``, ``3 epochs``."""
    return f"{times:g} epoch" + ("" if times == 1 else "s")


def hosted_cost(report: Json, provider: str, served: str, prices: Prices) -> Amount:
    """What a job costs. Into the report go what an hour of hosting costs, and the minimum charge with what the tokens alone
    would cost where it is more. Raises UnknownPrice."""
    quantity = (report["billed_training_tokens"], report["billed_low"], report["billed_high"])
    cost = prices.of(provider, served, "training_token", quantity)
    hosting = prices.known(provider, served, "hosting_minute") * 60
    if hosting.usd:
        report |= hosting.data("hosting_usd_per_hour")
    least = prices.known(provider, served, "minimum_charge")
    if least.usd > cost.usd:
        report |= {"minimum_charge_usd": least.usd, **cost.data("tokens_cost_usd")}
    return cost.at_least(least)


def hosted_tokens(rows: Sequence[Json], model: Model) -> tuple[list[int], str, float]:
    """Tokens of each row, who counted them, and how far they may be off."""
    if model.encoding:
        return list(rows_tokens(rows, model.encoding)), f"{model.encoding}: contents, 4 a message, 1 an example", 0.0
    if model.open_weights and (counter := local_tokens(model)):
        slack = 0.0 if model.build else OTHER_FRAME
        return [max(counts, default=0) for counts in counter.by_row(rows)], counter.name + (f": give or take {slack:.0%}" if slack else ""), slack
    return list(rows_tokens(rows)), f"{ENCODING}; the model's own tokenizer is not here: give or take {OTHER_TOKENIZER:.0%}", OTHER_TOKENIZER


def local_training(rows: Sequence[Json], model: Model, settings: TuneSettings, gpu: str, *, revision: str | None = None) -> Json:
    """Tokens, steps, seconds and peak memory of a training on a machine, with the reasoning."""
    counter = local_tokens(model, revision=revision, template=settings.template)
    tokens = counter.count(rows) if counter else list(rows_tokens(rows))
    if not tokens:
        raise DataError("Every answer of the training file has weight 0, so nothing would be learnt; give one weight 1.")
    warnings = _too_long(tokens, settings, exact=counter is not None)
    if settings.truncate:
        tokens = [min(count, settings.max_length) for count in tokens]
    per_step = settings.batch * settings.accumulate
    filled = packed_rows(tokens, settings.max_length) if settings.packing else len(tokens)
    steps = settings.steps or math.ceil(filled / per_step) * settings.epochs
    seen = steps * per_step * len(tokens) / filled if settings.steps else len(tokens) * settings.epochs
    padded = (sum(tokens) if settings.packing else padding(tokens, settings.batch, settings.seed)) * seen / len(tokens)
    report = {
        "examples": len(tokens),
        "examples_seen": int(seen),
        "epochs": round(seen / len(tokens), 3),
        "steps": math.ceil(steps),
        "tokens_per_example": spread(tokens),
        "training_tokens": round(sum(tokens) * seen / len(tokens)),
        "padded_tokens": round(padded),
        "counted_by": counter.name if counter else f"{ENCODING}; the model's own tokenizer is not here: give or take {OTHER_TOKENIZER:.0%}",
        "warnings": warnings,
    }
    return {**report, **on_machine(model, settings, gpu, padded, settings.max_length if settings.packing else max(tokens))}


def padding(tokens: Sequence[int], batch: int, seed: int) -> int:
    """Tokens of one epoch when each shuffled batch is padded to its longest row."""
    order = list(tokens)
    random.Random(seed).shuffle(order)
    return sum(max(order[i : i + batch]) * len(order[i : i + batch]) for i in range(0, len(order), batch))


def _too_long(tokens: Sequence[int], settings: TuneSettings, *, exact: bool) -> list[str]:
    long = sum(count > settings.max_length for count in tokens)
    if not long:
        return []
    about = "" if exact else "about "
    what = "would be cut" if settings.truncate else "would stop the training"
    return [f"{about}{long} of {len(tokens)} rows are longer than max_length {settings.max_length} (the longest has {max(tokens)} tokens) and {what}"]


def on_machine(model: Model, settings: TuneSettings, gpu: str, tokens: float, longest: int) -> Json:
    """Seconds and peak bytes, with low and high from the formulas' error against published runs."""
    shape = shape_of(model)
    device = hw.find_device("cpu" if model.build else gpu)
    if shape is None:
        why = f"the sizes of {model.name} are not in the catalogue; give its `shape` under models: in the profile"
        return {"gpu": device.name, "seconds": None, "memory_bytes": None, "fits": None, "reasoning": [], "na": {"seconds": why, "memory_bytes": why}}
    count = model.parameters or hw.parameters(shape)
    seconds = hw.seconds(count, tokens, device)
    ends = [f"the profile ends it after {settings.minutes:g} minutes"] if settings.minutes and seconds > settings.minutes * 60 else []
    around = _around("seconds", min(seconds, settings.minutes * 60) if settings.minutes else seconds, hw.TIME_ERROR)
    parts = hw.memory_bytes(shape, batch=settings.batch, longest=longest, r=settings.r, quant=settings.quant or (4 if device.memory else 32))
    total = parts["total"]
    return {
        "gpu": device.name,
        **around,
        **_around("memory_bytes", total, hw.MEMORY_ERROR),
        "fits": None if not device.memory else total * (1 + hw.MEMORY_ERROR) <= device.memory or (None if total <= device.memory else False),
        **rented(device.name, around),
        "reasoning": [
            f"time: 6 x {_count(count)} parameters x {tokens:,.0f} padded tokens / {device.operations / 1e12:.3g}e12 operations a second "
            f"= {seconds:,.0f} s on {device.name} ({device.source}); give or take {hw.TIME_ERROR:.0%}; loading and compiling apart",
            *ends,
            "memory: "
            + " + ".join(f"{name} {size / hw.GB:.2f}" for name, size in parts.items() if name != "total")
            + f" = {total / hw.GB:.2f} GB, {settings.batch} rows of {longest} tokens at once; give or take {hw.MEMORY_ERROR:.0%}",
        ],
        "na": {},
    }


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.3g} billion" if parameters >= 10**8 else f"{parameters / 1e6:.3g} million"


def _around(key: str, value: float, error: float) -> dict[str, int]:
    return {key: round(value), f"{key}_low": round(value * (1 - error)), f"{key}_high": round(value * (1 + error))}


def shape_of(model: Model) -> Shape | None:
    """A model's sizes: the catalogue's, or those that ftlib builds it with."""
    if not model.build:
        return model.shape
    from ftlib.training.local.tiny import BUILDS

    build = BUILDS[model.build]
    return Shape(
        layers=build.layers,
        hidden=build.hidden,
        intermediate=build.intermediate,
        heads=build.heads,
        kv_heads=build.heads,
        head_dim=build.hidden // build.heads,
        vocab=build.vocab,
        tied=True,
    )
