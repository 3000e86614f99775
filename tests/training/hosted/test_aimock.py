"""A second, independent peer: `@copilotkit/aimock` from npm, where node and the package are.

FTLIB_AIMOCK names its folder (`npm install --prefix FOLDER @copilotkit/aimock@1.43.0`).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftlib.files import read_json
from ftlib.training.hosted.failures import Failure
from tests.training.hosted.helpers import MakeRun, MakeTrainer, prompts

KEY = "aimock-canary-1234"
pytestmark = pytest.mark.slow


@pytest.fixture
def aimock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The peer's address."""
    script = Path(os.environ.get("FTLIB_AIMOCK", "nowhere")) / "node_modules/@copilotkit/aimock/dist/cli.js"
    if not script.exists() or not shutil.which("node"):
        pytest.skip("FTLIB_AIMOCK names no folder with @copilotkit/aimock, or node is not installed")
    (tmp_path / "fixtures").mkdir()
    said = {"match": {"userMessage": "thing"}, "response": {"content": "It is a thing."}}
    (tmp_path / "fixtures" / "a.json").write_text(json.dumps({"fixtures": [said]}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["node", str(script), "-p", str(port), "-f", str(tmp_path / "fixtures"), "--log-level", "warn"]
    process = subprocess.Popen(command, env={**os.environ, "AIMOCK_API_KEYS": KEY})
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert process.poll() is None, "aimock did not start"
            assert time.monotonic() < until, "aimock did not listen"
            time.sleep(0.1)
    monkeypatch.setenv("MOCK_KEY", KEY)
    yield f"http://127.0.0.1:{port}/v1"
    process.kill()
    process.wait()


def described(address: str) -> dict[str, Any]:
    """What is known of it: it has no endpoint for models; for nothing is charged."""
    return {"mock": {"base_url": address, "key_env": ["MOCK_KEY"], "free": True, "can": {"models": False}, "poll_s": 0.05, "lookup_grace_s": 0.5}}


def test_a_job_is_trained_and_asked(aimock: str, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(make_run(provider="mock", providers=described(aimock)))
    trainer.train()
    report = read_json(trainer.run.folder("h") / "training.json")
    assert report["status"] == "done"
    assert report["tuned_model"]
    answers = dict(trainer.ask(prompts(20), tuned=True))
    assert [answers[i].text for i in range(20)] == ["It is a thing."] * 20
    assert answers[0].tokens_out == 4


def test_a_lost_reply_creates_no_second_job(aimock: str, make_run: MakeRun, make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(provider="mock", providers=described(aimock))
    trainer = make_trainer(run)
    service = trainer.link().service
    real, calls = service.start, []

    async def losing(request: Any) -> Any:
        calls.append(await real(request))
        raise Failure("lost", "the reply was lost")

    monkeypatch.setattr(service, "start", losing)
    trainer.train()
    assert len(calls) == 1
    assert read_json(run.folder("h") / "job.json")["id"] == calls[0]["id"]


def test_a_wrong_key_is_refused(aimock: str, make_run: MakeRun, make_trainer: MakeTrainer) -> None:
    from ftlib.errors import Refused

    with pytest.raises(Refused, match="Invalid API key"):
        make_trainer(make_run(provider="mock", providers=described(aimock)), key="wrong-key").train()
