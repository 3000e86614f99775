"""Progress bars that fit where they are shown: a notebook, a terminal, or a batch run that relays them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

RELAY = "FTLIB_PROGRESS"  # a file that the batch runner reads; set in the kernels that it starts
QUIET = "FTLIB_QUIET"


def bar(iterable: Iterable[Any] | None = None, *, desc: str, total: float | None = None, unit: str = "it", initial: float = 0) -> Any:
    """A tqdm bar. Under `ftlib run` it writes lines to the runner, so that executed notebooks carry no widgets."""
    relay = os.environ.get(RELAY)
    if relay:
        from tqdm.std import tqdm as plain

        handle = open(relay, "a", encoding="utf-8")  # closed with the process; lines only
        return plain(iterable, desc=desc, total=total, unit=unit, initial=initial, file=handle, mininterval=2, ncols=100, ascii=True)
    from tqdm.auto import tqdm

    return tqdm(iterable, desc=desc, total=total, unit=unit, initial=initial, mininterval=0.5, disable=bool(os.environ.get(QUIET)) or None)
