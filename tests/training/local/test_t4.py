"""The T4 profile as far as a machine without a T4 goes: what Unsloth and SFTTrainer are told, recorded by a stand-in for Unsloth."""

from __future__ import annotations

import importlib.util
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftlib.catalogue import find_model
from ftlib.errors import MissingExtra
from ftlib.profile import load_profile
from ftlib.runs import Run
from ftlib.training.local import load, memory
from ftlib.training.local.precision import Device
from ftlib.training.local.sft import config
from ftlib.training.local.trainer import LocalTrainer
from tests.training.local import micro

T4 = Device("cuda", "Tesla T4")
Calls = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A T4 as torch would describe it, and Unsloth's functions, which write down what they get and hand out the micro model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    made: Calls = []
    model, tokenizer = AutoModelForCausalLM.from_pretrained(micro.model()), AutoTokenizer.from_pretrained(micro.model())

    class FastLanguageModel:
        @staticmethod
        def from_pretrained(*args: Any, **kwargs: Any) -> Any:
            made.append(("from_pretrained", args, kwargs))
            return model, tokenizer

        @staticmethod
        def get_peft_model(*args: Any, **kwargs: Any) -> Any:
            made.append(("get_peft_model", args[1:], kwargs))
            return get_peft_model(args[0], LoraConfig(r=kwargs["r"], target_modules=kwargs["target_modules"]))

        @staticmethod
        def for_inference(model: Any) -> None:
            made.append(("for_inference", (), {}))

        for_training = for_inference

    model.is_loaded_in_4bit = True  # as transformers marks it
    real = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, "unsloth", types.SimpleNamespace(FastLanguageModel=FastLanguageModel))
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name, *a: object() if name in ("unsloth", "bitsandbytes") else real(name, *a))
    monkeypatch.setattr(load, "choose_device", lambda require_gpu: T4)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    text = types.SimpleNamespace(max_position_embeddings=131072)
    known = {kind: types.SimpleNamespace(model_type=kind, get_text_config=lambda: text) for kind in ("gemma3", "llama")}
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda name, **k: known["gemma3" if "gemma" in name else "llama"])
    return made


def test_the_t4_profile_asks_unsloth_for_four_bits_in_float16(calls: Calls, tmp_path: Path) -> None:
    profile = load_profile("colab-t4")
    trainer = LocalTrainer(Run.create(tmp_path / "run", profile), profile.contestants[0])
    found = load.load(trainer.source, trainer.tuning, revision=trainer.revision, longest=trainer.tuning.max_length)
    load.wrap(found, trainer.tuning)
    (_, (source,), loading), (_, _, wrapping) = calls
    assert source == "unsloth/Llama-3.2-3B-Instruct"
    assert {**loading, "dtype": str(loading["dtype"])} == {
        "max_seq_length": 1024, "dtype": "torch.float16", "load_in_4bit": True, "revision": find_model("llama-3.2-3b").revision,
        "use_exact_model_name": True,  # else Unsloth loads a copy of its own in 4 bits, which has no such revision
    }  # fmt: skip
    assert wrapping == {
        "r": 16, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": list(load.MODULES), "use_rslora": False, "bias": "none",
        "use_gradient_checkpointing": "unsloth", "random_state": 42, "max_seq_length": 1024,
    }  # fmt: skip
    assert (found.loader, found.quant, found.precision.dtype) == ("unsloth", 4, "float16")
    assert "no bfloat16" in found.precision.reason


def test_to_ask_it_nothing_is_cut_to_the_rows_of_training(calls: Calls, tmp_path: Path) -> None:
    """Unsloth cuts what is longer than it was told: a question of many examples, or a right answer whose likelihood is taken."""
    profile = load_profile("colab-t4")
    trainer = LocalTrainer(Run.create(tmp_path / "run", profile), profile.contestants[0])
    trainer.adapter = lambda: None  # type: ignore[method-assign]
    trainer.loaded()
    assert {key: calls[0][2][key] for key in ("max_seq_length", "offload_embedding")} == {"max_seq_length": 131072, "offload_embedding": False}


def test_four_bits_without_bitsandbytes_are_no_16_bits(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.importlib.util, "find_spec", lambda name, *a: None if name == "bitsandbytes" else object())
    with pytest.raises(MissingExtra, match=r"4-bit weights need bitsandbytes, .*pip install -r requirements-gpu\.txt, or set quant: 16"):
        load.load("unsloth/x", micro.settings(loader="unsloth"))


def test_the_t4_profile_trains_eight_rows_a_step_with_the_8_bit_optimiser(calls: Calls, tmp_path: Path) -> None:
    profile = load_profile("colab-t4")
    trainer = LocalTrainer(Run.create(tmp_path / "run", profile), profile.contestants[0])
    arguments = config(load.load(trainer.source, trainer.tuning), trainer.tuning, tmp_path)
    assert arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps == 8
    assert (arguments.fp16, arguments.bf16, arguments.use_cpu) == (True, False, False)
    assert (arguments.optim, arguments.learning_rate, arguments.max_length) == ("adamw_8bit", 2e-4, 1024)
    assert not arguments.gradient_checkpointing, "Unsloth brings its own"
    assert arguments.loss_type == "nll"


def test_gemma_on_a_t4_leaves_the_format_to_unsloth(calls: Calls, tmp_path: Path) -> None:
    settings = replace(micro.settings(loader="unsloth"), quant=4)
    found = load.load("unsloth/gemma-3-4b-it", settings)
    assert calls[0][2]["dtype"] is None
    assert found.precision.dtype == "float32"
    assert "gemma3 overflows in float16" in found.precision.reason
    arguments = config(found, settings, tmp_path)
    assert not arguments.fp16
    assert not arguments.bf16


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen3-4b", "gemma-3-4b"])
def test_what_the_trainer_itself_reckons_leaves_room_on_a_t4(name: str) -> None:
    """The check before training, with the catalogue's sizes, 4-bit weights as ``ftlib.catalogue.hardware`` counts them, and a T4's 15.6 GB."""
    from ftlib.catalogue.hardware import lora_parameters, memory_bytes

    model = find_model(name)
    assert model.shape is not None
    parts = memory_bytes(model.shape, batch=1, longest=1)
    weights = int(parts["linear layers"] + parts["embeddings"])
    shape = memory.Shape(
        model.shape.layers, model.shape.hidden, model.shape.intermediate, model.shape.vocab, weights, lora_parameters(model.shape, 16)
    )
    batch, length = model.tune.batch or 0, model.tune.max_length or 0
    beyond = memory.needed(shape, batch=batch, length=length, checkpointed=True, eight_bit_optimiser=True, width=4 if "gemma" in name else 2)
    assert weights + beyond + memory.CONTEXT < 15.6e9
