"""A second place for a run, such as a mounted Google Drive: written here first, copied, and read back to be sure.

Writing straight to a mounted Drive is slow and leaves torn files when the machine goes away; a finished file copied there does not.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from ftlib.errors import DataError
from ftlib.files import TEMPORARY, sha256_file
from ftlib.runs import Run

log = logging.getLogger("ftlib")


def there(run: Run, folder: Path) -> Path | None:
    """Where a folder of the run is kept on the drive; None where the profile names none. Raises DataError where it is not mounted."""
    if run.profile.drive is None:
        return None
    root = Path(run.profile.drive).expanduser()
    if not root.is_dir():
        raise DataError(f"drive: {root} does not exist; mount it first (Colab: folder icon, Mount Drive), or remove drive from the profile.")
    return root / run.path.name / folder.relative_to(run.path)


def push(run: Run, folder: Path) -> int:
    """Copy a folder of the run to the drive and verify each copy; what is gone here goes there. Returns how many files were copied.

    Does nothing without a drive. Raises DataError where a copy does not read back as what was written.
    """
    target = there(run, folder)
    if target is None or not folder.is_dir():
        return 0
    copied = 0
    here = {p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and not p.name.endswith(TEMPORARY)}
    for name in sorted(here):
        copied += _copy(folder / name, target / name)
    for old in sorted((p for p in target.rglob("*") if p.is_file() and p.relative_to(target) not in here), reverse=True):
        old.unlink()
    for inner in sorted((p for p in target.rglob("*") if p.is_dir()), reverse=True):
        if not any(inner.iterdir()):
            inner.rmdir()
    if copied:
        log.info("%d files of %s copied to the drive and verified", copied, run.relative(folder))
    return copied


def pull(run: Run, folder: Path) -> int:
    """Bring a folder back from the drive where it is not here, as on a fresh machine; returns how many files came."""
    source = there(run, folder)
    if source is None or folder.exists() or not source.is_dir():
        return 0
    files = [p for p in sorted(source.rglob("*")) if p.is_file() and not p.name.endswith(TEMPORARY)]
    for path in files:
        _copy(path, folder / path.relative_to(source))
    log.info("%d files of %s brought back from the drive", len(files), run.relative(folder))
    return len(files)


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
