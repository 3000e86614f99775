"""Nothing is lost when the machine goes away: kills and damage at any point end in the same adapter, bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftlib.files import sha256_file
from ftlib.training.local.checkpoints import SEAL, all_of, newest_whole, seal
from tests.training.local import killing, micro

ROWS, VALID = 48, 4


def _tune(out: Path, **changes: object) -> dict[str, object]:
    from ftlib.training.local.tuning import tune

    return tune(micro.model(), micro.examples(ROWS), micro.examples(VALID, 900), micro.settings(**changes), out)


def _adapter(out: Path) -> str:
    return sha256_file(out / "adapter" / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training, and beside it ``events.txt``: everything it did to its folder."""
    killing.import_all()
    micro.model()
    root = tmp_path_factory.mktemp("reference")

    def work() -> None:
        killing.events(root / "out", root / "events.txt")
        _tune(root / "out")

    assert killing.in_child(work, root / "said.txt") == 0, (root / "said.txt").read_text()
    return root


@pytest.fixture(scope="module")
def interrupted(reference: Path) -> Path:
    """A training killed in its last third, with two whole checkpoints."""
    out = reference / "interrupted"

    def work() -> None:
        from ftlib.training.local.tuning import tune

        def die(event: dict[str, object]) -> None:
            if event["step"] == 9:
                killing.os.kill(killing.os.getpid(), killing.signal.SIGKILL)

        tune(micro.model(), micro.examples(ROWS), micro.examples(VALID, 900), micro.settings(), out, on_event=die)

    assert killing.in_child(work) == 9
    assert [folder.name for folder in all_of(out / "checkpoints")] == ["checkpoint-8", "checkpoint-6"]
    return out


def _kill_points(reference: Path, many: int) -> list[int]:
    """Event numbers spread over the whole training; about half of them within the saving of a checkpoint."""
    lines = [line.split(" ", 1) for line in (reference / "events.txt").read_text().splitlines()]
    saving = [int(number) for number, what in lines if "checkpoints/checkpoint-" in what]
    every = [int(number) for number, _ in lines]
    half = many // 2
    return sorted({*saving[3 :: max(1, len(saving) // half)][:half], *every[1 :: max(1, len(every) // (many - half))]})


def _killed_and_resumed(reference: Path, point: int, tmp_path: Path) -> None:
    out = tmp_path / f"killed-{point}"

    def dying() -> None:
        killing.kill_at(out, point)
        _tune(out)

    assert killing.in_child(dying, tmp_path / "said.txt") == 9, f"event {point} never came: {(tmp_path / 'said.txt').read_text()[-2000:]}"
    assert killing.in_child(lambda: _tune(out), tmp_path / "said.txt") == 0, (tmp_path / "said.txt").read_text()[-3000:]
    assert _adapter(out) == _adapter(reference / "out"), f"killed at event {point}, the adapter differs"
    whole, ours = (json.loads((folder / "training.json").read_text()) for folder in (reference / "out", out))
    for key in ("steps", "examples", "tokens", "loss"):
        assert ours[key] == whole[key], f"killed at event {point}, {key} differs"
    assert not (out / "checkpoints").exists()
    shutil.rmtree(out)


def test_a_killed_training_ends_in_the_same_adapter_and_report(reference: Path, tmp_path: Path) -> None:
    points = _kill_points(reference, 24)
    for point in (points[len(points) // 3], points[-4]):
        _killed_and_resumed(reference, point, tmp_path)


@pytest.mark.reliability
def test_killed_at_any_point_it_ends_in_the_same_adapter(reference: Path, tmp_path: Path) -> None:
    points = _kill_points(reference, 28)
    assert len(points) >= 20
    for point in points:
        _killed_and_resumed(reference, point, tmp_path)


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


def _copies(interrupted: Path, place: Path) -> Iterator[tuple[str, Path]]:
    """Copies of an interrupted training, each with one file of its newest checkpoint missing, empty, cut or changed by one byte."""
    for file in sorted(p.relative_to(interrupted) for p in (interrupted / "checkpoints" / "checkpoint-8").rglob("*") if p.is_file()):
        for how in ("missing", "empty", "cut", "flipped"):
            out = place / "copy"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(interrupted, out)
            data = bytearray((out / file).read_bytes())
            if how == "missing":
                (out / file).unlink()
            elif how == "flipped":
                data[len(data) // 2] ^= 1
                (out / file).write_bytes(data)
            else:
                (out / file).write_bytes(b"" if how == "empty" else data[: len(data) // 2])
            yield f"{file.name} {how}", out


def test_every_damage_is_named_and_the_older_checkpoint_taken(interrupted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fingerprint = json.loads((interrupted / "checkpoints" / "checkpoint-8" / SEAL).read_text())["fingerprint"]
    tried = 0
    for what, out in _copies(interrupted, tmp_path):
        caplog.clear()
        found = newest_whole(out / "checkpoints", fingerprint)
        assert found is not None, what
        assert found.name == "checkpoint-6", what
        assert "passing over checkpoint-8" in caplog.text, what
        assert not (out / "checkpoints" / "checkpoint-8").exists(), what
        tried += 1
    assert tried >= 4 * 8


@pytest.mark.reliability
def test_after_any_damage_it_ends_in_the_same_adapter(reference: Path, interrupted: Path, tmp_path: Path) -> None:
    for what, out in _copies(interrupted, tmp_path):
        said = tmp_path / "said.txt"
        said.unlink(missing_ok=True)
        assert killing.in_child(lambda out=out: _tune(out), said) == 0, f"{what}: {said.read_text()[-2000:]}"  # type: ignore[misc]
        assert "passing over checkpoint-8" in said.read_text(), what
        assert "going on from checkpoint-6" in said.read_text(), what
        assert _adapter(out) == _adapter(reference / "out"), what


def test_with_every_checkpoint_damaged_it_begins_anew(reference: Path, interrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(interrupted, out)
    for folder in all_of(out / "checkpoints"):
        (folder / "optimizer.pt").unlink()
    assert killing.in_child(lambda: _tune(out)) == 0
    assert _adapter(out) == _adapter(reference / "out")


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
    assert _tune(out)["status"] == "done"
    assert (out / "training.json").stat().st_mtime_ns == before
