"""Answers of a local model, many at a time, and the same as one at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from ftlib.training.local.load import Loaded
from ftlib.training.local.rows import Message


@dataclass(frozen=True)
class Generated:
    """One answer: its text, ``stop`` or ``length``, the text the model received, tokens both ways, and its share of the batch's seconds."""

    text: str
    finish: Literal["stop", "length"]
    rendered: str
    tokens_in: int
    tokens_out: int
    seconds: float


def answer_batch(
    loaded: Loaded,
    questions: Sequence[Sequence[Message]],
    *,
    tuned: bool,
    max_new_tokens: int = 256,
    stop: Sequence[str] = (),
    temperature: float = 0.0,
    seed: int = 42,
) -> list[Generated]:
    """Answer questions (each a list of messages) in one batch, padded on the left; greedy unless ``temperature`` is above 0.

    ``tuned`` False switches the adapter off: base and tuned answer from the same weights in memory. An answer ends at the
    end of its turn; ``stop`` texts end it too and are not part of it. Answers come in the order of the questions.
    """
    import torch

    started = time.perf_counter()
    template = loaded.template
    rendered = [template.prompt(messages) for messages in questions]
    ids = template.prompts(questions)
    width = max(map(len, ids))
    device = loaded.model.device
    tokens = torch.tensor([[template.pad_id] * (width - len(row)) + row for row in ids], device=device)
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=device)
    sampling = {"do_sample": True, "temperature": temperature} if temperature > 0 else {"do_sample": False, "temperature": None}
    if temperature > 0:
        torch.manual_seed(seed)
    with loaded.state(tuned=tuned) as model, as_asked(loaded), torch.inference_mode():
        out = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            pad_token_id=template.pad_id,
            eos_token_id=template.stop_ids,
            use_cache=True,
            top_p=None,
            top_k=None,
            **sampling,
        )
    made = out[:, width:].tolist()
    share = (time.perf_counter() - started) / len(ids)
    return [_finished(loaded, row, text, len(prompt), stop, share) for row, text, prompt in zip(made, rendered, ids, strict=True)]


@contextmanager
def as_asked(loaded: Loaded) -> Iterator[None]:
    """Leave aside the decoding that a model's ``generation_config.json`` brings (a repetition penalty, beams, sampling).

    It would make "greedy" mean something else for each model, and a penalty counts the padding too, so that answers would depend on the batch.
    """
    from transformers import GenerationConfig

    model = loaded.model.get_base_model() if loaded.adapted else loaded.model
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _finished(loaded: Loaded, row: list[int], rendered: str, tokens_in: int, stop: Sequence[str], seconds: float) -> Generated:
    """One row of a batch, cut at the end of its turn or at a stop text."""
    ends = [place for place, token in enumerate(row) if token in loaded.template.stop_ids]
    kept = row[: ends[0]] if ends else row
    text = loaded.template.decode(kept)
    places = [place for place in (text.find(word) for word in stop if word) if place >= 0]
    finish: Literal["stop", "length"] = "stop" if ends or places else "length"
    if places:
        text = text[: min(places)]
    return Generated(text.strip(), finish, rendered, tokens_in, len(kept) + bool(ends), seconds)


def by_length(loaded: Loaded, questions: Sequence[Sequence[Message]], batch: int) -> Iterator[list[int]]:
    """Positions of questions in batches of like length, longest first, so that little is padding and memory shows its worst at once."""
    lengths = [len(row) for row in loaded.template.prompts(questions)]
    order = sorted(range(len(questions)), key=lambda place: (-lengths[place], place))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]
