"""Progress that several kernels report to one runner."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import pytest

from ftlib.progress import RELAY, bar, relay


def test_a_bar_reports_whole_lines_so_that_a_log_line_never_stands_behind_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progress"
    monkeypatch.setenv(RELAY, str(path))
    shown = bar(desc="answers", total=2, unit="answer")
    shown.start_t -= 60  # bars of less than two seconds are not shown
    shown.mininterval = 0
    shown.update(2)
    shown.refresh()
    assert path.read_text().endswith("\n")
    assert "\r" not in path.read_text()
    assert "100%" in path.read_text()
    shown.close()


def test_what_is_reported_is_logged_with_the_time(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ftlib"), relay(time.monotonic() - 61):
        for _ in bar(range(3), desc="rows"):
            pass
        with open(os.environ[RELAY], "a", encoding="utf-8") as log:
            log.write("curate: done\n")
    assert [message.strip() for message in caplog.messages] == ["1:01  curate: done"]
