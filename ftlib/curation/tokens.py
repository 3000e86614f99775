"""Counting tokens: tiktoken is the reference; gigatoken counts where it is installed and agrees with it on a self-check.

Both read OpenAI's rank files, which the package bpe-openai carries, so that nothing is downloaded at run time.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from ftlib.configuration import nearest
from ftlib.curation.records import UNCOUNTED, Record
from ftlib.errors import ProfileError
from ftlib.files import write_atomic, write_json

log = logging.getLogger("ftlib")
LONGEST = 200_000  # characters that are counted at once
WORD_END = re.compile(r"[a-z] [a-z]")

# encoding -> (sha1 of the URL that tiktoken would fetch: its cache's file name, the file's sha256, gigatoken's name of its splitting)
RANKS = {
    "o200k_base": ("fb374d419588a4632f3f557e76b4b70aebbca790", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d", "o200k"),
    "cl100k_base": ("9b5ad71b2ce5302211f9c61530b329a4922fc6a4", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7", "cl100k"),
}
SELF_CHECK = [
    "",
    " ",
    "\n\n",
    "Hello, world!",
    "It's 10-Inch: don't, we'LL, they've",
    "GIRLS BALLET TUTU Neon Pink",
    "edition.About the Author",
    "12345678 3.14159",
    "&#8217;s best&#8211;selling",
    "naïve café — Ünïcödé",
    "日本語のテキスト と 中文",
    "مرحبا بالعالم",
    "\U0001f469\u200d\U0001f467 e\u0301",
    "<|endoftext|> and <|fim_suffix|>",
    "\t tabs\tand   spaces  \r\n x",
    "a" * 300,
    "camelCaseWordsAndHTTPServer",
    "\u00a0\u2028\u2029\ufeff",
    "http://example.com/?a=b&c=d#e",
    "don\u2019t \u201cquote\u201d",
    "\x00\x01\x7f",
    "x  \n \n  y",
]


class TokenCounter:
    """Counts tokens of texts in one encoding. ``name`` says which library counted and why."""

    def __init__(self, encoding: str, *, fast: bool = True) -> None:
        self.encoding = encoding
        found: tuple[Any, str] = _gigatoken(encoding) if fast else (None, f"tiktoken {_version('tiktoken')}")
        self._fast, self.name = found
        self._reference: Any = new_encoding(encoding) if self._fast is None else None

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; a special token's spelling in a text counts as the ordinary text that it is.

        A text longer than LONGEST characters is counted in pieces.
        """
        if max(map(len, texts), default=0) > LONGEST:
            return [sum(self.count(pieces(text))) if len(text) > LONGEST else self.count([text])[0] for text in texts]
        return _fast_counts(self._fast, list(texts)) if self._fast is not None else _reference_counts(self._reference, texts)

    def fill(self, records: Sequence[Record]) -> None:
        """Count the titles and contents that have no count yet."""
        titles = [row for row in records if row.title_tokens == UNCOUNTED]
        contents = [row for row in records if row.content_tokens == UNCOUNTED]
        if not titles and not contents:
            return
        counts = self.count([row.title for row in titles] + [row.content for row in contents])
        for row, count in zip(titles, counts, strict=False):
            row.title_tokens = count
        for row, count in zip(contents, counts[len(titles) :], strict=True):
            row.content_tokens = count


def pieces(text: str) -> list[str]:
    """A long text cut where a word follows a space that follows another: there tokens never cross. tiktoken dies of long texts.

    Where there is no such place (a megabyte of one letter) the cut is anywhere, and the count may be a few tokens off.
    """
    found: list[str] = []
    start = 0
    while len(text) - start > LONGEST:
        cuts = [match.start() + 1 for match in WORD_END.finditer(text, start + LONGEST - 2000, start + LONGEST)]
        end = cuts[-1] if cuts else start + LONGEST
        found.append(text[start:end])
        start = end
    return [*found, text[start:]]


