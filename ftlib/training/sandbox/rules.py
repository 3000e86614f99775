"""What the service accepts: files as the real one checks them, settings within its bounds."""

from __future__ import annotations

from typing import Any

from ftlib.formatting.check import check_file
from ftlib.training.hosted.before import default_epochs
from ftlib.training.sandbox.replies import ApiError
from ftlib.training.sandbox.store import Store

Json = dict[str, Any]
LR = 8e-3  # what a learning_rate_multiplier of 1 means for a model this small
MAX_LENGTH = 1024


def first_error(store: Store, job: Json) -> str | None:
    """Why a job's files are refused, naming the line; None where they are good."""
    for role in ("training_file", "validation_file"):
        if not job[role]:
            continue
        name = "valid.jsonl" if role == "validation_file" else "train.jsonl"
        found = check_file(store.data(job[role]), destination="sandbox", model=job["model"], name=name)
        for item in found["findings"]:
            if item["severity"] == "error":
                place = f"Line {item['line']}: " if item["line"] else ""
                return f"The job failed due to an invalid {role.replace('_', ' ')}. {place}{item['message']}."
    return None


def training_settings(body: Json, rows: int) -> tuple[Json, Json]:
    """The API's hyperparameters as they are shown, and as the local trainer takes them. Raises ApiError."""
    method = body.get("method") or {}
    if method.get("type", "supervised") != "supervised":
        raise ApiError(400, f"The method {method.get('type')!r} is not offered here; only supervised.", param="method")
    given = {**(body.get("hyperparameters") or {}), **((method.get("supervised") or {}).get("hyperparameters") or {})}
    epochs = _number(given, "n_epochs", default_epochs(rows), 1, 50)
    batch = int(_number(given, "batch_size", 8, 1, 256))
    multiplier = _number(given, "learning_rate_multiplier", 1.0, 1e-4, 100.0)
    seed = body.get("seed", 42)
    if not isinstance(seed, int):
        raise ApiError(400, "seed must be an integer.", param="seed")
    shown = {"n_epochs": int(epochs), "batch_size": batch, "learning_rate_multiplier": multiplier}
    settings = {
        "epochs": float(epochs),
        "batch": batch,
        "accumulate": 1,
        "lr": LR * multiplier,
        "max_length": MAX_LENGTH,
        "truncate": True,
        "seed": seed,
        "loader": "transformers",
        "quant": 16,
        "checkpoint_steps": 25,
    }
    return shown, settings


def _number(given: Json, name: str, default: float, low: float, high: float) -> float:
    value = given.get(name, "auto")
    if value == "auto" or value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ApiError(400, f"{name} is {value!r}; it must be `auto` or a number from {low:g} to {high:g}.", param=name)
    return float(value)
