"""The estimate of one contestant: its training, and everything that it will be asked."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, find_model
from ftlib.catalogue.prices import UnknownPrice
from ftlib.configuration import builtin_names
from ftlib.errors import ProfileError
from ftlib.formatting.tokens import ENCODING
from ftlib.plan.answers import above_limit, asked, borrowed, hosted_answers, local_answers
from ftlib.plan.money import NOTHING, Amount, Prices, unknown
from ftlib.plan.training import hosted_cost, hosted_training, local_training, read_rows
from ftlib.profile import Contestant
from ftlib.runs import Run
from ftlib.training.hosted.provider import load_provider
from ftlib.training.local.settings import settings_for

SOON_DAYS = 90
UNTIMED = "how fast a service answers is not known beforehand; the log tells as it answers"
SEED = 42  # of the order in which a file's rows are grouped into batches
Json = dict[str, Any]


def estimate_contestant(run: Run, contestant: Contestant, gpu: str, prices: Prices, bases: dict[str, str]) -> tuple[Json, Amount, Amount]:
    """One contestant's estimate, and what its training and its answers cost. An unknown price stands in ``na``.

    ``bases`` is what the contestants before it ask their base models (see ``borrowed``).
    """
    asked_for = contestant.model or contestant.existing or ""
    head: Json = {"contestant": contestant.name, "trainer": contestant.trainer, "provider": contestant.provider, "model": asked_for}
    head |= {"systems": contestant.systems(), "answers_seconds": None}
    if contestant.recorded is not None:
        return {**head, "na": {"training": "the answers are recorded", "answers": "the answers are recorded"}}, NOTHING, NOTHING
    model = find_model(asked_for, run.profile.models)
    rows = read_rows(run.folder(contestant) / "train.jsonl") if contestant.trains else []
    if contestant.trainer == "local":
        report: Json = {"na": {"training": "nothing is trained"}}
        if rows:
            settings = settings_for(contestant, model=model, seed=run.profile.seed)
            report = local_training(rows, model, settings, gpu, revision=contestant.revision)
        others = borrowed(run, contestant, bases)
        sets = asked(run, contestant)
        timed = local_answers(run, contestant, model, gpu, sets=sets, without=others)
        na = {**report["na"], **timed.pop("na")}
        warnings = [*report.get("warnings", []), *above_limit(sets)]
        said = {"answers": sets, "base_answers_of": others, "answers_cost_usd": 0.0, **timed, "na": na, "warnings": warnings}
        return {**head, **report, **said}, NOTHING, NOTHING
    return _hosted(run, contestant, model, rows, head, prices, borrowed(run, contestant, bases))


def _hosted(
    run: Run, contestant: Contestant, model: Model, rows: list[Json], head: Json, prices: Prices, others: dict[str, str]
) -> tuple[Json, Amount, Amount]:
    provider = load_provider(contestant.provider or "", run.profile.providers)
    served = model.id_at(provider.name)
    prices.free = provider.free
    report: Json = {"na": {}}
    training = NOTHING
    if rows:
        valid = run.folder(contestant) / "valid.jsonl"
        report = hosted_training(rows, model, provider, contestant.epochs, read_rows(valid) if valid.exists() else ())
        try:
            training = hosted_cost(report, provider.name, served, prices)
            report |= training.data("training_cost_usd")
        except UnknownPrice as error:
            report |= unknown("training_cost_usd")
            report["na"]["training_cost_usd"] = not_tuned(model, provider.name) or unpriced(model, provider.name, error)
    report["na"]["answers_seconds"] = UNTIMED
    sets = asked(run, contestant, encoding=model.encoding or ENCODING)
    states = [system.rpartition(".")[2] for system in contestant.systems()]
    share = provider.batch_discount if contestant.batch_api else 1.0
    answers = hosted_answers(sets, provider.name, served, prices, states=states, share=share, without=others)
    report["na"] |= {f"answers_cost_usd.{state}": why for state, why in answers["na"].items()}
    cost = unknown("answers_cost_usd") if answers["na"] else answers["amount"].data("answers_cost_usd")
    report |= {"answers": sets, "base_answers_of": others, **cost, "usd_per_1000_answers": answers["usd_per_1000_answers"]}
    return {**head, **report, "warnings": [*dates(model, provider.name, tuning=bool(rows)), *above_limit(sets)]}, training, answers["amount"]


def not_tuned(model: Model, provider: str) -> str | None:
    """A sentence where the catalogue knows that a provider does not tune a model: it says so, or it is another house's own."""
    offer = model.at(provider)
    elsewhere = offer is None and not model.open_weights and provider in builtin_names("providers")
    return f"{provider} does not tune {model.id}; `ftlib models` lists who tunes what." if elsewhere or (offer and offer.tunable is False) else None


def unpriced(model: Model, provider: str, error: UnknownPrice) -> str:
    """Why the price of a training is not known: perhaps the provider does not offer the model at all."""
    if model.at(provider) is None and provider in builtin_names("providers"):
        return f"{provider} is not known to tune {model.id} (`ftlib models` lists who tunes what); if it does: {error}"
    return str(error)


def dates(model: Model, provider: str, *, tuning: bool, today: datetime.date | None = None) -> list[str]:
    """Sentences on a model that will soon not be tuned or answer at a provider, or is not any more."""
    offer = model.at(provider)
    if offer is None:
        return []
    today = today or datetime.date.today()
    found = []
    for what, date in (("takes no more jobs", offer.tunable_until if tuning else None), ("answers no more", offer.shutdown)):
        if date and (left := (datetime.date.fromisoformat(date) - today).days) <= SOON_DAYS:
            found.append(f"{offer.id} {what} at {provider} from {date}" + (f" on, in {left} days" if left > 0 else " on: it is too late"))
    if tuning and offer.note and offer.tunable_until:
        found.append(f"{provider}: {offer.note}")
    return found


def _uncounted(rows: list[Json]) -> list[str]:
    """A sentence where rows hold tools or calls of them: services bill those too, by a rule that is not known here."""
    count = sum(bool(row.get("tools") or any(turn.get("tool_calls") for turn in row.get("messages", []))) for row in rows)
    return [f"{count} of {len(rows)} examples hold tools or calls of tools, whose tokens are billed too and not counted here"] if count else []


def estimate_rows(path: Path, model: Model, provider: str | None, epochs: float | None, gpu: str, prices: Prices) -> tuple[Json, Amount]:
    """The estimate of one training file. Raises UnknownPrice."""
    rows = read_rows(path)
    if provider is None:
        contestant = Contestant(name="file", trainer="local", model=model.name, epochs=epochs)
        settings = settings_for(contestant, model=model, seed=SEED)
        return {**local_training(rows, model, settings, gpu), "trainer": "local"}, NOTHING
    service = load_provider(provider)
    if closed := not_tuned(model, provider):
        raise ProfileError(closed)
    prices.free = service.free
    report = hosted_training(rows, model, service, epochs)
    try:
        cost = hosted_cost(report, provider, model.id_at(provider), prices)
    except UnknownPrice as error:
        raise UnknownPrice(unpriced(model, provider, error)) from None
    warnings = [*_uncounted(rows), *dates(model, provider, tuning=True)]
    return {**report, **cost.data("training_cost_usd"), "trainer": "hosted", "provider": provider, "warnings": warnings}, cost
