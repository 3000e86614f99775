"""training.json of a hosted contestant: what the provider says, what was seen, what was billed; the rest is n/a with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftlib.files import sha256_file
from ftlib.profile import Contestant
from ftlib.runs import Run, versions
from ftlib.training.hosted.before import Cost
from ftlib.training.hosted.provider import Provider
from ftlib.training.hosted.watching import times

Json = dict[str, Any]
EMPTY = ("seconds", "examples", "epochs", "steps", "tokens", "rates", "memory", "parameters", "adapter_bytes", "energy_wh", "money_usd")
HIDDEN = "the provider does not say"
UNTOLD = (
    "seconds.load", "seconds.tokenise", "seconds.evaluate", "seconds.save", "tokens.supervised", "tokens.padding", "memory", "parameters",
    "adapter_bytes", "energy_wh", "precision", "model.revision", "loss.tokens",
)  # fmt: skip


def nothing_to_train(run: Run, contestant: Contestant, reason: str) -> Json:
    """The report of a contestant that is compared as it is."""
    return {
        "contestant": contestant.name, "trainer": "hosted", "model": {"id": contestant.existing or contestant.model or None, "revision": None},
        "status": "nothing_to_train", "reason": reason, "method": "none", **dict.fromkeys(EMPTY), "loss": [], "versions": versions(),
        "settings": {}, "inputs": {}, "how": {}, "na": dict.fromkeys(EMPTY, "nothing is trained"),
    }  # fmt: skip


def training_report(
    run: Run, contestant: Contestant, provider: Provider, record: Mapping[str, Any], cost: Cost, curve: list[Json], usd: float | None, settings: Json
) -> Json:
    """The report of a job that succeeded.

    Args:
        record: job.json.
        cost: the estimate made before.
        curve: [{step, train, valid}].
        usd: what was billed; None where the provider did not say how many tokens it trained.
    """
    spent = times(dict(record))
    trained = record.get("trained_tokens") or None  # Nebius says 0 while it does not know
    shown = record.get("hyperparameters")
    told = shown.get("n_epochs") if isinstance(shown, dict) else None
    epochs = told if isinstance(told, int | float) else cost.epochs
    folder = run.folder(contestant)
    per_second = trained / spent["train"] if trained and spent["train"] else None
    how = {
        "seconds": "measured",
        "examples": "estimated",
        "loss": "measured",
        "tokens.billed": "billed" if trained else "estimated",
        "money_usd": "billed" if usd is not None else "estimated",
        "rates": "measured",
        "epochs": "measured" if told == epochs else "estimated",
    }
    na = dict.fromkeys(UNTOLD, HIDDEN)
    na |= {f"seconds.{name}": HIDDEN for name, value in spent.items() if value is None}
    if not curve:
        na["loss"] = HIDDEN
    if per_second is None:
        na["rates"] = HIDDEN
    return {
        "contestant": contestant.name, "trainer": "hosted", "provider": provider.name, "model": {"id": record.get("model"), "revision": None},
        "tuned_model": record.get("fine_tuned_model"), "job": record["id"], "status": "done", "reason": None, "method": "hosted",
        "seconds": {**dict.fromkeys(("load", "tokenise", "evaluate", "save")), **spent},
        "examples": {"seen": round(cost.rows * epochs), "distinct": cost.rows}, "epochs": epochs, "steps": curve[-1]["step"] if curve else None,
        "tokens": {"seen": trained, "supervised": None, "padding": None, "billed": trained or cost.tokens},
        "rates": {"tokens_per_second": per_second, "examples_per_second": cost.rows * epochs / spent["train"] if spent["train"] else None},
        "loss": [{"step": point["step"], "tokens": None, "train": point["train"], "valid": point["valid"]} for point in curve],
        "memory": None, "parameters": None, "adapter_bytes": None, "energy_wh": None, "money_usd": usd if usd is not None else cost.usd,
        "device": {"name": provider.name, "kind": "hosted"}, "precision": None, "versions": versions(), "settings": settings,
        "inputs": {name: sha256_file(folder / f"{name}.jsonl") for name in ("train", "valid") if (folder / f"{name}.jsonl").exists()},
        "how": how, "na": na,
    }  # fmt: skip
