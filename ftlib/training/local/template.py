"""How messages become one text, and where an answer ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from ftlib.errors import ProfileError
from ftlib.training.local.rows import Message

# Stanford Alpaca's wording (Apache-2.0); instruction and input stand apart where the message carries them so.
ALPACA = (
    "{{ bos_token or '' }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content }}\n\n"
    "{% elif m.role == 'user' %}"
    "{% if m.input is defined and m.input %}Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n### Instruction:\n{{ m.instruction }}\n\n### Input:\n{{ m.input }}\n\n"
    "{% else %}Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{{ m.content }}\n\n{% endif %}"
    "{% elif m.role == 'assistant' %}### Response:\n{{ m.content }}{{ eos_token }}\n\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)
_PROBE = "ANSWER"
_MARK = "\ufdd0"  # stands around the number of a hidden literal; Unicode keeps it out of texts
_MARKED = re.compile(f"{_MARK}(\\d+){_MARK}")


class Template:
    """A tokenizer with its chat template: renders prompts and whole rows, knows the token that ends a turn.

    The spelling of a special token in a message (``<|eot_id|>`` in a product's text) is ordinary text: it never becomes the token.
    """

    def __init__(self, tokenizer: Any, kind: Literal["auto", "chat", "alpaca"], source: str) -> None:
        self.tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # a processor of a vision model holds one
        if kind == "chat" and not self.tokenizer.chat_template:
            raise ProfileError(f"{source} has no chat template; set template: alpaca, or take the -Instruct variant of the model.")
        if kind == "alpaca" or not self.tokenizer.chat_template:
            self.tokenizer.chat_template = ALPACA
        self.kind = "alpaca" if self.tokenizer.chat_template == ALPACA else "chat"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.pad_id: int = self.tokenizer.pad_token_id
        added = {id_: token for id_, token in self.tokenizer.added_tokens_decoder.items() if token.special}
        self._special = set(self.tokenizer.all_special_ids) | set(added)
        spelled = {*self.tokenizer.all_special_tokens, *(token.content for token in added.values())}
        self._literals = [_MARK, *sorted(spelled, key=len, reverse=True)]
        self._literal = re.compile("|".join(map(re.escape, self._literals)))
        self.end_id = self._end()
        self.stop_ids = sorted({self.end_id, self.tokenizer.eos_token_id} - {None})

    def stop_at(self, ids: int | Sequence[int] | None) -> None:
        """End answers at these tokens too: those that the model's ``generation_config.json`` names, of which a tokenizer knows only one."""
        self.stop_ids = sorted({*self.stop_ids, *([ids] if isinstance(ids, int) else ids or ())})

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text up to where the model begins its answer."""
        return self.render(messages, open_turn=True)

    def prompts(self, questions: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Token ids of each question, up to where the model begins its answer."""
        return self._ids(questions, open_turn=True)

    def rows(self, questions: Sequence[Sequence[Message]], answers: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Token ids of each question and of its answer with the token that ends it, as the template writes them.

        A question's ids are those of ``prompts``, so training sees what answering sends. Where the whole row's ids do not begin with
        them, because a token would reach over the border, the answer is tokenised by itself. What a template writes after the end
        (a line break in ChatML's and Gemma's) is left out: nothing that is learned or asked comes after it.
        """
        prompts = self.prompts(questions)
        talks = [[*question, {"role": "assistant", "content": answer}] for question, answer in zip(questions, answers, strict=True)]
        made = []
        for prompt, whole, answer in zip(prompts, self._ids(talks, open_turn=False), answers, strict=True):
            rest = whole[len(prompt) :] if whole[: len(prompt)] == prompt else []
            if self.end_id in rest:
                made.append((prompt, rest[: rest.index(self.end_id) + 1]))
            else:
                made.append((prompt, [*self._encode([answer], plain=True)[0], self.end_id]))
        return made

    def decode(self, ids: Sequence[int]) -> str:
        """Text of an answer's tokens, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _encode(self, texts: Sequence[str], *, plain: bool = False) -> list[list[int]]:
        """Token ids of texts, nothing added; ``plain``: the spelling of a special token is ordinary text."""
        if not texts:
            return []
        # verbose: it would warn of rows longer than the model takes, which are counted, cut or refused elsewhere
        return list(self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=plain, verbose=False)["input_ids"])

    def _ids(self, talks: Sequence[Sequence[Message]], *, open_turn: bool) -> list[list[int]]:
        """Token ids of rendered talks; literals are hidden from the template's own special tokens while it renders."""
        texts = [self.render([self._hidden(message) for message in talk], open_turn=open_turn) for talk in talks]
        made = self._encode([text if _MARK not in text else "" for text in texts])
        return [self._unhidden(text) if _MARK in text else ids for text, ids in zip(texts, made, strict=True)]

    def _hidden(self, message: Message) -> Message:
        """A message with each special token's spelling replaced by its number between marks."""
        return {key: self._literal.sub(lambda found: f"{_MARK}{self._literals.index(found[0])}{_MARK}", text) for key, text in message.items()}

    def _unhidden(self, text: str) -> list[int]:
        """Token ids of a rendered text with hidden literals."""
        parts = _MARKED.split(text)
        ids = [self._encode([self._literals[int(part)]], plain=True)[0] if place % 2 else self._encode([part])[0] for place, part in enumerate(parts)]
        return [token for part in ids for token in part]

    def render(self, messages: Sequence[Message], *, open_turn: bool) -> str:
        """Messages as the chat template writes them; with ``open_turn`` up to where an answer begins."""
        # enable_thinking: Qwen3's template would leave room for thoughts. date_string: Llama 3.2's would write today's date, so that
        # a row trained today and asked tomorrow differed; this is the date that Llama 3.1's writes. Other templates ignore both.
        fixed = {"enable_thinking": False, "date_string": "26 Jul 2024"}
        return str(self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=open_turn, **fixed))

    def _end(self) -> int:
        """The special token that the template puts after an answer; the end-of-text token where it puts none."""
        question: list[Message] = [{"role": "user", "content": "Q", "instruction": "Q", "input": ""}]
        whole = self.render([*question, {"role": "assistant", "content": _PROBE}], open_turn=False)
        tail = self._encode([whole.rpartition(_PROBE)[2]])[0]
        return int(next((token for token in tail if token in self._special), self.tokenizer.eos_token_id))
