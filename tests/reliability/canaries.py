"""Twelve keys that exist nowhere else, and the search for them in everything that a command left."""

from __future__ import annotations

import base64
import gzip
import io
import zipfile
from collections.abc import Iterable, Iterator
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
STEMS = [b"canary", *(base64.b64encode(b"\0" * before + b"sk-canary")[(0, 2, 3)[before] : (12, 12, 14)[before]] for before in range(3))]
assert all(any(stem in form for stem in STEMS) for spellings in FORMS.values() for form in spellings), "a file with none of them holds no key"


def names_in(data: bytes) -> list[str]:
    """The names of the keys that stand in some bytes, in any form."""
    if not any(stem in data for stem in STEMS):
        return []
    return [name for name, spellings in FORMS.items() if any(form in data for form in spellings)]


def contents(data: bytes) -> Iterator[bytes]:
    """Bytes, and what is packed in them: workbooks and archives hide a key from a plain search."""
    yield data
    if data[:4] == b"PK\3\4" and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from contents(archive.read(name))
    if data[:2] == b"\x1f\x8b":
        yield from contents(gzip.decompress(data))


def leaks(folders: Iterable[Path], said: bytes = b"") -> list[str]:
    """Where any key stands, in any form: file names, files' bytes, what is packed in them, and what was said."""
    found = [f"{name} in the output" for name in names_in(said)]
    for folder in folders:
        for path in folder.rglob("*"):
            data = path.read_bytes() if path.is_file() else b""
            there = {name for part in (str(path).encode("utf-8", "surrogateescape"), *contents(data)) for name in names_in(part)}
            found += [f"{name} in {path}" for name in sorted(there)]
    return found
