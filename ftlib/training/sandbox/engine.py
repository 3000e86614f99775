"""What the service computes with: tuning a base model, answering with it or with what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Json = dict[str, Any]
Report = Callable[[Json], None]


class Interrupted(Exception):
    """Raised by ``should_stop`` to leave a training where it is: paused, cancelled, or the service is ending."""


@dataclass(frozen=True)
class Said:
    """One answer: its text, ``stop`` or ``length``, and its tokens both ways."""

    text: str
    finish: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Ask:
    """What decides whether chat requests can be answered together."""

    model: str | None  # folder of the tuned model; None: the base
    max_tokens: int
    temperature: float
    stop: tuple[str, ...]
    seed: int


class Engine(Protocol):
    """The models behind the service."""

    name: str  # of the base model

    def prepare(self) -> None:
        """Make the base model ready; part of a job's time in the queue."""
        ...

    def tune(self, rows: Path, valid: Path | None, settings: Json, folder: Path, report: Report, should_stop: Callable[[], bool]) -> Json:
        """Tune on the chat rows of a file; goes on where an earlier call in this folder was interrupted.

        ``report`` gets {step, steps, train_loss, train_accuracy, valid_loss, valid_accuracy}. Returns {trained_tokens}.
        """
        ...

    def answer(self, ask: Ask, questions: Sequence[Sequence[Json]]) -> list[Said]:
        """Answer questions (lists of messages) in one batch, in their order."""
        ...


class TinyEngine:
    """The catalogue's ``tiny-hosted``, tuned and asked by the same code as local contestants."""

    name = "tiny-hosted"

    def __init__(self) -> None:
        self._loaded: dict[str | None, Any] = {}

    def prepare(self) -> None:
        """See Engine."""
        self._base()

    def tune(self, rows: Path, valid: Path | None, settings: Json, folder: Path, report: Report, should_stop: Callable[[], bool]) -> Json:
        """See Engine."""
        from ftlib.files import read_jsonl
        from ftlib.training.local.rows import from_rows
        from ftlib.training.local.settings import TuneSettings
        from ftlib.training.local.tuning import tune

        examples = from_rows(read_jsonl(rows), "training_file")
        held_out = from_rows(read_jsonl(valid), "validation_file") if valid else []
        made = tune(self._base(), examples, held_out, TuneSettings(**settings), folder, on_event=report, should_stop=should_stop)
        return {"trained_tokens": made["tokens"]["seen"]}

    def answer(self, ask: Ask, questions: Sequence[Sequence[Json]]) -> list[Said]:
        """See Engine."""
        from ftlib.training.local.generate import answer_batch

        loaded = self._load(ask.model)
        made = answer_batch(
            loaded, questions, tuned=ask.model is not None, max_new_tokens=ask.max_tokens, stop=ask.stop, temperature=ask.temperature, seed=ask.seed
        )
        return [Said(one.text, one.finish, one.tokens_in, one.tokens_out) for one in made]

    def _base(self) -> Path:
        from ftlib.training.local.tiny import build_tiny

        return Path(build_tiny(self.name))

    def _load(self, model: str | None) -> Any:
        """A model in memory; the base and the two tuned ones asked last are kept."""
        from ftlib.training.local.load import load
        from ftlib.training.local.settings import TuneSettings

        if model not in self._loaded:
            for old in [name for name in self._loaded if name is not None][:-1]:
                del self._loaded[old]
            self._loaded[model] = load(self._base(), TuneSettings(loader="transformers"), adapter=Path(model) / "adapter" if model else None)
        return self._loaded[model]
