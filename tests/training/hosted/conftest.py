"""A run with training files, a sandbox with a stand-in engine, and the real client between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftlib.files import write_jsonl
from ftlib.formatting.rows import chat_row
from ftlib.profile import Contestant, Profile
from ftlib.runs import Run
from ftlib.training.hosted.trainer import HostedTrainer
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import KEY, QUICK, TASK, MakeRun, MakeTrainer, records
from tests.training.sandbox.stubs import StubEngine


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def sandbox(tmp_path: Path, engine: StubEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The service in this process; its address and key stand in the environment, beside a proxy that would break it."""
    with Sandbox(tmp_path / "service", engine, KEY, stall_s=3.0, drip_s=0.05) as running:
        monkeypatch.setenv("FTLIB_SANDBOX_URL", running.url)
        monkeypatch.setenv("FTLIB_SANDBOX_KEY", KEY + "\n")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.delenv("no_proxy", raising=False)
        yield running


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run of one hosted contestant, with its training files written."""

    def make(
        *,
        provider: str = "sandbox",
        quick: dict[str, Any] | None = None,
        folder: str = "run",
        budget: float = 0.0,
        prices: str | None = None,
        providers: dict[str, Any] | None = None,
        rows: int = 12,
        drive: Path | None = None,
        **fields: Any,
    ) -> Run:
        plain = {"name": "h", "trainer": "hosted", "provider": provider, "model": "tiny-hosted", "epochs": 2, **fields}
        contestant = msgspec.convert(plain, Contestant)
        described = {"sandbox": {**QUICK, **(quick or {})}, **(providers or {})}
        profile = Profile(
            name="t", contestants=[contestant], budget_usd=budget, prices=prices, providers=described, drive=str(drive) if drive else None
        )
        run = Run.create(tmp_path / folder, profile)
        if contestant.trains:
            write_jsonl(run.folder("h") / "train.jsonl", [chat_row(TASK, record) for record in records(rows, 1000)])
            write_jsonl(run.folder("h") / "valid.jsonl", [chat_row(TASK, record) for record in records(3, 2000)])
        return run

    return make


@pytest.fixture
def make_trainer(make_run: MakeRun) -> Iterator[MakeTrainer]:
    """Makes trainers and closes them all at the end."""
    made: list[HostedTrainer] = []

    def make(run: Run | None = None, **fields: Any) -> HostedTrainer:
        own = {name: fields.pop(name) for name in ("key", "clock", "service") if name in fields}
        run = run or make_run(**fields)
        trainer = HostedTrainer(run, run.contestant("h"), **own)
        made.append(trainer)
        return trainer

    yield make
    for trainer in made:
        trainer.close()


PRICES = """
- {provider: paid, model: "*", unit: training_token, usd: 3, per: 1000000, date: 2026-11-01, source: test}
- {provider: paid, model: "*", unit: input_token, usd: 1, per: 1000, date: 2026-11-01, source: test}
- {provider: paid, model: "*", unit: output_token, usd: 2, per: 1000, date: 2026-11-01, source: test}
"""


@pytest.fixture
def paid(sandbox: Sandbox, tmp_path: Path) -> dict[str, Any]:
    """What makes a run use the service as one that costs money: 1 dollar a thousand tokens in, 2 out."""
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES)
    described = {"paid": {"base_url": sandbox.url, "key_env": ["FTLIB_SANDBOX_KEY"], **QUICK}}
    return {"provider": "paid", "prices": str(path), "providers": described}
