"""Answers through vLLM, where a profile asks for it: ``engine: vllm``."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ftlib.errors import MissingExtra
from ftlib.files import sha256_bytes
from ftlib.formatting.task import Prompt
from ftlib.training.local.rows import from_prompt
from ftlib.training.local.template import Template
from ftlib.training.trainer import Answer

if TYPE_CHECKING:
    from ftlib.training.local.trainer import LocalTrainer


def answer_all(trainer: LocalTrainer, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
    """Answer prompts in groups of 256, the adapter given with the request where ``tuned``. Raises MissingExtra."""
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtra("engine: vllm is asked for and vLLM is not installed; pip install vllm (Linux with a GPU), or set engine: transformers.")
    from transformers import AutoTokenizer
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    adapter = trainer.adapter()
    source = str(trainer.source)
    template = Template(AutoTokenizer.from_pretrained(source, revision=trainer.revision), trainer.tuning.template, source)
    engine: Any = trainer.engines.get(source)
    if engine is None:
        rank = max(8, trainer.tuning.r)
        engine = LLM(source, revision=trainer.revision, enable_lora=adapter is not None, max_lora_rank=rank, seed=trainer.tuning.seed)
        trainer.engines[source] = engine
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
