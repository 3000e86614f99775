"""Large files are read in forks: the same outcome as in threads, and an end that is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from ftlib.curation import forked, reading
from ftlib.curation.pipeline import Job
from ftlib.curation.source import Source
from ftlib.curation.work import curate_source
from ftlib.errors import FtlibError
from tests.curation.helpers import rows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux")


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGE", 0)
    monkeypatch.setattr(reading, "can_fork", lambda: True)
    monkeypatch.setattr("ftlib.curation.jsonlines.CHUNK", 4096)


def odd_file(path: Path) -> None:
    lines = [json.dumps(row).encode() for row in rows(300)]
    lines[40:40] = [
        b"not JSON",
        b"",
        b'{"uid": "x", "title": null, "content": "no title"}',
        lines[3],
        b'{"uid": "d", "title": "a", "title": "b", "content": "c"}',
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))


@pytest.mark.parametrize("recipe", ["default", "seed-readme"])
@pytest.mark.parametrize("keep_rejected", [False, True])
def test_forks_and_threads_do_the_same(recipe: str, keep_rejected: bool, tmp_path: Path, forks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_file(tmp_path / "rows.jsonl")
    job = Job(max_bad_share=0.1, keep_rejected=keep_rejected, threads=2)
    sizes = {"train": 0.8, "valid": 0.1, "test": 0.1} if recipe == "default" else {"train": 0, "valid": 0, "test": 1}
    ways = []
    for name in ("forks", "threads"):
        monkeypatch.setattr(reading, "can_fork", lambda name=name: name == "forks")
        try:
            funnel = curate_source(Source(tmp_path / "rows.jsonl"), recipe, tmp_path / name, dict(sizes), job)
            funnel.pop("seconds")
            files = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.name != "funnel.json"}
            ways.append((funnel, files))
        except FtlibError as error:
            ways.append((str(error), {}))
    assert ways[0] == ways[1]
    if recipe == "default":
        assert ways[0][0]["rejected"] == {"not JSON": 1, "duplicate key": 1}


def test_a_helper_that_is_killed_is_one_sentence(tmp_path: Path, forks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    odd_file(tmp_path / "rows.jsonl")
    main = os.getpid()
    parse = reading.parse_block

    def die(*given: object) -> object:
        if os.getpid() != main:
            os.kill(os.getpid(), signal.SIGKILL)
        return parse(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "parse_block", die)
    with pytest.raises(FtlibError, match="helper process of the curation was ended from outside"):
        curate_source(Source(tmp_path / "rows.jsonl"), "default", tmp_path / "out", {}, Job(threads=2))
    assert not (tmp_path / "out").exists()


def test_messages_come_back_in_order_and_helpers_end() -> None:
    helpers = forked.Helpers(lambda message: message[::-1], 2)
    with closing(helpers):
        sent = [bytes([n]) * (n * 5000) + b"x" for n in range(40)]
        assert list(helpers.map(sent)) == [message[::-1] for message in sent]
    for process, _, _ in helpers._all:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_helpers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import time; from ftlib.curation.forked import Helpers; helpers = Helpers(lambda m: m, 2); list(helpers.map([b'a'] * 4));"
        "print(*[p for p, _, _ in helpers._all], flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    helpers = [int(word) for word in parent.stdout.readline().split()]
    assert len(helpers) == 2
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(alive(process) for process in helpers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
