"""Semantic similarity by a sentence-embedding model, where one is at hand. Off by default."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ftlib.errors import MissingExtra, Refused
from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.metrics import Floats, Metric, ratio
from ftlib.files import sha256_file


def needs() -> None:
    """Raises MissingExtra where torch or transformers are not installed; imports neither."""
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise MissingExtra(f"Semantic similarity needs {name}; pip install 'ftlib[training]', or leave the embedding model out.")


def embed(texts: Sequence[str], model: str, batch: int = 32) -> tuple[Floats, str]:
    """Vectors of length 1, (texts, width), and the model's revision: mean of the last layer over a text's tokens.

    Raises MissingExtra without torch or transformers, Refused where the model cannot be loaded.
    """
    needs()
    import torch
    from transformers import AutoModel, AutoTokenizer

    reach(model)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        network: Any = AutoModel.from_pretrained(model, use_safetensors=True).eval()
    except (OSError, ValueError) as error:
        raise Refused(
            f"The embedding model {model} cannot be loaded ({str(error).splitlines()[0]}); give a folder or a hub id, or leave it out."
        ) from None
    revision = sha256_file(Path(model))[:12] if Path(model).is_dir() else str(getattr(network.config, "_commit_hash", None))
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch):
            tokens = tokenizer(list(texts[start : start + batch]), padding=True, truncation=True, max_length=512, return_tensors="pt")
            mask = tokens["attention_mask"].unsqueeze(-1)
            states = network(**tokens).last_hidden_state * mask
            vectors = states.sum(1) / mask.sum(1).clamp(min=1)
            found.append(torch.nn.functional.normalize(vectors, dim=-1).double().numpy())
    return np.concatenate(found), revision


def reach(model: str) -> None:
    """Raises Refused at once, in one sentence, where a hub model is neither on this machine nor to be had.

    Left to themselves the libraries try again for a minute and print every attempt.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    if Path(model).is_dir():
        return
    if model.count("/") > 1 or model.startswith((".", "~", "/")):
        raise Refused(f"There is no folder {model} to load an embedding model from; give a folder or a hub id.")
    if isinstance(try_to_load_from_cache(model, "config.json"), str):
        return
    try:
        HfApi().model_info(model, timeout=10)
    except Exception as error:  # a missing model, no network, a wrong name: the client has a class of its own for each
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Refused(
            f"The embedding model {model} is not on this machine and the hub does not give it ({why}); give a folder or a hub id."
        ) from None


def semantic(items: Sequence[Item], answers: Mapping[str, Sequence[Given]], model: str, failed: float) -> dict[str, Metric]:
    """Cosine of answer and reference in points (100: the same direction), as a metric named ``semantic``."""
    expected, revision = embed([item.reference for item in items], model)
    metric = Metric("semantic", f"cosine|model:{model}|revision:{revision}|pool:mean", "points", True, ratio)
    for system, given in answers.items():
        vectors, _ = embed([answer.text or "" for answer in given], model)
        values = 100 * (vectors * expected).sum(1)
        metric.add_means(system, np.array([failed if answer.failed else value for answer, value in zip(given, values, strict=True)]))
    assert not any(math.isnan(value) for values in metric.values.values() for value in values)
    return {"semantic": metric}
