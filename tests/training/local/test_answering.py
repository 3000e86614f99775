"""Answers in batches equal those one by one; base and tuned come from one model; likelihood counts the answer alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftlib.errors import TrainingFailed
from ftlib.training.local import generate
from ftlib.training.local.likelihood import likelihood_batch
from ftlib.training.local.load import Loaded, load
from ftlib.training.local.rows import Example
from ftlib.training.local.tuning import tune
from tests.training.local import micro


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    tune(micro.model(), micro.examples(48), [], micro.settings(lr=2e-2, epochs=2, checkpoint_steps=None), out)
    return out


@pytest.fixture(scope="module")
def loaded(tuned: Path) -> Loaded:
    return load(micro.model(), micro.settings(), adapter=tuned / "adapter")


def questions(count: int) -> list[list[dict[str, str]]]:
    return [list(example.prompt) for example in micro.examples(count, 500)]


@pytest.mark.parametrize("state", [False, True])
def test_batched_answers_equal_those_one_by_one(loaded: Loaded, state: bool) -> None:
    asked = questions(7)
    alone = [generate.answer_batch(loaded, [q], tuned=state, max_new_tokens=24)[0] for q in asked]
    together: list[Any] = [None] * 7
    for places in generate.by_length(loaded, asked, 4):
        for place, answer in zip(places, generate.answer_batch(loaded, [asked[p] for p in places], tuned=state, max_new_tokens=24), strict=True):
            together[place] = answer
    assert [a.text for a in together] == [a.text for a in alone]
    assert [a.tokens_in for a in together] == [a.tokens_in for a in alone]
    assert all(a.tokens_out <= 24 and a.seconds > 0 for a in together)


def test_the_base_is_the_model_without_its_adapter(loaded: Loaded) -> None:
    plain = load(micro.model(), micro.settings())
    asked = questions(4)

    def texts(model: Loaded, state: bool) -> list[str]:
        return [a.text for a in generate.answer_batch(model, asked, tuned=state, max_new_tokens=16)]

    assert texts(loaded, False) == texts(plain, False)
    assert texts(loaded, True) != texts(loaded, False)


def test_the_models_own_decoding_is_left_aside_and_its_end_tokens_are_not(loaded: Loaded, tuned: Path, tmp_path: Path) -> None:
    """Published models bring a repetition penalty, sampling and several end tokens in their generation_config.json."""
    import json
    import shutil

    own = tmp_path / "model"
    shutil.copytree(micro.model(), own)
    brought = {"repetition_penalty": 1.8, "no_repeat_ngram_size": 2, "num_beams": 3, "do_sample": True, "temperature": 5.0, "top_k": 3}
    (own / "generation_config.json").write_text(json.dumps({**brought, "eos_token_id": [2, 3, 77], "pad_token_id": 0}))
    other = load(own, micro.settings(), adapter=tuned / "adapter")
    assert other.template.stop_ids == [2, 3, 77]
    other.template.stop_ids = loaded.template.stop_ids
    asked = questions(4)
    for state in (False, True):
        for temperature in (0.0, 2.0):
            ours, plain = (generate.answer_batch(m, asked, tuned=state, max_new_tokens=16, temperature=temperature) for m in (other, loaded))
            assert [a.text for a in ours] == [a.text for a in plain]
    assert other.model.get_base_model().generation_config.repetition_penalty == 1.8, "an exported model keeps its own"


def test_a_length_limit_and_a_stop_text_are_told_apart(loaded: Loaded) -> None:
    asked = questions(1)
    long = generate.answer_batch(loaded, asked, tuned=True, max_new_tokens=4)[0]
    assert (long.finish, long.tokens_out) == ("length", 4)
    word = long.text[len(long.text) // 2]
    cut = generate.answer_batch(loaded, asked, tuned=True, max_new_tokens=4, stop=[word])[0]
    assert cut.finish == "stop"
    assert word not in cut.text


def test_sampling_repeats_with_its_seed(loaded: Loaded) -> None:
    def draw(seed: int) -> list[str]:
        return [a.text for a in generate.answer_batch(loaded, questions(3), tuned=False, max_new_tokens=16, temperature=1.5, seed=seed)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_batches_are_of_like_length_and_hold_every_question_once(loaded: Loaded) -> None:
    asked = questions(9)
    groups = list(generate.by_length(loaded, asked, 4))
    assert sorted(place for group in groups for place in group) == list(range(9))
    lengths = [len(loaded.template.prompts([asked[p]])[0]) for group in groups for p in group]
    assert lengths == sorted(lengths, reverse=True)


def test_likelihood_is_that_of_the_answer_after_the_prompt(loaded: Loaded) -> None:
    import torch

    rows = [Example(e.prompt, e.answer) for e in micro.examples(3, 700)]
    batch = likelihood_batch(loaded, rows, tuned=True)
    for example, found in zip(rows, batch, strict=True):
        ((prompt, answer),) = loaded.template.rows([example.prompt], [example.answer])
        total, end = 0.0, 0.0
        with loaded.state(tuned=True) as model, torch.inference_mode():
            for place, token in enumerate(answer):
                logits = model(input_ids=torch.tensor([[*prompt, *answer[:place]]])).logits[0, -1]
                end = -float(torch.log_softmax(logits, -1)[token])
                total += end
        assert found.nats == pytest.approx(total - end, rel=1e-4)
        assert found.end_nats == pytest.approx(end, rel=1e-3)
        assert found.bytes == len(example.answer.encode())
        assert found.bits_per_byte == pytest.approx(found.nats / math.log(2) / found.bytes)


def test_tuning_makes_the_expected_answers_likelier(loaded: Loaded) -> None:
    rows = micro.examples(6, 800)

    def total(state: bool) -> float:
        return sum(found.nats for found in likelihood_batch(loaded, rows, tuned=state))

    assert total(True) < 0.98 * total(False)


def test_a_batch_that_memory_is_too_small_for_is_halved(loaded: Loaded, tmp_path: Path) -> None:
    from ftlib.configuration import convert
    from ftlib.profile import Profile as Shape
    from ftlib.runs import Run
    from ftlib.training.local.trainer import LocalTrainer

    profile = convert({"name": "x", "contestants": [{"name": "c", "trainer": "local", "model": str(micro.model())}]}, Shape, "test")
    trainer = LocalTrainer(Run.create(tmp_path / "run", profile), profile.contestants[0])
    sizes: list[int] = []

    def work(places: list[int]) -> list[int]:
        sizes.append(len(places))
        if len(places) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        return places

    def all_done() -> Iterator[tuple[int, int]]:
        yield from trainer._in_batches(loaded, list(range(7)), questions(7), 8, work)

    assert sorted(all_done()) == [(place, place) for place in range(7)]
    assert max(sizes) == 7

    def never(places: list[int]) -> list[int]:
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(TrainingFailed, match=r"Memory ran out on one question of \d+ tokens; free some, or choose a smaller model\."):
        list(trainer._in_batches(loaded, [0], questions(1), 8, never))
