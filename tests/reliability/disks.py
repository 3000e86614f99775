"""A small file system of one's own, which can be filled, made read-only and taken away, and the sentence that a user then reads."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ftlib.errors import FtlibError, disk_sentence

PAGE = 4096
SIZE = "size=64m"


@contextmanager
def mounted(place: Path) -> Iterator[Path]:
    """Mount one at ``place``; skips the test where none can be."""
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", SIZE, "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(disk: Path, options: str) -> None:
    """Change the size or the mode of a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def used(disk: Path) -> int:
    """Pages in use."""
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize // PAGE


def leave(disk: Path, free: int) -> None:
    """Make a file system as small as what it holds and so many bytes."""
    remount(disk, f"size={(used(disk) + free // PAGE) * PAGE}")


def said(error: BaseException) -> str:
    """The one sentence that a user reads."""
    sentence = str(error) if isinstance(error, FtlibError) else disk_sentence(error) if isinstance(error, OSError) else None
    assert sentence, f"no sentence for {error!r}"
    assert "\n" not in sentence
    return sentence
