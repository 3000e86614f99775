"""How messages become one text, and where an answer ends."""

from __future__ import annotations

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


class Template:
    """A tokenizer with its chat template: renders prompts, knows the token that ends a turn."""

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
        self.end_id = self._end()
        self.stop_ids = sorted({self.end_id, self.tokenizer.eos_token_id} - {None})

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text up to where the model begins its answer."""
        return self._render(messages, open_turn=True)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of rendered texts; nothing is added to them."""
        return list(self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]) if texts else []

    def decode(self, ids: Sequence[int]) -> str:
        """Text of an answer's tokens, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def _render(self, messages: Sequence[Message], *, open_turn: bool) -> str:
        # enable_thinking: Qwen3's template would leave room for thoughts; others ignore it
        return str(self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=open_turn, enable_thinking=False))

    def _end(self) -> int:
        """The special token that the template puts after an answer; the end-of-text token where it puts none."""
        question: list[Message] = [{"role": "user", "content": "Q", "instruction": "Q", "input": ""}]
        whole = self._render([*question, {"role": "assistant", "content": _PROBE}], open_turn=False)
        tail = self.encode([whole.rpartition(_PROBE)[2]])[0]
        special = set(self.tokenizer.all_special_ids) | {id_ for id_, t in self.tokenizer.added_tokens_decoder.items() if t.special}
        return int(next((token for token in tail if token in special), self.tokenizer.eos_token_id))
