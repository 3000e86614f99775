"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable

from ftlib.formatting.task import Prompt, Task
from ftlib.runs import Run
from ftlib.training.hosted.trainer import HostedTrainer

KEY = "sk-" + "canary-0123456789abcdef"
QUICK = {"attempt_s": 2.0, "deadline_s": 5.0, "lookup_grace_s": 0.3, "poll_s": 0.02}
TASK = Task(name="describe", instruction="Describe it.", max_new_tokens=32)
MakeRun = Callable[..., Run]
MakeTrainer = Callable[..., HostedTrainer]


def records(count: int, start: int = 0) -> list[dict[str, str]]:
    return [{"id": str(i), "title": f"thing number {i}", "content": f"It is thing {i}, useful in every home."} for i in range(start, start + count)]


def prompts(count: int) -> list[Prompt]:
    return [TASK.prompt(record) for record in records(count)]
