"""The ledger: a cap in dollars that is never passed, kept in the run folder.

Each call reserves its worst case before it is made and settles with what it really cost. A reservation that was never
settled (a kill, a reply that was lost) counts in full, because it may have been billed. The file only grows, and
several processes may use it: each reads what the others wrote while it holds the file's lock.
"""

from __future__ import annotations

import errno
import json
import math
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftlib.errors import BudgetExceeded
from ftlib.training.posix import fcntl

NANO = 1_000_000_000  # amounts are whole billionths of a dollar, so that sums are exact
WAIT_S = 0.05


@dataclass
class Reservation:
    """Money set aside for one call. Exactly one of ``settle`` and ``release`` ends it; left alone it counts as spent."""

    ledger: Ledger
    id: str
    usd: float

    def settle(self, usd: float, **facts: Any) -> None:
        """The call cost so much."""
        self.ledger.write({"op": "settle", "id": self.id, "nano": round(usd * NANO), **facts})

    def release(self, why: str) -> None:
        """The call certainly cost nothing."""
        self.ledger.write({"op": "settle", "id": self.id, "nano": 0, "why": why})

    def keep(self, why: str) -> None:
        """The call may have been billed; its worst case stays spent."""
        self.ledger.write({"op": "lost", "id": self.id, "why": why})


class Ledger:
    """What a run has spent and may still spend. Safe to use from many threads and processes."""

    def __init__(self, path: Path, cap_usd: float) -> None:
        self.path, self.cap_usd = path, cap_usd
        self._lock = threading.RLock()
        self._read_to = 0
        self._amounts: dict[str, int] = {}  # reservation -> what it counts for
        self._released: set[str] = set()  # reservations that were given back: what they were for may be reserved anew
        self._open: set[str] = set()  # reservations that may soon shrink: calls under way in this process; a job is none
        self._total = 0
        self._descriptor: int | None = None

    def close(self) -> None:
        """Close the file; the ledger can be used again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    @property
    def spent_usd(self) -> float:
        """Settled costs, and reservations that were not settled, in dollars."""
        with self._locked():
            return self._total / NANO

    @property
    def left_usd(self) -> float:
        """What may still be reserved."""
        return max(0.0, self.cap_usd - self.spent_usd)

    def reserve(self, usd: float, what: str, *, key: str | None = None, wait_s: float = 0.0) -> Reservation:
        """Set money aside for one call.

        Args:
            usd: the worst case.
            what: a few words for the reader of the file.
            key: an id of one's own; where it is reserved or settled already (before a restart), that reservation is returned.
            wait_s: how long to wait, where the cap is reached only because calls under way reserved their worst cases.

        Raises BudgetExceeded, with what was spent and what remains.
        """
        until = time.monotonic() + wait_s
        amount = math.ceil(round(usd * NANO, 3))
        while True:
            with self._locked(make=True):
                if key is not None and self._held(key):
                    return Reservation(self, key, self._amounts[key] / NANO)
                if self._total + amount <= round(self.cap_usd * NANO):
                    new = key or uuid.uuid4().hex[:16]
                    self._append({"op": "reserve", "id": new, "nano": amount, "what": what})
                    if key is None:
                        self._open.add(new)
                    return Reservation(self, new, usd)
                others = bool(self._open)
                spent = self._total / NANO
            if not others or time.monotonic() > until:
                raise BudgetExceeded(
                    f"The budget of {self.cap_usd:.4f} dollars is not enough: {spent:.4f} are spent or set aside and {what} may cost {usd:.4f}; "
                    "everything paid for is kept. Raise budget_usd and run again to go on."
                )
            time.sleep(WAIT_S)

    def release(self, key: str, why: str) -> None:
        """Give back what is reserved under a key of one's own, where something is: it certainly cost nothing."""
        with self._locked():
            if self._held(key):
                self._append({"op": "settle", "id": key, "nano": 0, "why": why})

    def holds(self, key: str) -> bool:
        """Whether something is reserved, or was settled, under a key of one's own."""
        with self._locked():
            return self._held(key)

    def _held(self, key: str) -> bool:
        return key in self._amounts and key not in self._released

    @property
    def under_way(self) -> int:
        """Calls of this process that have reserved and not ended: waiting for them may free money."""
        with self._lock:
            return len(self._open)

    def write(self, row: dict[str, Any]) -> None:
        """Append the end of a reservation."""
        with self._locked():
            self._append(row)
            self._open.discard(str(row["id"]))

    def _append(self, row: dict[str, Any]) -> None:
        """One line: it is in the kernel's hands when this returns, so that a killed process loses nothing."""
        line = json.dumps({**row, "at": round(time.time(), 3)}, ensure_ascii=False).encode() + b"\n"
        if os.write(self._file(), line) < len(line):  # half a line is none
            os.ftruncate(self._file(), self._read_to)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self._read_to += len(line)
        self._apply(row)

    def _file(self) -> int:
        """The open file; it is made with the first reservation, so that a run that pays for nothing has none."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        return self._descriptor

    @contextmanager
    def _locked(self, *, make: bool = False) -> Iterator[None]:
        """Hold the ledger against other threads and processes, having read what they wrote."""
        with self._lock:
            if not make and self._descriptor is None and not self.path.exists():
                yield
                return
            descriptor = self._file()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                self._read(descriptor)
                yield
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _read(self, descriptor: int) -> None:
        """Take in what was appended since the last look; a torn last line (a kill in the middle of a write) is cut off first."""
        size = os.fstat(descriptor).st_size
        if size == self._read_to:
            return
        data = os.pread(descriptor, size - self._read_to, self._read_to)
        if not data.endswith(b"\n"):
            data = data[: data.rfind(b"\n") + 1]
            os.ftruncate(descriptor, self._read_to + len(data))
        self._read_to += len(data)
        for line in data.splitlines():
            self._apply(json.loads(line))

    def _apply(self, row: dict[str, Any]) -> None:
        key = str(row["id"])
        if row["op"] == "lost":
            return
        (self._released.add if "why" in row else self._released.discard)(key)
        self._total += int(row["nano"]) - self._amounts.get(key, 0)
        self._amounts[key] = int(row["nano"])

    def bill(self) -> dict[str, Any]:
        """What was spent, by kind of call: {cap_usd, spent_usd, left_usd, calls, unsettled_usd}."""
        with self._locked():
            rows = [json.loads(line) for line in self.path.read_bytes().splitlines()] if self.path.exists() else []
            ended = {row["id"] for row in rows if row["op"] == "settle"}
            open_ = sum(amount for key, amount in self._amounts.items() if key not in ended)
            return {
                "cap_usd": self.cap_usd,
                "spent_usd": self._total / NANO,
                "left_usd": max(0.0, self.cap_usd - self._total / NANO),
                "calls": len(self._amounts),
                "unsettled_usd": open_ / NANO,
            }
