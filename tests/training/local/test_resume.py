"""Nothing is lost when the machine goes away: kills and damage at any point end in the same adapter, bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ftlib.training.local.checkpoints import SEAL, all_of, newest_whole, seal
from tests.training.local import killing
from tests.training.local.resuming import adapter, copies, kill_points, killed_and_resumed, tune


def test_a_killed_training_ends_in_the_same_adapter_and_report(reference: Path, tmp_path: Path) -> None:
    points = kill_points(reference, 24)
    for point in (points[len(points) // 3], points[-4]):
        killed_and_resumed(reference, point, tmp_path)


def test_energy_and_memory_of_the_earlier_pieces_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML's counter goes on by 3.6 kJ (1 Wh) with every reading; memory is 9 GB at its height in the first piece, and 1 GB in the second."""
    import sys
    from types import SimpleNamespace

    from ftlib.training.local import tally

    counter = iter(range(0, 10**9, 3_600_000))
    nvml = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetHandleByIndex=lambda _: 0, nvmlDeviceGetTotalEnergyConsumption=lambda _: next(counter), NVMLError=OSError
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(tally, "peak_memory", lambda _: {"rss_bytes": 9})
    first = tally.Tally()
    first.meter("cuda")
    first.save(tmp_path)
    monkeypatch.setattr(tally, "peak_memory", lambda _: {"rss_bytes": 1})
    second = tally.Tally.load(tmp_path)
    second.meter("cuda")
    second.save(tmp_path / "later")
    second.measure()
    assert (first.energy_wh, second.energy_wh, second.peak) == (1.0, 3.0, {"rss_bytes": 9})
    monkeypatch.setenv("WORLD_SIZE", "2")
    together = tally.Tally()
    assert together.meter("cuda").reason == "2 processes trained and only the first GPU is read"
    together.measure()
    assert together.energy_wh is None


def test_every_damage_is_named_and_the_older_checkpoint_taken(interrupted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fingerprint = json.loads((interrupted / "checkpoints" / "checkpoint-8" / SEAL).read_text())["fingerprint"]
    tried = 0
    for what, out in copies(interrupted, tmp_path):
        caplog.clear()
        found = newest_whole(out / "checkpoints", fingerprint)
        assert found is not None, what
        assert found.name == "checkpoint-6", what
        assert "passing over checkpoint-8" in caplog.text, what
        assert not (out / "checkpoints" / "checkpoint-8").exists(), what
        tried += 1
    assert tried >= 4 * 8


def test_with_every_checkpoint_damaged_it_begins_anew(reference: Path, interrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(interrupted, out)
    for folder in all_of(out / "checkpoints"):
        (folder / "optimizer.pt").unlink()
    assert killing.in_child(lambda: tune(out)) == 0
    assert adapter(out) == adapter(reference / "out")


def test_a_checkpoint_of_other_settings_is_not_resumed(interrupted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "copy"
    shutil.copytree(interrupted, out)
    assert newest_whole(out / "checkpoints", "another fingerprint") is None
    assert "other settings" in caplog.text


def test_a_foreign_file_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-3"
    folder.mkdir()
    (folder / "weights").write_text("w")
    seal(folder, "f")
    assert newest_whole(tmp_path, "f") == folder
    (folder / "optimizer.pt").write_text("left over")
    assert newest_whole(tmp_path, "f") is None


def test_a_finished_training_is_not_done_again(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(reference / "out", out)
    before = (out / "training.json").stat().st_mtime_ns
    assert tune(out)["status"] == "done"
    assert (out / "training.json").stat().st_mtime_ns == before
