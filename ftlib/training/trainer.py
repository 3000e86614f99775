"""What every trainer offers, and which one a contestant gets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ftlib.errors import ProfileError
from ftlib.formatting.task import Prompt
from ftlib.profile import Contestant, load_profile
from ftlib.runs import Run

Finish = Literal["stop", "length", "refusal", "filtered", "error"]


@dataclass(frozen=True)
class Answer:
    """What came back for one prompt. ``text`` is None only where ``finish`` is ``error``; ``error`` then says why."""

    text: str | None
    finish: Finish
    rendered_hash: str  # of what the model really received
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float | None = None  # of this item; of its batch divided by its size where answered together
    usd: float | None = None  # None: nothing is charged here
    fingerprint: str | None = None  # what the service says of the system that answered
    error: str | None = None


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds an expected answer, its prompt given.

    ``nats`` is the negative log-likelihood of the answer's own tokens, the end-of-turn token apart in ``end_nats``;
    ``bytes`` is the length of the answer in UTF-8.
    """

    nats: float
    tokens: int
    bytes: int
    end_nats: float

    @property
    def bits_per_byte(self) -> float | None:
        """nats / (ln 2 x bytes), comparable across tokenizers; None for an empty answer."""
        return self.nats / (math.log(2) * self.bytes) if self.bytes else None


class Trainer(Protocol):
    """What tunes and asks one contestant of one run.

    A local trainer also has ``likelihood(prompts, expected, *, tuned)``, yielding (position, Likelihood) as ``ask`` does.
    """

    run: Run
    contestant: Contestant

    def settings(self) -> dict[str, Any]:
        """What the training depends on besides its files (model, revision, settings, library versions); light to call."""
        ...

    def estimate(self) -> dict[str, Any]:
        """Tokens, seconds, bytes and dollars before anything starts."""
        ...

    def train(self) -> None:
        """Tune, resumably; writes training.json and adapter/ or job.json in the contestant's folder.

        Raises Refused (nothing was spent) or TrainingFailed; training.json says so too.
        """
        ...

    def ask(self, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
        """Answer prompts, yielding (position, answer) as they are ready; the caller stores each before taking the next."""
        ...

    def close(self) -> None:
        """Give back memory, connections and child processes."""
        ...


def trainer_for(run: Run, contestant: Contestant) -> Trainer:
    """The trainer of a contestant: ``local`` or ``hosted``."""
    if contestant.trainer == "local":
        from ftlib.training.local.trainer import LocalTrainer

        return LocalTrainer(run, contestant)
    from ftlib.training.hosted.trainer import HostedTrainer

    return HostedTrainer(run, contestant)


def contestant_name(profile: str, contestant: str, trainer: Literal["local", "hosted"]) -> str:
    """The contestant asked for, or the profile's first of that trainer. Raises ProfileError where there is none."""
    names = [c.name for c in load_profile(profile).contestants if c.trainer == trainer]
    if contestant and contestant in names:
        return contestant
    if contestant or not names:
        asked = f"{contestant!r} is no {trainer} contestant of {profile}" if contestant else f"{profile} has no {trainer} contestant"
        elsewhere = "Notebook 04 trains hosted ones." if trainer == "local" else "Notebook 03 trains local ones."
        raise ProfileError(f"{asked}; there are: {', '.join(names) or 'none'}. {elsewhere}")
    return names[0]
