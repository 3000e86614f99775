"""Work in forked processes, results in order: what threads cannot do at once, because the interpreter's lock is held most of the time.

A fork shares what its parent has loaded (the tokenizer's 100 MB) and needs nothing to be sent but the work. It is safe where the parent
has one thread; elsewhere (a notebook, another system) threads do the same work.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue

from ftlib.curation.parallel import in_order
from ftlib.errors import FtlibError

HEAD = 8  # bytes that give a message's length
Work = Callable[[bytes], bytes]


def can_fork() -> bool:
    """Whether this process may be forked without a second thought."""
    return sys.platform == "linux" and threading.active_count() == 1


class Helpers:
    """Some forks of this process, each doing ``work`` on the messages that it gets; they end with it."""

    def __init__(self, work: Work, count: int) -> None:
        self._free: SimpleQueue[tuple[int, int, int]] = SimpleQueue()
        self._all = [_fork(work) for _ in range(count)]
        for helper in self._all:
            self._free.put(helper)

    def map(self, messages: Iterable[bytes]) -> Iterator[bytes]:
        """The answer to each message, in order; few are under way at once."""
        return in_order(messages, self._one, len(self._all))

    def _one(self, message: bytes) -> bytes:
        helper = self._free.get()
        _, to, back = helper
        try:
            _write(to, message)
            return _read(back)
        except OSError:
            raise FtlibError("A helper process of the curation was ended from outside (out of memory?); curate again.") from None
        finally:
            self._free.put(helper)

    def close(self) -> None:
        """Let them end, and wait for that."""
        for _, to, back in self._all:
            os.close(to)
            os.close(back)
        for process, _, _ in self._all:
            with suppress(ChildProcessError):
                os.waitpid(process, 0)


def _fork(work: Work) -> tuple[int, int, int]:
    """(process, where to write to it, where to read from it) of a new fork."""
    taken, to = os.pipe()
    back, given = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the idle threads of numpy's algebra, which survive a fork
        process = os.fork()
    if process:
        os.close(taken)
        os.close(given)
        return process, to, back
    try:
        os.close(to)
        os.close(back)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's end is ours
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while True:
            _write(given, work(_read(taken)))
    except OSError:
        pass  # the parent has gone, or wants no more
    except BaseException as error:
        sys.stderr.write(f"curation: {type(error).__name__}: {error}\n")
    os._exit(0)


def _write(pipe: int, message: bytes) -> None:
    for part in (len(message).to_bytes(HEAD, "little"), message):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(pipe, rest) :]


def _read(pipe: int) -> bytes:
    return _exactly(pipe, int.from_bytes(_exactly(pipe, HEAD), "little"))


def _exactly(pipe: int, size: int) -> bytes:
    """So many bytes. Raises OSError where the other end is closed."""
    parts = []
    while size:
        part = os.read(pipe, min(size, 1 << 20))
        if not part:
            raise BrokenPipeError("the other end is closed")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
