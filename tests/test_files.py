from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.errors import DataError
from ftlib.files import TEMPORARY, AppendLog, atomic_path, dump_line, hash_json, read_json, read_jsonl, sha256_file, write_atomic, write_jsonl


def test_an_exception_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_atomic(target, "old")
    with pytest.raises(FileNotFoundError), atomic_path(target):
        raise FileNotFoundError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_kill_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_atomic(target, "old")
    script = f"""
import time
from ftlib.files import atomic_path
with atomic_path({str(target)!r}) as t:
    t.write_text("half"); print("in", flush=True); time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert target.read_text() == "old"
    assert any(p.name.endswith(TEMPORARY) for p in tmp_path.iterdir())  # recognisable, and swept by the next lock


def test_a_folder_that_a_killed_process_left_goes_with_the_next_one(tmp_path: Path) -> None:
    script = "import time; from ftlib.files import scratch_folder\nwith scratch_folder() as f: print('in', flush=True); time.sleep(60)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    started = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    dead, living = started
    dead.kill()
    dead.wait()
    assert len(list(tmp_path.iterdir())) == 2
    ended = subprocess.run([sys.executable, "-c", script.replace("60", "0")], env=environment, check=True, capture_output=True)
    assert ended.stdout == b"in\n"
    assert [path.name.split(".")[1] for path in tmp_path.iterdir()] == [str(living.pid)]
    living.kill()
    living.wait()


def test_append_log_drops_a_torn_last_line_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with AppendLog(path) as log:
        log.append({"n": 1})
        log.append({"n": 2})
    with path.open("ab") as handle:
        handle.write(b'{"n": 3, "te')
    with AppendLog(path) as log:
        assert log.rows() == [{"n": 1}, {"n": 2}]
        log.append({"n": 3})
    assert list(read_jsonl(path)) == [{"n": 1}, {"n": 2}, {"n": 3}]


@given(st.text(st.characters()))  # lone surrogates included
def test_any_text_survives_a_line(text: str) -> None:
    line = dump_line({"text": text})
    assert "\n" not in line
    assert json.loads(line.encode("utf-8")) == {"text": text}


def test_hash_of_a_folder_changes_with_one_byte_though_size_and_time_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "d" / "x.bin"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    when = file.stat().st_mtime
    before = sha256_file(tmp_path / "d")
    file.write_bytes(b"abd")
    os.utime(file, (when, when))
    assert sha256_file(tmp_path / "d") != before


def test_hash_json_ignores_key_order_and_nothing_else() -> None:
    assert hash_json({"a": 1, "b": [1, 2]}) == hash_json({"b": [1, 2], "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": "1"})
    assert hash_json([1, 2]) != hash_json([2, 1])


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json does not exist"):
        read_json(tmp_path / "none.json")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(DataError, match=r"bad\.jsonl, line 2"):
        list(read_jsonl(bad))
    assert write_jsonl(bad, ({"n": n} for n in range(3))) == 3


def test_an_acknowledged_append_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    script = f"""
from ftlib.files import AppendLog
with AppendLog({str(path)!r}) as log:
    for n in range(10**9):
        log.append({{"n": n}}); print(n, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    process.kill()
    assert process.stdout is not None
    acknowledged = [int(line) for line in process.stdout.read().split("\n")[:-1]]
    process.wait()
    with AppendLog(path) as log:
        kept = [row["n"] for row in log.rows()]
    assert kept[: len(acknowledged)] == acknowledged
    assert len(acknowledged) > 0
