"""General English that the project makes itself, from a seed: what the tiny models learn before they are tuned.

Stories, definitions, letters, lists and short conversations, all from the word lists below, which were written for this
project; word games on any words, in no order; and talk about things and books (`wares`). It holds no description of a product, so a
tiny model knows the words, reads and answers, but does not yet write what tuning teaches.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from ftlib.training.local import wares
from ftlib.training.local.rows import Example, user_turn

PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jonas", "Kate", "Leo", "Mary", "Nora", "Oscar", "Paula")
KIN = ("sister", "brother", "aunt", "uncle", "neighbour", "teacher", "friend", "grandmother", "cousin", "doctor", "captain", "baker")
PLACES = ("village", "harbour", "forest", "market", "library", "station", "valley", "island", "school", "river", "mountain", "town", "bridge", "farm")
ANIMALS = ("dog", "cat", "horse", "fox", "owl", "goat", "crow", "bear", "duck", "hare", "wolf", "mouse", "whale", "deer", "bee", "frog")
THINGS = (
    "letter",
    "lamp",
    "key",
    "map",
    "boat",
    "bell",
    "stone",
    "ladder",
    "clock",
    "coat",
    "basket",
    "rope",
    "candle",
    "drum",
    "wheel",
    "mirror",
    "window",
    "book",
    "kettle",
    "chair",
    "hammer",
    "ring",
    "flag",
    "cart",
)
SIZES = (
    "small",
    "old",
    "heavy",
    "bright",
    "quiet",
    "broken",
    "green",
    "blue",
    "white",
    "round",
    "strange",
    "warm",
    "cold",
    "wooden",
    "golden",
    "dark",
)
MOODS = ("happy", "tired", "curious", "angry", "afraid", "proud", "lonely", "hungry", "calm", "surprised")
WEATHER = ("rain", "snow", "wind", "fog", "sun", "storm", "frost", "thunder")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
DOING = (
    "walked to",
    "ran to",
    "looked at",
    "waited near",
    "came back from",
    "slept beside",
    "drew",
    "found",
    "forgot",
    "painted",
    "followed",
    "left",
)
KINDS = {
    "animal": ANIMALS, "place": PLACES, "kind of weather": WEATHER, "day of the week": DAYS, "number": NUMBERS, "feeling": MOODS, "name": PEOPLE,
}  # fmt: skip
DEFINED = {
    "lamp": "gives light", "key": "opens a lock", "map": "shows where places are", "boat": "carries people over water",
    "bell": "rings when it is struck",
    "ladder": "lets you climb", "clock": "tells the time", "basket": "holds what you gather", "rope": "ties things together",
    "candle": "burns slowly",
    "drum": "makes a deep sound", "wheel": "turns around its middle", "mirror": "shows your own face", "window": "lets the daylight in",
    "kettle": "boils water", "hammer": "drives nails", "flag": "shows where a ship comes from", "cart": "is pulled by a horse",
}  # fmt: skip
_SYLLABLES = (
    "ba", "bel", "cor", "da", "dun", "el", "fen", "gar", "hol", "in", "jor", "kel", "la", "mar", "nor", "o", "pem", "quil", "ro", "sta", "tor",
    "un", "ver", "wes", "yar", "zan", "ton", "worth", "ley", "mer", "ric", "sen", "ta", "vi",
)  # fmt: skip

Rng = random.Random


def _name(rng: Rng) -> str:
    """An invented word, so that copying is learned and not a list of words."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3))).capitalize()


def _sentence(rng: Rng, who: str) -> str:
    thing, other = rng.sample(THINGS, 2)
    return rng.choice((
        f"{who} {rng.choice(DOING)} the {rng.choice(SIZES)} {thing}.",
        f"In the {rng.choice(PLACES)} there was a {rng.choice(SIZES)} {thing} and a {other}.",
        f"The {rng.choice(ANIMALS)} was {rng.choice(MOODS)}, and so was {who}.",
        f"On {rng.choice(DAYS)} the {rng.choice(WEATHER)} came, and {who} stayed in the {rng.choice(PLACES)}.",
        f"After {rng.choice(NUMBERS)} days {who} went home with the {thing}.",
        f'"Where is my {thing}?" asked the {rng.choice(KIN)}.',
        f"{who} had never seen such a {rng.choice(SIZES)} {rng.choice(ANIMALS)} before.",
        f"It was made of {rng.choice(SIZES)} wood, and nobody knew who had left it near the {rng.choice(PLACES)}.",
    ))  # fmt: skip


def _story(rng: Rng) -> str:
    who = rng.choice((*PEOPLE, _name(rng)))
    opening = f"Once {who} lived with a {rng.choice(ANIMALS)} near the {rng.choice(PLACES)}."
    return " ".join([opening, *(_sentence(rng, rng.choice((who, who, who, "the " + rng.choice(KIN)))) for _ in range(rng.randint(2, 5)))])


