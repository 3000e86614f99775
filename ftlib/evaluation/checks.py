"""Programs that check a short answer: one for each kind of check that a retention item names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ftlib.evaluation.words import unicode_words

_FENCE = re.compile(r"^```\w*\n(.*?)\n```$", re.S)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_NONSENSE = re.compile(
    r"\b(?:can ?not|can['’]t|unable|impossible|no (?:meaning|sense|answer|such)|"
    r"not (?:make sense|possible|meaningful|a real|exist|clear|understand|sure)|"
    r"does(?: not|n['’]t)|do(?: not|n['’]t)|is(?: not|n['’]t)|nonsens\w*|meaningless|unclear|undefined|clarify|rephrase|sorry)\b",
    re.I,
)


def _words(text: str) -> str:
    return " ".join(unicode_words(text))


def _whole(answer: str, check: Mapping[str, Any]) -> bool:
    """The answer is one of the given texts, up to case and punctuation; with ``exact``, that very text."""
    return answer == check["exact"] if "exact" in check else _words(answer) in {_words(text) for text in check["any"]}


def _holds(answer: str, check: Mapping[str, Any]) -> bool:
    """All given words stand in the answer, any one of each group, none of the forbidden, in at most so many words."""
    padded, count = f" {_words(answer)} ", len(unicode_words(answer))
    groups = [[group] if isinstance(group, str) else group for group in check["all"]]
    enough = all(any(f" {_words(text)} " in padded for text in group) for group in groups)
    return enough and not any(f" {_words(text)} " in padded for text in check.get("none", [])) and count <= check.get("most_words", 60)


def _starts(answer: str, check: Mapping[str, Any]) -> bool:
    """The first word is the given one (yes or no)."""
    words = unicode_words(answer)
    return bool(words) and words[0] == check["word"]


def _number(answer: str, check: Mapping[str, Any]) -> bool:
    """The last number in a short answer is the given one."""
    found = _NUMBER.findall(answer)
    return bool(found) and len(unicode_words(answer)) <= 12 and float(found[-1].replace(",", "")) == float(check["value"])


def _list(answer: str, check: Mapping[str, Any]) -> bool:
    """As many short list items as asked (bullets or numbers, else lines, else commas), each holding a word of ``of`` where given."""
    lines = [_BULLET.sub("", line) for line in answer.splitlines() if line.strip()]
    parts = [unicode_words(part) for part in (lines if len(lines) > 1 else answer.split(","))]
    wanted = set(check.get("of", ()))
    fits = all(0 < len(part) <= check.get("most_words_each", 4) and (not wanted or wanted.intersection(part)) for part in parts)
    return fits and len(parts) == check["items"] and _holds(answer, {"all": check.get("all", [])})


def _json(answer: str, check: Mapping[str, Any]) -> bool:
    """The answer is JSON (a code fence around it is let pass) and equals the given value."""
    text = answer.strip()
    fenced = _FENCE.match(text)
    try:
        return bool(json.loads(fenced[1] if fenced else text) == check["value"])
    except (ValueError, RecursionError):
        return False


def _refusal(answer: str, check: Mapping[str, Any]) -> bool:
    """The answer says that the question makes no sense, in at most so many words."""
    return bool(_NONSENSE.search(answer)) and len(unicode_words(answer)) <= check.get("most_words", 60)


CHECKS: dict[str, Callable[[str, Mapping[str, Any]], bool]] = {
    "whole": _whole,
    "holds": _holds,
    "starts": _starts,
    "number": _number,
    "list": _list,
    "json": _json,
    "refusal": _refusal,
}


def passes(answer: str | None, check: Mapping[str, Any]) -> bool:
    """Whether an answer passes a check ``{type: ..., ...}``; no answer does not."""
    return answer is not None and bool(answer.strip()) and CHECKS[check["type"]](answer.strip(), check)
