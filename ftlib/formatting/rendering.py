"""What a local model really sees: the text of a prompt in its template, its tokens, and which of them count in the loss.

Training, answering and notebook 02 all call ``rendered``, so the prompt asked is the prompt trained, token for token. The
result is what TRL makes of a prompt/completion row: the loss is on the answer alone, the end of the turn included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftlib.errors import ProfileError
from ftlib.files import sha256_bytes
from ftlib.formatting.task import Prompt, join_turn, message

ALPACA_HEAD = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
ALPACA_HEAD_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request."
)


@dataclass(frozen=True)
class Rendered:
    """A prompt, and its answer where it has one, as a model receives them.

    ``ids`` and ``mask`` have one entry a token; the mask is 1 where the token counts in the loss.
    ``text[:boundary]`` is masked, the rest is learnt.
    """

    text: str
    ids: list[int]
    mask: list[int]
    boundary: int

    @property
    def hash(self) -> str:
        """Hash of the text, as ``rendered_hash`` of an answer."""
        return sha256_bytes(self.text)

    @property
    def masked(self) -> str:
        """The part that gives context and no loss."""
        return self.text[: self.boundary]

    @property
    def learnt(self) -> str:
        """The part that the loss is taken on; empty for a prompt without an answer."""
        return self.text[self.boundary :]


def choose_template(tokenizer: Any, template: str = "auto") -> str:
    """``chat`` where the tokenizer brings a chat template, else ``alpaca``. Raises ProfileError where ``chat`` is asked for and absent."""
    has = bool(getattr(tokenizer, "chat_template", None))
    if template == "auto":
        return "chat" if has else "alpaca"
    if template == "chat" and not has:
        raise ProfileError(f"template: chat needs a chat template, and the tokenizer of {tokenizer.name_or_path} has none; use template: alpaca.")
    return template


def rendered(tokenizer: Any, prompt: Prompt, answer: str | None = None, *, template: str = "auto") -> Rendered:
    """A prompt as this tokenizer's model receives it.

    Args:
        tokenizer: a Hugging Face tokenizer.
        prompt: what is asked.
        answer: the answer that is learnt; None to ask for one.
        template: ``chat`` (the tokenizer's own), ``alpaca``, or ``auto``.

    The completion begins where the tokens of the prompt and of both diverge, as in TRL's SFTTrainer.
    """
    chat = choose_template(tokenizer, template) == "chat"
    question = _chat_text(tokenizer, prompt, None) if chat else alpaca_text(prompt)
    ids = _ids(tokenizer, question, chat)
    if answer is None:
        return Rendered(question, ids, [0] * len(ids), len(question))
    text = _chat_text(tokenizer, prompt, answer) if chat else question + _ended(answer, tokenizer.eos_token)
    both = _ids(tokenizer, text, chat)
    start = common_prefix(ids, both)
    return Rendered(text, both, [0] * start + [1] * (len(both) - start), common_prefix(question, text))


def _chat_text(tokenizer: Any, prompt: Prompt, answer: str | None) -> str:
    """The conversation in the tokenizer's template; thinking is off where a template knows of it, in training as in asking."""
    messages = prompt.messages() + ([] if answer is None else [message("assistant", answer)])
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answer is None, enable_thinking=False))


def _ids(tokenizer: Any, text: str, chat: bool) -> list[int]:
    """Token ids; a chat template writes the beginning-of-text token itself."""
    return list(tokenizer(text, add_special_tokens=not chat)["input_ids"])


def _ended(answer: str, end: str | None) -> str:
    """The answer with the end-of-text token: without it in the loss a tuned model never stops."""
    return answer if end is None or answer.endswith(end) else answer + end


def common_prefix(a: Any, b: Any) -> int:
    """How many leading items two sequences share."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def alpaca_text(prompt: Prompt) -> str:
    """The Alpaca layout, as the original project used for LLaMA; worked examples stand before the question."""
    blocks = [_alpaca_block(question, "") + answer + "\n\n" for question, answer in prompt.shots]
    head = ALPACA_HEAD_INPUT if prompt.instruction and prompt.input else ALPACA_HEAD
    system = f"{prompt.system}\n\n" if prompt.system else ""
    instruction, text = (prompt.instruction, prompt.input) if prompt.instruction else (join_turn(prompt.instruction, prompt.input), "")
    return f"{system}{head}\n\n" + "".join(blocks) + _alpaca_block(instruction, text)


def _alpaca_block(instruction: str, text: str) -> str:
    return f"### Instruction:\n{instruction}\n\n" + (f"### Input:\n{text}\n\n" if text else "") + "### Response:\n"
