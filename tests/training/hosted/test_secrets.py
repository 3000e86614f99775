"""A key never reaches a file, a log, a traceback or an answer, whatever happens."""

from __future__ import annotations

import logging
import pickle
import signal
import subprocess
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import FtlibError, Refused
from ftlib.training.hosted.keys import Key, find_key
from ftlib.training.hosted.provider import Provider, load_provider
from ftlib.training.sandbox.server import Sandbox
from tests.training.hosted.helpers import KEY, MakeRun, MakeTrainer, prompts

PROVIDER = Provider(name="p", base_url="https://x", key_env=["FIRST_KEY", "SECOND_KEY"])


def files_with(secret: str, folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    "faults",
    [
        [],
        ["401@any*all"],
        ["401@jobs.create*all"],
        ["html@files.create*all"],
        ["stall@chat*all"],
        ["fail-running"],
        ["drip@jobs.get*all"],
        ["reset@any*all"],
    ],
)
def test_no_trace_of_it_through_success_and_failure(
    sandbox: Sandbox, make_run: MakeRun, make_trainer: MakeTrainer, faults: list[str],
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, logger="ftlib")
    for fault in faults:
        sandbox.faults.add(fault)
    run = make_run(quick={"attempt_s": 0.3, "deadline_s": 0.6})
    trainer = make_trainer(run)
    real = trainer.link().clock.sleep
    monkeypatch.setattr(trainer.link().clock, "sleep", lambda seconds: real(min(seconds, 0.01)))
    monkeypatch.setattr("ftlib.training.hosted.watching.PATIENCE_S", 0.5)
    try:
        trainer.train()
        list(trainer.ask(prompts(3), tuned=True))
    except FtlibError as error:
        told = "".join(traceback.format_exception(error))
        assert KEY not in told
    run.finish()
    assert not files_with(KEY, run.path)
    assert KEY not in caplog.text
    assert KEY not in repr(vars(trainer)) + repr(vars(trainer.link().service))
    printed = capsys.readouterr()
    assert KEY not in printed.out + printed.err


def test_no_trace_of_it_after_a_kill(sandbox: Sandbox, make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    code = (
        "import logging, sys\nlogging.basicConfig(level=logging.DEBUG)\n"
        "from pathlib import Path\nfrom ftlib.runs import Run\nfrom ftlib.training.hosted.trainer import HostedTrainer\n"
        "run = Run.open(Path(sys.argv[1]))\ntrainer = HostedTrainer(run, run.contestant('h'))\ntrainer.train()\n"
        "from ftlib.formatting.task import Task\ntask = Task(name='t', max_new_tokens=5)\n"
        "for _ in range(1000):\n    list(trainer.ask([task.prompt({'id': '1', 'title': 'x', 'content': ''})] * 50, tuned=True))\n"
    )
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen([sys.executable, "-c", code, str(run.path)], stdout=said, stderr=said)
        until = time.monotonic() + 60
        while not (run.folder("h") / "training.json").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(0.5)
        assert process.poll() is None, (tmp_path / "said.txt").read_text()[-2000:]
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (run.folder("h") / "training.json").exists()
    assert not files_with(KEY, tmp_path)


def test_the_order_is_argument_environment_colab(monkeypatch: pytest.MonkeyPatch) -> None:
    userdata: Any = types.ModuleType("google.colab.userdata")
    userdata.SecretNotFoundError = type("SecretNotFoundError", (Exception,), {})
    userdata.NotebookAccessError = type("NotebookAccessError", (Exception,), {})
    asked: list[str] = []

    def get(name: str) -> str:
        asked.append(name)
        if name == "FIRST_KEY":
            raise userdata.SecretNotFoundError
        return " from-colab\n"

    userdata.get = get
    colab: Any = types.ModuleType("google.colab")
    colab.userdata = userdata
    for name, module in {"google": types.ModuleType("google"), "google.colab": colab, "google.colab.userdata": userdata}.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert find_key(PROVIDER).reveal() == "from-colab"
    monkeypatch.setenv("SECOND_KEY", "\tfrom-environment\r\n")
    assert find_key(PROVIDER).reveal() == "from-environment"
    monkeypatch.setenv("FIRST_KEY", "   ")
    assert find_key(PROVIDER).reveal() == "from-environment"
    assert find_key(PROVIDER, " from-argument ").reveal() == "from-argument"
    assert asked == ["FIRST_KEY", "SECOND_KEY"]


def test_without_a_key_it_says_where_to_put_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match="set FIRST_KEY in the environment"):
        find_key(PROVIDER)


@pytest.mark.parametrize("bad", ["sk-one\nsk-two", "sk key", "sk-\u00e9", "sk-\u200b1"])
def test_a_key_that_a_header_cannot_carry_is_refused_without_showing_it(bad: str) -> None:
    with pytest.raises(Refused, match="copy it again") as caught:
        find_key(PROVIDER, bad)
    assert bad not in str(caught.value)


def test_a_key_prints_as_stars_and_is_not_pickled() -> None:
    key = Key(KEY)
    assert f"{key} {key!r} {[key]}" == "Key(***) Key(***) [Key(***)]"
    assert key.redact(f"Bearer {KEY}!") == "Bearer ***!"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_keys_come_from_the_environment_of_each_provider() -> None:
    for name in ("openai", "azure", "nebius", "together", "sandbox"):
        assert load_provider(name).key_env
