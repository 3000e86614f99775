"""Programs that check a short answer: one for each kind of check that a retention item names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ftlib.evaluation.words import unicode_words

_FENCE = re.compile(r"^```\w*\n(.*?)\n```$", re.S)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")
_PLAIN = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")  # a number, and neither a date nor a version
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_NONSENSE = re.compile(
    r"\b(?:can ?not|can['’]t|could(?: not|n['’]t)|unable to) (?:be )?"
    r"(?:answer|answered|carry|carried|determine|determined|do|done|know|known|say|said|tell|help)\b|"
    r"\b(?:no (?:meaning|sense|answer|way)|(?:is|it['’]s|^)\W*(?:impossible|unknown)|nonsens\w*|gibberish|meaningless|senseless|unanswerable|"
    r"unclear|undefined|clarify|rephrase)\b|"
    r"(?:\bnot|n['’]t) (?:make (?:any )?sense|possible|meaningful|clear|understand|sure|know|enough information|real|a real|an actual|a valid)\b",
    re.I,
)  # says so whatever was asked
_DENIAL = re.compile(r"\b(?:no|not|none|never|zero|without|cannot)\b|n['’]t\b", re.I)  # says so of something that was asked about


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
    last = (_NUMBER.findall(answer) or [""])[-1]
    return len(unicode_words(answer)) <= 12 and bool(_PLAIN.fullmatch(last)) and float(last.replace(",", "")) == float(check["value"])


def _list(answer: str, check: Mapping[str, Any]) -> bool:
    """As many short, different list items as asked (bullets or numbers, else lines, else commas), each holding a word of ``of`` where given."""
    lines = [_BULLET.sub("", line) for line in answer.splitlines() if line.strip()]
    parts = [unicode_words(part) for part in (lines if len(lines) > 1 else answer.split(","))]
    wanted = set(check.get("of", ()))
    fits = all(0 < len(part) <= check.get("most_words_each", 4) and (not wanted or wanted.intersection(part)) for part in parts)
    return fits and len(parts) == len(set(map(tuple, parts))) == check["items"] and _holds(answer, {"all": check.get("all", [])})


def _json(answer: str, check: Mapping[str, Any]) -> bool:
    """The answer is JSON (a code fence around it is let pass) and equals the given value, or ``also`` where given; true is not 1."""
    fenced = _FENCE.match(answer)
    try:
        found = _value(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return False
    return found in [_value(json.dumps(check[name])) for name in ("value", "also") if name in check]


def _value(text: str) -> str:
    """A JSON text in one spelling, numbers by their value."""
    return json.dumps(json.loads(text, parse_int=float), sort_keys=True)


def _refusal(answer: str, check: Mapping[str, Any]) -> bool:
    """The answer says that the question makes no sense, or denies something of what it is ``of``, in at most so many words."""
    words = unicode_words(answer)
    denied = bool(_DENIAL.search(answer)) and not set(words).isdisjoint(check["of"])
    return len(words) <= check.get("most_words", 60) and (denied or bool(_NONSENSE.search(answer)))


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
