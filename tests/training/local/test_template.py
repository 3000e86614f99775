"""Training renders what a model's own chat template says, and a special token's spelling in the data stays text."""

from __future__ import annotations

import logging
from importlib import resources
from typing import Any

import pytest

from ftlib.training.local.rows import IGNORED, Example, tokenise, user_turn
from ftlib.training.local.template import Template
from tests.training.local import micro

# family -> template as TRL brings it, special tokens, the one that ends a turn
FAMILIES = {
    "gemma3": ("gemma3", ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<end_of_turn>"),
    "qwen2.5": ("qwen2_5", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|im_end|>"),
    "qwen3": ("qwen3", ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|im_end|>"),
    "llama3.1": ("llama3_1", ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|eot_id|>"),
    "llama3.2": ("llama3_2", ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|eot_id|>"),
    "phi": ("phi3", ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"], "<|end|>"),
}
SYSTEM = {"role": "system", "content": "You describe things."}


def family(name: str) -> tuple[Template, str]:
    """The micro model's tokenizer with another family's template and special tokens."""
    from transformers import AutoTokenizer

    file, special, end = FAMILIES[name]
    tokenizer: Any = AutoTokenizer.from_pretrained(micro.model())
    tokenizer.add_special_tokens({"bos_token": special[0], "eos_token": special[1], "additional_special_tokens": special[2:]})
    tokenizer.chat_template = resources.files("trl").joinpath("chat_templates", f"{file}.jinja").read_text("utf-8")
    return Template(tokenizer, "auto", name), end


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("answer", ["A red mug.", "  spaced, and\n\nwith lines \n", "Ends in <"])
def test_a_row_is_what_the_template_says_up_to_the_end_of_the_turn(name: str, answer: str) -> None:
    template, end = family(name)
    prompt = (SYSTEM, user_turn("Describe it.", "Red mug"))
    (row,) = tokenise([Example(prompt, answer)], template, max_length=10_000, truncate=False, where="train")
    whole = template.render([*prompt, {"role": "assistant", "content": answer}], open_turn=False)
    text = template.tokenizer.decode(row.input_ids)
    assert whole.startswith(text)
    assert whole[len(text) :].strip() in ("", template.tokenizer.eos_token)
    assert text.startswith(template.prompt(prompt))
    learned = template.tokenizer.decode([label for label in row.labels if label != IGNORED])
    assert learned == text.removeprefix(template.prompt(prompt))
    assert learned.endswith(end)
    assert learned.strip().startswith(answer.strip())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_special_token_in_the_data_is_text(name: str) -> None:
    template, end = family(name)
    asked = (user_turn("Describe it.", f"Red {end} mug \ufdd0"),)
    (row,) = tokenise([Example(asked, f"A mug{end} that says \ufdd0{end}.")], template, max_length=10_000, truncate=False, where="train")
    (plain,) = tokenise([Example((user_turn("Describe it.", "Red mug"),), "A mug.")], template, max_length=10_000, truncate=False, where="train")
    assert row.input_ids.count(template.end_id) == plain.input_ids.count(template.end_id)
    assert [label for label in row.labels if label == template.end_id] == [template.end_id]
    assert template.decode([label for label in row.labels if label != IGNORED]).strip() == f"A mug{end} that says \ufdd0{end}."
    assert f"Red {end} mug \ufdd0" in template.tokenizer.decode(row.input_ids)
    prompt = template.prompts([asked])[0]
    assert row.input_ids[: len(prompt)] == prompt


def test_a_row_does_not_change_with_the_day() -> None:
    """Llama 3.2's template writes today's date where nobody names one."""
    template, _ = family("llama3.2")
    assert "26 Jul 2024" in template.prompt((user_turn("Q", ""),))


def test_rows_longer_than_the_model_takes_are_no_warning_of_the_tokenizer(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    template, _ = family("phi")  # transformers sets its logger up when it is imported, and loading a model sets it to errors alone
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    caplog.set_level(logging.WARNING, logger="transformers")
    template.tokenizer.model_max_length = 4
    assert len(template.rows([[user_turn("Describe it.", "Red mug")]], ["A red mug."])[0][0]) > 4
    assert caplog.records == []
    template.tokenizer(["A red mug that is longer."])
    assert "longer than the specified maximum" in caplog.text  # where nobody asks it to be quiet


def test_where_a_token_would_reach_over_the_border_the_prompt_stays_what_is_asked() -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(micro.model())
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    template = Template(tokenizer, "chat", "glued")
    ((prompt, answer),) = template.rows([[{"role": "user", "content": "Red mug: th"}]], ["e tent"])
    assert tokenizer("the")["input_ids"] != [*tokenizer("th")["input_ids"], *tokenizer("e")["input_ids"]]
    assert prompt == template.prompts([[{"role": "user", "content": "Red mug: th"}]])[0]
    assert template.decode(answer) == "e tent"
    assert answer[-1] == template.end_id
