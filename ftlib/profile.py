"""A profile: the YAML file that describes a run, checked key by key before anything starts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from ftlib.configuration import Strict, convert, nearest, numbers, read_yaml
from ftlib.errors import ProfileError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
Seed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]  # what every generator takes


class Data(Strict):
    """Which rows, and how they are curated."""

    source: str = "sample"  # a path, a hub id, or `sample`
    recipe: str = "default"  # a built-in recipe or a YAML file
    train: int | float | None = None  # rows, or a share below 1; None leaves it to the recipe
    valid: int | float | None = None
    test: int | float | None = None
    limit: int | None = None  # read at most so many rows
    id_field: str | None = None
    title_field: str | None = None
    content_field: str | None = None
    max_bad_share: float = 0.01  # more unreadable rows than this stop the run
    held_out: str | None = None  # a recipe whose rows form the transfer slice, never trained on


class Lora(Strict):
    """Low-rank adaptation."""

    r: int | None = None  # None: the catalogue's for the model, else 16
    alpha: int | None = None  # None: likewise
    dropout: float = 0.0
    modules: list[str] | None = None  # None: all linear layers of attention and MLP
    rslora: bool = False


class Checkpoints(Strict):
    """When training is saved, and how many saves are kept."""

    steps: int | None = None
    minutes: float | None = 5.0
    keep: int = 2


class Decoding(Strict):
    """How answers are drawn."""

    temperature: float = 0.0
    max_new_tokens: int | None = None  # None: as the task says
    batch: int = 16  # answers generated together by a local model


class Contestant(Strict):
    """One row of the comparison: a model, how it is tuned, its settings."""

    name: str
    trainer: Literal["local", "hosted"]
    model: str = ""  # a name of the catalogue, a hub id, or a local folder
    revision: str | None = None
    provider: str | None = None  # hosted: which service
    # nothing is trained when one of these is given
    existing: str | None = None  # an id that the provider serves already
    few_shot: int | None = None  # so many training rows in the prompt
    recorded: str | None = None  # a file of answers
    # what it learns from
    recipe: str | None = None  # None: data.recipe
    task: str | None = None  # None: the profile's
    seed: Seed | None = None  # None: the profile's
    # how long
    epochs: float | None = None
    steps: int | None = None
    minutes: float | None = None  # training stops in time with everything saved
    early_stopping: int | None = None  # evaluations without a better validation loss
    # local
    lr: float | None = None
    batch: int | None = None  # rows a device sees at once
    accumulate: int | None = None
    max_length: int | None = None  # tokens; longer rows are an error unless truncate
    truncate: bool | None = None  # cut longer answers; None: as the catalogue has it for the model (the small built one's are), else not
    packing: bool = False
    schedule: str = "linear"
    warmup: float = 0.03  # share of all steps
    quant: Literal[4, 16] | None = None  # None: 4 on a GPU, 16 on a CPU
    loader: Literal["auto", "unsloth", "transformers"] = "auto"
    template: Literal["auto", "chat", "alpaca"] = "auto"
    require_gpu: bool = False
    engine: Literal["transformers", "vllm"] = "transformers"
    lora: Lora = msgspec.field(default_factory=Lora)
    checkpoints: Checkpoints = msgspec.field(default_factory=Checkpoints)
    # hosted
    lr_multiplier: float | None = None
    batch_api: bool = False  # half price where the provider has it
    concurrency: int = 8
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    decoding: Decoding = msgspec.field(default_factory=Decoding)

    @property
    def trains(self) -> bool:
        """Whether there is something to train."""
        return self.existing is None and self.few_shot is None and self.recorded is None

    def systems(self) -> list[str]:
        """The systems that this contestant brings to the comparison.

        base and tuned; only base for few_shot (its prompt is the only difference); only tuned for recorded answers, and
        for an existing id whose base model is not named.
        """
        if self.few_shot is not None:
            return [f"{self.name}.base"]
        if self.recorded is not None or (self.existing is not None and not self.model):
            return [f"{self.name}.tuned"]
        return [f"{self.name}.base", f"{self.name}.tuned"]


class Judge(Strict):
    """A model that compares answers pairwise; optional."""

    provider: str
    model: str
    pairs: Annotated[int, msgspec.Meta(ge=1)] = 100
    rubric: bool = True
    decoding: Decoding = msgspec.field(default_factory=Decoding)  # a model that reasons first needs more tokens than the 64 of a verdict


class Evaluation(Strict):
    """What is measured on the answers."""

    primary: str = "rougeL"
    metrics: list[str] = msgspec.field(default_factory=lambda: ["rouge1", "rouge2", "rougeL", "chrf", "length_ratio", "title_faithfulness"])
    probes: list[str] = msgspec.field(default_factory=lambda: ["retention", "wording", "transfer", "forgetting"])
    probe_items: int | None = None  # at most so many items of each probe
    trivial: list[str] = msgspec.field(default_factory=lambda: ["echo", "constant", "nearest"])
    resamples: int = 10_000
    failed_score: float = 0.0  # what a failed item scores
    embedding: str | None = None  # a sentence-embedding model for semantic similarity
    judge: Judge | None = None


class Matrix(Strict):
    """models x recipes x seeds: each combination becomes a contestant made from ``base``."""

    models: list[str] = msgspec.field(default_factory=list)
    recipes: list[str] = msgspec.field(default_factory=list)
    seeds: list[Seed] = msgspec.field(default_factory=list)
    base: dict[str, Any] = msgspec.field(default_factory=dict)  # the fields that all of them share


class Profile(Strict):
    """A run as its author describes it."""

    name: str
    seed: Seed = 42
    data: Data = msgspec.field(default_factory=Data)
    task: str = "describe"  # a built-in task or a YAML file
    contestants: list[Contestant] = msgspec.field(default_factory=list)
    matrix: Matrix | None = None
    evaluation: Evaluation = msgspec.field(default_factory=Evaluation)
    budget_usd: float = 0.0  # the cap for everything that is paid in this run
    models: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)  # catalogue entries of one's own
    providers: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)  # providers of one's own
    prices: str | None = None  # a price file that overrides the built-in one
    drive: str | None = None  # copy finished artifacts there, verified

    def recipe_of(self, contestant: Contestant) -> str:
        """The recipe that a contestant's training rows come from."""
        return contestant.recipe or self.data.recipe

    def recipes(self) -> list[str]:
        """All recipes that this run trains on, the profile's own first."""
        return list(dict.fromkeys([self.data.recipe, *(self.recipe_of(c) for c in self.contestants)]))


