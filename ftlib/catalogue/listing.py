"""The catalogue as a table, with what each model asks of a GPU."""

from __future__ import annotations

from typing import Any

import msgspec

from ftlib.catalogue.hardware import DEVICES, GB, MEMORY_ERROR, Device, find_device, fits_on, memory_bytes
from ftlib.catalogue.models import Model, catalogue

LENGTH = 2048  # tokens a row at which the memory is stated, two rows at once


def list_models(fits: str | None = None) -> list[dict[str, Any]]:
    """The entries of the catalogue, each as a JSON object with ``qlora_memory_bytes`` (estimated; null where not known),
    ``smallest_gpu``, and ``marginal``: whether the estimate's error could take it out of that GPU (out of ``fits`` where that is given).

    Args:
        fits: only what QLoRA trains on that GPU, two rows of 2,048 tokens at once.

    Raises ProfileError for a GPU that is not known.
    """
    device = find_device(fits) if fits else None
    models = [model for model in catalogue().values() if model.local and not (device and model.build)]  # those need no GPU
    hosted = [] if device else [model for model in catalogue().values() if not model.local]
    return [_row(model, device) for model in [*models, *hosted] if device is None or fits_on(model, device, longest=LENGTH)]


def _row(model: Model, device: Device | None) -> dict[str, Any]:
    memory = memory_bytes(model.shape, batch=2, longest=LENGTH)["total"] if model.shape else None
    smallest = smallest_gpu(model)
    on = device or (DEVICES.get(smallest) if smallest else None)
    return {
        **msgspec.to_builtins(model),
        "qlora_memory_bytes": round(memory) if memory else None,
        "smallest_gpu": smallest,
        "marginal": memory * (1 + MEMORY_ERROR) > on.memory if memory and on else None,
    }


def smallest_gpu(model: Model) -> str | None:
    """The smallest GPU of the catalogue that trains it; None where its sizes are not known or none does."""
    if model.build:
        return "none (CPU)"
    gpus = sorted((device for device in DEVICES.values() if device.memory), key=lambda device: device.memory)
    return next((device.name for device in gpus if fits_on(model, device, longest=LENGTH)), None)


def models_text(rows: list[dict[str, Any]]) -> str:
    """The table for a reader, and below it what its memory is of."""
    qlora = f"QLoRA at {LENGTH:,} tokens"
    head = ("name", "id", "parameters", "context", "licence", "gated", qlora, "smallest GPU", "tuned by (until)")
    table = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table]
    note = f"{qlora}: estimated GPU memory to train two rows of that length at once; smallest GPU: where that fits"
    note += f" (marginal: perhaps not, as the estimate may be {MEMORY_ERROR:.0%} off)."
    return "\n".join([*lines, "", note])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    count, memory, gated = row["parameters"], row["qlora_memory_bytes"], row["gated"]
    offers = [_offer(offer) for offer in row["hosted"]]
    return (
        row["name"],
        row["id"],
        "n/a" if count is None else f"{count / GB:.2f} B",
        "n/a" if row["context"] is None else f"{row['context']:,}",
        row["licence"] or "n/a",
        "n/a" if gated is None else "yes" if gated else "no",
        "n/a" if memory is None else f"{memory / GB:.1f} GB" + (" (marginal)" if row["marginal"] else ""),
        row["smallest_gpu"] or "n/a",
        ", ".join(offers) or "-",
    )


def _offer(offer: dict[str, Any]) -> str:
    """A provider, and until when it tunes the model."""
    until = "no more" if offer["tunable"] is False else offer["tunable_until"] or offer["shutdown"]
    return f"{offer['provider']} ({until})" if until else str(offer["provider"])
