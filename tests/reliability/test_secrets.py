"""Twelve canary keys through commands that succeed, fail, time out and are killed: found nowhere on disk and in nothing that is printed."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from ftlib.training.sandbox.server import Sandbox
from tests.reliability.canaries import KEYS, leaks
from tests.training.sandbox.stubs import StubEngine


class Telltale(BaseHTTPRequestHandler):
    """A service that sends the key that it got back in every way it can: in the error, in a header, in a redirect, or never answers."""

    manner = "error"

    def do_POST(self) -> None:
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.manner == "slow":
            time.sleep(20)
            return
        said = {"error": {"message": f"Incorrect API key provided: {key}", "type": "invalid_request_error", "code": "invalid_api_key", "param": key}}
        body = json.dumps(said).encode() if self.manner == "error" else f"<html>{key}</html>".encode()
        self.send_response(401 if self.manner == "error" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Request-Id", key)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Telltale)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder that holds all that a command may write to: its work, its home, its cache, its temporary files."""
    for name in ("work", "home", "cache", "tmp"):
        (tmp_path / name).mkdir()
    return tmp_path


def run(world: Path, *argv: str, kill_after: float | None = None, program: Sequence[str] = ("-m", "ftlib")) -> tuple[int, bytes]:
    """Run a command with the twelve keys in its environment; returns how it ended and all that it said."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    own = {
        "HOME": str(world / "home"),
        "FTLIB_HOME": str(world / "cache"),
        "TMPDIR": str(world / "tmp"),
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_OFFLINE": "1",
    }
    folder = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, *program, *argv],
        cwd=world / "work",
        env={**kept, **KEYS, **own, "PYTHONPATH": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = process.communicate(timeout=kill_after or 600)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return process.returncode, said


def hosted(world: Path, service: str) -> str:
    """A profile of one contestant at that service."""
    profile = {
        "name": "keys",
        "data": {"train": 40, "valid": 10, "test": 20},
        "contestants": [{"name": "far", "trainer": "hosted", "provider": "openai", "model": "gpt-4o-mini-2024-07-18", "epochs": 1}],
        "providers": {"openai": {"base_url": service, "attempt_s": 2.0, "deadline_s": 4.0, "poll_s": 0.1, "lookup_grace_s": 0.1}},
        "budget_usd": 5,
        "evaluation": {"resamples": 100, "probes": []},
    }
    path = world / "work" / "keys.yaml"
    path.write_text(yaml.safe_dump(profile))
    return str(path)


COMMANDS = [
    ["curate", "sample", "--train", "40", "--valid", "10", "--test", "20", "--out", "curated"],
    ["format", "curated", "--to", "chat", "--task", "describe", "--out", "files"],
    ["check", "files/train.jsonl", "--for", "openai"],
    ["leaks", "curated/train.jsonl", "curated/test.jsonl"],
    ["estimate", "files/train.jsonl", "--model", "gpt-4o-mini-2024-07-18"],
    ["estimate", "demo"],
    ["models"],
    ["doctor"],
    ["score", "--references", "curated/test.jsonl", "--answers", "answers.jsonl", "--resamples", "100", "--out", "items.jsonl"],
]
FAILING = [
    ["curate", "nothing.jsonl", "--out", "curated"],
    ["run", "nothing.yaml"],
    ["judge", "nowhere", "--provider", "openai", "--model", "gpt-4o-mini"],
    ["export", "nowhere", "far", "--to", "hub", "--repo", "me/mine"],
    ["ask", "nowhere", "far"],
    ["compare", "nowhere", "--out", "out"],
]


def test_the_search_finds_a_key_in_every_form(tmp_path: Path) -> None:
    key = KEYS["OPENAI_API_KEY"]
    for number, text in enumerate(
        [key, base64.b64encode(f":{key}".encode()).decode(), json.dumps({"k": key}), f"https://x/?key={key.replace('+', '%2B')}"]
    ):
        (tmp_path / "x").write_text(text)
        assert leaks([tmp_path]) or number == 3, text
    assert leaks([], b"..." + base64.b64encode(b"ab" + key.encode() + b"tail"))
    (tmp_path / "x").write_text("sk-nothing")
    assert leaks([tmp_path]) == []


@pytest.mark.reliability
def test_commands_that_succeed_and_fail(world: Path) -> None:
    said = b""
    for argv in COMMANDS:
        if argv[0] == "score":
            rows = [json.loads(line) for line in (world / "work" / "curated" / "test.jsonl").read_text().splitlines()]
            (world / "work" / "answers.jsonl").write_text("".join(json.dumps({"id": row["id"], "answer": row["title"]}) + "\n" for row in rows))
        code, more = run(world, *argv)
        assert code in (0, 1), more.decode()
        said += more
    for argv in FAILING:
        code, more = run(world, *argv)
        assert code == 2, more.decode()
        assert b"Traceback" not in more, more.decode()
        said += more
    assert leaks([world], said) == []


@pytest.mark.reliability
@pytest.mark.parametrize("manner", ["error", "page", "slow"])
def test_a_service_that_tells_the_key(world: Path, service: str, manner: str) -> None:
    Telltale.manner = manner
    profile = hosted(world, service)
    code, said = run(world, "train", profile, "far", "--out", "run")
    assert code in (1, 2), said.decode()
    assert leaks([world], said) == []
    assert b"Traceback" not in said


@pytest.mark.reliability
@pytest.mark.parametrize("seconds", [3.0, 8.0])
def test_a_command_that_is_killed(world: Path, service: str, seconds: float) -> None:
    Telltale.manner = "slow"
    _, said = run(world, "run", hosted(world, service), "--out", "run", kill_after=seconds)
    assert leaks([world], said) == []


@pytest.mark.reliability
def test_notebooks_that_end_fail_and_time_out(world: Path, service: str) -> None:
    Telltale.manner = "error"
    profile = hosted(world, service)
    code, said = run(world, "run", profile, "--out", "run")
    assert (world / "work" / "run" / "notebooks" / "04_train_hosted__far.ipynb").exists() or b"notebook" in said.lower(), said.decode()
    assert code in (1, 2)
    code, more = run(world, "run", profile, "--out", "run2", "--timeout", "1")
    assert code == 2
    assert leaks([world], said + more) == []
    for page in (world / "work").rglob("*.xlsx"):
        with zipfile.ZipFile(page) as archive:
            assert leaks([], b"".join(archive.read(name) for name in archive.namelist())) == []


def ours(world: Path, url: str) -> str:
    """A profile of a contestant that trains here and one that is trained, and judges, at that service."""
    profile = {
        "name": "whole",
        "data": {"train": 24, "valid": 6, "test": 8},
        "contestants": [
            {"name": "near", "trainer": "local", "model": "micro", "steps": 2, "decoding": {"max_new_tokens": 8}},
            {"name": "far", "trainer": "hosted", "provider": "openai", "model": MODEL, "epochs": 1},
        ],
        "models": {"micro": {"id": "tiny-micro", "build": "tiny-micro"}},
        "providers": {"openai": {"base_url": url, "poll_s": 0.1, "lookup_grace_s": 0.3}},
        "budget_usd": 5,
        "evaluation": {"resamples": 100, "probe_items": 2},
    }
    path = world / "work" / "whole.yaml"
    path.write_text(yaml.safe_dump(profile))
    return str(path)


MODEL = "gpt-4o-mini-2024-07-18"
QUICKSTART = (
    "import sys; from pathlib import Path; from ftlib.execute import execute; "
    "execute('00_quickstart', Path('00.ipynb').resolve(), {'PROFILE': sys.argv[1], 'RUN': 'run'})"
)
AFTERWARDS = [
    (["ask", "run", "near", "Blue mug"], (0,)),
    (["ask", "run", "far", "Blue mug", "--base"], (0,)),
    (["judge", "run", "--provider", "openai", "--model", MODEL, "--pairs", "3"], (0, 1)),
    (["compare", "run", "--out", "out"], (0,)),
    (["export", "run", "near", "--to", "adapter", "--out", "adapter"], (0,)),
    (["export", "run", "near", "--to", "merged", "--out", "merged"], (0,)),
    (["export", "run", "near", "--to", "hub", "--repo", "me/mine"], (2,)),
    (["estimate", "whole.yaml"], (0, 1)),
]


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_every_notebook_and_every_other_command_killed_and_then_ended_well(world: Path) -> None:
    pytest.importorskip("torch")
    engine = StubEngine(steps=3, step_s=0.3)
    engine.name = MODEL
    with Sandbox(world / "service", engine, KEYS["OPENAI_API_KEY"]) as service:
        profile = ours(world, service.url)
        said = b"".join(run(world, "run", profile, "--out", "run", kill_after=seconds)[1] for seconds in (6.0, 15.0))
        code, more = run(world, "run", profile, "--out", "run")
        assert code == 0, more.decode()
        said += more
        executed = {path.stem for path in (world / "work" / "run" / "notebooks").glob("*.ipynb")}
        assert executed == {"01_curate", "02_format", "03_train_local__near", "04_train_hosted__far", "05_evaluate", "06_compare"}
        code, more = run(world, profile, program=["-c", QUICKSTART])
        assert code == 0, more.decode()
        assert (world / "work" / "00.ipynb").exists()
        said += more
        for argv, codes in AFTERWARDS:
            code, more = run(world, *argv)
            assert code in codes, f"{argv}: {more.decode()}"
            assert b"Traceback" not in more, more.decode()
            said += more
        said += run(world, "sandbox", kill_after=8.0)[1]
    assert b"ftlib sandbox is ready" in said
    assert leaks([world], said) == []
