"""What a run, or a training file, takes before anything is spent: tokens, money, time and memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftlib.catalogue import Model, find_model
from ftlib.catalogue.hardware import find_device
from ftlib.configuration import builtin_names
from ftlib.errors import DataError, ProfileError
from ftlib.files import scratch_folder
from ftlib.plan.text import estimate_text
from ftlib.preflight import preflight
from ftlib.profile import check_whole_epochs, load_profile
from ftlib.runs import Run, StepNeeded

__all__ = ["estimate", "estimate_run", "estimate_text"]
Json = dict[str, Any]


def estimate(
    what: str | Path,
    *,
    model: str | None = None,
    provider: str | None = None,
    epochs: float | None = None,
    gpu: str = "t4",
    prices: str | Path | None = None,
    overrides: Sequence[str] = (),
) -> Json:
    """Estimate a profile or a training file.

    Args:
        what: a built-in profile, a profile's YAML file, or a training file (JSON lines).
        model: of a training file, required: its name in the catalogue or at a provider.
        provider: of a training file: who trains it; this machine, or the first that offers the model, unless given.
        epochs: of all contestants, or of the file; the service's own choice, or the profile's, unless given.
        gpu: where local models are trained: t4, l4, a100, a100-80, h100, h200.
        prices: a price file whose rows come before the built-in ones.
        overrides: ``key=value`` for a profile.

    Returns a JSON object with at least ``billed_training_tokens``, ``training_cost_usd`` (``_low``, ``_high``), ``prices``, ``warnings``; for a
    file also ``examples``, ``epochs``, ``steps``, ``tokens_per_example``, and on a machine ``seconds`` and ``memory_bytes``; for a profile
    ``contestants``, ``answers_cost_usd``, ``judge_cost_usd``, ``total_cost_usd`` and ``within_budget``.
    Raises UnknownPrice for a file whose price is not known (a profile's contestant says it in ``na``).
    """
    if epochs is not None and not 0 < epochs < float("inf"):
        raise ProfileError(f"--epochs is {epochs:g}; it must be a number above 0.")
    find_device(gpu)
    if str(what) in builtin_names("profiles") or Path(what).suffix in (".yaml", ".yml"):
        if model or provider:
            raise ProfileError("--model and --provider belong to a training file; for a profile write --set contestants.NAME.model=MODEL.")
        return _profile(str(what), epochs, gpu, prices, overrides)
    if Path(what).suffix and not Path(what).exists():
        raise DataError(f"{what} does not exist; give a training file that `ftlib format` made, or a profile.")
    if not Path(what).is_file():
        load_profile(str(what))  # says what it is not, with the nearest profile
    return _file(Path(what), model, provider, epochs, gpu, prices)


def _file(path: Path, model: str | None, provider: str | None, epochs: float | None, gpu: str, file: str | Path | None) -> Json:
    from ftlib.plan.contestants import estimate_rows
    from ftlib.plan.file import answers_of_file
    from ftlib.plan.money import Prices

    if model is None:
        raise ProfileError(f"{path} is a training file: name the model with --model (`ftlib models` lists them), or give a profile.")
    entry = find_model(model)
    prices = Prices(str(file) if file else None)
    where = provider or _default_provider(entry)
    if where:
        check_whole_epochs(epochs, "--epochs")
    report, _ = estimate_rows(path, entry, where, epochs, gpu, prices)
    if where:
        report |= answers_of_file(path, entry, where, prices)
        report["na"] |= {f"usd_per_1000_answers.{state}": why for state, why in report["answers_na"].items()}
    warnings = [*report.pop("warnings", []), *prices.warnings()]
    return {"what": str(path), "kind": "file", "model": entry.name, **report, "prices": prices.rows(), "warnings": warnings}


def _default_provider(model: Model) -> str | None:
    """Who trains a model unless said otherwise: this machine where its weights can be had, else the first that offers it."""
    return None if model.local and model.build != "tiny-hosted" else model.hosted[0].provider


def _profile(name: str, epochs: float | None, gpu: str, file: str | Path | None, overrides: Sequence[str]) -> Json:
    profile = load_profile(name, overrides)
    sets = [f"contestants.{c.name}.epochs={epochs:g}" for c in profile.contestants] if epochs else []
    sets += [f"prices={json.dumps(str(file))}"] if file else []
    profile = load_profile(name, [*overrides, *sets])
    preflight(profile)
    there = Path("results", profile.name).resolve()
    if (there / "steps").is_dir():  # a run of it: its files serve where they are what this profile would make
        run = Run(there, profile)
        run.only_look = True
        with suppress(StepNeeded):
            return estimate_run(run, gpu=gpu)
    with scratch_folder() as folder:
        run = Run.create(folder / profile.name, profile)
        return estimate_run(run, gpu=gpu)


def estimate_run(run: Run, *, gpu: str = "t4") -> Json:
    """The estimate of a run; its rows are curated and formatted where they are not yet (nothing is sent or trained)."""
    from ftlib.curation import curate_run
    from ftlib.formatting import format_run
    from ftlib.plan.contestants import estimate_contestant
    from ftlib.plan.judging import judge_cost
    from ftlib.plan.money import NOTHING, Prices, dollars, unknown

    with run.briefly():
        curate_run(run)
        format_run(run)
    prices, training, answers, reports = Prices(run.profile.prices), NOTHING, NOTHING, []
    bases: dict[str, str] = {}
    for contestant in run.profile.contestants:
        report, trained, said = estimate_contestant(run, contestant, gpu, prices, bases)
        reports.append(report)
        training, answers = training + trained, answers + said
    prices.free = False
    judging, why = judge_cost(run, prices)
    total = training + answers + judging
    missing = {f"{report['contestant']}: {key}" for report in reports for key in report.get("na", {}) if "cost_usd" in key}
    missing |= {"judge: judge_cost_usd"} if why else set()
    amounts = {"training_cost_usd": training, "answers_cost_usd": answers, "judge_cost_usd": judging}
    costs: Json = {}
    for key, amount in amounts.items():
        costs |= unknown(key) if any(key in name for name in missing) else amount.data(key)
    return {
        "what": run.profile.name,
        "kind": "profile",
        "billed_training_tokens": sum(report.get("billed_training_tokens", 0) for report in reports),
        **costs,
        **(unknown("total_cost_usd") if missing else total.data("total_cost_usd")),
        "known_cost_usd": dollars(total.usd),
        **_local_time(reports),
        "budget_usd": run.profile.budget_usd,
        "within_budget": None if missing else total.high <= run.profile.budget_usd,
        "contestants": reports,
        "prices": prices.rows(),
        "unknown": sorted(missing),
        "na": {"judge_cost_usd": why} if why else {},
        "warnings": [*(f"{report['contestant']}: {line}" for report in reports for line in report.get("warnings", [])), *prices.warnings()],
    }


def _local_time(reports: Sequence[Json]) -> Json:
    """Seconds of all local contestants' training and answers, ``local_seconds`` with ``_low`` and ``_high``; None where one is not known."""
    local = [report for report in reports if report["trainer"] == "local"]
    times = [report[key] for report in local for key in ("seconds", "answers_seconds") if key in report]
    if not times or None in times:
        return {"local_seconds": None}
    machines = list(dict.fromkeys(report["gpu"] for report in local if "gpu" in report))
    ends = {end: sum(report.get(f"{key}{end}", 0) for report in local for key in ("seconds", "answers_seconds")) for end in ("", "_low", "_high")}
    return {**{f"local_seconds{end}": seconds for end, seconds in ends.items()}, "local_machines": machines}
