"""Twelve keys that exist nowhere else, and the search for them in everything that a command left."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

NAMES = (
    "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "NEBIUS_API_KEY",
    "TOGETHER_API_KEY",
    "FTLIB_SANDBOX_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "WANDB_API_KEY",
    "ANTHROPIC_API_KEY",
    "FIREWORKS_API_KEY",
    "OPENAI_ADMIN_KEY",
    "AWS_SECRET_ACCESS_KEY",
)
KEYS = {name: f"sk-canary{number:02d}+/=%{name[:4].lower()}Zq7Xw9" for number, name in enumerate(NAMES)}
assert len(KEYS) == 12


def forms(key: str) -> set[bytes]:
    """A key as it may stand somewhere: plain, URL-encoded, escaped in JSON, in base64 at each of the three alignments."""
    found = {key.encode(), quote(key).encode(), quote(key, safe="").encode(), quote_plus(key).encode(), key.replace("/", "\\/").encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            packed = encode(b"\0" * before + key.encode())
            found.add(packed[(0, 2, 3)[before] : -4])  # without the characters that neighbours have a part in
    return found


FORMS = {name: forms(key) for name, key in KEYS.items()}


def leaks(folders: Iterable[Path], said: bytes = b"") -> list[str]:
    """Where any key stands, in any form: file names, files' bytes, and what was said."""
    found = []
    for name, spellings in FORMS.items():
        if any(form in said for form in spellings):
            found.append(f"{name} in the output")
    for folder in folders:
        for path in folder.rglob("*"):
            data = str(path).encode("utf-8", "surrogateescape") + (path.read_bytes() if path.is_file() else b"")
            found += [f"{name} in {path}" for name, spellings in FORMS.items() if any(form in data for form in spellings)]
    return found
