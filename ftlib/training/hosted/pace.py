"""Caps on requests and tokens per minute, and the pauses that a service asks for, shared by all calls of a trainer."""

from __future__ import annotations

import asyncio
import time

BURST_S = 2.0  # what may be sent at once after a quiet time, in seconds of the permitted rate


class Pace:
    """A call waits here until it may be sent. Token buckets (one for requests, one for tokens), and one gate for all."""

    def __init__(self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None) -> None:
        self._rates = [rate / 60 for rate in (requests_per_minute, tokens_per_minute) if rate is not None]
        self._kinds = [kind for kind, rate in enumerate((requests_per_minute, tokens_per_minute)) if rate is not None]
        self._full = [max(1.0, rate * BURST_S) for rate in self._rates]
        self._level = list(self._full)
        self._at = time.monotonic()
        self._closed_until = 0.0

    def hold(self, seconds: float) -> None:
        """Let nobody send for so long (a Retry-After)."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)

    @property
    def closed_s(self) -> float:
        """How long nobody may send."""
        return max(0.0, self._closed_until - time.monotonic())

    def _wait(self, needs: list[float]) -> float:
        """Seconds until a call with these needs may be sent; takes them where that is now."""
        now = time.monotonic()
        for place, rate in enumerate(self._rates):
            self._level[place] = min(self._full[place], self._level[place] + (now - self._at) * rate)
        self._at = now
        missing = [(min(need, full) - level) / rate for need, full, level, rate in zip(needs, self._full, self._level, self._rates, strict=True)]
        wait = max([self._closed_until - now, *missing, 0.0])
        if wait <= 1e-9:
            self._level = [level - need for level, need in zip(self._level, needs, strict=True)]
            return 0.0
        return wait

    async def turn(self, tokens: int) -> None:
        """Return when a call of so many tokens may be sent."""
        needs = [(1.0, float(tokens))[kind] for kind in self._kinds]
        while True:
            wait = self._wait(needs)
            if wait <= 0:
                return
            await asyncio.sleep(wait)
