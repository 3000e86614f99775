"""training.json: what a training took, each figure measured, or absent with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftlib.files import sha256_file
from ftlib.runs import versions
from ftlib.training.local.load import Loaded
from ftlib.training.local.rows import Tokens
from ftlib.training.local.settings import TuneSettings
from ftlib.training.local.tally import Tally


def build(
    loaded: Loaded, trainer: Any, settings: TuneSettings, tally: Tally, rows: Sequence[Tokens], out: Path, *, energy_reason: str | None
) -> dict[str, Any]:  # fmt: skip
    """The measured part of training.json, over all pieces of a training that was interrupted."""
    trainable, total = loaded.model.get_nb_trainable_parameters()  # a weight of two 4-bit ones in a byte counts as two
    weights = out / "adapter" / "adapter_model.safetensors"
    work = tally.seconds["train"]
    na = {"money_usd": "nothing is charged here", "seconds.queue": "training here waits for nobody", "tokens.billed": "nothing is charged here"}
    energy = None if energy_reason else tally.energy_wh  # a piece that could not be read leaves the whole unknown
    if energy is None:
        na["energy_wh"] = energy_reason or "NVML gave no reading"
    if not loaded.device.gpu:
        na |= dict.fromkeys(("memory.allocated_bytes", "memory.reserved_bytes"), "only a GPU's allocator counts them")
    return {
        "status": "done", "reason": None, "method": "qlora" if loaded.quant == 4 else "lora",
        "seconds": {**{name: round(value, 3) for name, value in tally.seconds.items()}, "first_step": rounded(tally.first_step), "queue": None,
                    "total": round(sum(tally.seconds.values()), 3)},
        "examples": {"seen": tally.rows, "distinct": min(tally.rows, len(rows)), "cut": sum(row.cut for row in rows)},
        "epochs": rounded(tally.rows / len(rows)), "steps": trainer.state.global_step, "pieces": tally.pieces,
        "tokens": {"seen": tally.tokens, "supervised": tally.supervised, "padding": tally.padding, "billed": None},
        "rates": {"tokens_per_second": rounded(tally.tokens / work), "examples_per_second": rounded(tally.rows / work)},
        "loss": curve(trainer.state.log_history, tally),
        "memory": {key: tally.peak.get(key) for key in ("allocated_bytes", "reserved_bytes", "rss_bytes")},
        "parameters": {"total": total, "trainable": trainable, "share": trainable / total},
        "adapter_bytes": weights.stat().st_size, "adapter_sha256": sha256_file(weights),
        "energy_wh": energy, "money_usd": None,
        "device": {"name": loaded.device.name, "kind": loaded.device.kind, "loader": loaded.loader},
        "precision": {"dtype": loaded.precision.dtype, "reason": loaded.precision.reason},
        "versions": versions(), "settings": settings.plain(),
        "how": dict.fromkeys(("seconds", "tokens", "examples", "rates", "memory", "loss", "adapter_bytes", "parameters"), "measured")
               | ({"energy_wh": "measured"} if energy is not None else {}),
        "na": na,
    }  # fmt: skip


def curve(log_history: Sequence[dict[str, Any]], tally: Tally) -> list[dict[str, Any]]:
    """The loss by step: training loss of that step's rows, and validation loss where it was taken."""
    points: dict[int, dict[str, Any]] = {}
    for entry in log_history:
        if "loss" in entry or "eval_loss" in entry:
            step = int(entry["step"])
            point = points.setdefault(step, {"step": step, "tokens": tally.tokens_at.get(str(step)), "train": None, "valid": None})
            point.update({name: entry[key] for name, key in (("train", "loss"), ("valid", "eval_loss")) if key in entry})
    return [points[step] for step in sorted(points)]


def rounded(value: float | None) -> float | None:
    """A measured figure without its noise digits."""
    return None if value is None else round(value, 3)
