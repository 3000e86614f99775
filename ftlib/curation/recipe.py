"""A recipe: the ordered steps, as data, that turn raw rows into train, valid and test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import msgspec

from ftlib.configuration import Strict, convert, nearest, read_yaml
from ftlib.curation.filters import FILTERS
from ftlib.curation.filters import Step as Step
from ftlib.errors import ProfileError
from ftlib.files import hash_json

Where = Literal["title", "content", "either", "both"]
Field = Literal["title", "content"]
Size = int | float
S = TypeVar("S", bound="Step")


class DropMissing(Step):
    """Drop rows whose title or content is empty or only white space."""

    fields: list[Field] = msgspec.field(default_factory=lambda: ["title", "content"])


class UnescapeHtml(Step):
    """Turn entities such as ``&amp;`` and ``&#8217;`` into characters."""

    fields: list[Field] = msgspec.field(default_factory=lambda: ["title", "content"])
    twice: bool = True  # entities that were escaped once more (``&amp;#8217;``), too


class StripHtml(Step):
    """Take HTML tags out, and comments, scripts and styles with what they hold; after ``unescape_html`` the tags that were escaped, too."""

    fields: list[Field] = msgspec.field(default_factory=lambda: ["title", "content"])


class Normalise(Step):
    """Unicode NFC, no control characters, runs of blanks as one, paragraphs an empty line apart; more on request."""

    fields: list[Field] = msgspec.field(default_factory=lambda: ["title", "content"])
    nfc: bool = True
    control: bool = True  # remove control characters other than tab and line ends; those that part words (form feed ...) become line ends
    whitespace: bool = True  # collapse and strip; line breaks stay
    one_line: bool = False  # line breaks become blanks, too
    strip: bool = False  # only strip the ends
    lower: bool = False
    punctuation: bool = False  # keep only letters, digits and white space, as the original project did


class Tokens(Step):
    """Keep rows whose title and content have together ``min`` to ``max`` tokens, both included."""

    min: int = 0
    max: int | None = None
    encoding: str = "o200k_base"
    of: Literal["sum", "title", "content"] = "sum"


class Keywords(Step):
    """Keep rows that hold any or all of the words."""

    words: list[str]
    match: Literal["any", "all"] = "any"
    where: Where = "either"
    whole: bool = False  # whole words, not substrings
    case: bool = False  # upper and lower case differ


class ExcludeKeywords(Step):
    """Drop rows that hold any or all of the words."""

    words: list[str]
    match: Literal["any", "all"] = "any"
    where: Where = "either"
    whole: bool = False
    case: bool = False


class Deduplicate(Step):
    """Drop rows that came before: as the same pair, the same content, or a content that is nearly the same.

    Near means that the Jaccard similarity of the contents' sets of words is at least ``threshold``.
    """

    by: Literal["pair", "content", "near"] = "pair"
    threshold: float = 0.8


class Sample(Step):
    """Keep ``size`` rows (a number, or a share below 1): the first, random ones, or random ones by strata of content length."""

    size: Size
    method: Literal["first", "random", "stratified"] = "random"
    strata: int = 10


class Split(Step):
    """The last step: numbers of rows, or shares below 1 of the rows that are left.

    ``order: file`` takes train, then valid, then test from the front, as the original did; ``random`` shuffles with the seed.
    ``groups: near`` keeps rows with equal or near-equal content, or equal titles, on one side; ``none`` does not.
    """

    train: Size = 0.9
    valid: Size = 0.05
    test: Size = 0.05
    order: Literal["random", "file"] = "random"
    groups: Literal["near", "none"] = "near"
    threshold: float = 0.8


KINDS: dict[str, type[Step]] = {
    "drop_missing": DropMissing,
    "unescape_html": UnescapeHtml,
    "strip_html": StripHtml,
    "normalise": Normalise,
    **FILTERS,
    "tokens": Tokens,
    "keywords": Keywords,
    "exclude_keywords": ExcludeKeywords,
    "deduplicate": Deduplicate,
    "sample": Sample,
    "split": Split,
}
NAMES = {kind: name for name, kind in KINDS.items()}


