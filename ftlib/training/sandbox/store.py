"""What the service remembers: one JSON file for each thing, written atomically, so that a kill leaves no half of one.

Several services may share the folder: nothing is kept in memory alone, and a job is worked on by whoever holds its lock.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from pathlib import Path
from typing import Any, BinaryIO

from ftlib.files import AppendLog, read_json, read_jsonl, write_atomic, write_json
from ftlib.training.posix import fcntl

Json = dict[str, Any]
_ID = re.compile(r"[A-Za-z]+-[A-Za-z0-9-]{4,64}")


def home() -> Path:
    """The service's folder: FTLIB_HOME/sandbox (``~/.cache/ftlib`` where FTLIB_HOME is not set)."""
    return Path(os.environ.get("FTLIB_HOME") or "~/.cache/ftlib").expanduser() / "sandbox"


class Store:
    """Things by kind (``files``, ``jobs``, ``batches``) and id."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.RLock()
        root.mkdir(parents=True, exist_ok=True)

    def add(self, kind: str, prefix: str, fields: Json) -> Json:
        """Keep a new thing under a fresh id; returns it."""
        thing = {"id": f"{prefix}-{uuid.uuid4().hex[:24]}", "created_at": int(time.time()), **fields, "born": time.time_ns()}
        self.put(kind, thing)
        return thing

    def put(self, kind: str, thing: Json) -> None:
        """Keep a thing as it is now."""
        with self._lock:
            write_json(self.root / kind / f"{thing['id']}.json", thing)

    def get(self, kind: str, thing_id: str) -> Json | None:
        """A thing by id; None where there is none."""
        path = self.root / kind / f"{thing_id}.json"
        if not _ID.fullmatch(thing_id) or not path.exists():
            return None
        return dict(read_json(path))

    def change(self, kind: str, thing_id: str, **fields: Any) -> Json:
        """Alter some fields of a thing; returns it as it is now."""
        with self._lock:
            thing = {**(self.get(kind, thing_id) or {}), **fields}
            self.put(kind, thing)
            return thing

    def all(self, kind: str) -> list[Json]:
        """All things of a kind, newest first."""
        found = [dict(read_json(path)) for path in (self.root / kind).glob("*.json")]
        return sorted(found, key=lambda thing: thing["born"], reverse=True)

    def remove(self, kind: str, thing_id: str) -> None:
        """Forget a thing and its bytes."""
        for suffix in (".json", ".bin"):
            (self.root / kind / f"{thing_id}{suffix}").unlink(missing_ok=True)

    def add_file(self, name: str, data: bytes, purpose: str) -> Json:
        """Keep a file's bytes and record."""
        thing_id = f"file-{uuid.uuid4().hex[:24]}"
        write_atomic(self.root / "files" / f"{thing_id}.bin", data)
        thing = {
            "id": thing_id,
            "object": "file",
            "bytes": len(data),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
            "born": time.time_ns(),
        }
        self.put("files", thing)
        return thing

    def data(self, file_id: str) -> Path:
        """Where a file's bytes are."""
        return self.root / "files" / f"{file_id}.bin"

    def folder(self, job_id: str) -> Path:
        """A job's own folder: events, checkpoints, the tuned model."""
        path = self.root / "jobs" / job_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def add_event(self, job_id: str, message: str, *, level: str = "info", data: Json | None = None) -> None:
        """Append one event to a job's log."""
        event = {
            "id": f"ftevent-{uuid.uuid4().hex[:24]}",
            "object": "fine_tuning.job.event",
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "type": "metrics" if data else "message",
            "data": data or {},
        }
        with self._lock, AppendLog(self.folder(job_id) / "events.jsonl") as log:
            log.append(event)

    def events(self, job_id: str) -> list[Json]:
        """A job's events, newest first."""
        path = self.folder(job_id) / "events.jsonl"
        return list(read_jsonl(path))[::-1] if path.exists() else []

    def claim(self, job_id: str) -> BinaryIO | None:
        """The lock of a job, or None where another process works on it; it is free again when its holder dies."""
        handle = (self.folder(job_id) / "lock").open("ab")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            return None
        return handle


def public(thing: Json) -> Json:
    """A thing as the API shows it."""
    return {key: value for key, value in thing.items() if key not in ("born", "private")}
