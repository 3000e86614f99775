"""The tiny models: real ones, kept by hash, whole or absent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from ftlib.errors import ProfileError
from ftlib.training.local import prose, tiny
from tests.training.local import micro


def test_a_tiny_model_is_a_llama_with_a_chat_template() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    folder = micro.model()
    assert isinstance(AutoModelForCausalLM.from_pretrained(folder), LlamaForCausalLM)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "A “quoted” mug – 5 € é 日本"
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True).endswith("<|assistant|>")


def test_the_text_of_the_pre_training_is_what_the_chat_template_makes() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(micro.model())
    for example in islice(prose.conversations(7, ["mug", "pen"]), 40):
        whole = [*example.prompt, {"role": "assistant", "content": example.answer}]
        asked = tokenizer.apply_chat_template(example.prompt, tokenize=False, add_generation_prompt=True)
        assert asked + example.answer + tiny.END == tokenizer.apply_chat_template(whole, tokenize=False)


def test_only_answers_and_prose_are_learned() -> None:
    from transformers import AutoTokenizer

    folder = micro.model()
    tokenizer, build = AutoTokenizer.from_pretrained(folder), tiny.BUILDS["tiny-micro"]
    ids, labels = tiny.blocks(build, tokenizer, ["mug", "pen"])
    assert ids.shape == labels.shape == (build.steps * build.batch, build.length)
    learned = labels != -100
    assert (ids[learned] == labels[learned]).all()
    assert not (set(labels[learned].tolist()) & {tokenizer.convert_tokens_to_ids(role) for role in tiny.ROLES})
    assert 0.2 < learned.float().mean() < 0.8


def test_a_second_use_costs_nothing_and_a_damaged_one_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLIB_HOME", str(tmp_path))
    built: list[Path] = []
    real = tiny.make

    def make(build: tiny.Build, texts: list[str], out: Path) -> None:
        built.append(out)
        real(build, texts, out)

    monkeypatch.setattr(tiny, "make", make)
    folder = tiny.build_tiny("tiny-micro")
    weights = (folder / "model.safetensors").read_bytes()
    assert tiny.build_tiny("tiny-micro") == folder
    assert len(built) == 1
    (folder / "model.safetensors").write_bytes(weights[:-1])
    (tmp_path / "models" / ".tiny-micro-abc.999999999").mkdir()  # what a killed build leaves
    assert tiny.build_tiny("tiny-micro") == folder
    assert len(built) == 2
    assert (folder / "model.safetensors").read_bytes() == weights, "the same build gives the same weights"
    assert [p.name for p in (tmp_path / "models").iterdir()] == [folder.name]


def test_two_at_once_build_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTLIB_HOME", str(tmp_path))
    built: list[Path] = []
    real = tiny.make

    def make(build: tiny.Build, texts: list[str], out: Path) -> None:
        built.append(out)
        real(build, texts, out)

    monkeypatch.setattr(tiny, "make", make)
    with ThreadPoolExecutor(2) as pool:
        first, second = (done.result() for done in [pool.submit(tiny.build_tiny, "tiny-micro") for _ in range(2)])
    assert first == second
    assert len(built) == 1


def test_an_unknown_tiny_model_is_named() -> None:
    with pytest.raises(ProfileError, match="'tiny-gpt'"):
        tiny.build_tiny("tiny-gpt")


def test_the_general_text_repeats_with_its_seed_and_holds_no_row_of_the_sample() -> None:
    texts = tiny.sample_texts()
    words = tiny.common_words(texts)
    first, again, other = (list(islice(prose.conversations(seed, words), 300)) for seed in (5, 5, 6))
    assert first == again != other
    contents = {text for text in texts if len(text) > 60}
    assert not any(content in example.answer for example in first for content in contents)
    assert len(set(islice(prose.passages(5), 50))) > 40
