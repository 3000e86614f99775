"""The wire: an event loop in a thread of its own, so that every call has a total deadline.

The client's own timeout runs anew with every byte that arrives, so a server that drips holds it for hours; cancelling
the whole call does not care what the server does.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from ftlib.training.hosted.failures import Failure, as_failure

T = TypeVar("T")


class Wire:
    """Runs coroutines for code that is not asynchronous."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="ftlib-wire", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], *, deadline_s: float) -> T:
        """The result of one call. Raises Failure; ``lost`` when it took longer than ``deadline_s`` in all."""
        future = self.start(within(work, deadline_s))
        try:
            return future.result()
        except Failure:
            raise
        except KeyboardInterrupt:
            future.cancel()
            raise
        except Exception as error:
            raise as_failure(error) from None

    def start(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin something and return at once."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self) -> None:
        """Cancel what is under way and stop the thread."""
        if self.loop.is_closed():
            return
        with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
            self.start(_cancel_all()).result(timeout=5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self.loop.close()


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of a coroutine, or Failure ``lost`` after so many seconds in all."""
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        raise Failure("lost", f"no whole reply came within {seconds:g} s") from None


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
