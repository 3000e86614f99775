"""Degenerate answers: what is wrong with an answer whatever the reference says.

Each kind is one small function of an answer (or, for four, of all answers of a system). Thresholds stand in one
place and are written into the summary; lists of phrases are data files.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from functools import cache
from typing import Any

import regex
from rapidfuzz.distance import LCSseq

from ftlib.evaluation.items import Given, Item
from ftlib.evaluation.memorised import memorised
from ftlib.evaluation.words import content_words, function_words, lists, unicode_words

LIMITS = {
    "short_words": 5,
    "repeated_4grams": 0.25,
    "looping_words": 12,
    "zlib_ratio": 3.5,
    "echo_share": 0.8,
    "memorised_words": 20,
    "template_words": 5,
    "opening_words": 4,
    "opening_items": 3,
    "opening_share": 0.05,
    "language_words": 8,
    "foreign_letters": 0.5,
}
KINDS = {
    "empty": "nothing, or white space alone; an item that failed counts as empty",
    "too_short": "fewer than five words, and fewer than the reference has",
    "cut": "stopped by the token limit, in mid-sentence",
    "looping": "a quarter of its 4-grams of words are repeats, or it shrinks 3.5 times under zlib",
    "echo": "four fifths of its words, in order, are the prompt's, unless the reference's are too",
    "memorised": "twenty words in a row stand in the training file",
    "same_answer": "word for word the answer to another title",
    "filled_template": "the answer to another title but for the titles' own words, five words or more, unless the reference is so too",
    "common_opening": "opens with the four words that this system opens most often with (three items and 5 % at least)",
    "generic": "a phrase that says nothing of the product, or a refusal (evaluation/data/generic.yaml)",
    "template_tokens": "pieces of a chat template leaked",
    "pasted_repr": "a program's object printed instead of its text",
    "wrong_language": "function words of another language outweigh those of the task's, or a foreign script does",
    "nothing_of_title": "none of the title's content words or numbers, where the expected text has some",
    "markup": "HTML, Markdown or escape sequences left in",
}
_ENDED = regex.compile(r"[\p{Sentence_Terminal}…\p{Pf}\p{Pe}\"']\s*$")  # a sentence, a quotation or a bracket


def looping(words: Sequence[str], text: str) -> bool:
    """Whether an answer repeats itself: 4-grams of words, or how far zlib shrinks it (from 200 bytes on)."""
    if len(words) >= LIMITS["looping_words"]:
        grams = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
        if 1 - len(grams) / (len(words) - 3) >= LIMITS["repeated_4grams"]:
            return True
    raw = text.encode("utf-8", "replace")
    return len(raw) >= 200 and len(raw) / len(zlib.compress(raw, 9)) >= LIMITS["zlib_ratio"]


def echo(words: Sequence[str], prompt: Sequence[str]) -> bool:
    """Whether the answer is made of the prompt's words in the prompt's order."""
    return bool(words) and LCSseq.similarity(words, prompt) >= LIMITS["echo_share"] * len(words)


@cache
def _phrases(name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(unicode_words(phrase)) for phrase in lists("generic")[name])


def generic(words: Sequence[str], title: Sequence[str] = ()) -> bool:
    """Whether a phrase of the list opens the answer and little follows that is not the title again, or a refusal does, whatever follows."""
    opening = [phrase for phrase in _phrases("phrases") if tuple(words[: len(phrase)]) == phrase]
    refused = any(tuple(words[: len(phrase)]) == phrase for phrase in _phrases("refusals"))
    return refused or any(sum(word not in title for word in words[len(phrase) :]) <= lists("generic")["beyond"] for phrase in opening)


@cache
def _patterns(name: str) -> re.Pattern[str]:
    found = lists("leftovers")[name]
    return re.compile("|".join(map(re.escape, found) if name == "template_tokens" else found), re.M)


def languages() -> set[str]:
    """The languages that answers can be told to be in or not: those with a list of function words, or with a script of their own."""
    return {*function_words(), *lists("scripts")}


def wrong_language(words: Sequence[str], language: str) -> bool:
    """Whether an answer is in another language than the task's, judged by script, and by function words where there is a list.

    Answers of a few words, and other languages than ``languages``, are not judged.
    """
    if language not in languages() or len(words) < LIMITS["language_words"]:
        return False
    letters = "".join(words)
    foreign = len(_foreign(language).findall(letters))
    if foreign and foreign > LIMITS["foreign_letters"] * sum(map(str.isalpha, letters)):
        return True
    if language not in function_words():
        return False
    hits = Counter(code for word in words for code in _languages_of().get(word, ()))
    own = hits.pop(language, 0)
    best = max(hits.values(), default=0)
    return best >= 3 and best > 2 * own


@cache
def _foreign(language: str) -> Any:
    """A pattern of letters that are of no script of the language."""
    own = "".join(rf"\p{{{script}}}" for script in lists("scripts").get(language, ["Latin"]))
    return regex.compile(rf"[\p{{L}}--[{own}\p{{Common}}\p{{Inherited}}]]", regex.V1)


@cache
def _languages_of() -> dict[str, list[str]]:
    """Function word -> the languages that have it."""
    found: dict[str, list[str]] = {}
    for code, listed in function_words().items():
        for word in listed:
            found.setdefault(word, []).append(code)
    return found


def own_flags(item: Item, answer: Given, prompt: str, language: str) -> set[str]:
    """The kinds that one answer shows by itself."""
    text = answer.text or ""
    if answer.failed or not text.strip():
        return {"empty"}
    words, asked = unicode_words(text), unicode_words(prompt)
    title = content_words(item.title or "", language)
    tests: dict[str, bool] = {
        "too_short": len(words) < LIMITS["short_words"] and len(words) < len(unicode_words(item.reference)),
        "cut": answer.finish == "length" and not _ENDED.search(text),
        "looping": looping(words, text),
        "echo": echo(words, asked) and not echo(unicode_words(item.reference), asked),
        "generic": generic(words, unicode_words(item.title or "")),
        "wrong_language": wrong_language(words, language),
        "nothing_of_title": title.isdisjoint(words) and not title.isdisjoint(unicode_words(item.reference)),
        **{name: bool(_patterns(name).search(text)) for name in ("template_tokens", "pasted_repr", "markup")},
    }
    return {name for name, found in tests.items() if found}


def repeated_answers(items: Sequence[Item], words: Sequence[Sequence[str]]) -> list[bool]:
    """Which answers (as words) are given to more than one title; the same title asked twice is no other question."""
    asked: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for item, answer in zip(items, words, strict=True):
        asked.setdefault(tuple(answer), set()).add(tuple(unicode_words(item.title)) if item.title else (item.id,))
    return [bool(answer) and len(asked[tuple(answer)]) > 1 for answer in words]


def template(words: Sequence[str], title: Set[str]) -> tuple[str | None, ...]:
    """An answer with one gap (None) wherever words of its title stand."""
    found: list[str | None] = []
    for word in words:
        if word not in title:
            found.append(word)
        elif found[-1:] != [None]:
            found.append(None)
    return tuple(found)


def filled_templates(items: Sequence[Item], words: Sequence[Sequence[str]], titles: Sequence[Set[str]]) -> list[bool]:
    """Which answers (as words) are those to another title but for the titles' content words, where the reference is not made so too."""
    made = [template(answer, title) for answer, title in zip(words, titles, strict=True)]
    asked: dict[tuple[str | None, ...], set[frozenset[str]]] = {}
    for one, title in zip(made, titles, strict=True):
        asked.setdefault(one, set()).add(frozenset(title))
    return [
        None in one
        and len(one) - one.count(None) >= LIMITS["template_words"]
        and len(asked[one]) > 1
        and one != template(unicode_words(item.reference), title)
        for item, one, title in zip(items, made, titles, strict=True)
    ]


