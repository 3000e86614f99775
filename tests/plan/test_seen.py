"""What a local model sees of a training row: the template's own text, its mask, and what of it is not fed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftlib.catalogue import find_model
from ftlib.errors import DataError
from ftlib.plan.tokenizers import LocalTokens, local_tokens, row_counter

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% else %}{{ eos_token }}{% endif %}"
)
TRIMMING = CHATML.replace("{{ m.content }}", "{{ m.content | trim }}")
ROW = {"instruction": "Describe.", "input": "Caf\u00e9 cup", "output": "A cup \u2013 blue.", "system": "Be brief."}


def counter_of(folder: Path, template: str) -> LocalTokens:
    """The micro model's tokenizer with another template, from a folder, as a model of one's own is."""
    transformers = pytest.importorskip("transformers")
    from tests.training.local import micro

    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(micro.model())
    special = ["<|im_start|>", "<|im_end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    tokenizer.add_special_tokens({"eos_token": "<|endoftext|>", "additional_special_tokens": special})
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    counter = local_tokens(find_model(str(folder)))
    assert counter is not None
    return counter


@pytest.mark.parametrize(("template", "end", "tail"), [(CHATML, "<|im_end|>", "\n"), (PHI, "<|end|>", "<|endoftext|>")], ids=["chatml", "phi"])
def test_the_text_is_the_templates_and_what_stands_after_the_turn_is_not_fed(template: str, end: str, tail: str, tmp_path: Path) -> None:
    counter = counter_of(tmp_path, template)
    seen = counter.seen(ROW)
    assert seen.learnt == ROW["output"] + end
    assert seen.tail == tail
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Describe.\n\nCaf\u00e9 cup"}]
    tokenizer = counter.template.tokenizer
    assert seen.given == tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    turns.append({"role": "assistant", "content": ROW["output"]})
    assert seen.given + seen.learnt + seen.tail == seen.written == tokenizer.apply_chat_template(turns, tokenize=False)


def test_an_answer_that_the_template_trims_is_learnt_as_the_template_writes_it(tmp_path: Path) -> None:
    seen = counter_of(tmp_path, TRIMMING).seen({**ROW, "output": "  A cup.\n"})
    assert seen.learnt == "A cup.<|im_end|>"
    assert seen.tail == "\n"


def test_of_a_conversation_every_answer_is_counted_and_the_last_is_shown(tmp_path: Path) -> None:
    counter = counter_of(tmp_path, CHATML)
    talk = [{"role": role, "content": f"{role} {n}"} for n in (1, 2) for role in ("user", "assistant")]
    (first, last), (one,) = counter.by_row([{"messages": talk}, {"messages": talk[:2]}])
    assert first == one < last
    assert counter.count([{"messages": talk}]) == [first, last]
    assert "assistant 1<|im_end|>" in counter.seen({"messages": talk}).given
    assert counter.seen({"messages": talk}).learnt == "assistant 2<|im_end|>"
    count = row_counter(str(tmp_path))
    assert count is not None
    assert count({"messages": talk}) == last


def test_a_row_of_which_nothing_is_learnt_has_no_tokens_and_says_so(tmp_path: Path) -> None:
    counter = counter_of(tmp_path, CHATML)
    row = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "weight": 0}]}
    assert counter.by_row([row]) == [[]]
    count = row_counter(str(tmp_path))
    assert count is not None
    assert count(row) == 0
    with pytest.raises(DataError, match="nothing of it is learnt"):
        counter.seen(row)


def test_what_is_shown_is_what_is_trained() -> None:
    """The learnt part is the answer and the token that ends it; both parts together are the tokens that are counted."""
    pytest.importorskip("transformers")
    counter = local_tokens(find_model("tiny-llama"))
    assert counter is not None
    row = {"instruction": "Describe.", "input": "Caf\u00e9 cup", "output": "A cup \u2013 blue.", "system": "Be brief."}
    seen = counter.seen(row)
    assert seen.learnt == "A cup \u2013 blue.<|end|>"
    assert seen.given.endswith("Describe.\n\nCaf\u00e9 cup<|end|><|assistant|>")
    tokenizer = counter.template.tokenizer
    assert counter.count([row]) == [len(tokenizer(seen.given + seen.learnt, add_special_tokens=False)["input_ids"])]


def test_what_is_shown_is_what_trl_makes_of_a_prompt_and_a_completion() -> None:
    pytest.importorskip("transformers")
    counter = local_tokens(find_model("tiny-llama"))
    assert counter is not None
    row = {"instruction": "Describe.", "input": "Cup", "output": "A cup."}
    seen = counter.seen(row)
    tokenizer = counter.template.tokenizer
    prompt = [{"role": "user", "content": "Describe.\n\nCup"}]
    assert seen.given == tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    assert seen.given + seen.learnt == tokenizer.apply_chat_template([*prompt, {"role": "assistant", "content": "A cup."}], tokenize=False)