class Recipe(Strict):
    """A recipe, checked."""

    name: str
    about: str
    steps: list[Any]  # of Step; the last is a Split

    @property
    def split(self) -> Split:
        """The last step."""
        last = self.steps[-1]
        assert isinstance(last, Split)
        return last

    def plain(self) -> list[dict[str, Any]]:
        """The steps as plain values, defaults filled in: what the outcome depends on."""
        return [{NAMES[type(step)]: msgspec.to_builtins(step)} for step in self.steps]

    def hash(self) -> str:
        """Hash of the steps."""
        return hash_json(self.plain())


class _Written(Strict):
    """A recipe as it is written down."""

    steps: list[Any]
    name: str = ""
    about: str = ""


def load_recipe(name: str) -> Recipe:
    """A built-in recipe by name, or one's own from a YAML file.

    Raises ProfileError naming the recipe, the step, the key and the nearest valid one.
    """
    value, where = read_yaml(name, "recipes", "recipe")
    written = convert(value, _Written, where)
    steps = [_step(item, f"{where}: step {number}") for number, item in enumerate(written.steps, 1)]
    splits = [number for number, step in enumerate(steps, 1) if isinstance(step, Split)]
    if splits not in ([], [len(steps)]):
        raise ProfileError(f"{where}: step {splits[0]}: split can only be the last step; move it to the end.")
    if not splits:
        steps.append(Split())
    return Recipe(name=written.name or name, about=written.about, steps=steps)


def _step(item: Any, where: str) -> Step:
    """One step from ``name`` or ``{name: {parameters}}``."""
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, dict) or len(item) != 1:
        raise ProfileError(f"{where}: write a step as `- name` or `- name: {{key: value}}`.")
    ((name, parameters),) = item.items()
    if name not in KINDS:
        raise ProfileError(f"{where}: there is no step {name!r}{nearest(str(name), list(KINDS))}.")
    step: Step = convert(parameters or {}, KINDS[name], f"{where} ({name})")
    _check(step, f"{where} ({name})")
    return step


def _check(step: Step, where: str) -> None:
    """What types alone cannot say."""
    low, high = getattr(step, "min", 0), getattr(step, "max", None)
    if low < 0 or (high is not None and high < low):
        raise ProfileError(f"{where}: min is {low} and max is {high}; no row can be both.")
    if isinstance(step, Keywords | ExcludeKeywords) and not all(word.strip() for word in step.words or [""]):
        raise ProfileError(f"{where}: words must be a list of words, none of them empty.")
    if not 0 < getattr(step, "threshold", 0.5) <= 1:
        raise ProfileError(f"{where}: threshold is {getattr(step, 'threshold', None)}; it must be above 0 and at most 1.")
    if getattr(step, "strata", 1) < 1:
        raise ProfileError(f"{where}: strata is {getattr(step, 'strata', None)}; give 1 or more.")
    sizes = {key: getattr(step, key) for key in ("size", "train", "valid", "test") if hasattr(step, key)}
    for key, size in sizes.items():
        check_size(size, f"{where}: {key}")
    check_shares([size for key, size in sizes.items() if key != "size"], where)


def is_share(size: Size) -> bool:
    """Whether a size is a share of the rows (a float up to 1) and not a number of rows."""
    return isinstance(size, float) and 0 < size <= 1


def check_shares(sizes: Iterable[Size | None], where: str) -> None:
    """Raises ProfileError where the shares among some sizes pass 1."""
    total = sum(size for size in sizes if size is not None and is_share(size))
    if total > 1 + 1e-9:
        raise ProfileError(f"{where}: the shares add up to {total:g}; they cannot pass 1.")


def check_size(size: Size, where: str) -> None:
    """Raises ProfileError where a size is neither a number of rows nor a share."""
    if not 0 <= size < float("inf") or (size > 1 and size != int(size)):
        raise ProfileError(f"{where} is {size}; give a number of rows, or a share between 0 and 1.")
