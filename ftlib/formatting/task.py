"""A task: what is asked of a model. The one place that builds a prompt, for training, answering and evaluating alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ftlib.configuration import Strict, convert, nearest, read_yaml
from ftlib.errors import ProfileError
from ftlib.files import hash_json
from ftlib.profile import NAME

_FIELD = re.compile(r"\{(title|content)\}")
_BRACES = re.compile(r"\{([A-Za-z_]\w*)\}")
Record = Mapping[str, Any]  # id, title, content: all texts


@dataclass(frozen=True)
class Prompt:
    """One question as a model gets it, before any chat template.

    ``shots`` are worked examples (question, answer) shown before it; ``hash`` ignores them and every template.
    """

    id: str
    task: str
    system: str | None
    instruction: str
    input: str
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    shots: tuple[tuple[str, str], ...] = ()

    @property
    def user(self) -> str:
        """The user's turn: the instruction, and the input below it where there is one."""
        return join_turn(self.instruction, self.input)

    @property
    def hash(self) -> str:
        """Hash of record and task, the same for every system that is asked this."""
        return hash_json([self.id, self.task, self.system, self.instruction, self.input])

    def messages(self) -> list[dict[str, str]]:
        """Role/content messages: system if any, the shots, the question."""
        turns = [message("system", self.system)] if self.system else []
        for question, answer in self.shots:
            turns += [message("user", question), message("assistant", answer)]
        return [*turns, message("user", self.user)]


def message(role: str, content: str) -> dict[str, str]:
    """One message of a conversation."""
    return {"role": role, "content": content}


def join_turn(instruction: str, text: str) -> str:
    """Instruction and input as one user turn."""
    return "\n\n".join(part for part in (instruction, text) if part)


class Task(Strict):
    """What is asked of a model (a YAML file, or built in by name)."""

    name: str
    instruction: str = ""
    system: str | None = None
    input: str = "{title}"  # how a record becomes the question: {title} and {content} stand for its fields
    output: str = "{content}"  # and the expected answer
    language: str = "en"  # the language answers are in, whatever language the question is in
    max_new_tokens: int = 256  # an answer is cut there
    stop: list[str] = msgspec.field(default_factory=list)  # or where one of these begins
    paraphrases: dict[str, str] = msgspec.field(default_factory=dict)  # name -> the instruction in other words

    def __post_init__(self) -> None:
        for key, template in (("input", self.input), ("output", self.output)):
            unknown = [name for name in _BRACES.findall(template) if name not in ("title", "content")]
            if unknown:
                raise ValueError(f"{key} holds {{{unknown[0]}}}; a record has {{title}} and {{content}}")
        for key, text in {"system": self.system or "", "instruction": self.instruction, **self.paraphrases}.items():
            if field := _FIELD.search(text):
                raise ValueError(f"{key} holds {field[0]}, which is filled in input and output alone; write it there")
        if not _FIELD.search(self.output):
            raise ValueError("output holds neither {title} nor {content}, so every answer would be the same")
        if not (self.instruction or self.input):
            raise ValueError("instruction and input are both empty, so nothing is asked")
        if not NAME.fullmatch(self.name) or not all(NAME.fullmatch(name) for name in self.paraphrases):
            raise ValueError("names of a task and of its paraphrases must match [a-z0-9][a-z0-9._-]{0,63}, because they name files")
        if self.max_new_tokens < 1 or not all(self.paraphrases.values()) or not all(self.stop):
            raise ValueError("max_new_tokens must be above 0, and no paraphrase and no stop empty")

    def prompt(self, record: Record, *, wording: str | None = None, shots: Sequence[Record] = ()) -> Prompt:
        """The question about a record, in the task's own words or those of a named paraphrase. Raises ProfileError for an unknown one."""
        if wording and wording not in self.paraphrases:
            raise ProfileError(f"The task {self.name} has no paraphrase {wording!r}{nearest(wording, list(self.paraphrases))}.")
        instruction = self.paraphrases[wording] if wording else self.instruction
        worked = tuple((join_turn(instruction, fill(self.input, shot)), self.expected(shot)) for shot in shots)
        name = f"{self.name}/{wording}" if wording else self.name
        system = self.system or None  # an empty text is no message, neither in training nor in asking
        return Prompt(str(record["id"]), name, system, instruction, fill(self.input, record), self.max_new_tokens, tuple(self.stop), worked)

    def expected(self, record: Record) -> str:
        """The expected answer for a record."""
        return fill(self.output, record)

    @property
    def hash(self) -> str:
        """Hash of the whole definition."""
        return hash_json(msgspec.to_builtins(self))


def fill(template: str, record: Record) -> str:
    """Put a record's fields into a template in one pass, so that braces inside a text stay what they are."""
    return _FIELD.sub(lambda match: str(record[match[1]]), template)


def load_task(name: str) -> Task:
    """A built-in task by name, or one's own from a YAML file. Raises ProfileError."""
    value, where = read_yaml(name, "tasks", "task")
    return convert(value, Task, where)
