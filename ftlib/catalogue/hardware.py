"""What QLoRA needs of a machine: memory and time from a model's sizes, with the error that published runs show.

Memory: the linear layers in 4 bits with their constants (0.516 bytes a parameter, double quantisation), embeddings and output layer in
16 bits, 16 bytes for each LoRA parameter (weight, gradient, two moments), one layer's activations (the others are checkpointed) and the
logits at 4 bytes, and 0.6 GB of workspace.
Time of training: 6 operations for each parameter and token (forward, the checkpointed forward again, and gradients of activations), at the
speed that a device was seen to reach. Time of answering: 2 operations for each parameter and token that is read, and for every token
that is written one pass through the layers, whose time is that of starting their kernels (see ``LAYER_STEP``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftlib.catalogue.models import Model, Shape
from ftlib.configuration import nearest
from ftlib.errors import ProfileError

GB = 10**9
FOUR_BIT = 0.516  # bytes: 4 bits, an 8-bit constant for 64 weights, a 32-bit one for 256 constants
WORKSPACE = 0.6 * GB
PROCESS = 0.9 * GB  # on a CPU: Python with torch and transformers loaded, measured at 0.8 to 1.1
BYTES = {4: FOUR_BIT, 16: 2.0, 32: 4.0}  # of a weight of the linear layers
UTILISATION = 12.5 / 65  # of peak: 8 Alpaca rows of about 250 tokens through an 8B in 7.7 s on a T4
MEMORY_ERROR = 0.25  # above the worst of the published runs below
TIME_ERROR = 0.40  # the token counts of published runs had to be assumed
LAYER_STEP = (1.0e-3, 2.1e-3, 3.0e-3)  # seconds of one layer for the next token of up to 16 answers: low, expected, high
# Published, 4 bits unless said, one answer at a time: 1.7 ms (Qwen2.5 0.5B in 16 bits on a T4, 24.4 tokens a second:
# github.com/dohu012/llm-quantization-benchmark), 2.1 ms (Llama 3 8B by Unsloth on an L4, 101 tokens in 6.8 s: unslothai/unsloth#1095),
# 2.6 ms (Llama 2 7B, 12.2 tokens a second: bitsandbytes-foundation/bitsandbytes#696); 1.0 ms for 1 to 8 at once by a server
# (Falcon 7B in 16 bits on an A10G: huggingface/text-generation-inference#586). Two CPU cores, 32 answers of the small model: 1.0 to 1.8 ms.


@dataclass(frozen=True)
class Device:
    """A GPU, or the CPU that the demo runs on. ``operations`` a second is what training reaches, not the peak."""

    name: str
    memory: float  # bytes that PyTorch can use
    operations: float
    source: str


def _gpu(name: str, memory_gb: float, peak_tflops: float) -> Device:
    how = "published T4 runs" if name == "t4" else "the T4's share of its peak, not measured here"
    return Device(name, memory_gb * GB, peak_tflops * 1e12 * UTILISATION, f"NVIDIA's data sheet ({peak_tflops:g} TFLOPS, 16 bits, dense); {how}")


DEVICES = {
    device.name: device
    for device in (
        _gpu("t4", 15.6, 65),
        _gpu("l4", 23.6, 121),
        _gpu("a100", 42.0, 312),
        _gpu("a100-80", 84.0, 312),
        _gpu("h100", 84.0, 989),
        _gpu("h200", 149.0, 989),
        Device("cpu", 0, 9e10, "two cores: 0.8 to 26 million parameters at 13,400 to 690 tokens a second"),
    )
}


@dataclass(frozen=True)
class Point:
    """A published run on a T4, 8 rows a step, 2 at once; ``tokens`` a row was not published and is assumed."""

    model: str
    seconds: float | None
    gigabytes: float | None
    tokens: int
    longest: int


POINTS = (
    Point("llama-3.1-8b", 7.7, 7.9, 250, 512),
    Point("llama-3.2-3b", 7.4, 6.5, 500, 2048),
    Point("qwen2.5-7b", 7.7, None, 250, 512),
    Point("qwen3-14b", 13.7, 12.9, 250, 2048),
)


def find_device(name: str) -> Device:
    """A device by name. Raises ProfileError naming those there are."""
    try:
        return DEVICES[name.lower()]
    except KeyError:
        raise ProfileError(f"There is no GPU {name!r} in the catalogue{nearest(name.lower(), list(DEVICES))}.") from None


def parameters(shape: Shape) -> int:
    """Parameters of a decoder of that shape, norms included."""
    return _linear(shape) + shape.vocab * shape.hidden * (1 if shape.tied else 2) + shape.hidden * (2 * shape.layers + 1)


def _linear(shape: Shape) -> int:
    """Weights of the layers' linear maps: attention and MLP."""
    attention = shape.hidden * shape.head_dim * (2 * shape.heads + 2 * shape.kv_heads)
    return shape.layers * (attention + 3 * shape.hidden * shape.intermediate)


