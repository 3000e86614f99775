"""Checkpoints that are whole or not used: a checksum manifest, written last, seals each.

transformers resumes from a folder with a missing optimizer, scheduler or random state, or with one flipped byte, without
a word and with other weights; a torn newest checkpoint stops it although an older good one is there. So a checkpoint counts
only when every byte of it is what was saved.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ftlib.errors import DataError
from ftlib.files import TEMPORARY, hash_json, read_json, sha256_file, write_json

log = logging.getLogger("ftlib")
SEAL = "checksums.json"


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """What a library raises where the disk refused a write, as the OSError that it was.

    safetensors tells the system's number in its text; torch none, but its format ends elsewhere than it should, and the disk still refuses.
    """
    try:
        yield
    except Exception as error:
        told = re.search(r"\(os error (\d+)\)", str(error))
        torn = "inline_container" in str(error) or "PytorchStreamWriter" in str(error)
        if isinstance(error, OSError) or not (told or torn):
            raise
        number = int(told[1]) if told else _refusal(folder)
        raise OSError(number, os.strerror(number), str(folder)) from error


def _refusal(folder: Path) -> int:
    """The system's number for why a disk takes no more; that of a failing disk where it takes some."""
    probe = folder / f".probe.{os.getpid()}{TEMPORARY}"
    try:
        probe.write_bytes(bytes(1 << 18))
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return errno.EIO


def seal(folder: Path, fingerprint: str) -> None:
    """Sync every file of a checkpoint to disk and write its manifest: from now on it counts."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        files[path.relative_to(folder).as_posix()] = sha256_file(path)
    body = {"fingerprint": fingerprint, "files": files}
    write_json(folder / SEAL, {**body, "sha256": hash_json(body)})


def damage(folder: Path, fingerprint: str) -> str | None:
    """What is wrong with a checkpoint, in words; None where it is whole and belongs to this training."""
    if not (folder / SEAL).exists():
        return "it has no manifest, so its saving was cut short"
    try:
        manifest = read_json(folder / SEAL)
        body = {"fingerprint": manifest["fingerprint"], "files": dict(manifest["files"])}
        if manifest["sha256"] != hash_json(body):
            return "its manifest is damaged"
    except (DataError, KeyError, TypeError, ValueError, json.JSONDecodeError):
        return "its manifest is damaged"
    if body["fingerprint"] != fingerprint:
        return "it was made with other settings, rows or another model"
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    for name, digest in body["files"].items():
        if name not in there:
            return f"{name} is missing"
        if sha256_file(there[name]) != digest:
            return f"{name} is not what was saved"
    strange = sorted(there.keys() - body["files"].keys() - {SEAL})
    return f"{strange[0]} does not belong to it" if strange else None


def step_of(folder: Path) -> int:
    """The optimiser step that a ``checkpoint-N`` folder was saved at; -1 for another folder."""
    number = folder.name.removeprefix("checkpoint-")
    return int(number) if folder.name.startswith("checkpoint-") and number.isdigit() else -1


def all_of(root: Path) -> list[Path]:
    """The checkpoint folders, newest first."""
    return sorted((p for p in root.glob("checkpoint-*") if p.is_dir() and step_of(p) >= 0), key=step_of, reverse=True)


def newest_whole(root: Path, fingerprint: str) -> Path | None:
    """The newest checkpoint that verifies. Those that do not are named and removed, newer ones first."""
    for folder in all_of(root):
        wrong = damage(folder, fingerprint)
        if wrong is None:
            return folder
        log.warning("passing over %s: %s", folder.name, wrong)
        shutil.rmtree(folder)
    return None


def prune(root: Path, keep: int, best: int | None = None) -> None:
    """Keep the newest checkpoints, ``keep`` in all; the one of step ``best`` is among them where it is given."""
    folders = all_of(root)
    kept = [f for f in folders if step_of(f) == best]
    kept += [f for f in folders if f not in kept][: max(keep, 1) - len(kept)]
    for folder in folders:
        if folder not in kept:
            shutil.rmtree(folder)


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder in the place of ``target``, its files synced first."""
    for path in new.rglob("*"):
        if path.is_file():
            with path.open("rb") as handle:
                os.fsync(handle.fileno())
    if target.exists():
        shutil.rmtree(target)
    os.replace(new, target)
