"""Progress bars that fit where they are shown: a notebook, a terminal, or a batch run that relays them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ftlib.files import scratch_folder

log = logging.getLogger("ftlib")

RELAY = "FTLIB_PROGRESS"  # a file that the batch runner reads; set in the kernels that it starts
QUIET = "FTLIB_QUIET"


def bar(iterable: Iterable[Any] | None = None, *, desc: str, total: float | None = None, unit: str = "it", initial: float = 0) -> Any:
    """A tqdm bar. Under `ftlib run` it writes lines to the runner, so that executed notebooks carry no widgets."""
    relay = os.environ.get(RELAY)
    if relay:
        from tqdm.std import tqdm as plain

        lines = _Lines(relay)
        return plain(iterable, desc=desc, total=total, unit=unit, initial=initial, file=lines, mininterval=5, delay=2, ncols=100, ascii=True)
    from tqdm.auto import tqdm

    return tqdm(iterable, desc=desc, total=total, unit=unit, initial=initial, mininterval=0.5, disable=bool(os.environ.get(QUIET)) or None)


class _Lines:
    """A file for a bar's states, each a whole line: kernels that run at once and their log write to the same one."""

    def __init__(self, path: str) -> None:
        self._handle = open(path, "a", encoding="utf-8")  # closed with the process

    def write(self, text: str) -> None:
        if text.strip():
            self._handle.write(text.strip() + "\n")

    def flush(self) -> None:
        self._handle.flush()


@contextmanager
def relay(started: float) -> Iterator[None]:
    """Log what the kernels started meanwhile report, each line with the time since ``started`` (``time.monotonic``)."""
    with scratch_folder() as folder:
        path = folder / "progress"
        path.touch()
        over = threading.Event()

        def show() -> None:
            with path.open(encoding="utf-8", errors="replace") as handle:
                last = False
                while not last:
                    last = over.wait(0.5)
                    for line in handle.read().split("\n"):
                        if line.strip():
                            minutes, seconds = divmod(int(time.monotonic() - started), 60)
                            log.info("  %d:%02d  %s", minutes, seconds, line.strip())

        thread = threading.Thread(target=show, daemon=True)
        os.environ[RELAY] = str(path)
        thread.start()
        try:
            yield
        finally:
            os.environ.pop(RELAY, None)
            over.set()
            thread.join(timeout=5)
