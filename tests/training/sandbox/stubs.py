"""A stand-in engine for the sandbox: no torch, answers at once. The service, the wire and the client around it are real."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ftlib.training.sandbox.engine import Ask, Said

Json = dict[str, Any]


class StubEngine:
    """Answers with the question, shouted by a tuned model; trains in so many steps of so many seconds."""

    name = "tiny-hosted"

    def __init__(self, *, steps: int = 3, step_s: float = 0.0, answer_s: float = 0.0) -> None:
        self.steps, self.step_s, self.answer_s = steps, step_s, answer_s
        self.tuned: list[Path] = []  # folders of the trainings that were begun
        self.batches: list[int] = []  # sizes of the batches that were answered

    def prepare(self) -> None:
        """Nothing to build."""

    def tune(
        self, rows: Path, valid: Path | None, settings: Json, folder: Path, report: Callable[[Json], None], should_stop: Callable[[], bool]
    ) -> Json:
        self.tuned.append(folder)
        for step in range(1, self.steps + 1):
            time.sleep(self.step_s)
            should_stop()
            event = {"step": step, "steps": self.steps, "train_loss": 2.0 / step, "train_accuracy": 0.5, "valid_loss": None, "valid_accuracy": None}
            if step == self.steps and valid is not None:
                event["valid_loss"] = 1.5
            report(event)
        folder.mkdir(parents=True, exist_ok=True)
        return {"trained_tokens": 1000 * int(settings["epochs"])}

    def answer(self, ask: Ask, questions: Sequence[Sequence[Json]]) -> list[Said]:
        self.batches.append(len(questions))
        time.sleep(self.answer_s)
        texts = [str(question[-1]["content"]) for question in questions]
        return [Said(text.upper() if ask.model else text, "stop", len(text.split()), len(text.split())) for text in texts]
