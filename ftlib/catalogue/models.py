"""The catalogue of models: what is known of each, and where it is known from."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ftlib.configuration import convert
from ftlib.errors import ProfileError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_TUNED_ID = re.compile(r"ft:.+|ftjob[-:].+")
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}")  # at the end of a dated model's name


class Fixed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A part of an entry: unknown keys and wrong types are errors."""


class Markers(Fixed, frozen=True):
    """The texts that begin a user's and an assistant's turn in a model's chat template."""

    instruction: str
    response: str


class Shape(Fixed, frozen=True):
    """The sizes of a decoder-only transformer, as its config.json gives them; memory estimates rest on them."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool  # input and output embeddings are one matrix


class Hosted(Fixed, frozen=True):
    """How one provider offers a model."""

    provider: str
    id: str  # as this provider spells it for training
    tunable: bool | None = None  # None: not known
    shutdown: str | None = None  # ISO date from which it no longer answers
    tunable_until: str | None = None  # ISO date from which no job can be created
    context: int | None = None  # tokens of one training example
    note: str = ""


class Tune(Fixed, frozen=True):
    """Settings of a local training that suit a model; a contestant's own come before them, ftlib's general ones after."""

    lr: float | None = None
    batch: int | None = None  # rows a device sees at once
    accumulate: int | None = None
    max_length: int | None = None  # tokens of a row
    truncate: bool | None = None  # cut longer answers
    r: int | None = None
    alpha: int | None = None


class Model(Fixed, frozen=True):
    """One model. What is not known is None; ``sources`` says where a figure comes from."""

    name: str  # in the catalogue, or as the user wrote it
    id: str  # hub id, local folder, or the provider's id; for ``build`` the builder's name
    revision: str | None = None  # commit hash, only where read from a source; None: resolved at first use
    family: str | None = None  # llama, qwen2, qwen3, gemma3, mistral, phi, smollm, gpt
    parameters: int | None = None
    context: int | None = None  # tokens
    encoding: str | None = None  # tiktoken's name for its tokenizer, where it has one
    shape: Shape | None = None
    markers: Markers | None = None  # where a template has them; trainers detect them else
    licence: str | None = None
    gated: bool | None = None  # access must be asked for
    original: str | None = None  # the maker's repository where ``id`` is a mirror of it
    build: str | None = None  # made on the spot by the builder of that name; no hub
    qlora: str | None = None  # smallest GPU of the catalogue that trains it so, two rows at once
    qlora_length: int | None = None  # at so many tokens a row
    tune: Tune = Tune()  # in 4 bits on a GPU, it fits the one that ``qlora`` names
    hosted: tuple[Hosted, ...] = ()
    sources: dict[str, str] = msgspec.field(default_factory=dict)  # field -> where from

    @property
    def local(self) -> bool:
        """Whether it can be trained on a machine of one's own (its weights are there to load)."""
        return self.build is not None or self.shape is not None or not self.hosted

    @property
    def open_weights(self) -> bool:
        """Whether its weights, and so its tokenizer, can be had, as far as is known."""
        return self.local or self.licence != "proprietary"

    def at(self, provider: str) -> Hosted | None:
        """How a provider offers it; None where the catalogue does not say."""
        return next((offer for offer in self.hosted if offer.provider == provider), None)

    def id_at(self, provider: str) -> str:
        """Its id as a provider spells it; its own where the catalogue does not say."""
        offer = self.at(provider)
        return offer.id if offer else self.id


@functools.cache
def catalogue() -> dict[str, Model]:
    """All built-in entries, by name."""
    folder = resources.files("ftlib").joinpath("catalogue")
    files = [yaml.safe_load(folder.joinpath(name).read_text("utf-8")) for name in ("models.yaml", "hosted.yaml")]
    rows = {name: fields for file in files for name, fields in file.items()}
    return {name: convert({"name": name, **fields}, Model, f"the catalogue, {name}") for name, fields in rows.items()}


def find_model(name: str, extra: Mapping[str, Mapping[str, Any]] | None = None) -> Model:
    """The entry of a model by its name in the catalogue (a dated one's also without the date), its hub id, or its id at a provider.

    Args:
        name: as a profile gives it.
        extra: entries of one's own (the profile's ``models``); they add to or override the built-in entry of that name.

    A hub id (owner/name), a local folder or a fine-tuned id (ft:...) that no entry knows gets one that holds its id alone.
    Raises ProfileError for any other unknown name, with the nearest known one.
    """
    known = catalogue()
    if extra and name in extra:
        base = msgspec.to_builtins(known[name]) if name in known else {"id": name}
        return convert({**base, **extra[name], "name": name}, Model, f"models.{name}")
    if name in known:
        return known[name]
    for model in known.values():
        if name in (model.id, model.original, *(offer.id for offer in model.hosted)):
            return model
    dated = [key for key in known if key.startswith(name) and _DATE.fullmatch(key[len(name) :])]
    if dated:
        return known[max(dated)]  # the newest
    if Path(name).is_dir() or _HUB_ID.fullmatch(name) or _TUNED_ID.fullmatch(name):
        return Model(name=name, id=name)
    close = [repr(one) for one in difflib.get_close_matches(name, list(known), n=3)]
    near = f" (did you mean {' or '.join(close)}?)" if close else ""
    raise ProfileError(
        f"There is no model {name!r} in the catalogue{near}; `ftlib models` lists them, and one outside it is given "
        f"as a hub id (owner/name), a folder, or with its fields under models: {{{name}: {{id: ...}}}} in the profile."
    )
