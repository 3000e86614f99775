"""A provider: how files, jobs and answers are spelled at one service, and what it can do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ftlib.configuration import Strict, builtin_names, convert, nearest, read_yaml
from ftlib.errors import ProfileError


class Can(Strict):
    """What a service offers besides the four verbs; what it lacks is left out of the work and said, not met as a crash."""

    metadata: bool = True  # a job carries our key, and lists show it
    jobs_list: bool = True  # jobs can be listed
    files_list: bool = True  # files can be listed
    files_unique: bool = True  # every upload gets an id of its own, even of the same bytes
    file_status: bool = True  # a file says when it is processed
    models: bool = True  # a model can be asked after, with its shutdown date
    events: bool = True
    checkpoints: bool = True
    pause: bool = True
    batch: bool = False


class Provider(Strict):
    """The description of one service (a YAML file of ``ftlib/providers``, or a profile's ``providers``)."""

    name: str
    client: Literal["openai", "together"] = "openai"
    base_url: str | None = None
    base_url_env: str | None = None  # an environment variable that names the address
    key_env: list[str] = msgspec.field(default_factory=list)  # where the key may stand, in order
    console: str = "the provider's console"  # where a person looks jobs up
    free: bool = False  # charges nothing: no budget is needed
    can: Can = msgspec.field(default_factory=Can)
    states: dict[str, str] = msgspec.field(default_factory=dict)  # its word for a job's state -> OpenAI's
    hyperparameters: Literal["method", "flat"] = "method"  # `flat`: the older spelling, directly under `hyperparameters`
    hyperparameters_extra: dict[str, Any] = msgspec.field(default_factory=dict)
    learning_rate: Literal["multiplier", "absolute"] = "multiplier"  # what learning_rate_multiplier means there
    epochs: int | None = None  # that it takes where a job names none; None: OpenAI's rule
    evaluations: int = 0  # how often it passes over a validation file, and bills it
    job_body: dict[str, Any] = msgspec.field(default_factory=dict)  # further fields of a job's request
    suffix_dots: bool = True
    suffix_length: int = 64
    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    needs_deployment: bool = False  # a tuned model answers only after a person deployed it
    served: dict[str, str] = msgspec.field(default_factory=dict)  # contestant or model -> the name it answers under
    batch_discount: float = 0.5  # share of the usual price that a batch costs
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    attempt_s: float = 120.0  # one request
    deadline_s: float = 600.0  # one answer with all its retries
    poll_s: float = 15.0  # between looks at a job
    lookup_grace_s: float = 60.0  # how long a created thing may take to appear in the lists

    @property
    def address(self) -> str | None:
        """The base URL: the environment's where it gives one, else the description's."""
        return (os.environ.get(self.base_url_env, "").strip() or self.base_url) if self.base_url_env else self.base_url

    def suffix(self, name: str, key: str) -> str:
        """A job's suffix within this provider's rules: the contestant's name and the key that finds the job again."""
        clean = name if self.suffix_dots else name.replace(".", "-")
        tail = key.removeprefix("ftlib-")[:8]
        return f"{clean[: self.suffix_length - len(tail) - 1].strip('-')}-{tail}"

    def state(self, word: str | None) -> str:
        """A job's state in OpenAI's words; an unknown one as it is, a missing one as ``unknown``."""
        return self.states.get(word, word) if word else "unknown"


def load_provider(name: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> Provider:
    """A provider by name.

    Args:
        name: built in (openai, azure, nebius, together, sandbox), or a key of ``own``.
        own: the profile's ``providers``: a whole description, or fields that differ from the built-in one of that name.

    Raises ProfileError with the nearest known name, or the field that is wrong.
    """
    mine = (own or {}).get(name)
    known = builtin_names("providers")
    if name not in known and mine is None:
        raise ProfileError(f"There is no provider {name!r}{nearest(name, [*known, *(own or {})])}; describe one of your own under `providers:`.")
    fields: dict[str, Any] = {}
    if name in known:
        fields = dict(read_yaml(name, "providers", "provider")[0])
    for key, value in (mine or {}).items():
        inner = fields.get(key)
        fields[key] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, Mapping) else value
    provider = convert({**fields, "name": name}, Provider, f"provider {name}")
    if not provider.base_url and not provider.base_url_env:
        raise ProfileError(f"providers.{name}: base_url is missing; give the service's address, such as https://api.example.com/v1.")
    return provider