def commonest_opening(words: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], int]:
    """The commonest first words of a system's answers, and how many answers open so."""
    size = int(LIMITS["opening_words"])
    counts = Counter(tuple(answer[:size]) for answer in words if len(answer) >= size)
    return counts.most_common(1)[0] if counts else ((), 0)


def find_flags(
    items: Sequence[Item], answers: dict[str, Sequence[Given]], *, prompts: Callable[[Item], str], language: str, training: Iterable[str] | None
) -> tuple[dict[str, list[set[str]]], dict[str, str]]:
    """Flags of every answer of every system, and each system's commonest opening.

    ``prompts`` gives what an item's question looks like; without ``training`` texts nothing is called memorised.
    """
    words = {system: [unicode_words("" if a.failed else a.text or "") for a in given] for system, given in answers.items()}
    learned = memorised(words, training, int(LIMITS["memorised_words"])) if training is not None else {}
    titles = [content_words(item.title or "", language) for item in items]
    flags: dict[str, list[set[str]]] = {}
    openings: dict[str, str] = {}
    for system, given in answers.items():
        rows = [own_flags(item, answer, prompts(item), language) for item, answer in zip(items, given, strict=True)]
        opening, count = commonest_opening(words[system])
        openings[system] = " ".join(opening)
        common = count >= max(LIMITS["opening_items"], LIMITS["opening_share"] * len(items))
        filled = filled_templates(items, words[system], titles)
        for row, twice in enumerate(repeated_answers(items, words[system])):
            if twice:
                rows[row].add("same_answer")
            elif filled[row]:
                rows[row].add("filled_template")
            if common and tuple(words[system][row][: len(opening)]) == opening:
                rows[row].add("common_opening")
            if system in learned and learned[system][row]:
                rows[row].add("memorised")
        flags[system] = rows
    return flags, openings
