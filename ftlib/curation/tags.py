"""HTML tags out of a text; what only looks like one (``<3``, ``List<String>``, ``a < b``) stays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ftlib.curation.records import Record

LINES = (  # elements that stand on lines of their own
    "address article aside blockquote br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section "
    "table tr ul"
)
SPACES = "td th option"
WITHIN = (
    "a abbr acronym area audio b base bdi bdo big body button canvas caption center cite code col colgroup data del details dfn em embed "
    "figcaption font head html i iframe img input ins kbd label legend link map mark meta noscript object optgroup param picture q s samp "
    "select small source span strike strong sub summary sup tbody textarea tfoot thead time title tt u var video wbr"
)
UNSEEN = [  # where what is not shown begins and ends
    (re.compile("<!--"), re.compile("-->")),
    *((re.compile(rf"<{name}\b[^<>]*>", re.I), re.compile(rf"</{name}\s*>", re.I)) for name in ("script", "style")),
]
TAG = re.compile(rf"</?({'|'.join(f'{LINES} {SPACES} {WITHIN}'.split())})(?:\s[^<>]*)?/?>", re.I)
BETWEEN = {**dict.fromkeys(LINES.split(), "\n"), **dict.fromkeys(SPACES.split(), " ")}


def without_tags(text: str) -> str:
    """A text without the tags of HTML elements, comments, scripts and styles; elements that stand on lines of their own leave a line end."""
    if "<" not in text:
        return text
    for opening, closing in UNSEEN:
        text = _without(text, opening, closing)
    return TAG.sub(lambda found: BETWEEN.get(found[1].lower(), ""), text)


def _without(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """A text without what stands between the two; in one pass, however often it opens."""
    parts, at = [], 0
    while (begin := opening.search(text, at)) and (end := closing.search(text, begin.end())):
        parts.append(text[at : begin.start()])
        at = end.end()
    return "".join([*parts, text[at:]])


@dataclass
class Tagged:
    """How many of the rows that pass hold a tag, and the first tag there was, without its attributes."""

    rows: int = 0
    first: str | None = None

    def watch(self, rows: Iterable[Record]) -> Iterator[Record]:
        """The rows as they are; of millions, most hold no ``<`` at all."""
        for row in rows:
            if ("<" in row.content or "<" in row.title) and (found := TAG.search(row.content) or TAG.search(row.title)):
                self.rows += 1
                self.first = self.first or f"<{found[1].lower()}>"
            yield row