def load_profile(name: str | Path, overrides: Sequence[str] = ()) -> Profile:
    """Read and check a profile.

    Args:
        name: a built-in profile, or the path of a YAML file.
        overrides: ``key=value`` texts, dots between levels (``data.train=20``, ``contestants.tiny-llama.epochs=1``);
            the value is YAML. A contestant is named by its name; ``+contestants={...}`` adds one.

    Raises ProfileError: file, key, what is wrong, nearest valid key.
    """
    value, where = read_yaml(str(name), "profiles", "profile")
    if not isinstance(value, dict):
        raise ProfileError(f"{where}: a profile is a mapping of keys (name, data, contestants ...), not a {type(value).__name__}.")
    if "name" not in value and Path(str(name)).is_file():
        value["name"] = re.sub(r"[^a-z0-9._-]", "-", Path(str(name)).stem.lower())
    for override in overrides:
        _apply(value, override)
    _check_sizes(value.get("data"), where)
    profile = convert(value, Profile, where)
    if profile.matrix:
        profile = _expand(profile, where)
    check_profile(profile, where)
    return profile


def _check_sizes(data: Any, where: str) -> None:
    """Raises ProfileError where a size is a text, such as 80%, that is no number."""
    for key in ("train", "valid", "test"):
        text = data.get(key) if isinstance(data, dict) else None
        if isinstance(text, str) and not isinstance(numbers(text), float):
            raise ProfileError(f"{where}: data.{key}: {text!r} is neither a number of rows nor a share such as 0.8.")


def _apply(value: dict[str, Any], override: str) -> None:
    """Put one ``key=value`` into a profile's plain values."""
    key, sign, text = override.partition("=")
    if not sign or not key.strip():
        raise ProfileError(f"--set {override}: write it as key=value, for example --set data.train=200.")
    try:
        new = yaml.safe_load(text)
    except yaml.YAMLError:
        new = text
    if key.strip() == "+contestants" and isinstance(new, dict):
        others = [c for c in value.get("contestants", []) if not isinstance(c, dict) or c.get("name") != new.get("name")]
        value["contestants"] = [*others, new]
        return
    parts = key.strip().split(".")
    here: Any = value
    if parts[0] == "contestants" and len(parts) > 1:  # names may hold dots: the longest that fits
        names = {str(c.get("name")): c for c in value.get("contestants", []) if isinstance(c, dict)}
        for cut in range(len(parts) - 1, 1, -1):
            if ".".join(parts[1:cut]) in names:
                here, parts = names[".".join(parts[1:cut])], parts[cut:]
                break
        else:
            raise ProfileError(f"--set {key}: there is no contestant {parts[1]!r}{nearest(parts[1], list(names))}.")
    for part in parts[:-1]:
        inner = here.get(part)
        here[part] = here = inner if isinstance(inner, dict) else {}
    here[parts[-1]] = new


