"""A small training to be interrupted, the points at which it is killed, and the damage done to what it saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ftlib.files import sha256_file
from tests.training.local import killing, micro

DAMAGES = ("missing", "empty", "cut", "flipped")


def tune(out: Path, on_event: Callable[[dict[str, object]], None] | None = None) -> dict[str, object]:
    """Twelve steps with a checkpoint after every second."""
    from ftlib.training.local import tuning

    return tuning.tune(micro.model(), micro.examples(48), micro.examples(4, 900), micro.settings(), out, on_event=on_event)


def adapter(out: Path) -> str:
    """Hash of the weights that a training came to."""
    return sha256_file(out / "adapter" / "adapter_model.safetensors")


def kill_points(reference: Path, many: int) -> list[int]:
    """Event numbers spread over the whole training; about half of them within the saving of a checkpoint."""
    lines = [line.split(" ", 1) for line in (reference / "events.txt").read_text().splitlines()]
    saving = [int(number) for number, what in lines if "checkpoints/checkpoint-" in what]
    every = [int(number) for number, _ in lines]
    half = many // 2
    return sorted({*saving[3 :: max(1, len(saving) // half)][:half], *every[1 :: max(1, len(every) // (many - half))]})


def killed_and_resumed(reference: Path, point: int, tmp_path: Path) -> None:
    """Kill a training at an event, take it up again, and compare with one that nobody disturbed."""
    out = tmp_path / f"killed-{point}"

    def dying() -> None:
        killing.kill_at(out, point)
        tune(out)

    assert killing.in_child(dying, tmp_path / "said.txt") == 9, f"event {point} never came: {(tmp_path / 'said.txt').read_text()[-2000:]}"
    assert killing.in_child(lambda: tune(out), tmp_path / "said.txt") == 0, (tmp_path / "said.txt").read_text()[-3000:]
    assert adapter(out) == adapter(reference / "out"), f"killed at event {point}, the adapter differs"
    whole, ours = (json.loads((folder / "training.json").read_text()) for folder in (reference / "out", out))
    for key in ("steps", "examples", "tokens", "loss"):
        assert ours[key] == whole[key], f"killed at event {point}, {key} differs"
    assert not (out / "checkpoints").exists()
    shutil.rmtree(out)


def copies(interrupted: Path, place: Path, *, whole: bool = True) -> Iterator[tuple[str, Path]]:
    """Copies of an interrupted training, each with one file of its newest checkpoint missing, empty, cut or changed by one byte.

    Each file in each way; where not ``whole``, each file in one of them by turns.
    """
    files = sorted(p.relative_to(interrupted) for p in (interrupted / "checkpoints" / "checkpoint-8").rglob("*") if p.is_file())
    for number, file in enumerate(files):
        for how in DAMAGES if whole else DAMAGES[number % 4 :][:1]:
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
