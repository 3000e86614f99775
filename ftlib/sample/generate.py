"""The sample: some thousands of invented rows in the raw format of trn.json, with the defects that real rows have.

``python -m ftlib.sample.generate`` writes it again, byte for byte. No text is taken from real data: every word stands in
``grammar.yaml``. A description depends on its title (noun, material, style, colour, brand come back with what they imply), so a
small model can learn something from a few hundred rows.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from ftlib.files import write_atomic

ROWS = 3600
SEED = 20261123
LABELS = 1_305_265  # target_ind of the real set lies below this
ENTITIES = {"&": "&amp;", "'": "&#8217;", '"': "&quot;", " - ": " &#8212; ", ", ": ",&nbsp;"}
Row = dict[str, Any]


class Writer:
    """Fills sentences from the grammar. One seeded generator decides everything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.grammar: dict[str, Any] = yaml.safe_load(resources.files("ftlib").joinpath("sample", "grammar.yaml").read_text("utf-8"))

    def pick(self, rule: str) -> str:
        """One line of a rule."""
        return str(self.random.choice(self.grammar[rule]))

    def say(self, rule: str, slots: dict[str, str], used: set[str] | None = None) -> str:
        """One sentence of a rule, one that is not in ``used`` yet, with its slots filled."""
        left = [line for line in self.grammar[rule] if used is None or line not in used]
        line = str(self.random.choice(left or self.grammar[rule]))
        if used is not None:
            used.add(line)
        return re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], line)

    # -- products ------------------------------------------------------------------------------------------------
    def product(self) -> tuple[str, str]:
        """Title and description of a thing for sale."""
        slots = self.product_slots()
        title = re.sub(r"[ ,-]+$", "", self.say("product_title", slots))
        return title, self.describe(slots)

    def product_slots(self) -> dict[str, str]:
        """What is decided once for a product."""
        choose, grammar = self.random.choice, self.grammar
        kind, noun, (use, part, place) = choose([(kind, *item) for kind, group in grammar["products"].items() for item in group.items()])
        style, promises = choose(list(grammar["styles"].items()))
        material = choose(grammar["fits"][kind])
        promise, care, color = choose(promises), choose(grammar["materials"][material]), self.pick("colors")
        return {
            "brand": self.pick("brands"),
            "color": color,
            "Color": color.title(),
            "color2": self.pick("colors"),
            "pack": self.pick("packs"),
            "audience": self.pick("audiences"),
            "noun": noun,
            "noun_": noun.lower(),
            "use": use,
            "use_": capital(use),
            "part": part,
            "place": place,
            "style": style,
            "style_": style.lower(),
            "material": material,
            "material_": material.lower(),
            "promise": promise,
            "promise_": capital(promise),
            "care": care,
            "care_": capital(care),
            "year": str(self.random.randint(1921, 2012)),
            "n1": str(self.random.randint(3, 24)),
            "n2": str(self.random.randint(5, 36)),
        }

    def describe(self, slots: dict[str, str]) -> str:
        """Three to six sentences: an opening, then what distinguishes the thing, its care, its place, a gift."""
        rules = ["quality", "care", "place", "gift", "facts"]
        wanted = sorted(self.random.sample(range(len(rules)), self.random.choice([2, 3, 3, 4, 4, 5])))
        return " ".join([self.say("opening", slots), *(self.say(rules[i], slots) for i in wanted)])

    # -- books ---------------------------------------------------------------------------------------------------
    def book(self, sentences: int, *, author: bool, blurb: bool, review: bool) -> tuple[str, str]:
        """Title and blurb of a book with so many sentences in the middle."""
        slots = self.book_slots()
        used: set[str] = set()
        parts = [self.say("book_opening", slots, used), *(self.say("book_middle", self.vary(slots), used) for _ in range(sentences))]
        parts += [self.say("book_review", slots)] * review + [self.say("book_author", slots)] * author + [self.say("book_copyright", slots)] * blurb
        return self.say("book_title", slots), " ".join(parts)

    def book_slots(self) -> dict[str, str]:
        """What is decided once for a book."""
        topic, (who, turn, place, gain) = self.random.choice(list(self.grammar["topics"].items()))
        adjective, thing = self.pick("book_adjectives"), self.pick("book_nouns")
        return {
            "topic": topic,
            "Topic": topic.title(),
            "who": who,
            "turn": turn,
            "place": place,
            "Place": place.title(),
            "gain": gain,
            "author": f"{self.pick('first_names')} {self.pick('last_names')}",
            "publisher": self.pick("publishers"),
            "adj": adjective,
            "adj_": adjective.lower(),
            "thing": thing,
            "thing_": thing.lower(),
            "adj2": self.pick("book_adjectives"),
            "thing2": self.pick("book_nouns"),
            "year": str(self.random.randint(1921, 2012)),
            "n1": str(self.random.randint(2, 30)),
            "n2": str(self.random.randint(3, 60)),
        }

    def vary(self, slots: dict[str, str]) -> dict[str, str]:
        """The same book, but other numbers."""
        return {**slots, "n2": str(self.random.randint(3, 60)), "year": str(self.random.randint(1921, 2012))}

    def any_book(self) -> tuple[str, str]:
        """A short blurb mostly; some of middle length, some long, some very long."""
        kind = self.random.random()
        author, blurb, review = self.random.random() < 0.5, self.random.random() < 0.4, self.random.random() < 0.35
        if kind < 0.55:
            return self.book(self.random.randint(1, 3), author=author and blurb, blurb=blurb, review=review and author)
        if kind < 0.8:
            return self.book(self.random.randint(4, 6), author=author, blurb=blurb, review=review)
        if kind < 0.985:
            return self.book(self.random.randint(12, 22), author=author, blurb=blurb, review=review)
        return self.book(self.random.randint(80, 160), author=True, blurb=True, review=True)


