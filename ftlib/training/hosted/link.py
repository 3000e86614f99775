"""A provider spoken to from code that is not asynchronous: one request with a total deadline, or one that is repeated."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from ftlib.errors import Refused, ServiceDown
from ftlib.training.hosted.clock import Clock, RealClock
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.provider import Provider
from ftlib.training.hosted.service import Json, Service
from ftlib.training.hosted.wire import Wire

log = logging.getLogger("ftlib")
T = TypeVar("T")
TRIES = 6
PAGES = 200  # of a list; more than that is a list that repeats itself


class Link:
    """A service, the wire to it, and a clock."""

    def __init__(self, provider: Provider, service: Service, wire: Wire, clock: Clock | None = None, *, seed: int = 0) -> None:
        self.provider, self.service, self.wire = provider, service, wire
        self.clock: Clock = clock or RealClock()
        self._random = random.Random(seed)

    def once(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """One request, within the provider's usual deadline or another. Raises Failure."""
        return self.wire.call(work, deadline_s=seconds or self.provider.attempt_s)

    def patiently(self, what: str, make: Callable[[], Coroutine[Any, Any, T]], *, tries: int = TRIES) -> T:
        """A request that changes nothing, repeated while the failure may pass. Raises Refused, or ServiceDown naming the last failure."""
        for attempt in range(tries):
            try:
                return self.once(make())
            except Failure as failure:
                if failure.kind == "refused":
                    raise Refused(f"{self.provider.name} refused {what}: {failure}") from None
                if failure.kind in ("bad", "filtered"):
                    raise ServiceDown(f"{self.provider.name} turned down {what}: {failure}") from None
                if attempt == tries - 1:
                    raise ServiceDown(f"{self.provider.name} did not answer {what}: {failure}; run again later, nothing is lost.") from None
                wait = failure.retry_after if failure.retry_after is not None else self.backoff(attempt)
                log.info("%s: %s: %s; again in %.1f s", self.provider.name, what, failure, wait)
                self.clock.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def backoff(self, attempt: int, *, most: float = 60.0) -> float:
        """Seconds before the next attempt: doubled each time, of which half is random, so that callers do not return in step."""
        return min(most, 0.5 * 2.0**attempt) * (0.5 + self._random.random() / 2)

    def pages(
        self, what: str, make: Callable[[str | None], Coroutine[Any, Any, Json]], *, enough: Callable[[list[Json]], bool] | None = None
    ) -> Iterator[Json]:
        """The things of a paged list; ends where a page brings nothing new, whatever it says of more, or is ``enough``."""
        seen: set[str] = set()
        after: str | None = None
        for _ in range(PAGES):
            cursor = after
            page = self.patiently(what, lambda: make(cursor))  # noqa: B023  called at once
            things = page.get("data")
            if not isinstance(things, list):
                raise ServiceDown(f"{self.provider.name}: {what} came without a list; run again later, nothing is lost.")
            fresh = [thing for thing in things if isinstance(thing, dict) and thing.get("id") and str(thing["id"]) not in seen]
            yield from fresh
            seen |= {str(thing["id"]) for thing in fresh}
            if not fresh or not page.get("has_more") or (enough is not None and enough(fresh)):
                return
            after = str(fresh[-1]["id"])
