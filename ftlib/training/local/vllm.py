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
from ftlib.training.trainer import Answer

if TYPE_CHECKING:
    from ftlib.training.local.trainer import LocalTrainer

GROUP = 256  # questions handed over together
ROOM = 1024  # tokens by which the longest row is rounded up, so that the next set seldom needs another engine
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM takes as the highest of its adapters


def answer_all(trainer: LocalTrainer, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
    """Answer prompts in groups, the adapter given with the request where ``tuned``. Raises MissingExtra."""
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtra("engine: vllm is asked for and vLLM is not installed; pip install vllm (Linux with a GPU), or set engine: transformers.")
    from transformers import AutoTokenizer
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest

    adapter = trainer.adapter()
    other = trainer.contestant.existing if tuned else None
    source, revision = other or str(trainer.source), None if other else trainer.revision
    with explained(source, revision):
        template = Template(AutoTokenizer.from_pretrained(source, revision=revision), trainer.tuning.template, source)
    decoding = trainer.contestant.decoding
    asked = [from_prompt(prompt) for prompt in prompts]
    rendered, ids = [template.prompt(messages) for messages in asked], template.prompts(asked)
    allowed = [decoding.max_new_tokens or prompt.max_new_tokens for prompt in prompts]
    longest = max((len(row) + most for row, most in zip(ids, allowed, strict=True)), default=0)
    engine = _engine(trainer, source, revision, adapter is not None, longest)
    request = LoRARequest("tuned", 1, str(adapter)) if tuned and adapter else None
    for start in range(0, len(prompts), GROUP):
        places = range(start, min(start + GROUP, len(prompts)))
        sampling = [
            SamplingParams(temperature=decoding.temperature, max_tokens=allowed[p], seed=trainer.tuning.seed, stop=list(prompts[p].stop),
                           stop_token_ids=template.stop_ids)
            for p in places
        ]  # fmt: skip
        began = time.perf_counter()
        done = engine.generate([{"prompt_token_ids": ids[p]} for p in places], sampling, lora_request=request, use_tqdm=False)
        share = (time.perf_counter() - began) / len(places)
        for place, made in zip(places, done, strict=True):
            first = made.outputs[0]
            finish: Literal["stop", "length"] = "stop" if first.finish_reason == "stop" else "length"
            yield place, Answer(first.text.strip(), finish, sha256_bytes(rendered[place]), len(ids[place]), len(first.token_ids), share)


def _engine(trainer: LocalTrainer, source: str, revision: str | None, with_adapter: bool, tokens: int) -> Any:
    """vLLM's engine for a model and rows of so many tokens; one is kept in memory.

    It is told how long a row may get: left alone it makes room for all that the model takes, 131,072 tokens of Llama 3, and fails where
    a GPU has not so much.
    """
    from transformers import AutoConfig
    from vllm import LLM

    room, engine = trainer.engines.get(source, (0, None))
    if tokens > room:
        trainer.close()  # each takes most of the GPU
        with explained(source, revision):
            known = AutoConfig.from_pretrained(source, revision=revision)
            precision = choose_precision(choose_device(trainer.tuning.require_gpu), known.model_type)
            room = min(-(-tokens // ROOM) * ROOM, known.get_text_config().max_position_embeddings)
            engine = LLM(
                source, revision=revision, dtype=precision.dtype, enable_lora=with_adapter, seed=trainer.tuning.seed, max_model_len=room,
                quantization="bitsandbytes" if trainer.tuning.quant == 4 else None,  # packed while it loads (docs.vllm.ai, BitsAndBytes)
                max_lora_rank=next((rank for rank in RANKS if rank >= trainer.tuning.r), trainer.tuning.r),
            )  # fmt: skip
        trainer.engines[source] = room, engine
    return engine
