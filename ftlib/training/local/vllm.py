"""Answers through vLLM, where a profile asks for it: ``engine: vllm``."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ftlib.errors import MissingExtra
from ftlib.files import sha256_bytes
from ftlib.formatting.task import Prompt
from ftlib.training.local.hub import explained
from ftlib.training.local.precision import choose_device, choose_precision
from ftlib.training.local.rows import from_prompt
from ftlib.training.local.template import Template
from ftlib.training.local.tuning import free_memory
from ftlib.training.trainer import Answer

if TYPE_CHECKING:
    from ftlib.training.local.trainer import LocalTrainer

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM takes as the highest of its adapters


def answer_all(trainer: LocalTrainer, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
    """Answer prompts in groups of 256, the adapter given with the request where ``tuned``. Raises MissingExtra."""
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtra("engine: vllm is asked for and vLLM is not installed; pip install vllm (Linux with a GPU), or set engine: transformers.")
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    adapter = trainer.adapter()
    engine, template = _engine(trainer, adapter is not None, trainer.contestant.existing if tuned else None)
    decoding = trainer.contestant.decoding
    request = LoRARequest("tuned", 1, str(adapter)) if tuned and adapter else None
    for start in range(0, len(prompts), 256):
        group = prompts[start : start + 256]
        asked = [from_prompt(prompt) for prompt in group]
        rendered, ids = [template.prompt(messages) for messages in asked], template.prompts(asked)
        sampling = [
            SamplingParams(temperature=decoding.temperature, max_tokens=decoding.max_new_tokens or p.max_new_tokens, seed=trainer.tuning.seed,
                           stop=list(p.stop), stop_token_ids=template.stop_ids)
            for p in group
        ]  # fmt: skip
        began = time.perf_counter()
        done = engine.generate([{"prompt_token_ids": row} for row in ids], sampling, lora_request=request, use_tqdm=False)
        share = (time.perf_counter() - began) / len(group)
        for place, (text, row, made) in enumerate(zip(rendered, ids, done, strict=True)):
            first = made.outputs[0]
            finish: Literal["stop", "length"] = "stop" if first.finish_reason == "stop" else "length"
            yield start + place, Answer(first.text.strip(), finish, sha256_bytes(text), len(row), len(first.token_ids), share)


def _engine(trainer: LocalTrainer, with_adapter: bool, other: str | None) -> tuple[Any, Template]:
    """vLLM's engine for the contestant's model, or for the ``other`` that exists already, with the template; one of them is kept in memory."""
    from transformers import AutoConfig, AutoTokenizer
    from vllm import LLM

    source, revision = other or str(trainer.source), None if other else trainer.revision
    with explained(source, revision):
        if source not in trainer.engines:
            trainer.engines.clear()  # each takes most of the GPU
            free_memory()
            precision = choose_precision(choose_device(trainer.tuning.require_gpu), AutoConfig.from_pretrained(source, revision=revision).model_type)
            trainer.engines[source] = LLM(
                source, revision=revision, dtype=precision.dtype, enable_lora=with_adapter, seed=trainer.tuning.seed,
                max_lora_rank=next((rank for rank in RANKS if rank >= trainer.tuning.r), trainer.tuning.r),
            )  # fmt: skip
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
    return trainer.engines[source], Template(tokenizer, trainer.tuning.template, source)
