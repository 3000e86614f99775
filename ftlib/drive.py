"""A second place for a run, such as a mounted Google Drive: written here first, copied, and read back to be sure.

Writing straight to a mounted Drive is slow and leaves torn files when the machine goes away; a finished file copied there does not.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ftlib.errors import DataError
from ftlib.files import TEMPORARY, sha256_file

if TYPE_CHECKING:
    from ftlib.runs import Run

log = logging.getLogger("ftlib")


def there(run: Run, folder: Path) -> Path | None:
    """Where a folder of the run is kept on the drive; None without one, or where the run itself is there. Raises DataError if unmounted."""
    if run.profile.drive is None:
        return None
    root = Path(run.profile.drive).expanduser()
    if not root.is_dir():
        raise DataError(f"drive: {root} does not exist; mount it first (Colab: folder icon, Mount Drive), or remove drive from the profile.")
    place = root / run.path.name
    return None if place.resolve() == run.path else place / folder.relative_to(run.path)


def push(run: Run, path: Path, *, mirror: bool = True) -> int:
    """Copy a file or folder of the run to the drive and verify each copy. Returns how many files were copied.

    With ``mirror``, what is gone here goes there. Does nothing without a drive. Raises DataError where a copy does not read back as what
    was written.
    """
    target = there(run, path)
    if target is None:
        return 0
    here = {p.relative_to(path): p for p in ([path] if path.is_file() else _files(path)) if p.name != ".lock"}
    copied = sum(_copy(here[name], target / name) for name in sorted(here, key=lambda name: (name.name == "manifest.json", name)))
    if mirror:
        for old in [target] if target.is_file() else _files(target):
            if old.relative_to(target) not in here:
                old.unlink()
        for folder in sorted((p for p in [target, *target.rglob("*")] if p.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()
    return copied


def pull(run: Run, folder: Path) -> int:
    """Bring a folder back from the drive where it is not here, as on a fresh machine; returns how many files came."""
    source = there(run, folder)
    return 0 if source is None or folder.exists() else _bring(run, folder, _files(source), source)


def pull_run(run: Run) -> int:
    """Bring back what the drive has of a run and this machine has not; a training brings its checkpoints itself. Returns how many files came.

    What does not belong to the run as it is now asked for is found out as in any run folder, by its steps.
    """
    source = there(run, run.path)
    if source is None:
        return 0
    names = {p: p.relative_to(source) for p in _files(source)}
    aside = {Path(".lock"), Path("profile.yaml"), Path("manifest.json")}
    wanted = [p for p, name in names.items() if name not in aside and "checkpoints" not in name.parts and not (run.path / name).exists()]
    return _bring(run, run.path, wanted, source)


def now_and_then(run: Run, *paths: Path, minutes: float = 1.0) -> Callable[[], None]:
    """A function to call often: it pushes the paths when that much time has passed since it last did."""
    last = time.monotonic()

    def call() -> None:
        nonlocal last
        if time.monotonic() - last >= 60 * minutes:
            for path in paths:
                push(run, path)
            last = time.monotonic()

    return call


def _bring(run: Run, folder: Path, files: list[Path], source: Path) -> int:
    for path in files:
        _copy(path, folder / path.relative_to(source))
    if files:
        log.info("%d files of %s brought back from the drive", len(files), run.path.name if folder == run.path else run.relative(folder))
    return len(files)


def _files(folder: Path) -> list[Path]:
    """The files below a folder, without leftovers and links."""
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink() and not p.name.endswith(TEMPORARY)]


def _copy(source: Path, target: Path) -> int:
    """Copy one file whole or not at all; 0 where the same bytes are there already."""
    digest = sha256_file(source)
    if target.is_file() and target.stat().st_size == source.stat().st_size and sha256_file(target) == digest:
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}{TEMPORARY}")
    try:
        shutil.copyfile(source, temporary)
        if sha256_file(temporary) != digest:
            raise DataError(f"{target} does not read back as it was written; the drive may be failing ({source} is still here).")
        os.replace(temporary, target)
    except OSError as error:
        raise DataError(f"{target} could not be written: {error.strerror}; free some space there, or remove drive from the profile.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return 1
