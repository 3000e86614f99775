"""What a training took, over all its pieces: each checkpoint carries the tally, so that a resumed run reports the whole."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ftlib.files import read_json, write_json
from ftlib.training.local.distributed import agreed, processes
from ftlib.training.local.rows import IGNORED

FILE = "tally.json"
PHASES = ("load", "tokenise", "train", "evaluate", "save")


@dataclass
class Tally:
    """Seconds by phase, rows and tokens seen, energy; ``pieces`` counts the processes that worked on it."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    rows: int = 0
    tokens: int = 0
    supervised: int = 0
    padding: int = 0
    tokens_at: dict[str, int] = field(default_factory=dict)  # optimiser step -> tokens seen by then
    first_step: float | None = None  # seconds of the first step, in which a GPU compiles
    planned: int | None = None  # steps, where the time budget shortened the plan
    energy_wh: float | None = None
    peak: dict[str, int] = field(default_factory=dict)  # bytes
    pieces: int = 0
    _meter: Energy | None = field(default=None, repr=False)
    _phase: str | None = field(default=None, repr=False)
    _since: float = field(default=0.0, repr=False)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a block to a phase, and not to the one around it."""
        self.flush()
        outer, self._phase = self._phase, name
        try:
            yield
        finally:
            self.flush()
            self._phase = outer

    def flush(self) -> None:
        """Count the time up to now, so that what is saved inside a phase holds it."""
        now = time.perf_counter()
        if self._phase is not None:
            self.seconds[self._phase] += now - self._since
        self._since = now

    def count(self, inputs: Mapping[str, Any]) -> None:
        """Count one batch as it goes to the model (tensors of shape rows x tokens), over all processes."""
        ids, labels, mask, places = (inputs.get(key) for key in ("input_ids", "labels", "attention_mask", "position_ids"))
        assert ids is not None
        assert labels is not None
        tokens = int(mask.sum()) if mask is not None else ids.numel()
        rows = int((places == 0).sum()) if places is not None and mask is None else len(ids)
        self.rows += int(agreed(rows, "sum"))
        self.tokens += int(agreed(tokens, "sum"))
        self.supervised += int(agreed(int((labels != IGNORED).sum()), "sum"))
        self.padding += int(agreed(ids.numel() - tokens, "sum"))

    def meter(self, device_kind: str) -> Energy:
        """Begin to measure energy and peak memory of this piece, which add to those of the pieces before it."""
        self._meter = Energy(device_kind)
        return self._meter

    def measure(self) -> None:
        """Take in what the meter has read since the last time, so that what is saved holds it."""
        if self._meter is None:
            return
        used = self._meter.watt_hours()
        self.energy_wh = self.energy_wh if used is None else (self.energy_wh or 0.0) + used
        for name, size in peak_memory(self._meter.device_kind).items():
            self.peak[name] = max(self.peak.get(name, 0), size)

    def save(self, folder: Path) -> None:
        """Write into a checkpoint."""
        self.flush()
        self.measure()
        write_json(folder / FILE, {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")})

    @classmethod
    def load(cls, folder: Path) -> Tally:
        """Read from a checkpoint that has been verified."""
        return cls(**read_json(folder / FILE))


def peak_memory(device_kind: str) -> dict[str, int]:
    """Peak bytes so far: resident set of this process; allocated and reserved on a GPU."""
    unit = 1 if sys.platform == "darwin" else 1024
    found = {"rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device_kind == "cuda":
        import torch

        found |= {"allocated_bytes": torch.cuda.max_memory_allocated(), "reserved_bytes": torch.cuda.max_memory_reserved()}
    return found


class Energy:
    """Energy that this machine's first NVIDIA GPU has used since it was last asked, as NVML counts it."""

    def __init__(self, device_kind: str) -> None:
        self.device_kind = device_kind
        self.reason: str | None = None if device_kind == "cuda" else "NVML measures NVIDIA GPUs only"
        if processes() > 1:
            self.reason = f"{processes()} processes trained and only the first GPU is read"
        self._start = None if self.reason else self._read()

    def _read(self) -> float | None:
        try:
            import pynvml

            pynvml.nvmlInit()
            return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(pynvml.nvmlDeviceGetHandleByIndex(0)))
        except ImportError:
            self.reason = "nvidia-ml-py is not installed"
        except pynvml.NVMLError as error:
            self.reason = f"NVML gave no reading ({error})"
        return None

    def watt_hours(self) -> float | None:
        """Wh since the last call, or since the start; None with ``reason`` where nothing could be read."""
        now = self._read() if self._start is not None else None
        if now is None or self._start is None:
            return None
        used, self._start = (now - self._start) / 3.6e6, now
        return used
