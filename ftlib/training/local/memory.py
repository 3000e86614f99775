"""Whether a training fits into memory, told before it starts, with what would fit where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftlib.errors import Refused
from ftlib.training.local.load import Loaded
from ftlib.training.local.settings import TuneSettings

GIB = 1024**3
CONTEXT = 0.6 * GIB  # what CUDA, cuBLAS and the allocator's rounding take besides tensors
LOGIT_CHUNK = 2048  # tokens whose logits stand in memory at once (TRL's and Unsloth's chunked losses)


@dataclass(frozen=True)
class Shape:
    """The sizes that memory depends on."""

    layers: int
    hidden: int
    intermediate: int
    vocab: int
    weights: int  # bytes in memory as loaded
    trainable: int  # parameters of the adapter


def shape_of(model: Any, r: int) -> Shape:
    """The shape of a loaded model and of a LoRA of rank ``r`` on all its linear layers."""
    text = model.config.get_text_config()
    layers, hidden, wide = text.num_hidden_layers, text.hidden_size, text.intermediate_size
    adapter = r * layers * (4 * 2 * hidden + 3 * (hidden + wide))
    return Shape(layers, hidden, wide, text.vocab_size, model.get_memory_footprint(), adapter)


def needed(shape: Shape, *, batch: int, length: int, checkpointed: bool, eight_bit_optimiser: bool, width: int) -> int:
    """Bytes of training beyond the weights: adapter with gradients and optimiser, activations, logits.

    With gradient checkpointing one hidden state a layer is kept, and one layer's inner activations; without it all layers'
    (about 8 hidden and 3 intermediate widths a token). ``width`` is the bytes of an activation.
    """
    tokens = batch * length
    adapter = shape.trainable * (4 + 4 + (2 if eight_bit_optimiser else 8))
    inner = tokens * (8 * shape.hidden + 3 * shape.intermediate) * width
    layers = shape.layers * tokens * shape.hidden * width + inner if checkpointed else shape.layers * inner
    logits = 3 * min(tokens, LOGIT_CHUNK) * shape.vocab * 4
    return int(adapter + layers + logits)


def available(loaded: Loaded) -> int:
    """Free bytes where the model is: on the GPU, or in this machine's memory."""
    import torch

    if loaded.device.kind == "cuda":
        return int(torch.cuda.mem_get_info()[0] - CONTEXT)
    import psutil

    return int(psutil.virtual_memory().available)


def require_fit(loaded: Loaded, settings: TuneSettings, free: int | None = None) -> int:
    """Raise Refused, naming what would fit, where the training does not fit into ``free`` bytes; else return the bytes it needs."""
    shape = shape_of(loaded.model, settings.r)
    free = available(loaded) if free is None else free

    def bytes_for(batch: int, length: int) -> int:
        return needed(shape, batch=batch, length=length, checkpointed=loaded.device.gpu, eight_bit_optimiser=loaded.quant == 4,
                      width=4 if loaded.precision.dtype == "float32" else 2)  # fmt: skip

    wanted = bytes_for(settings.batch, settings.max_length)
    if wanted <= free:
        return wanted
    rows, longest = settings.batch * settings.accumulate, settings.max_length
    fits = [f"batch: {b} with accumulate: {rows // b}" for b in halves(settings.batch) if bytes_for(b, longest) <= free]
    fits = fits or [f"batch: 1 with max_length: {length}" for length in halves(longest) if bytes_for(1, length) <= free]
    advice = f"set {fits[0]}" if fits else "choose a smaller model (`ftlib models --fits t4` lists those for 16 GB)"
    raise Refused(
        f"Training {loaded.source} with batch {settings.batch} and max_length {settings.max_length} needs about {wanted / GIB:.1f} GiB beside "
        f"its weights and {max(free, 0) / GIB:.1f} GiB are free on {loaded.device.name}; {advice}."
    )


def halves(number: int) -> list[int]:
    """A number's halves downwards, itself left out: 8 gives 4, 2, 1."""
    return [number >> shift for shift in range(1, number.bit_length())]
