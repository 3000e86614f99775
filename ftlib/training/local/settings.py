"""The settings of one local training, whoever asks for it: a contestant of a run or a job of the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ftlib.catalogue import Model
from ftlib.profile import Contestant
from ftlib.runs import versions

Loader = Literal["auto", "unsloth", "transformers"]
LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "trl", "peft", "unsloth", "bitsandbytes")


def libraries(told: Mapping[str, str] | None = None) -> dict[str, str]:
    """Versions of the libraries that weights depend on: those installed, or those that a report tells."""
    return {name: version for name, version in (versions() if told is None else told).items() if name in LIBRARIES}


@dataclass(frozen=True)
class TuneSettings:
    """How to tune. The defaults are those of public QLoRA notebooks for an 8B model on 16 GB; small models want a higher ``lr``."""

    epochs: float = 1.0
    steps: int | None = None  # optimiser steps; given, they count instead of epochs
    minutes: float | None = None  # the plan is shortened, after its first steps are timed, to end in time
    early_stopping: int | None = None  # evaluations without a better validation loss
    lr: float = 2e-4
    batch: int = 2  # rows a device sees at once
    accumulate: int = 4  # batches per optimiser step
    max_length: int = 1024  # tokens of a row, prompt and answer together
    truncate: bool = False  # cut longer answers; False: a longer row is an error
    packing: bool = False
    schedule: str = "linear"
    warmup: float = 0.03  # share of all steps
    weight_decay: float = 0.0
    seed: int = 42
    r: int = 16
    alpha: int = 16
    dropout: float = 0.0
    modules: tuple[str, ...] | None = None  # None: all linear layers of attention and MLP
    rslora: bool = False
    quant: Literal[4, 16] | None = None  # None: 4 on an NVIDIA GPU, 16 elsewhere
    loader: Loader = "auto"
    template: Literal["auto", "chat", "alpaca"] = "auto"
    require_gpu: bool = False
    checkpoint_steps: int | None = None
    checkpoint_minutes: float | None = 5.0
    keep: int = 2  # checkpoints

    def plain(self) -> dict[str, Any]:
        """All settings as JSON-like values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def decisive(self) -> dict[str, Any]:
        """The settings that the resulting weights depend on; a checkpoint made under others is not resumed.

        Batch and accumulation count by their product, so that halving the one and doubling the other keeps a checkpoint usable.
        """
        aside = {"minutes", "require_gpu", "checkpoint_steps", "checkpoint_minutes", "keep", "batch", "accumulate"}
        return {key: value for key, value in self.plain().items() if key not in aside} | {"rows_per_step": self.batch * self.accumulate}


def settings_for(contestant: Contestant, *, model: Model, seed: int) -> TuneSettings:
    """The settings of a contestant; what it leaves open is the catalogue's for its model, else the default.

    Args:
        model: the catalogue's entry, whose ``tune`` fits the GPU that it names.
        seed: the run's, for a contestant without its own.
    """
    lora, tune = contestant.lora, model.tune
    keys = ("epochs", "steps", "minutes", "early_stopping", "lr", "batch", "accumulate", "max_length", "truncate", "quant")
    asked = {**{key: getattr(contestant, key) for key in keys}, "r": lora.r, "alpha": lora.alpha}
    known = {key: getattr(tune, key) for key in ("lr", "batch", "accumulate", "max_length", "truncate", "r", "alpha")}
    given = {key: value for fields in (known, asked) for key, value in fields.items() if value is not None}
    return TuneSettings(
        **given,
        packing=contestant.packing, schedule=contestant.schedule, warmup=contestant.warmup,
        seed=seed if contestant.seed is None else contestant.seed,
        dropout=lora.dropout, modules=tuple(lora.modules) if lora.modules else None, rslora=lora.rslora,
        loader=contestant.loader, template=contestant.template, require_gpu=contestant.require_gpu,
        checkpoint_steps=contestant.checkpoints.steps, checkpoint_minutes=contestant.checkpoints.minutes, keep=contestant.checkpoints.keep,
    )  # fmt: skip
