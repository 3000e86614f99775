"""One process at a time works in a run folder."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftlib.errors import RunLocked
from ftlib.files import TEMPORARY

log = logging.getLogger("ftlib")
TOKEN = "FTLIB_LOCK_TOKEN"  # the holder hands this to its own child processes (papermill's kernels)


def _started(pid: int) -> str | None:
    """Start time of a process as the kernel counts it, so that a reused pid is not taken for the old process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _machine() -> str:
    """A name for this machine since its last boot."""
    with contextlib.suppress(OSError):
        return socket.gethostname() + "/" + Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


def _alive(holder: dict[str, Any]) -> bool:
    pid = int(holder.get("pid", 0))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    known = holder.get("process_started")
    return known is None or known == _started(pid)


def _holder(path: Path) -> dict[str, Any] | None:
    """What the lock says of its holder, nothing where it cannot be read; None where there is no lock."""
    try:
        found = json.loads(path.read_bytes())
        return found if isinstance(found, dict) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def _holds(path: Path, token: str) -> bool:
    return (_holder(path) or {}).get("token") == token


@contextlib.contextmanager
def lock(folder: Path, *, take_over: bool = False) -> Iterator[None]:
    """Hold ``folder`` for this process and the children it starts.

    A lock left by a dead process of this machine is removed with a word; one of another machine is taken over only
    when ``take_over`` is true. Raises RunLocked naming the holder otherwise.
    """
    path = folder / ".lock"
    token = os.environ.get(TOKEN)
    if token and _holds(path, token):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    me = {
        "pid": os.getpid(),
        "process_started": _started(os.getpid()),
        "machine": _machine(),
        "token": uuid.uuid4().hex,
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    _acquire(path, me, take_over)
    os.environ[TOKEN] = str(me["token"])
    try:
        for leftover in folder.rglob(f".*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        os.environ.pop(TOKEN, None)
        if _holds(path, str(me["token"])):
            path.unlink(missing_ok=True)


def _acquire(path: Path, me: dict[str, Any], take_over: bool) -> None:
    for _ in range(15):
        try:
            _create(path, me)
            return
        except FileExistsError:
            holder = _holder(path)
            with contextlib.suppress(FileNotFoundError):
                if holder == {} and time.time() - path.stat().st_mtime < 2:
                    time.sleep(0.2)  # somebody is between creating and writing it
                    continue
            if holder is not None:
                _evict(path, holder, take_over)
    raise RunLocked(f"{path.parent} is being opened by another process; try again in a moment.")


def _create(path: Path, me: dict[str, Any]) -> None:
    """Make the lock with its content in one act, so that a kill leaves none that is empty. Raises FileExistsError."""
    written = path.with_name(f".lock.{me['token']}{TEMPORARY}")
    try:
        written.write_text(json.dumps(me), "utf-8")
        os.link(written, path)
        return
    except FileExistsError:
        raise
    except FileNotFoundError:
        if path.parent.is_dir():
            raise FileExistsError from None  # a holder has swept it away with the leftovers of the dead
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
    finally:
        written.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)  # a disk without hard links
    try:
        with os.fdopen(descriptor, "w") as handle:
            json.dump(me, handle)
    except OSError:  # a full disk; an empty lock would keep everybody out
        path.unlink(missing_ok=True)
        raise


def _evict(path: Path, holder: dict[str, Any], take_over: bool) -> None:
    """Remove a lock that may be removed, or say who holds it."""
    here = holder.get("machine") == _machine()
    who = f"process {holder.get('pid', '?')} on {str(holder.get('machine', '?')).split('/')[0]} since {holder.get('since', '?')}"
    if holder and here and _alive(holder):
        raise RunLocked(f"{path.parent} is in use by {who}; wait for it, or choose another folder with --out.")
    if holder and not here and not take_over:
        raise RunLocked(
            f"{path.parent} is locked by {who}; if that machine is gone, remove {path}, "
            f"or take it over with `ftlib run PROFILE --out {path.parent} --take-over`."
        )
    log.info("taking over %s from %s, which is gone", path.parent.name, who)
    with _alone(path.parent):
        if _holder(path) == holder:  # else another has taken it over in the meantime, and it is his now
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time comes through here, where the disk knows such locks; the kernel lets go when a process dies."""
    descriptor = None
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except (ImportError, OSError):
        log.debug("no lock of the kernel on %s", folder)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
