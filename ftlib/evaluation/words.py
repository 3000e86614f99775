"""Words of a text: one tokenizer for any language, and one that agrees with google's ``rouge_score``.

``rouge_score`` keeps ``[a-z0-9]`` alone, so that "Não é" becomes "n o" and a Russian answer becomes nothing. The Unicode
tokenizer keeps the letters, marks and digits of every script; scripts written without spaces give one word a character.
Both names stand in the signatures of the metrics that use them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import metadata, resources
from typing import Any

import regex
import yaml

from ftlib.errors import MissingExtra

Tokenizer = Callable[[str], list[str]]
_ASCII = re.compile(r"[a-z0-9]+")
_NO_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_UNICODE = regex.compile(rf"[{_NO_SPACES}]\p{{M}}*|[[\p{{L}}\p{{N}}]--[{_NO_SPACES}]][[\p{{L}}\p{{M}}\p{{N}}]--[{_NO_SPACES}]]*", regex.V1)


def unicode_words(text: str) -> list[str]:
    """Words of a text in any language: NFC, case folded, letters with their marks, and digits.

    For pure ASCII this is what ``google_words`` returns.
    """
    if text.isascii():
        return _ASCII.findall(text.lower())
    found: list[str] = _UNICODE.findall(unicodedata.normalize("NFC", text).casefold())
    return found


def google_words(text: str) -> list[str]:
    """Words as ``rouge_score`` 0.1.2 makes them without a stemmer: lower case, ``[a-z0-9]`` runs."""
    return _ASCII.findall(text.lower())


def stemmed_words(text: str) -> list[str]:
    """Words as ``rouge_score`` 0.1.2 makes them with ``use_stemmer``: those of four letters and more lose their English endings (Porter)."""
    return [_stem(word) if len(word) > 3 else word for word in google_words(text)]


@lru_cache(maxsize=1 << 17)
def _stem(word: str) -> str:
    stem: str = _porter().stem(word)
    return stem


@cache
def _porter() -> Any:
    """NLTK's Porter stemmer, which ``rouge_score`` uses too. Raises MissingExtra."""
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError as error:
        raise MissingExtra("ROUGE with stems needs nltk; pip install nltk, or leave the metrics that end in _stem out.") from error
    return PorterStemmer()


TOKENIZERS: dict[str, Tokenizer] = {"unicode": unicode_words, "google": google_words, "stem": stemmed_words}


def signature(tokenizer: str) -> str:
    """How a tokenizer of ``TOKENIZERS`` makes words: its name and version, and its stemmer. Raises MissingExtra."""
    if tokenizer == "unicode":
        return "tok:unicode.1|stem:no"
    if tokenizer == "google":
        return "tok:rouge_score.0.1.2|stem:no"
    _porter()
    return f"tok:rouge_score.0.1.2|stem:porter.nltk.{metadata.version('nltk')}"


@cache
def lists(name: str) -> dict[str, Any]:
    """One of the word lists that ftlib brings (``evaluation/data/NAME.yaml``), as data that a reader can change."""
    text = resources.files("ftlib").joinpath("evaluation", "data", f"{name}.yaml").read_text("utf-8")
    value: dict[str, Any] = yaml.safe_load(text)
    return value


@cache
def function_words() -> dict[str, frozenset[str]]:
    """Language code -> its commonest function words, which carry no content."""
    return {code: frozenset(str(words).split()) for code, words in lists("function_words").items()}


def content_words(text: str, language: str = "en") -> set[str]:
    """The distinct words of a text that say something: no function words, no single letters; numbers are kept."""
    stop = function_words().get(language, frozenset())
    return {word for word in unicode_words(text) if word not in stop and (len(word) > 1 or not word.isascii() or word.isdigit())}
