"""Hashes of all words of many texts at once: a few numpy operations a byte instead of Python ones a word.

The hash of a word is a polynomial in its bytes modulo 2^64 (as Karp and Rabin's), taken as the difference of two prefix
sums, then mixed. It does not change from run to run, as Python's own would.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

MIXER = np.uint64(0x9E3779B97F4A7C15)
BASE = 0x100000001B3
BASE_INVERSE = pow(BASE, -1, 1 << 64)
BLOCK = 1 << 18  # bytes that are hashed together: their arrays stay in the processor's cache
LONGEST = 1_000_000  # characters of a text that are looked at
_NOT_WORD = re.compile(r"\W+")
_IS_WORD = np.array([b >= 0x80 or chr(b).isalnum() or b == 0x5F for b in range(256)])
_powers = np.empty(0, np.uint64)
_inverse_powers = np.empty(0, np.uint64)
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


def text_keys(texts: Sequence[str], words: U64, ends: I64) -> U64:
    """A 64-bit key of each text, given the hashes of its words: equal where texts differ only in case, punctuation or white space.

    The key is a polynomial in the words' hashes, so that their order counts. A text without words has a key of its characters.
    """
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    full = ends > starts
    keys = np.empty(len(texts), np.uint64)
    if full.any():
        place = np.arange(len(words)) - np.repeat(starts, ends - starts)
        powers, _ = _tables(int(place.max()) + 1)
        keys[full] = np.add.reduceat(words * powers[place], starts[full])
    for index in np.flatnonzero(~full).tolist():
        keys[index] = int.from_bytes(blake2b(texts[index].strip().encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return (keys ^ (keys >> np.uint64(32))) * MIXER


def hash_texts(texts: Sequence[str]) -> U64:
    """``text_keys`` of texts whose words nobody else needs."""
    return text_keys(texts, *word_hashes(texts))


def word_hashes(texts: Sequence[str]) -> tuple[U64, I64]:
    """Hashes of the words (runs of letters, digits, underscore; lower case) of the texts, one after another, and where each text ends."""
    blocks: list[bytes] = []
    size = 0
    made: list[tuple[U64, I64]] = []
    for text in texts:
        text = text[:LONGEST].lower()
        data = (text if text.isascii() else _NOT_WORD.sub(" ", text)).encode("utf-8", "replace")
        blocks.append(data)
        size += len(data) + 1
        if size >= BLOCK:
            made.append(_hash_block(blocks))
            blocks, size = [], 0
    if blocks:
        made.append(_hash_block(blocks))
    words = np.concatenate([np.empty(0, np.uint64), *(hashes for hashes, _ in made)])
    return words, np.cumsum(np.concatenate([np.empty(0, np.int64), *(counts for _, counts in made)]))


def _hash_block(texts: list[bytes]) -> tuple[U64, I64]:
    """Hashes of the words of some texts, and how many words each has."""
    data = np.frombuffer(b" ".join(texts) + b" ", np.uint8)
    powers, inverse = _tables(len(data))
    is_word = _IS_WORD[data]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_word])))
    starts, ends = edges[::2], edges[1::2]  # data ends with a space, so that every word ends
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((data.astype(np.uint64) + np.uint64(1)) * powers[: len(data)])])
    hashes = (sums[ends] - sums[starts]) * inverse[starts]
    hashes = (hashes ^ (hashes >> np.uint64(31))) * MIXER
    hashes ^= hashes >> np.uint64(29)
    borders = np.cumsum([len(text) + 1 for text in texts])
    before = np.searchsorted(starts, borders)
    return hashes, np.diff(np.concatenate([[0], before])).astype(np.int64)


def _tables(size: int) -> tuple[U64, U64]:
    """Powers of the base and of its inverse modulo 2^64."""
    global _powers, _inverse_powers
    if len(_powers) < size:
        room = max(size, BLOCK + 1024)
        for name, base in (("_powers", BASE), ("_inverse_powers", BASE_INVERSE)):
            factors = np.full(room, base, np.uint64)
            factors[0] = 1
            globals()[name] = np.multiply.accumulate(factors)
    return _powers, _inverse_powers


EMPTY_TEXT = hash_texts([""])[0]  # the key of a text that is missing
