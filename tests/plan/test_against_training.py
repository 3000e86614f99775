"""Estimates against what a training really took: tokens to the last one, time and memory within the stated error and this machine's mood."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ftlib.files import read_json
from ftlib.formatting import format_run
from ftlib.plan import estimate_run
from ftlib.profile import load_profile
from ftlib.runs import Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # the small models are built first
SETTINGS = ["data.train=96", "data.valid=8", "data.test=8", "evaluation.probe_items=2", "contestants.tiny-llama.epochs=2"]


def test_the_local_training_of_the_demo(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    from ftlib.curation import curate_run
    from ftlib.training import train_contestant
    from ftlib.training.local.tiny import build_tiny

    run = Run.create(tmp_path / "run", load_profile("demo", SETTINGS))
    curate_run(run)
    format_run(run)
    estimated = next(report for report in estimate_run(run)["contestants"] if report["contestant"] == "tiny-llama")
    contestant = run.contestant("tiny-llama")
    build_tiny("tiny-llama")
    started = time.process_time()
    train_contestant(run, contestant)
    worked = time.process_time() - started  # of the processor: what others do on this machine does not count
    actual = read_json(run.folder(contestant) / "training.json")
    assert actual["status"] == "done"
    assert estimated["training_tokens"] == actual["tokens"]["seen"]
    assert estimated["steps"] == actual["steps"]
    assert estimated["examples_seen"] == actual["examples"]["seen"]
    assert estimated["padded_tokens"] == pytest.approx(actual["tokens"]["seen"] + actual["tokens"]["padding"], rel=0.15)
    assert estimated["seconds"] / 5 < worked < 20 + estimated["seconds"] * 10  # loading counts too, and two cores work
    assert estimated["memory_bytes"] == pytest.approx(actual["memory"]["rss_bytes"], rel=0.6)


def test_the_hosted_training_of_the_demo(tmp_path: Path) -> None:
    """The sandbox bills what its trainer really saw."""
    pytest.importorskip("trl")
    from ftlib.curation import curate_run
    from ftlib.training import train_contestant

    run = Run.create(tmp_path / "run", load_profile("demo", [*SETTINGS, "contestants.tiny-hosted.epochs=1"]))
    curate_run(run)
    format_run(run)
    estimated = next(report for report in estimate_run(run)["contestants"] if report["contestant"] == "tiny-hosted")
    contestant = run.contestant("tiny-hosted")
    train_contestant(run, contestant)
    actual = read_json(run.folder(contestant) / "training.json")
    assert actual["status"] == "done"
    assert actual["money_usd"] == estimated["training_cost_usd"] == 0
    assert actual["epochs"] == estimated["epochs"]
    assert actual["tokens"]["billed"] == estimated["billed_training_tokens"]
