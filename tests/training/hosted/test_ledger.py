"""The ledger: never above its cap, whatever dies."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.errors import BudgetExceeded
from ftlib.training.hosted.ledger import Ledger


def test_32_threads_never_exceed_the_cap(tmp_path: Path) -> None:
    ledger, peak, stopped = Ledger(tmp_path / "ledger.jsonl", 1.0), [0.0], [0]
    guard = threading.Lock()
    outstanding = [0.0]

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            worst = rng.uniform(0.001, 0.05)
            try:
                reservation = ledger.reserve(worst, "a call", wait_s=0.2)
            except BudgetExceeded:
                stopped[0] += 1
                return
            with guard:
                outstanding[0] += worst
                peak[0] = max(peak[0], outstanding[0])
            real = worst * rng.random()
            with guard:
                outstanding[0] -= worst - real
            reservation.settle(real)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stopped[0] > 0
    assert peak[0] <= 1.0 + 1e-6
    assert ledger.spent_usd <= 1.0
    assert ledger.spent_usd == pytest.approx(outstanding[0], abs=1e-6)
    assert Ledger(tmp_path / "ledger.jsonl", 1.0).spent_usd == ledger.spent_usd


def test_processes_share_one_cap(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom ftlib.errors import BudgetExceeded\nfrom ftlib.training.hosted.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]), 1.0)\ndone = 0\n"
        "try:\n    while True:\n        ledger.reserve(0.01, 'x').settle(0.01)\n        done += 1\nexcept BudgetExceeded:\n    print(done)\n"
    )
    path = str(tmp_path / "ledger.jsonl")
    workers = [subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    done = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sum(done) == 100


def test_what_was_reserved_before_a_kill_stays_spent(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "ledger.jsonl", 1.0)
    first.reserve(0.3, "a call that was never settled")
    first.reserve(0.2, "another").settle(0.1)
    with (tmp_path / "ledger.jsonl").open("ab") as handle:
        handle.write(b'{"op": "reserve", "id": "torn", "na')
    again = Ledger(tmp_path / "ledger.jsonl", 1.0)
    assert again.spent_usd == pytest.approx(0.4)
    again.reserve(0.5, "fits").release("not sent")
    with pytest.raises(BudgetExceeded, match=r"0\.4000 are spent"):
        again.reserve(0.7, "does not fit")
    assert Ledger(tmp_path / "ledger.jsonl", 1.0).bill() == {
        "cap_usd": 1.0, "spent_usd": pytest.approx(0.4), "left_usd": pytest.approx(0.6), "calls": 3, "unsettled_usd": pytest.approx(0.3),
    }  # fmt: skip


def test_a_keyed_reservation_is_made_once(tmp_path: Path) -> None:
    Ledger(tmp_path / "l.jsonl", 1.0).reserve(0.8, "a job", key="train k")
    again = Ledger(tmp_path / "l.jsonl", 1.0).reserve(0.8, "a job", key="train k")
    again.settle(0.5)
    assert Ledger(tmp_path / "l.jsonl", 1.0).spent_usd == pytest.approx(0.5)


def test_a_keyed_reservation_that_was_given_back_is_made_anew(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl", 1.0)
    ledger.reserve(0.8, "a job", key="train k").release("refused")
    ledger.reserve(0.7, "answers").settle(0.7)
    for again in (ledger, Ledger(tmp_path / "l.jsonl", 1.0)):
        with pytest.raises(BudgetExceeded):
            again.reserve(0.8, "the same job, allowed by now", key="train k")
    larger = Ledger(tmp_path / "l.jsonl", 2.0)
    larger.reserve(0.8, "the same job", key="train k")
    assert larger.spent_usd == pytest.approx(1.5)


def test_waiting_for_calls_under_way(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl", 1.0)
    held = ledger.reserve(0.9, "under way")
    timer = threading.Timer(0.2, lambda: held.settle(0.1))
    timer.start()
    started = time.monotonic()
    ledger.reserve(0.5, "waits", wait_s=5)
    assert time.monotonic() - started >= 0.15


def test_nobody_waits_for_a_job_to_free_money(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.jsonl", 1.0)
    ledger.reserve(0.9, "a job, whose cost is not known for hours", key="train k")
    assert ledger.under_way == 0
    started = time.monotonic()
    with pytest.raises(BudgetExceeded):
        ledger.reserve(0.5, "an answer", wait_s=5)
    assert time.monotonic() - started < 1


def test_half_a_line_on_a_full_disk_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path / "l.jsonl", 1.0)
    ledger.reserve(0.1, "fits").settle(0.1)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[: len(data) // 2]))
        with pytest.raises(OSError, match="No space left"):
            ledger.reserve(0.2, "the disk is full")
    ledger.reserve(0.3, "there is room again").settle(0.3)
    for again in (ledger, Ledger(tmp_path / "l.jsonl", 1.0)):
        assert again.spent_usd == pytest.approx(0.4)


@pytest.mark.parametrize("module", ["ftlib.training.hosted.trainer", "ftlib.training.sandbox.store"])
def test_a_system_without_such_locks_is_told_so(module: str) -> None:
    code = (
        "import sys\nsys.modules['fcntl'] = None\nfrom ftlib.errors import FtlibError\n"
        f"try:\n    import {module}\nexcept FtlibError as error:\n    print(error)\n"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert made.stdout.endswith("or WSL on Windows.\n"), made.stderr


def test_a_larger_cap_goes_on(tmp_path: Path) -> None:
    Ledger(tmp_path / "l.jsonl", 1.0).reserve(1.0, "all of it").settle(1.0)
    with pytest.raises(BudgetExceeded):
        Ledger(tmp_path / "l.jsonl", 1.0).reserve(0.01, "more")
    Ledger(tmp_path / "l.jsonl", 2.0).reserve(0.5, "more")


@settings(max_examples=30, deadline=None)
@given(amounts=st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 1), st.sampled_from(["settle", "release", "keep", "kill"])), max_size=30))
def test_sums_are_exact(tmp_path_factory: pytest.TempPathFactory, amounts: list[tuple[float, float, str]]) -> None:
    path = tmp_path_factory.mktemp("ledger") / "l.jsonl"
    ledger, expected = Ledger(path, 1.0), 0.0
    for worst, share, end in amounts:
        try:
            reservation = ledger.reserve(worst, "x")
        except BudgetExceeded:
            continue
        if end == "settle":
            reservation.settle(worst * share)
            expected += worst * share
        elif end == "release":
            reservation.release("")
        else:
            expected += worst
            if end == "keep":
                reservation.keep("")
    assert Ledger(path, 1.0).spent_usd == pytest.approx(expected, abs=1e-7)
    assert ledger.spent_usd <= 1.0
