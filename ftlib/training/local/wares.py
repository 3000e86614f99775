"""Talk about things and books, a sentence at a time: the words of the sample's world, which the tiny models know before they are tuned.

Things and titles are drawn anew from ``ftlib/sample/grammar.yaml`` with seeds of their own, so no row of the sample is among them, and no
whole description: a tiny model can say what a title says and make one sentence of it, as a large model can with anything, but
not yet write what tuning teaches.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from ftlib.sample.generate import Writer

Slots = dict[str, str]
THING = ("opening", "opening", "quality", "care", "place", "gift", "facts")
BOOK = ("book_opening", "book_opening", "book_middle", "book_middle", "book_middle", "book_review", "book_author", "book_copyright")
_ONE = ("Say one thing about this.", "Tell me about it.", "Write a sentence about this.", "One sentence on this, please.")


def questions(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Questions about a title with their answers, without end: what it says, or one sentence on it."""
    writer = Writer(rng.randrange(2**32))
    while True:
        book = rng.random() < 0.3
        slots = writer.book_slots() if book else writer.product_slots()
        title = re.sub(r"[ ,-]+$", "", writer.say("book_title" if book else "product_title", slots))
        if rng.random() < 0.6:
            yield f"What is it?\n\n{title}", _of_book(slots, title) if book else _of_thing(slots, title)
        else:
            yield f"{rng.choice(_ONE)}\n\n{title}", writer.say(rng.choice(BOOK if book else THING), slots)


def _of_thing(slots: Slots, title: str) -> str:
    """What a title says of a thing, in other words."""
    said = [
        ("brand", f"by {slots['brand']}"),
        ("material", f"made of {slots['material_']}"),
        ("Color", f"in {slots['color']}"),
        ("style", slots["style_"]),
    ]
    return ", ".join([f"It is a {slots['noun_']}", *(words for key, words in said if slots[key] in title)]) + "."


def _of_book(slots: Slots, title: str) -> str:
    """What a title says of a book, in other words."""
    said = [("Topic", f"about {slots['topic']}"), ("Place", f"in {slots['place']}"), ("adj", f"with a {slots['adj_']} {slots['thing_']}")]
    return ", ".join(["It is a book", *(words for key, words in said if slots[key] in title)]) + "."
