"""Form data of an upload (RFC 7578), the little that a file needs."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb'\bfilename="([^"]*)"')


@dataclass(frozen=True)
class Part:
    """One field of a form: its bytes, and a file's name where it is one."""

    data: bytes
    filename: str | None


def parse_form(body: bytes, content_type: str) -> dict[str, Part]:
    """Fields by name; empty where the body is no form."""
    found = re.search(r'boundary="?([^";,]+)"?', content_type)
    if not found:
        return {}
    parts: dict[str, Part] = {}
    for piece in body.split(b"--" + found[1].encode("latin-1"))[1:]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if gap and name:
            filename = _FILENAME.search(head)
            parts[name[1].decode("utf-8", "replace")] = Part(data.removesuffix(b"\r\n"), filename[1].decode("utf-8", "replace") if filename else None)
    return parts
