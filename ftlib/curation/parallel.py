"""Work in threads, results in order. Worth it where the work lets go of the interpreter lock: tokenizing, numpy."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(items: Iterable[I], work: Callable[[I], O], threads: int) -> Generator[O, None, None]:
    """``work`` on each item in threads, results in order, never more than a few items at once in memory."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[O]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
