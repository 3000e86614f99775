"""A sandbox with a stand-in engine, and the real client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from ftlib.training.sandbox.server import Sandbox
from tests.training.sandbox.stubs import StubEngine

KEY = "sk-test-0123456789"


def rows(count: int = 12) -> bytes:
    """A good training file."""
    line = '{{"messages": [{{"role": "user", "content": "thing {0}"}}, {{"role": "assistant", "content": "It is thing {0}."}}]}}\n'
    return "".join(line.format(i) for i in range(count)).encode()


@pytest.fixture
def engine() -> StubEngine:
    return StubEngine()


@pytest.fixture
def sandbox(tmp_path: Path, engine: StubEngine) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "service", engine, KEY) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    return connect(sandbox)


def connect(sandbox: Sandbox, key: str = KEY) -> openai.OpenAI:
    """The real client, as its users make it."""
    return openai.OpenAI(api_key=key, base_url=sandbox.url, max_retries=0, http_client=openai.DefaultHttpxClient(trust_env=False))
