"""Answers of a hosted model, many at a time: paced, retried within a deadline, paid from the ledger.

At most ``concurrency`` answers are anywhere between being asked for and being stored by the caller, so a kill loses no more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftlib.errors import BudgetExceeded, Refused, ServiceDown
from ftlib.training.hosted.chat import Json, limit_of, read_completion, rendered_hash
from ftlib.training.hosted.failures import Failure
from ftlib.training.hosted.ledger import Ledger, Reservation
from ftlib.training.hosted.link import Link
from ftlib.training.hosted.pace import Pace
from ftlib.training.hosted.rates import Rates, most_tokens
from ftlib.training.hosted.wire import within
from ftlib.training.trainer import Answer

log = logging.getLogger("ftlib")
MALFORMED_TRIES = 3  # a reply that cannot be read may have been billed: it is not asked for over and over
TRIES = 8  # of one answer, but for those that the service only asks to wait with
WAITING = ("rate", "refused")  # the latter of a model that is still being loaded
IN_A_ROW = 10  # answers that fail one after the other: the service is down, and asking on would make failures of them all
BACKOFF_S, BACKOFF_MOST_S = 0.5, 30.0

Item = tuple[int, Answer] | Exception


@dataclass
class Asker:
    """Asks one model of one provider."""

    link: Link
    rates: Rates
    ledger: Ledger
    pace: Pace
    concurrency: int
    seed: int = 0
    loads_until: float = 0.0  # until then a model that is not found is one just made, which is still being loaded
    _failed: int = 0  # in a row
    _answered: bool = False

    def ask(self, requests: Sequence[Json]) -> Iterator[tuple[int, Answer]]:
        """Send requests, yielding (position, answer) as they are answered.

        The caller has stored an answer when it asks for the next. Raises Refused, BudgetExceeded or ServiceDown once what is under
        way has been yielded: the rest would fail alike.
        """
        done: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        slots = asyncio.Semaphore(self.concurrency)
        loop = self.link.wire.loop
        future = self.link.wire.start(self._all(requests, slots, done))
        failure: Exception | None = None
        left = len(requests)
        try:
            while (item := done.get()) is not None:
                if isinstance(item, Exception):
                    failure = failure or item
                    continue
                left -= item[1].finish != "error"
                yield item
                loop.call_soon_threadsafe(slots.release)
        finally:
            future.cancel()
        if isinstance(failure, BudgetExceeded | ServiceDown):
            raise type(failure)(f"{failure} {left} of {len(requests)} answers remain.")
        if failure is not None:
            raise failure

    async def _all(self, requests: Sequence[Json], slots: asyncio.Semaphore, done: queue.SimpleQueue[Item | None]) -> None:
        """Keep the slots full. The first request goes alone: where the service refuses, one is sent and not fifty."""
        stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()
        try:
            for place, request in enumerate(requests):
                await slots.acquire()
                if stop.is_set():
                    break
                task = asyncio.create_task(self._item(place, request, slots, stop, done))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                if place == 0:
                    await task
            while tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            done.put(None)

    async def _item(self, place: int, request: Json, slots: asyncio.Semaphore, stop: asyncio.Event, done: queue.SimpleQueue[Item | None]) -> None:
        """One request to its answer. What concerns this item becomes an Answer; what concerns all of them ends the asking."""
        started = time.monotonic()
        hashed = rendered_hash(request["messages"])
        try:
            done.put((place, await self._answer(request, hashed, started)))
            self._failed, self._answered = 0, True
        except Failure as failure:
            said, seconds = f"{failure.kind}: {failure}", time.monotonic() - started
            filtered = failure.kind == "filtered"
            done.put((place, Answer("" if filtered else None, "filtered" if filtered else "error", hashed, seconds=seconds, error=said)))
            self._failed = 0 if filtered else self._failed + 1
            if self._failed >= IN_A_ROW and not stop.is_set() and not (failure.kind == "bad" and self._answered):
                stop.set()
                done.put(ServiceDown(f"{self._failed} answers in a row failed at {self.link.provider.name}: {failure}; run again to ask them anew."))
        except Exception as error:
            stop.set()
            done.put(error)
            slots.release()

    async def _answer(self, request: Json, hashed: str, started: float) -> Answer:
        """One answer with all its retries. Raises Failure (this item), Refused or BudgetExceeded (all of them)."""
        shaken, unreadable = random.Random(f"{self.seed} {hashed}"), 0
        provider = self.link.provider
        for attempt in itertools.count():
            try:
                return await self._attempt(request, hashed, started)
            except Failure as failure:
                unreadable += failure.kind == "malformed"
                loading = failure.kind == "refused" and failure.status == 404 and self.link.clock.now() < self.loads_until
                wait = min(BACKOFF_MOST_S, BACKOFF_S * 2.0 ** min(attempt, TRIES)) * (0.5 + shaken.random() / 2)
                if failure.retry_after is not None:
                    wait = failure.retry_after + shaken.random() * min(1.0, failure.retry_after / 4)
                    wait = max(wait, BACKOFF_S) if attempt >= TRIES else wait  # a service that says 0 again and again
                    self.pace.hold(failure.retry_after)
                elif failure.kind == "rate":
                    self.pace.hold(wait)
                late = time.monotonic() - started + wait >= provider.deadline_s
                if failure.kind == "refused" and (late or not loading):
                    raise Refused(f"{provider.name} refused {request['model']}: {failure}") from None
                if failure.kind in ("bad", "filtered") or unreadable == MALFORMED_TRIES or (attempt >= TRIES - 1 and failure.kind not in WAITING):
                    raise
                if late:
                    raise Failure(failure.kind, f"{failure}; the next try would pass the deadline of {provider.deadline_s:g} s") from None
                log.debug("%s: %s; again in %.1f s", provider.name, failure, wait)
                await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, request: Json, hashed: str, started: float) -> Answer:
        """One request: paced, reserved, sent, settled."""
        worst = self.rates.worst(request["messages"], limit_of(request))
        left = self.link.provider.deadline_s - (time.monotonic() - started)
        if self.pace.closed_s > left:
            raise Failure("rate", f"the service asked to wait {self.pace.closed_s:.0f} s", self.pace.closed_s)
        try:
            await asyncio.wait_for(self.pace.turn(most_tokens(request["messages"]) // 3 + limit_of(request)), max(0.0, left))
        except TimeoutError:
            raise Failure("rate", f"its turn did not come within the deadline of {self.link.provider.deadline_s:g} s") from None
        reservation = await self._reserve(worst, request["model"]) if worst else None
        began = time.monotonic()
        left = self.link.provider.deadline_s - (began - started)
        try:
            reply = await within(self.link.service.chat(request), max(0.01, min(self.link.provider.attempt_s, left)))
            reading = read_completion(reply)
        except Failure as failure:
            _end(reservation, failure)
            raise
        except asyncio.CancelledError:
            _end(reservation, Failure("lost", "it was interrupted"))
            raise
        seconds = time.monotonic() - began
        usd = self.rates.cost(reading.usage)
        if reservation is not None:
            reservation.keep("the reply told no usage") if usd is None else reservation.settle(usd)
        tokens = [count if isinstance(count, int) else None for count in (reading.usage.get("prompt_tokens"), reading.usage.get("completion_tokens"))]
        return Answer(reading.text, reading.finish, hashed, tokens[0], tokens[1], seconds, worst if usd is None else usd, reading.fingerprint)

    async def _reserve(self, worst: float, model: str) -> Reservation:
        """Set the worst case aside, waiting for calls under way where only their worst cases stand in the way."""
        while True:
            try:
                return self.ledger.reserve(worst, f"an answer of {model}")
            except BudgetExceeded:
                if not self.ledger.under_way:
                    raise
            await asyncio.sleep(0.05)


def _end(reservation: Reservation | None, failure: Failure) -> None:
    """Give the money back where the service certainly did nothing: it was not reached, or turned the request away at the door.

    Else it stays set aside: Azure bills a prompt that its filter stopped, an input that is too long, and what ran into its own timeout.
    """
    if reservation is None:
        return
    if failure.kind in ("unsent", "refused", "rate") or failure.status == 503:
        reservation.release(failure.kind)
    else:
        reservation.keep(str(failure))
