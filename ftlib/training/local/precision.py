"""Which device and number format a training gets, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftlib.errors import Refused

# model types whose activations leave float16's range; Unsloth holds them to 32 bits too (its model_lists.py, 2026.10.9)
OVERFLOWS = ("embedding_gemma2", "gemma3", "gemma4", "glm4_moe", "gpt_oss", "qwen3_5", "qwen3_moe")


@dataclass(frozen=True)
class Device:
    """Where the model runs: ``kind`` is cuda, mps or cpu."""

    kind: str
    name: str

    @property
    def gpu(self) -> bool:
        """Whether it is an NVIDIA (or ROCm) GPU."""
        return self.kind == "cuda"


@dataclass(frozen=True)
class Precision:
    """The number format of the computation, with why it was chosen. ``dtype`` is bfloat16, float16 or float32."""

    dtype: str
    reason: str

    @property
    def torch_dtype(self) -> Any:
        """The torch dtype of that name."""
        import torch

        return getattr(torch, self.dtype)


def choose_device(require_gpu: bool) -> Device:
    """The best device there is. Raises Refused where a GPU is demanded and there is none."""
    import torch

    if torch.cuda.is_available():
        return Device("cuda", torch.cuda.get_device_name())
    if require_gpu:
        raise Refused("A GPU is demanded and there is none; in Colab choose Runtime > Change runtime type > T4 GPU, or set require_gpu: false.")
    if torch.backends.mps.is_available():
        return Device("mps", "Apple GPU")
    return Device("cpu", processor_name())


def processor_name() -> str:
    """The processor as the system names it, with its cores."""
    import os
    import platform
    from pathlib import Path

    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine())
    return f"{model}, {os.cpu_count()} cores"


def choose_precision(device: Device, model_type: str = "") -> Precision:
    """The number format for a device and a model (``model_type`` as its config.json has it).

    It goes by the compute capability and not by ``torch.cuda.is_bf16_supported()``, which counts emulation and says yes on a T4.
    """
    if device.kind == "cpu":
        return Precision("float32", "a CPU computes 32-bit floats natively, and results repeat bit for bit")
    if device.kind == "mps":
        return Precision("float32", "training in 16 bits is not dependable on Apple GPUs")
    import torch

    major, minor = torch.cuda.get_device_capability()
    if major >= 8:
        return Precision("bfloat16", f"{device.name} has bfloat16 (compute capability {major}.{minor})")
    lacks = f"{device.name} has no bfloat16 (compute capability {major}.{minor}, which begins at 8.0)"
    if model_type.startswith(OVERFLOWS):
        return Precision("float32", f"{lacks}, and {model_type} overflows in float16")
    return Precision("float16", lacks)
