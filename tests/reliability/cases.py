"""Every command of ``ftlib --help`` and every notebook, each with how it succeeds, how it fails, and what keeps it at work."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ftlib.files import write_jsonl

MODEL = "gpt-4o-mini-2024-07-18"
NOTEBOOKS = ("00_quickstart", "01_curate", "02_format", "03_train_local", "04_train_hosted", "05_evaluate", "06_compare")
RUN = {"PROFILE": "whole.yaml", "RUN": "run"}


@dataclass(frozen=True)
class Case:
    """One command, or one notebook.

    ``base`` is the world that it begins in: ``empty``, what a notebook left (by that notebook's name), or ``job``, where a hosted job goes on.
    Its way of failing is the service's telling its key where it ``asks`` that, else the command line ``fails``; ``lasting`` is one whose work
    goes on until it is stopped.
    """

    name: str
    argv: tuple[str, ...]
    base: str = "06_compare"
    codes: tuple[int, ...] = (0,)
    asks: bool = False
    fails: tuple[str, ...] = ()
    tells: str = "error"  # the service's manner then
    refused: str = ""  # a file that says of the failure, where that is written down and not raised
    lasting: tuple[str, ...] = ()
    mark: str = "running ("

    @property
    def notebook(self) -> bool:
        """Whether it is a notebook; ``argv`` holds its parameters then, as JSON."""
        return self.name in NOTEBOOKS

    @property
    def output(self) -> str:
        """The file that `ftlib run` executes a notebook into; empty where it does not."""
        whose = {"03_train_local": "__near", "04_train_hosted": "__far"}.get(self.name, "")
        return f"{self.name}{whose}.ipynb" if self.notebook and self.name != "00_quickstart" else ""

    @property
    def command(self) -> str:
        """The command of ``ftlib --help`` that this is a form of; a notebook's name."""
        return self.name.split()[0]


def _notebook(name: str, base: str, *, lasting: str = "", **kept: Any) -> Case:
    fails = (json.dumps({**RUN, **kept.pop("fails")}),) if "fails" in kept else ()
    given = {**RUN, **({"DRY_RUN": False} if name == "04_train_hosted" else {})}
    return Case(name, (json.dumps(given),), base, fails=fails, lasting=(json.dumps({**given, "PROFILE": lasting}),) if lasting else (), **kept)


def _command(line: str, base: str = "06_compare", *, name: str = "", fails: str = "", lasting: str = "", **kept: Any) -> Case:
    return Case(name or line.split()[0], tuple(line.split()), base, fails=tuple(fails.split()), lasting=tuple(lasting.split()), **kept)


CASES = [
    _notebook("01_curate", "empty", fails={"SOURCE": "bad.jsonl"}),
    _notebook("02_format", "01_curate", fails={"TASK": "bad.jsonl"}),
    _notebook("03_train_local", "02_format", fails={"LR": 1e30}, refused="run/near/training.json", lasting="long.yaml"),
    _notebook("04_train_hosted", "03_train_local", asks=True, refused="run/far/training.json"),
    _notebook("05_evaluate", "04_train_hosted", asks=True, refused="run/answers/far.base/refused.json"),
    _notebook("06_compare", "05_evaluate", fails={"WEIGHTS": "nothing=1"}),
    _notebook("00_quickstart", "empty", asks=True, refused="run/far/training.json", lasting="long.yaml"),
    _command("run whole.yaml --out run", "03_train_local", asks=True, mark="train:far: running ("),
    _command("doctor", fails="doctor --nothing"),
    _command("curate sample --train 24 --valid 6 --test 8 --out out", fails="curate bad.jsonl --out out"),
    _command("leaks run/curated/train.jsonl run/curated/test.jsonl", codes=(0, 1), fails="leaks run/curated/train.jsonl bad.jsonl"),
    _command("format run/curated --to chat --task describe --out out", fails="format bad --to chat --task describe --out out"),
    _command("check run/far/train.jsonl --for openai", fails="check bad.jsonl --for openai"),
    _command("models", fails="models --fits nothing"),
    _command(f"estimate run/far/train.jsonl --model {MODEL}", codes=(0, 1), fails="estimate run/far/train.jsonl --model nothing"),
    _command("estimate whole.yaml", name="estimate of a profile", codes=(0, 1), fails="estimate bad.yaml"),
    _command(
        "train whole.yaml near --out run", "02_format", name="train here", fails="train bad.yaml near --out run",
        lasting="train long.yaml near --out run", mark="train:near: running (",
    ),
    _command("train whole.yaml far --out run", "03_train_local", name="train there", asks=True, mark="Fine-tuning job started"),
    _command("ask run near Mug", name="ask here", fails="ask run nobody Mug"),
    _command("ask run far Mug", name="ask there", asks=True, tells="page"),
    _command("cancel run far", "job", asks=True),
    _command("export run near --to merged --out out", fails="export run near --to hub --repo me/mine"),
    _command("sandbox", fails="sandbox --fault nothing", lasting="sandbox --fault stall-first@models.list", mark="Ctrl-C stops it"),
    _command("score --references run/curated/test.jsonl --answers run/answers/far.tuned/test.jsonl --out out.jsonl",
             codes=(0, 1), fails="score --references run/curated/test.jsonl --answers bad.jsonl"),
    _command(f"judge run --provider openai --model {MODEL} --pairs 3", codes=(0, 1), asks=True),
    _command("compare run --out out", fails="compare bad --out out"),
]  # fmt: skip


def furnish(work: Path, url: str) -> None:
    """Profiles of a contestant that trains here and of one that is trained, and judges, at that service; and what is good for nothing."""
    near = {"name": "near", "trainer": "local", "model": "micro", "steps": 2, "decoding": {"max_new_tokens": 8}}
    profile: dict[str, Any] = {
        "name": "whole",
        "data": {"train": 24, "valid": 6, "test": 8},
        "contestants": [near, {"name": "far", "trainer": "hosted", "provider": "openai", "model": MODEL, "epochs": 1}],
        "models": {"micro": {"id": "tiny-micro", "build": "tiny-micro"}},
        "providers": {"openai": {"base_url": url, "attempt_s": 2.0, "deadline_s": 5.0, "poll_s": 0.1, "lookup_grace_s": 0.3}},
        "budget_usd": 5,
        "evaluation": {"resamples": 100, "probe_items": 2},
    }
    (work / "whole.yaml").write_text(yaml.safe_dump(profile))
    near["steps"] = 1_000_000
    (work / "long.yaml").write_text(yaml.safe_dump(profile))
    (work / "bad.yaml").write_text("name: [")
    (work / "bad").mkdir()
    for path in (work / "bad.jsonl", work / "bad" / "train.jsonl"):
        write_jsonl(path, [{"nothing": number} for number in range(20)])
