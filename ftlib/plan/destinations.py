"""The last table of notebook 02: the same rows at every destination, with their price and whether they would be taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, find_model
from ftlib.catalogue.models import catalogue
from ftlib.catalogue.prices import UnknownPrice
from ftlib.errors import DataError
from ftlib.files import scratch_folder
from ftlib.formatting import destination_of, load_task
from ftlib.formatting.check import check_file
from ftlib.formatting.destinations import DESTINATIONS, Destination
from ftlib.formatting.write import Writer
from ftlib.plan.money import NOTHING, Prices
from ftlib.plan.text import in_dollars
from ftlib.plan.training import hosted_cost, hosted_training, local_training, read_rows
from ftlib.profile import Contestant
from ftlib.runs import Run
from ftlib.training.hosted.provider import load_provider
from ftlib.training.local.settings import settings_for

Json = dict[str, Any]


def destination_table(run: Run, *, gpu: str = "t4") -> list[Json]:
    """One row a destination: ``destination, model, rows, tokens, price, verdict``.

    First the run's contestants with their own files, then every other destination that the catalogue knows a model for, with the first
    contestant's records written as it wants them. Prices are of the training; what is not known is n/a with the reason.
    """
    table = [_own(run, contestant, gpu) for contestant in run.profile.contestants if contestant.trains]
    taken = {row["destination"] for row in table}
    others = [rules for name, rules in DESTINATIONS.items() if name not in taken]
    with scratch_folder() as folder:
        return [*table, *(_other(run, rules, folder) for rules in others if rules.format == "chat")]


def _own(run: Run, contestant: Contestant, gpu: str) -> Json:
    rules, model = destination_of(contestant), find_model(contestant.model, run.profile.models)
    path = run.folder(contestant) / "train.jsonl"
    row: Json = {"destination": rules.name, "model": model.name}
    if rules.name == "local":
        rows = read_rows(path)
        settings = settings_for(contestant, model=model, seed=run.profile.seed)
        found = local_training(rows, model, settings, gpu, revision=contestant.revision)
        took = f"n/a: {found['na'].get('seconds')}"
        if found["seconds"] is not None:
            took = f"no bill; {found['seconds_low']} to {found['seconds_high']} s on {found['gpu']}"
        return {**row, "rows": len(rows), "tokens": found["training_tokens"], "price": took, "verdict": _verdict(path, rules, model)}
    return {**row, **_priced(run, path, rules, model, contestant.epochs), "verdict": _verdict(path, rules, model)}


def _other(run: Run, rules: Destination, folder: Path) -> Json:
    """The rows of the run's first recipe, written for a destination that the run does not use."""
    model = _tuned_at(rules.name, run.profile.prices)
    row: Json = {"destination": rules.name, "model": model.name if model else "n/a"}
    path = folder / rules.name / "train.jsonl"
    try:
        Writer(load_task(run.profile.task), rules, model=model).write(run.curated_for(run.profile.contestants[0]) / "train.jsonl", path)
    except DataError as error:
        return {**row, "rows": 0, "tokens": 0, "price": "n/a", "verdict": f"refused: {error}"}
    priced = _priced(run, path, rules, model, None) if model else {}
    return {**row, **priced, "verdict": _verdict(path, rules, model)}


def _tuned_at(provider: str, prices: str | None) -> Model | None:
    """A model that a provider tunes: the first whose price of training is known, else the first."""
    offers = [(model, offer) for model in catalogue().values() if (offer := model.at(provider)) and offer.tunable]
    priced = (model for model, offer in offers if Prices(prices).known(provider, offer.id, "training_token") != NOTHING)
    return next(priced, next((model for model, _ in offers), None))


def _priced(run: Run, path: Path, rules: Destination, model: Model, epochs: float | None) -> Json:
    """Rows, billed tokens and price of a training there."""
    rows = read_rows(path)
    report = hosted_training(rows, model, load_provider(rules.name, run.profile.providers), epochs)
    try:
        cost = hosted_cost(report, rules.name, model.id_at(rules.name), Prices(run.profile.prices))
    except UnknownPrice:
        return {"rows": len(rows), "tokens": report["billed_training_tokens"], "price": "n/a: not in the price book"}
    price = in_dollars(cost.data("usd"), "usd")
    if "hosting_usd_per_hour" in report:
        price += f"; hosting {in_dollars(report, 'hosting_usd_per_hour')} an hour"
    return {"rows": len(rows), "tokens": report["billed_training_tokens"], "price": price}


def _verdict(path: Path, rules: Destination, model: Model | None) -> str:
    """Whether the file is good there, and what the catalogue warns of."""
    found = check_file(path, destination=rules, model=model)
    warned = sum(item["severity"] == "warning" for item in found["findings"])
    offer = model.at(rules.name) if model else None
    soon = [f"no new jobs from {offer.tunable_until} on"] if offer and offer.tunable_until else []
    says = "good" if found["ok"] else f"refused: {next(item['message'] for item in found['findings'] if item['severity'] == 'error')}"
    return "; ".join([says, *([f"{warned} warnings"] if warned else []), *soon])