def capital(text: str) -> str:
    """The first letter upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def spoil(writer: Writer, row: Row, earlier: Sequence[Row]) -> Row:
    """One defect of real data, in about three rows of ten; the shares are data/README.md's table."""
    chance, pick = writer.random.random(), writer.random
    if chance < 0.06:
        row["content"] = ""
    elif chance < 0.085:
        row["title"] = ""
    elif chance < 0.09:
        row["content"] = None
    elif chance < 0.095:
        row["title"] = None
    elif chance < 0.125 and earlier:  # the same content under another title
        row["content"] = pick.choice(earlier)["content"]
    elif chance < 0.135 and earlier:  # a listing entered twice
        row["title"], row["content"] = (earlier[-1][key] for key in ("title", "content"))
    elif chance < 0.15 and earlier:  # the same title for another thing
        row["title"] = pick.choice(earlier)["title"]
    elif chance < 0.20:
        for character, entity in ENTITIES.items():
            row["content"] = row["content"].replace(character, entity)
            row["title"] = row["title"].replace("&", "&amp;").replace("'", "&#39;")
    elif chance < 0.25:  # tags were stripped without a space
        row["content"] = re.sub(r"([.!?]) (?=[A-Z])", r"\1", row["content"])
    elif chance < 0.27:
        row["content"] = f'"{row["content"]}"'
    elif chance < 0.285:
        row["content"] = writer.pick("short_contents")
    elif chance < 0.29:
        row["content"] = row["content"].replace(" ", "  ").replace(". ", ".\n\t") + " "
    elif chance < 0.295:  # a bulleted list pasted until it is very long
        row["content"] = " ".join(writer.describe(writer.product_slots()) for _ in range(pick.randint(20, 60)))
    return row


def make_rows(rows: int = ROWS, seed: int = SEED) -> Iterator[Row]:
    """Rows in the raw format: uid (a text, with leading zeros), title, content, target_ind, target_rel.

    Texts may be empty or None, as in real data. In the order of uid, like the real set, so the head is not a fair sample.
    """
    writer = Writer(seed)
    books = round(rows * 0.28)
    earlier: list[Row] = []
    number = 1_047
    for index in range(rows):
        number += writer.random.randint(1, 4999)
        is_book = writer.random.random() < (0.8 if index < books else 0.08)
        title, content = writer.any_book() if is_book else writer.product()
        uid = f"{number:010d}" if index < books else f"B{number:09d}"
        labels = sorted(writer.random.sample(range(LABELS), writer.random.randint(1, 6)))
        row = spoil(writer, {"uid": uid, "title": title, "content": content}, earlier)
        row |= {"target_ind": labels, "target_rel": [1.0] * len(labels)}
        if row["title"] and row["content"]:
            earlier.append(row)
        yield row


def sample_bytes(rows: int = ROWS, seed: int = SEED) -> bytes:
    """The sample as JSON lines in UTF-8."""
    return "".join(json.dumps(row) + "\n" for row in make_rows(rows, seed)).encode()


def compress(data: bytes) -> bytes:
    """Gzip without a time or a name in its header, so that equal rows make equal files on one version of zlib."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as handle:
        handle.write(data)
    return buffer.getvalue()


def main() -> None:
    """Write the sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=SEED)
    here = Path(__file__).with_name("sample.jsonl.gz")
    parser.add_argument("--out", type=Path, nargs="+", default=[here], help="one or more files; .gz is compressed")
    arguments = parser.parse_args()
    data = sample_bytes(arguments.rows, arguments.seed)
    for path in arguments.out:
        write_atomic(path, compress(data) if path.suffix == ".gz" else data)
        print(f"{path}: {arguments.rows} rows")


if __name__ == "__main__":
    main()
