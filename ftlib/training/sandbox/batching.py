"""Chat requests that arrive together are answered together: a small model answers 32 in little more time than one."""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from ftlib.training.sandbox.engine import Ask, Engine, Json, Said

WINDOW_S = 0.02  # how long the first of a batch waits for company


@dataclass
class _Waiting:
    ask: Ask
    messages: list[Json]
    reply: Future[Said] = field(default_factory=Future)


class Batcher:
    """Collects requests of like settings and hands them to the engine, one batch at a time."""

    def __init__(self, engine: Engine, size: int = 32) -> None:
        self._engine, self._size = engine, size
        self._queue: queue.Queue[_Waiting | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="sandbox-answers", daemon=True)
        self._thread.start()

    def answer(self, ask: Ask, messages: list[Json]) -> Said:
        """The answer to one request; blocks until its batch is done. Raises what the engine raised."""
        waiting = _Waiting(ask, messages)
        self._queue.put(waiting)
        return waiting.reply.result()

    def close(self) -> None:
        """Answer what waits, then stop."""
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _work(self) -> None:
        held: list[_Waiting] = []
        open_ = True
        while open_ or held:
            if not held:
                first = self._queue.get()
                if first is None:
                    return
                held.append(first)
            open_ = self._collect(held) and open_
            ask = held[0].ask
            batch = [waiting for waiting in held if waiting.ask == ask][: self._size]
            held = [waiting for waiting in held if waiting not in batch]
            try:
                for waiting, said in zip(batch, self._engine.answer(ask, [waiting.messages for waiting in batch]), strict=True):
                    waiting.reply.set_result(said)
            except Exception as error:  # the requests fail, the service goes on
                for waiting in batch:
                    if not waiting.reply.done():
                        waiting.reply.set_exception(error)

    def _collect(self, held: list[_Waiting]) -> bool:
        """Take what arrives within the window; False when the service ends."""
        until = time.monotonic() + WINDOW_S
        while sum(waiting.ask == held[0].ask for waiting in held) < self._size:
            try:
                more = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return True
            if more is None:
                return False
            held.append(more)
        return True
