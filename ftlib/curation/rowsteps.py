"""The steps that look at one row at a time: pure functions over a batch, so that any engine can apply them in parallel."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ftlib.curation import recipe as r
from ftlib.curation.filters import Filter, within
from ftlib.curation.records import Record
from ftlib.curation.tags import without_tags
from ftlib.curation.tokens import TokenCounter

RowStep = Callable[[list[Record]], list[Record]]  # may change the texts of what it keeps; keeps the order
PARAGRAPHS = re.compile(r"\n{3,}")
BREAKS = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"  # control characters that part words: vertical tab, form feed, separators, next line
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def row_step(step: r.Step, counter: Callable[[str], TokenCounter]) -> RowStep | None:
    """The function for a step; None for a step that must look across rows. ``counter`` gives an encoding's counter."""
    match step:
        case r.DropMissing():
            if set(step.fields) == {"title", "content"}:
                return lambda rows: [row for row in rows if not (blank(row.title) or blank(row.content))]
            return lambda rows: [row for row in rows if not any(blank(getattr(row, name)) for name in step.fields)]
        case r.UnescapeHtml():
            return Change(step.fields, lambda text: unescape(text, twice=step.twice))
        case r.StripHtml():
            return Change(step.fields, without_tags)
        case r.Normalise():
            return Change(step.fields, lambda text: normalise(text, step))
        case Filter():
            return lambda rows: [row for row in rows if step.keeps(row)]
        case r.Tokens():
            return lambda rows: by_tokens(rows, step, counter(step.encoding))
        case r.Keywords():
            holds = finder(step)
            return lambda rows: [row for row in rows if holds(row)]
        case r.ExcludeKeywords():
            finds = finder(step)
            return lambda rows: [row for row in rows if not finds(row)]
    return None


def blank(text: str) -> bool:
    """Whether a text is empty or white space alone."""
    return not text or text.isspace()


@dataclass(frozen=True)
class Change:
    """Puts every row's named texts through ``how``; all rows are kept."""

    fields: Sequence[str]
    how: Callable[[str], str]

    def __call__(self, rows: list[Record]) -> list[Record]:
        """The rows, changed."""
        self.count(rows)
        return rows

    def count(self, rows: list[Record]) -> int:
        """Change the rows; returns how many of them have another text than before."""
        changed = 0
        for row in rows:
            title = "title" in self.fields and row.set_title(self.how(row.title))
            content = "content" in self.fields and row.set_content(self.how(row.content))
            changed += title or content
        return changed


def unescape(text: str, *, twice: bool = True) -> str:
    """HTML entities as characters; those that were escaped twice (``&amp;#8217;``) as well, on request."""
    if "&" not in text:
        return text
    once = html.unescape(text)
    return html.unescape(once) if twice and once != text and "&" in once else once


def normalise(text: str, how: r.Normalise) -> str:
    """A text put right as a Normalise step says."""
    if how.control:
        text = CONTROL.sub(lambda found: "\n" if found[0] in BREAKS else "", text)
    if how.nfc and not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if how.punctuation:
        text = "".join(c for c in text if c.isalnum() or c.isspace())
    if how.lower:
        text = text.lower()
    if how.one_line:
        return " ".join(text.split())
    if how.whitespace:
        lines = text.splitlines()
        if len(lines) < 2:
            return " ".join(text.split())
        return PARAGRAPHS.sub("\n\n", "\n".join(" ".join(line.split()) for line in lines)).strip()
    return text.strip() if how.strip else text


def by_tokens(rows: list[Record], step: r.Tokens, counter: TokenCounter) -> list[Record]:
    """Keep the rows whose title, content or both together have a number of tokens within bounds."""
    counter.fill(rows)
    if step.of == "title":
        return [row for row in rows if within(row.title_tokens, step.min, step.max)]
    if step.of == "content":
        return [row for row in rows if within(row.content_tokens, step.min, step.max)]
    return [row for row in rows if within(row.title_tokens + row.content_tokens, step.min, step.max)]


def finder(step: r.Keywords | r.ExcludeKeywords) -> Callable[[Record], bool]:
    """A function that tells whether a row holds any or all of the words."""
    words = [word if step.case else word.lower() for word in step.words]
    every = all if step.match == "all" else any
    apart = step.match == "any" and not any("\n" in word for word in words)  # a match lies within the title or within the content

    def holds(text: str) -> bool:
        text = text if step.case else text.lower()
        if not every([word in text for word in words]):
            return False
        return not step.whole or every(bool(pattern.search(text)) for pattern in patterns)

    patterns = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in words]
    match step.where:
        case "title":
            return lambda row: holds(row.title)
        case "content":
            return lambda row: holds(row.content)
        case "both":
            return lambda row: holds(row.title) and holds(row.content)
        case "either" if apart:
            return lambda row: holds(row.title) or holds(row.content)
        case "either":
            return lambda row: holds(f"{row.title}\n{row.content}")
