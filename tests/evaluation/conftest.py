"""A run that was curated and trained, with trainers that answer from a rule instead of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ftlib.configuration import convert
from ftlib.files import sha256_bytes, write_json, write_jsonl
from ftlib.formatting.task import Prompt
from ftlib.profile import Contestant, Profile
from ftlib.runs import Run
from ftlib.training.trainer import Answer, Likelihood

settings.register_profile("any machine", deadline=None)  # a busy machine is no failure
settings.load_profile("any machine")

WORDS = ["blue", "red", "oak", "steel", "round", "small", "large", "lamp", "chair", "table", "clock", "vase", "kettle", "basket", "mirror", "shelf"]


def records(start: int, count: int) -> list[dict[str, str]]:
    """Records whose contents can be told from their titles."""
    found = []
    for i in range(start, start + count):
        title = f"{WORDS[i % 7]} {WORDS[7 + i % 9]} number {i}"
        found.append({"id": f"{i:05d}", "title": title.title(), "content": f"The {title} is made by hand and comes with a guarantee of {i} months."})
    return found


class RuleTrainer:
    """Answers by a rule: tuned gives the reference but for its last word, base repeats the title."""

    asked: list[str]

    def __init__(self, run: Run, contestant: Contestant, asked: list[str], fail: Callable[[int], Exception | None]) -> None:
        self.run, self.contestant, self.asked, self.fail, self.closed = run, contestant, asked, fail, False
        self.likelihood = self._likelihood

    def settings(self) -> dict[str, Any]:
        return {}

    def ask(self, prompts: Sequence[Prompt], *, tuned: bool) -> Iterator[tuple[int, Answer]]:
        for position, prompt in reversed(list(enumerate(prompts))):
            error = self.fail(len(self.asked))
            if error:
                raise error
            self.asked.append(prompt.id)
            title = prompt.input
            text = f"The {title.lower()} is made by hand and comes with a guarantee." if tuned else f"I think it is {title}"
            yield position, Answer(text, "stop", sha256_bytes(prompt.user), len(prompt.user), len(text), 0.01, None)

    def _likelihood(self, prompts: Sequence[Prompt], expected: Sequence[str], *, tuned: bool) -> Iterator[tuple[int, Likelihood]]:
        for position, text in enumerate(expected):
            size = len(text.encode())
            yield position, Likelihood(size * math.log(2) * (1 if tuned else 8), len(text), size, 0.1)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """A run folder as curation and training leave it."""

    def make(contestants: list[dict[str, Any]] | None = None, statuses: dict[str, str] | None = None, test: int = 12, **evaluation: Any) -> Run:
        contestants = contestants or [
            {"name": "one", "trainer": "local", "model": "tiny-llama"},
            {"name": "two", "trainer": "hosted", "provider": "sandbox", "model": "tiny"},
        ]
        profile = convert(
            {"name": "trial", "contestants": contestants, "evaluation": {"resamples": 200, "probe_items": 4, **evaluation}}, Profile, "test"
        )
        run = Run.create(tmp_path / "run", profile)
        write_jsonl(run.curated / "train.jsonl", records(100, 20))
        write_jsonl(run.test_file, records(0, test))
        for c in profile.contestants:
            status = (statuses or {}).get(c.name, "done")
            write_json(run.folder(c) / "training.json", {"contestant": c.name, "status": status, "reason": None if status == "done" else "no quota"})
        return run

    return make


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Puts RuleTrainer where trainers are made. ``asked`` are the ids asked so far; ``fail`` may be replaced to raise."""
    state: dict[str, Any] = {"asked": [], "fail": lambda count: None, "made": []}

    def made(run: Run, contestant: Contestant) -> RuleTrainer:
        trainer = RuleTrainer(run, contestant, state["asked"], lambda count: state["fail"](count))
        if contestant.trainer == "hosted":
            del trainer.likelihood
        state["made"].append(trainer)
        return trainer

    monkeypatch.setattr("ftlib.evaluation.answering.trainer_for", made)
    return state


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of a few thousand parameters, untrained."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "lamp": 2, "chair": 3, "oak": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    BertModel(BertConfig(vocab_size=5, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)).save_pretrained(folder)
    return folder
