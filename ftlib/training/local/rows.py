"""Training rows as questions and answers, and as tokens: loss on the answer only, its end-of-turn token included."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftlib.errors import DataError
from ftlib.formatting.task import Prompt, join_turn

if TYPE_CHECKING:
    from ftlib.training.local.template import Template

log = logging.getLogger("ftlib")
Message = dict[str, str]
IGNORED = -100  # the label that torch's cross-entropy leaves out


@dataclass(frozen=True)
class Example:
    """One question with its answer: messages up to the question, and the text that is to be learned."""

    prompt: tuple[Message, ...]
    answer: str


def from_instruction(row: Mapping[str, Any]) -> Example:
    """An instruction row ``{instruction, input, output, system?}`` as an example."""
    system = [{"role": "system", "content": str(row["system"])}] if row.get("system") else []
    return Example((*system, user_turn(str(row["instruction"]), str(row.get("input") or ""))), str(row["output"]))


def from_chat(row: Mapping[str, Any]) -> list[Example]:
    """A chat row ``{messages}`` as one example for each assistant turn whose weight is not 0."""
    turns = [{"role": str(m["role"]), "content": str(m["content"])} for m in row["messages"]]
    return [
        Example(tuple(turns[:place]), turn["content"])
        for place, turn in enumerate(turns)
        if turn["role"] == "assistant" and row["messages"][place].get("weight") != 0
    ]


def from_rows(rows: Iterable[Mapping[str, Any]], where: str) -> list[Example]:
    """Examples of a file in either format. Raises DataError naming the line that is neither."""
    found: list[Example] = []
    for number, row in enumerate(rows, 1):
        try:
            found += from_chat(row) if "messages" in row else [] if row.get("weight") == 0 else [from_instruction(row)]
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}, line {number}: neither an instruction nor a chat row ({error!r}); `ftlib format` makes them.") from error
    return found


def from_prompt(prompt: Prompt) -> list[Message]:
    """The messages of a question, built as those of a training row are."""
    messages = prompt.messages()
    return [*messages[:-1], user_turn(prompt.instruction, prompt.input)]


def user_turn(instruction: str, text: str) -> Message:
    """A user's turn. It carries instruction and input apart too, which an Alpaca template shows under their own headings."""
    return {"role": "user", "content": join_turn(instruction, text), "instruction": instruction, "input": text}


@dataclass(frozen=True)
class Tokens:
    """Token ids of one example; ``labels`` are IGNORED over the prompt."""

    input_ids: list[int]
    labels: list[int]
    cut: bool = False  # the answer's end is missing, and with it the token that ends the turn

    @property
    def supervised(self) -> int:
        """Tokens that the loss is taken over."""
        return sum(label != IGNORED for label in self.labels)


def tokenise(examples: Sequence[Example], template: Template, *, max_length: int, truncate: bool, where: str) -> list[Tokens]:
    """Tokens of each example, in the model's template (``Template.rows``).

    Raises DataError where a row is longer than ``max_length`` and may not be truncated, or where a prompt leaves no room.
    """
    rows = template.rows([e.prompt for e in examples], [e.answer for e in examples])
    lengths = [len(prompt) + len(answer) for prompt, answer in rows]
    made: list[Tokens] = []
    for number, (prompt, answer) in enumerate(rows, 1):
        if len(prompt) >= max_length - 1:
            raise DataError(f"{where}, row {number}: its prompt alone has {len(prompt)} tokens and max_length is {max_length}; raise max_length.")
        if lengths[number - 1] > max_length and not truncate:
            many = sum(length > max_length for length in lengths)
            raise DataError(
                f"{where}: {many} of {len(examples)} rows are longer than max_length {max_length} (the first is row {number}, the longest has "
                f"{max(lengths)} tokens); set the contestant's truncate: true, which cuts their answers, raise its max_length if the model takes "
                "more, or keep such rows out with the recipe."
            )
        labels = [IGNORED] * len(prompt) + answer
        made.append(Tokens([*prompt, *answer][:max_length], labels[:max_length], cut=lengths[number - 1] > max_length))
    if cut := sum(row.cut for row in made):
        log.warning("%s: the answers of %d of %d rows are cut so that no row has more than %d tokens (truncate)", where, cut, len(made), max_length)
    return made
