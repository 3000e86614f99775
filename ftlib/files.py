"""Files that survive a kill: atomic writes, append-only logs, hashes.

A plain ``open(path, "w")`` leaves an unreadable file when the process dies in the middle; a temporary file, fsync and
``os.replace`` do not. An appended line that was flushed is never lost, and a torn last line is dropped on reopening.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ftlib.errors import DataError

TEMPORARY = ".ftlib-tmp"  # suffix of every temporary file, so that leftovers of a kill can be recognised


def sha256_bytes(data: bytes | str) -> str:
    """SHA-256 of bytes (or of a text in UTF-8, lone surrogates included), as 64 hex digits."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return hashlib.sha256(raw).hexdigest()


def sha256_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes; of a folder, over the sorted relative names and hashes of its files."""
    path = Path(path)
    if path.is_dir():
        tree = {p.relative_to(path).as_posix(): sha256_file(p) for p in sorted(path.rglob("*")) if p.is_file()}
        return hash_json(tree)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no spaces), for settings and prompts."""
    return sha256_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str))


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on a clean exit it is synced and takes the place of ``path``.

    On an exception the temporary file is removed and ``path`` is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    _remove_leftovers(path)
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed writers of ``path`` left (a run's lock does so for a whole run folder)."""
    for old in path.parent.glob(f".{glob.escape(path.name)}.*{TEMPORARY}"):
        if writer_is_gone(old):
            old.unlink(missing_ok=True)


def writer_is_gone(temporary: Path) -> bool:
    """Whether the process whose id stands at the end of a temporary name is no more."""
    try:
        os.kill(int(temporary.name.removesuffix(TEMPORARY).rpartition(".")[2]), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return True
    except PermissionError:  # another user's, and alive
        return False
    return False


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder among the system's temporary files, gone at the end; what killed processes left of theirs goes first."""
    for old in Path(tempfile.gettempdir()).glob(f"ftlib-*{TEMPORARY}"):
        if writer_is_gone(old):
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="ftlib-", suffix=f".{os.getpid()}{TEMPORARY}") as folder:
        yield Path(folder)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a whole file so that a reader sees the old content or the new one, never a part."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))


def write_json(path: Path | str, value: Any) -> None:
    """Write one JSON document (indented, UTF-8, NaN refused) atomically."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read one JSON document. Raises DataError naming the file where it is missing or damaged."""
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that writes it first.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); delete it and run the step again.") from error


def dump_line(row: Any) -> str:
    """One row as one line of JSON, without the line end. Non-ASCII stays readable; a lone surrogate is escaped."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        line = json.dumps(row, ensure_ascii=True, allow_nan=False)
    return line


def write_jsonl(path: Path | str, rows: Iterable[Any]) -> int:
    """Write rows as JSON lines atomically; returns how many."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        for row in rows:
            handle.write(dump_line(row) + "\n")
            count += 1
    return count


def read_jsonl(path: Path | str) -> Iterator[Any]:
    """Yield the rows of one of OUR OWN JSON-lines files (users' files go through ftlib.curation's reader).

    Raises DataError with file and line where a line does not parse.
    """
    try:
        handle = Path(path).open("rb")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; run the step that writes it first.") from None
    with handle:
        for number, line in enumerate(handle, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{path}, line {number}: not valid JSON ({error}).") from error


class AppendLog:
    """A JSON-lines file that only grows: a row is on disk when ``append`` returns.

    Opening drops a torn last line (the write that a kill cut) and keeps everything before it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_torn_line()
        self._handle = self.path.open("ab")

    def _drop_torn_line(self) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb+") as handle:
            data = handle.read()
            if data and not data.endswith(b"\n"):
                handle.truncate(data.rfind(b"\n") + 1)

    def rows(self) -> list[Any]:
        """All rows that are on disk."""
        return list(read_jsonl(self.path))

    def append(self, row: Any) -> None:
        """Write one row and sync it to disk."""
        self._handle.write(dump_line(row).encode("utf-8") + b"\n")
        self._handle.flush()
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Close the file; the log can be opened again."""
        self._handle.close()

    def __enter__(self) -> AppendLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
