"""`ftlib sandbox`: the service in a process of its own."""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence

from ftlib.errors import FtlibError, ProfileError

log = logging.getLogger("ftlib")
CHILD = "FTLIB_SANDBOX_CHILD"  # set by a trainer that starts the service for itself: it ends when its standard input does
READY = "ftlib sandbox is ready at "


def serve(
    *, host: str = "127.0.0.1", port: int = 0, key: str | None = None, faults: Sequence[str] = (), requests_per_minute: int | None = None
) -> None:
    """Serve until interrupted (or, as a child, until the parent goes away).

    Args:
        host: loopback addresses only, unless a key of one's own is given with FTLIB_SANDBOX_KEY.
        port: 0 takes a free one; the address is printed.
        key: what clients must send; made up and printed where none is given.
        faults: ``NAME[@ENDPOINT][*TIMES]``; ``list`` prints them all.
        requests_per_minute: chat requests above that are answered with 429; None: no limit.

    State is kept in FTLIB_HOME/sandbox. Raises ProfileError for an unknown fault or a host that is not allowed.
    """
    from ftlib.training.sandbox.faults import fault_list, parse_fault

    if "list" in faults:
        print(fault_list())
        return
    for spec in faults:
        parse_fault(spec)
    if not _loopback(host) and not key:
        raise ProfileError(f"{host} can be reached from other machines; set FTLIB_SANDBOX_KEY to a key of your own first, or leave --host out.")
    from ftlib.training.sandbox.engine import TinyEngine
    from ftlib.training.sandbox.server import Sandbox
    from ftlib.training.sandbox.store import home

    secret = (key or "").strip() or "sk-sandbox-" + secrets.token_hex(16)
    try:
        sandbox = Sandbox(home(), TinyEngine(), secret, host=host, port=port, faults=list(faults), requests_per_minute=requests_per_minute)
    except OSError as error:
        raise FtlibError(f"{host}:{port} cannot be served ({error.strerror}); choose another --port, or 0 for a free one.") from error
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN if os.environ.get(CHILD) else lambda *_: over.set())  # Ctrl-C is the parent's to handle
    print(READY + sandbox.url, flush=True)
    if os.environ.get(CHILD):
        threading.Thread(target=_until_parent_is_gone, args=(over,), daemon=True).start()
    else:
        shown = secret if not key else '"$FTLIB_SANDBOX_KEY"'
        print(f"use it with:  export FTLIB_SANDBOX_URL={sandbox.url} FTLIB_SANDBOX_KEY={shown}")
        print("Ctrl-C stops it; jobs go on when it is started again.", flush=True)
    over.wait()
    sandbox.close()


def _until_parent_is_gone(over: threading.Event) -> None:
    """Standard input ends when the parent closes it or dies, however it dies."""
    sys.stdin.buffer.read()
    over.set()


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
