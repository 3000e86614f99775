"""data/ holds what the commands make of the sample, to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftlib.cli import main

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("curated") / "sample"
    assert main(["curate", "sample", "--recipe", "default", "--out", str(out), "--quiet"]) == 0
    return out


@pytest.mark.parametrize("shape", ["instruction", "chat"])
def test_the_training_files_of_the_sample_are_what_the_commands_make(shape: str, curated: Path, tmp_path: Path) -> None:
    assert main(["format", str(curated), "--to", shape, "--out", str(tmp_path), "--quiet"]) == 0
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in (DATA / shape).iterdir()}
    assert made.keys() == kept.keys()
    for name in made:
        assert made[name] == kept[name], (
            f"data/{shape}/{name}: make it again with `ftlib curate sample --out C` and `ftlib format C --to {shape} --out data/{shape}`"
        )


@pytest.mark.parametrize(("shape", "destination"), [("instruction", "local"), ("chat", "openai"), ("chat", "together"), ("chat", "nebius")])
def test_they_are_good_where_they_go(shape: str, destination: str) -> None:
    train, valid = DATA / shape / "train.jsonl", DATA / shape / "valid.jsonl"
    assert main(["check", str(train), "--for", destination, "--validation", str(valid), "--quiet"]) == 0