@lru_cache(maxsize=8)
def counter(encoding: str, fast: bool = True) -> TokenCounter:
    """The counter of an encoding, made once. Raises ProfileError for an encoding that we have no ranks of."""
    if encoding not in RANKS:
        raise ProfileError(f"There is no encoding {encoding!r}{nearest(encoding, list(RANKS))}.")
    return TokenCounter(encoding, fast=fast)


def ranks_file(encoding: str) -> Path:
    """The encoding's rank file in our cache folder (FTLIB_HOME, ~/.cache/ftlib), unpacked there on first use and verified.

    The folder has the form of tiktoken's own cache (TIKTOKEN_CACHE_DIR).
    """
    name, sha256, _ = RANKS[encoding]
    path = Path(os.environ.get("FTLIB_HOME") or Path.home() / ".cache" / "ftlib") / "tiktoken" / name
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        data = gzip.decompress(resources.files("bpe_openai").joinpath("data", f"{encoding}.tiktoken.gz").read_bytes())
        write_atomic(path, data)
    return path


@lru_cache(maxsize=8)
def tiktoken_encoding(encoding: str) -> Any:
    """A ``tiktoken.Encoding`` without any download, made once. Raises ProfileError for an encoding that we have no ranks of."""
    return new_encoding(encoding)


def new_encoding(encoding: str) -> Any:
    """A ``tiktoken.Encoding`` without any download, which the caller alone holds."""
    if encoding not in RANKS:
        raise ProfileError(f"There is no encoding {encoding!r}{nearest(encoding, list(RANKS))}.")
    import tiktoken
    from tiktoken_ext import openai_public

    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(ranks_file(encoding).parent)
    try:
        return tiktoken.Encoding(**getattr(openai_public, encoding)())
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


def _gigatoken(encoding: str) -> tuple[Any, str]:
    """gigatoken's tokenizer, or None, and the name of what counts: it must count the self-check's texts as tiktoken does."""
    slow = f"tiktoken {_version('tiktoken')}"
    try:
        import gigatoken
    except ImportError:
        return None, slow
    # without special_tokens={} the text "<|endoftext|>" would be one token
    fast = gigatoken.Tokenizer.from_tiktoken(str(ranks_file(encoding)), pretokenizer=RANKS[encoding][2], special_tokens={})
    name = f"gigatoken {_version('gigatoken')}"
    with ThreadPoolExecutor(1) as pool:  # each thread that counts keeps a cache of 50 MB; this one's goes with the thread
        counted = pool.submit(_fast_counts, fast, SELF_CHECK).result()
    if counted != _expected(encoding):
        log.warning("%s does not count as tiktoken does; tiktoken counts.", name)
        return None, f"{slow} ({name} failed the self-check)"
    return fast, f"{name} (agrees with {slow} on {len(SELF_CHECK)} texts)"


def _expected(encoding: str) -> list[int]:
    """tiktoken's counts of the self-check's texts. Loading tiktoken takes a second and 130 MB, so each version of it is asked once."""
    key = hashlib.sha256("\0".join([_version("tiktoken"), RANKS[encoding][1], *SELF_CHECK]).encode()).hexdigest()
    path = ranks_file(encoding).parent / f"self-check-{key[:16]}.json"
    if not path.is_file():
        write_json(path, _reference_counts(new_encoding(encoding), SELF_CHECK))
    counts: list[int] = json.loads(path.read_bytes())
    return counts


def _reference_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """tiktoken's count of each text. To an array and not to a list: that is faster, and longer without the interpreter's lock."""
    return [len(tokenizer.encode_to_numpy(text, disallowed_special=())) for text in texts]


def _fast_counts(tokenizer: Any, texts: list[str]) -> list[int]:
    """Tokens of each text, on the calling thread (the caller has its own threads; the library lets them run at once)."""
    import numpy as np

    offsets = np.asarray(tokenizer.encode_batch(texts, parallel=False).layout.offsets.data)
    counts: list[int] = np.diff(offsets).tolist()
    return counts


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)
