"""What the processes of one training on several devices must agree on."""

from __future__ import annotations

import os
from typing import Literal


def agreed(value: float, how: Literal["max", "min", "sum"]) -> float:
    """The greatest, least or sum of a value over all processes; the value itself where there is one."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    operation = {"max": torch.distributed.ReduceOp.MAX, "min": torch.distributed.ReduceOp.MIN, "sum": torch.distributed.ReduceOp.SUM}[how]
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    tensor = torch.tensor(float(value), dtype=torch.float64, device=device)
    torch.distributed.all_reduce(tensor, op=operation)
    return float(tensor.item())


def processes() -> int:
    """How many processes train together (``accelerate launch`` sets WORLD_SIZE)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def main_process() -> bool:
    """Whether this process writes the files."""
    return os.environ.get("RANK", "0") == "0"


def wait() -> None:
    """Meet the other processes of a distributed training here, joining them first; returns at once where there are none."""
    if processes() > 1:
        import torch
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available()).wait_for_everyone()
