"""Answers through vLLM, which runs on no CPU here: a stand-in with the signatures of its LLM, SamplingParams and LoRARequest."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ftlib.errors import MissingExtra
from ftlib.formatting.task import load_task
from ftlib.training import train_contestant
from ftlib.training.local import vllm as ours
from ftlib.training.local.trainer import LocalTrainer
from tests.training.local import micro
from tests.training.local.test_trainer import ROWS, make_run


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str


class SamplingParams:
    def __init__(self, *, temperature: float = 1.0, max_tokens: int | None = 16, seed: int | None = None, stop: str | list[str] | None = None,
                 stop_token_ids: list[int] | None = None) -> None:  # fmt: skip
        self.temperature, self.max_tokens, self.seed, self.stop, self.stop_token_ids = temperature, max_tokens, seed, stop, stop_token_ids


class LLM:
    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, model: str, *, revision: str | None = None, dtype: str = "auto", seed: int | None = None, **engine: Any) -> None:
        assert engine.keys() <= {"enable_lora", "max_lora_rank", "max_model_len", "quantization"}
        assert engine["max_lora_rank"] in (8, 16, 32, 64, 128, 256, 320, 512)
        self.model, self.room = model, engine["max_model_len"]
        LLM.made.append({"model": model, "revision": revision, "dtype": dtype, "seed": seed, **engine})

    def generate(
        self, prompts: Sequence[dict[str, list[int]]], /, sampling_params: Sequence[SamplingParams] | None = None, *, use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
    ) -> list[Any]:  # fmt: skip
        assert sampling_params is not None
        assert len(sampling_params) == len(prompts)
        assert all(len(p["prompt_token_ids"]) + (s.max_tokens or 0) <= self.room for p, s in zip(prompts, sampling_params, strict=True))
        who = f"{Path(self.model).name}{' with ' + Path(lora_request.lora_path).name if lora_request else ''}"
        out = [types.SimpleNamespace(text=f" {who} ", finish_reason="stop", token_ids=[5, 6, s.stop_token_ids[0]]) for s in sampling_params]
        return [types.SimpleNamespace(outputs=[one]) for one in out]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    LLM.made = []
    for name, holds in (
        ("vllm", {"LLM": LLM, "SamplingParams": SamplingParams}),
        ("vllm.lora", {}),
        ("vllm.lora.request", {"LoRARequest": LoRARequest}),
    ):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**holds))
    real = importlib.util.find_spec
    monkeypatch.setattr(ours.importlib.util, "find_spec", lambda name, *a: object() if name == "vllm" else real(name, *a))


def test_without_vllm_it_says_what_to_install(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", engine="vllm")
    with pytest.raises(MissingExtra, match=r"vLLM is not installed; pip install vllm \(Linux with a GPU\), or set engine: transformers"):
        list(LocalTrainer(run, run.contestant("micro")).ask([load_task("describe").prompt(ROWS[0])], tuned=False))


def test_base_and_tuned_answer_from_one_engine(tmp_path: Path, installed: None) -> None:
    run = make_run(tmp_path / "run", engine="vllm", lora={"r": 20, "alpha": 20})
    train_contestant(run, run.contestant("micro"))
    trainer = LocalTrainer(run, run.contestant("micro"))
    prompts = [load_task("describe").prompt(row) for row in ROWS[:3]]
    base, tuned = dict(trainer.ask(prompts, tuned=False)), dict(trainer.ask(prompts, tuned=True))
    name = micro.model().name
    assert [a.text for a in base.values()] == [name] * 3
    assert [a.text for a in tuned.values()] == [f"{name} with adapter"] * 3
    assert sorted(tuned) == [0, 1, 2]
    assert all(a.finish == "stop" and a.tokens_out == 3 and a.tokens_in and a.seconds is not None for a in tuned.values())
    made = {"model": str(micro.model()), "revision": None, "dtype": "float32", "seed": 42, "enable_lora": True, "max_lora_rank": 32}
    assert LLM.made == [{**made, "quantization": None, "max_model_len": 1024}], "not all that the model takes, which a GPU may have no room for"
    next(trainer.likelihood(prompts[:1], ["A mug."], tuned=True))
    assert not trainer.engines, "an engine leaves no room for the model that takes likelihoods"
    next(trainer.ask(prompts, tuned=True))
    assert not trainer._loaded


def test_four_bits_that_are_asked_for_are_those_that_answer(tmp_path: Path, installed: None) -> None:
    run = make_run(tmp_path / "run", engine="vllm", quant=4, existing=str(micro.model()), epochs=None)
    next(LocalTrainer(run, run.contestant("micro")).ask([load_task("describe").prompt(ROWS[0])], tuned=False))
    assert [made["quantization"] for made in LLM.made] == ["bitsandbytes"]


def test_a_model_that_is_tuned_already_answers_as_the_tuned_one(tmp_path: Path, installed: None) -> None:
    other = shutil.copytree(micro.model(), tmp_path / "another")
    run = make_run(tmp_path / "run", engine="vllm", existing=str(other), epochs=None)
    trainer = LocalTrainer(run, run.contestant("micro"))
    prompt = load_task("describe").prompt(ROWS[0])
    assert next(trainer.ask([prompt], tuned=False))[1].text == micro.model().name
    assert next(trainer.ask([prompt], tuned=True))[1].text == "another"
    assert list(trainer.engines) == [str(other)], "two engines would not fit on a GPU"