def _expand(profile: Profile, where: str) -> Profile:
    """Turn the matrix into contestants, each named after what sets it apart."""
    matrix = profile.matrix
    assert matrix is not None
    made: list[Contestant] = []
    recipes: list[str | None] = [*matrix.recipes] or [None]
    seeds: list[int | None] = [*matrix.seeds] or [None]
    for model in matrix.models or [str(matrix.base.get("model", ""))]:
        for recipe in recipes:
            for seed in seeds:
                parts = [Path(model).name or "model", *([Path(recipe).stem] if recipe else []), *([f"s{seed}"] if seed is not None else [])]
                name = re.sub(r"[^a-z0-9._-]", "-", "-".join(parts).lower())[:64]
                fields = {**matrix.base, "model": model, "recipe": recipe, "seed": seed, "name": name}
                made.append(convert({k: v for k, v in fields.items() if v is not None}, Contestant, f"{where}: matrix"))
    return msgspec.structs.replace(profile, contestants=[*profile.contestants, *made], matrix=None)


TAKEN = frozenset(["curated", "answers", "scores", "charts", "notebooks", "steps"]) | frozenset(
    ["profile.yaml", "manifest.json", "comparison.xlsx", "report.html", "report.md"]
)


def check_profile(profile: Profile, where: str) -> None:
    """The rules that types alone cannot say. Raises ProfileError."""
    if not NAME.fullmatch(profile.name):
        raise ProfileError(f"{where}: name {profile.name!r} must match [a-z0-9][a-z0-9._-]{{0,63}}, because it names a folder.")
    names: set[str] = set()
    for contestant in profile.contestants:
        at = f"{where}: contestant {contestant.name!r}"
        if not NAME.fullmatch(contestant.name) or contestant.name in TAKEN:
            raise ProfileError(f"{at}: the name must match [a-z0-9][a-z0-9._-]{{0,63}} and not be one of {', '.join(sorted(TAKEN))}.")
        if contestant.name in names:
            raise ProfileError(f"{at} stands twice; names must differ.")
        names.add(contestant.name)
        _check_contestant(contestant, at)
    for key, size in (("train", profile.data.train), ("valid", profile.data.valid), ("test", profile.data.test)):
        if size is not None and (size < 0 or (isinstance(size, float) and size >= 1 and size != int(size))):
            raise ProfileError(f"{where}: data.{key} is {size}; give a number of rows, or a share between 0 and 1.")
    if profile.data.test == 0:
        raise ProfileError(f"{where}: data.test is 0, and a comparison needs test rows; ask for 100 or more.")
    if profile.budget_usd < 0:
        raise ProfileError(f"{where}: budget_usd is {profile.budget_usd}; it cannot be negative.")


def _check_contestant(contestant: Contestant, at: str) -> None:
    nothing = [key for key in ("existing", "few_shot", "recorded") if getattr(contestant, key) is not None]
    if len(nothing) > 1:
        raise ProfileError(f"{at}: {' and '.join(nothing)} are both given; choose one.")
    if contestant.epochs is not None and contestant.steps is not None:
        raise ProfileError(f"{at}: epochs and steps are both given; choose one.")
    if not contestant.model and contestant.existing is None and contestant.recorded is None:
        raise ProfileError(f"{at}: model is missing; `ftlib models` lists them.")
    if contestant.trainer == "hosted" and not contestant.provider and contestant.recorded is None:
        raise ProfileError(f"{at}: provider is missing (sandbox, openai, azure, nebius, together, or one of your own).")
    if contestant.trainer == "local" and contestant.provider:
        raise ProfileError(f"{at}: provider belongs to trainer: hosted; remove it, or change the trainer.")
    for key in ("epochs", "steps", "minutes", "batch", "accumulate", "max_length", "concurrency"):
        size = getattr(contestant, key)
        if size is not None and not 0 < size < float("inf"):
            raise ProfileError(f"{at}: {key} is {size}; it must be a number above 0.")
    if contestant.trainer == "hosted":
        check_whole_epochs(contestant.epochs, f"{at}: epochs")


def check_whole_epochs(epochs: float | None, what: str) -> None:
    """Raises ProfileError where a hosted service would have to train a part of an epoch."""
    if epochs is not None and epochs != int(epochs):
        raise ProfileError(f"{what} is {epochs:g}, but a hosted service trains whole epochs; give a whole number, or fewer rows.")


def dump_profile(profile: Profile) -> str:
    """A profile as YAML, resolved: what ``profile.yaml`` in a run folder holds."""
    return yaml.safe_dump(msgspec.to_builtins(profile), sort_keys=False, allow_unicode=True)
