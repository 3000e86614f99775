"""`ftlib sandbox` as a process: its address, its key, its faults, and that it does not outlive its parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ftlib.cli import main
from ftlib.errors import ProfileError
from ftlib.training.hosted.sandbox_child import environment
from ftlib.training.sandbox.faults import PLACES, Faults, fault_list, parse_fault
from ftlib.training.sandbox.serve import READY, serve
from ftlib.training.sandbox.server import Sandbox

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start(*args: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ftlib", "sandbox", *args], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def status(url: str, key: str) -> int:
    request = urllib.request.Request(url + "/models", headers={"Authorization": f"Bearer {key}"})
    try:
        return int(OPENER.open(request, timeout=5).status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_prints_its_address_and_a_key_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    process = start(FTLIB_HOME=str(tmp_path), FTLIB_SANDBOX_KEY="")
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix(READY).strip()
    told = process.stdout.readline()
    key = told.rpartition("FTLIB_SANDBOX_KEY=")[2].strip()
    assert url.startswith("http://127.0.0.1:")
    assert status(url, key) == 200
    assert status(url, "wrong") == 401
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0


def test_it_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import time\nfrom ftlib.training.hosted.sandbox_child import SandboxChild\n"
        "child = SandboxChild()\nprint(child.url, child.key, child._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "FTLIB_HOME": str(tmp_path)})
    assert parent.stdout is not None
    url, key, pid = parent.stdout.readline().split()
    assert status(url, key) == 200
    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2] and time.monotonic() < until:
        time.sleep(0.05)
    with pytest.raises(urllib.error.URLError):
        status(url, key)


def test_it_does_not_report_to_a_runner_that_may_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLIB_PROGRESS", "/a/folder/that/went/with/the/runner")
    made = environment("k")
    assert "FTLIB_PROGRESS" not in made
    assert made["FTLIB_SANDBOX_KEY"] == "k"


def test_other_hosts_need_a_key_of_ones_own() -> None:
    with pytest.raises(ProfileError, match="FTLIB_SANDBOX_KEY"):
        serve(host="0.0.0.0")


def test_the_list_of_faults_and_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--fault", "list"]) == 0
    told = capsys.readouterr().out
    for name in (
        "reset-after-commit",
        "stall",
        "drip",
        "500",
        "429",
        "html",
        "empty-object",
        "malformed",
        "unknown-status",
        "status-none",
        "base64-result",
        "403",
        "quota",
        "fail-validating",
        "fail-queued",
        "fail-running",
    ):
        assert f"  {name} " in told
    assert told.strip() == fault_list().strip()
    assert main(["sandbox", "--fault", "dripp"]) == 2
    assert "did you mean 'drip'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("FTLIB_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["sandbox", "--port", str(port)]) == 2
    assert f"127.0.0.1:{port} cannot be served" in capsys.readouterr().err


def test_faults_are_used_up_where_they_belong() -> None:
    faults = Faults(["500@jobs*2", "html@chat", "fail-running"])
    assert faults.take("chat", "before") is None
    assert [faults.take("jobs.create", "before"), faults.take("jobs.list", "before"), faults.take("jobs.get", "before")] == ["500", "500", None]
    assert faults.take("chat", "before", "after") == "html"
    assert faults.has("fail-running")
    assert parse_fault("403@any*all").left is None


def test_every_endpoint_of_a_fault_is_one_of_the_service(sandbox: Sandbox) -> None:
    assert set(PLACES) == {"any"} | {part for _, _, name, _ in sandbox.api._routes for part in (name, name.partition(".")[0])}


@pytest.mark.parametrize(("spec", "words"), [("500@chatt", "no endpoint chatt .did you mean 'chat'"), ("refusal@jobs", "happens at chat alone"),
                                             ("fail-queued@chat.x", "no endpoint")])  # fmt: skip
def test_a_fault_that_could_never_happen_is_named(spec: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        parse_fault(spec)


def test_the_help_names_what_can_be_rehearsed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sandbox", "--help"])
    told = capsys.readouterr().out
    examples = re.findall(r"--fault '?([a-z0-9-]+(?:@[a-z.]+)?(?:\*\d+)?)", told.partition("examples:")[2])
    assert len(examples) > 5
    for spec in examples:
        assert spec == "list" or parse_fault(spec)
    assert "FTLIB_SANDBOX_KEY" in told