def lora_parameters(shape: Shape, r: int) -> int:
    """Trainable parameters of LoRA of rank ``r`` on all linear layers: r for each input and output of each."""
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    each = (shape.hidden + q) * 2 + (shape.hidden + kv) * 2 + (shape.hidden + shape.intermediate) * 3
    return shape.layers * r * each


def memory_bytes(shape: Shape, *, batch: int, longest: int, r: int = 16, quant: int = 4) -> dict[str, float]:
    """Peak bytes by part, and their sum as ``total``.

    Args:
        batch: rows a device sees at once.
        longest: tokens of the longest row, to which a batch is padded.
        r: LoRA's rank.
        quant: bits of a weight of the linear layers: 4, 16, or 32 (a CPU, in whose memory the process counts too).
    """
    tokens = batch * longest
    parts = {
        "linear layers": _linear(shape) * BYTES[quant],
        "embeddings": shape.vocab * shape.hidden * (1 if shape.tied else 2) * max(2.0, BYTES[quant]),
        "LoRA and its optimiser": lora_parameters(shape, r) * 16.0,
        "activations of a layer": tokens * (3 * shape.intermediate + 8 * shape.hidden) * 4.0,
        "logits": tokens * shape.vocab * 4.0,
        "workspace": PROCESS if quant == 32 else WORKSPACE,
    }
    return {**parts, "total": sum(parts.values())}


def seconds(parameter_count: int, tokens: float, device: Device) -> float:
    """Seconds to train on so many tokens, compilation and loading apart."""
    return 6.0 * parameter_count * tokens / device.operations


def answer_seconds(parameter_count: int, layers: int, read: float, steps: tuple[float, float, float], device: Device) -> tuple[float, float, float]:
    """Seconds to answer: low, expected, high.

    Args:
        read: tokens of the questions, and of given texts whose likelihood is asked.
        steps: passes that write a token for each answer of a batch: low, expected, high.
    """
    reading = 2.0 * parameter_count * read / device.operations
    low, expected, high = (reading + count * layers * each for count, each in zip(steps, LAYER_STEP, strict=True))
    return low, expected, high


def against_published() -> list[dict[str, Any]]:
    """The formulas against published T4 runs: predicted over published, less one, for seconds a step and memory."""
    from ftlib.catalogue.models import catalogue

    rows = []
    for point in POINTS:
        model = catalogue()[point.model]
        assert model.shape is not None
        assert model.parameters is not None
        memory = memory_bytes(model.shape, batch=2, longest=point.longest)["total"] / GB
        step = seconds(model.parameters, 8 * point.tokens, DEVICES["t4"])
        rows.append(
            {
                "model": point.model,
                "memory_error": memory / point.gigabytes - 1 if point.gigabytes else None,
                "time_error": step / point.seconds - 1 if point.seconds else None,
            }
        )
    return rows


def fits_on(model: Model, device: Device, *, batch: int = 2, longest: int = 2048) -> bool | None:
    """Whether QLoRA of a model fits a device; None where the model's sizes are not known."""
    if model.build:
        return True
    return None if model.shape is None else memory_bytes(model.shape, batch=batch, longest=longest)["total"] <= device.memory