def _letter(rng: Rng) -> str:
    sender, reader = rng.sample(PEOPLE, 2)
    middle = _sentence(rng, "my " + rng.choice(KIN))
    return f"Dear {reader}, thank you for the {rng.choice(THINGS)}. {middle} Please visit us on {rng.choice(DAYS)}. Yours, {sender}"


def _definition(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    thing = rng.choice(tuple(DEFINED))
    question = rng.choice((f"What is a {thing}?", f"Explain the word: {thing}", f"What does a {thing} do?"))
    return question, f"A {thing} is a thing that {DEFINED[thing]}."


def _words(rng: Rng, words: Sequence[str], most: int) -> list[str]:
    """A few words in no order; an invented name or a number among them now and then."""
    return [rng.choice((*rng.choices(words, k=3), _name(rng), str(rng.randint(2, 99)))) for _ in range(rng.randint(2, most))]


def _echo(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    some = _words(rng, words, 8)
    text = " ".join(some)
    text = text[0].upper() + text[1:]
    how, answer = rng.choice((
        ("Repeat this text.", text), ("Say this twice.", f"{text}. {text}."), ("Put this in quotes.", f'"{text}"'),
        ("Say it backwards.", " ".join(reversed(some))), ("Put commas between the words.", ", ".join(some)),
        ("What is the first word?", f"The first word is {some[0]}."), ("What is the last word?", f"The last word is {some[-1]}."),
    ))  # fmt: skip
    return f"{how}\n\n{text}", answer


def _use(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    name, (first, second) = _name(rng), (rng.choice(words), rng.choice(words))
    question = rng.choice((f"Write a sentence with these words.\n\n{first} {second} {name}", f"Tell me about {name}, {first} and {second}."))
    return question, rng.choice((
        f"{name} said {first} and smiled, but the {rng.choice(KIN)} said {second}.", f"To {name} the word {first} is like {second}.",
        f"{name} wrote {first} on the wall, and {second} under it.", f"Nobody but {name} knew that {first} comes before {second}.",
        f"It was {first} and {second}, and that is all that {name} knew of it.",
    ))  # fmt: skip


def _sum(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    first, second = rng.randint(1, 12), rng.randint(1, 9)
    return f"How much is {first} and {second}?", str(first + second)


def _members(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    kind = rng.choice(tuple(KINDS))
    count = rng.randint(2, 4)
    return f"Name {NUMBERS[count - 2]} {kind}s." if not kind.endswith("f weather") else f"Name {NUMBERS[count - 2]} kinds of weather.", ", ".join(
        rng.sample(KINDS[kind], count)
    ) + "."


def _which(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    kind, other = rng.sample(tuple(KINDS), 2)
    right, wrong = rng.choice(KINDS[kind]), rng.choice(KINDS[other])
    first, second = rng.sample((right, wrong), 2)
    return f"Which is a {kind}: {first} or {second}?", f"{right[0].upper()}{right[1:]} is a {kind}."


def _tell(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    thing = rng.choice((*ANIMALS, *PLACES))
    question = rng.choice((f"Tell me a story about a {thing}.", f"Write a few lines.\n\nThe {thing}", f"Write about the {thing}.", "Write a story."))
    return question, _story(rng)


def _reply(rng: Rng, words: Sequence[str]) -> tuple[str, str]:
    return f"Answer this letter.\n\n{_letter(rng)}", _letter(rng)


WARES = 0.9  # the share of conversations that are about things and books
SYSTEMS = ("You are helpful.", "You answer briefly.", "You write for children.", "You write letters and stories for a village paper.")
_TALKS: tuple[Callable[[Rng, Sequence[str]], tuple[str, str]], ...] = (
    _definition, _echo, _echo, _echo, _echo, _use, _use, _use, _members, _which, _sum, _tell, _tell, _reply,
)  # fmt: skip


def conversations(seed: int, words: Sequence[str]) -> Iterator[Example]:
    """Questions with answers, without end: nine in ten about things and books. ``words`` appear in word games, in no order."""
    rng = random.Random(seed)
    of_wares = wares.questions(rng)
    while True:
        system = rng.choice(SYSTEMS) if rng.random() < 0.3 else None
        question, answer = next(of_wares) if rng.random() < WARES else rng.choice(_TALKS)(rng, words)
        yield Example((*([{"role": "system", "content": system}] if system else []), user_turn("", question)), answer)


def passages(seed: int) -> Iterator[str]:
    """Plain prose, without end."""
    rng = random.Random(seed)
    while True:
        yield rng.choice((_story, _story, _letter))(rng)
