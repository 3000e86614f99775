"""Packed rows: nothing is padded, nothing is lost, and no example sees another."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import Refused
from ftlib.files import sha256_file
from ftlib.training.local import packing
from ftlib.training.local.load import load
from ftlib.training.local.tuning import tune
from tests.training.local import micro

ROWS = 40


def trained(out: Path, valid: int = 6, **changes: object) -> dict[str, Any]:
    plain = {"checkpoint_steps": None, "dropout": 0.0, **changes}
    return tune(micro.model(), micro.examples(ROWS), micro.examples(valid, 900), micro.settings(**plain), out)


def test_packed_it_sees_the_same_tokens_without_padding_in_fewer_steps(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    padded, packed = trained(tmp_path / "padded", batch=8), trained(tmp_path / "packed", batch=8, packing=True)
    assert padded["tokens"]["padding"] > 0.1 * padded["tokens"]["seen"]
    assert packed["tokens"] == {**padded["tokens"], "padding": 0}
    assert packed["examples"] == padded["examples"] == {"seen": ROWS, "distinct": ROWS, "cut": 0}
    assert packed["epochs"] == 1
    assert (packed["steps"], padded["steps"]) == (2, 5)
    assert (packed["settings"]["batch"], packed["settings"]["accumulate"]) == (1, 8)
    assert "cross-contamination" not in caplog.text, "TRL warns of what has been tried and found absent"


def test_packed_and_padded_a_whole_epoch_in_one_step_has_the_same_loss_and_gradient(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    once: dict[str, Any] = {"batch": ROWS, "steps": 1, "lr": 1e-2, "warmup": 0.0, "valid": 1}  # one row: a mean over batches is the same then
    padded, packed = trained(tmp_path / "padded", **once), trained(tmp_path / "packed", packing=True, **once)
    assert packed["examples"]["seen"] == ROWS
    for key in ("train", "valid"):
        assert packed["loss"][0][key] == pytest.approx(padded["loss"][0][key], rel=1e-4)
    ours, theirs = (load_file(str(tmp_path / name / "adapter" / "adapter_model.safetensors")) for name in ("packed", "padded"))
    moved = [name for name in ours if "lora_B" in name]
    assert all(ours[name].abs().max() > 0 for name in moved)
    # Adam's first step is the learning rate with the gradient's sign: nearly all signs agree only where the gradients do
    same = sum(int((ours[name].sign() == theirs[name].sign()).sum()) for name in moved)
    assert same > 0.99 * sum(ours[name].numel() for name in moved)


def test_a_packed_training_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"packing": True, "batch": 1, "checkpoint_steps": 2, "dropout": 0.1, "max_length": 128}
    whole = trained(tmp_path / "whole", **changes)

    def die(event: dict[str, Any]) -> None:
        if event["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(micro.model(), micro.examples(ROWS), micro.examples(6, 900), micro.settings(**changes), tmp_path / "cut", on_event=die)
    resumed = trained(tmp_path / "cut", **changes)
    assert resumed["pieces"] == 2
    assert resumed["tokens"] == whole["tokens"]
    assert resumed["adapter_sha256"] == whole["adapter_sha256"] == sha256_file(tmp_path / "cut" / "adapter" / "adapter_model.safetensors")


def test_a_model_that_would_mix_examples_is_refused_and_a_llama_is_not() -> None:
    from transformers import BloomConfig, BloomForCausalLM

    loaded = load(micro.model(), micro.settings())
    packing.require_isolation(loaded)
    loaded.model.set_attn_implementation("eager")
    packing.require_isolation(loaded)
    mixing = BloomForCausalLM(BloomConfig(vocab_size=100, hidden_size=16, n_layer=1, n_head=2))  # knows no positions
    with pytest.raises(Refused, match=r"let one example see another in .* \(BloomForCausalLM\); set packing: false\."):
        packing.require_isolation(replace(loaded, model=mixing))


def test_before_it_starts_a_packed_training_names_no_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ftlib.training.local.showing import plan
    from ftlib.training.local.trainer import LocalTrainer
    from tests.training.local.test_trainer import make_run

    run = make_run(tmp_path / "run", packing=True)
    plan(LocalTrainer(run, run.contestant("micro")))
    assert "as many as the rows fill when packed" in capsys.readouterr().out


def test_the_plan_foretells_a_packed_trainings_steps_and_tokens(tmp_path: Path) -> None:
    from ftlib.catalogue import Model
    from ftlib.plan.training import local_training

    rows = [{"messages": [*example.prompt, {"role": "assistant", "content": example.answer}]} for example in micro.examples(ROWS)]
    for steps, near in ((None, 1e-9), (2, 0.2)):  # a part of an epoch holds the rows that chance brings
        settings = micro.settings(packing=True, batch=2, max_length=128, steps=steps)
        plan = local_training(rows, Model(name="micro", id=str(micro.model())), settings, "t4")
        made = tune(micro.model(), micro.examples(ROWS), [], settings, tmp_path / str(steps))
        assert plan["steps"] == made["steps"]
        assert plan["padded_tokens"] == pytest.approx(made["tokens"]["seen"], rel=near)


def test_rows_are_counted_as_trl_packs_them() -> None:
    from datasets import Dataset
    from trl import pack_dataset

    rng = random.Random(1)
    for room in (64, 100, 301):
        lengths = [rng.randint(1, room) for _ in range(200)]
        rows = Dataset.from_dict({"input_ids": [[1] * length for length in lengths]})
        assert packing.packed_rows(lengths, room) == len(pack_dataset(rows, room, "bfd"))
    assert packing.packed_rows([], 10) == 0
