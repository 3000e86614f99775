"""Tasks: what is asked, and what a task may not be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftlib.configuration import builtin_names
from ftlib.errors import ProfileError
from ftlib.formatting.rows import chat_row, instruction_row
from ftlib.formatting.task import load_task

RECORD = {"id": "7", "title": "Blue cup", "content": "A cup that is blue."}


@pytest.mark.parametrize("name", ["describe", "title", "seed-gpt", "seed-llama"])
def test_built_in_tasks_have_five_paraphrases_and_a_portuguese_one(name: str) -> None:
    task = load_task(name)
    assert len(task.paraphrases) >= 6
    assert "portuguese" in task.paraphrases
    assert len(set(task.paraphrases.values()) | {task.instruction}) == len(task.paraphrases) + 1
    assert task.language == "en"


def test_every_built_in_task_loads_and_is_named_as_its_file() -> None:
    assert [load_task(name).name for name in builtin_names("tasks")] == builtin_names("tasks")


def test_the_hash_of_a_prompt_is_of_record_and_task_alone() -> None:
    task = load_task("describe")
    plain, shot = task.prompt(RECORD), task.prompt(RECORD, shots=[{"id": "8", "title": "Red cup", "content": "Red."}])
    assert plain.hash == shot.hash
    assert plain.hash != task.prompt({**RECORD, "title": "Green cup"}).hash
    assert plain.hash != task.prompt(RECORD, wording="terse").hash
    assert plain.hash != load_task("title").prompt(RECORD).hash


def test_shots_stand_between_system_and_question() -> None:
    messages = load_task("describe").prompt(RECORD, shots=[{"id": "8", "title": "Red cup", "content": "Red."}]).messages()
    assert [turn["role"] for turn in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "Red."
    assert messages[3]["content"].endswith("Blue cup")


def test_an_empty_system_text_is_trained_as_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text('name: x\nsystem: ""\ninstruction: Describe.')
    task = load_task(str(path))
    asked = task.prompt(RECORD).messages()
    assert chat_row(task, RECORD)["messages"][:-1] == asked == [{"role": "user", "content": "Describe.\n\nBlue cup"}]
    assert "system" not in instruction_row(task, RECORD)


def test_another_wording_changes_the_instruction_and_nothing_else() -> None:
    task = load_task("describe")
    prompt = task.prompt(RECORD, wording="portuguese")
    assert prompt.instruction == task.paraphrases["portuguese"]
    assert prompt.input == "Blue cup"
    with pytest.raises(ProfileError, match="did you mean 'terse'"):
        task.prompt(RECORD, wording="ters")


@given(st.text(), st.text())
def test_texts_stand_in_the_prompt_as_they_are(title: str, content: str) -> None:
    """Braces in a text are not filled again, and nothing is cut."""
    prompt = load_task("describe").prompt({"id": "1", "title": title, "content": content})
    assert prompt.input == title
    assert load_task("title").prompt({"id": "1", "title": title, "content": content}).input == content


@pytest.mark.parametrize(
    ("yaml", "what"),
    [
        ("name: x\noutput: '{text}'", "output holds {text}"),
        ("name: x\noutput: always the same", "every answer would be the same"),
        ("name: x\ninput: ''", "nothing is asked"),
        ("name: X Y", "names of a task"),
        ("name: x\nmax_new_tokens: 0", "max_new_tokens must be above 0"),
        ("name: x\nparaphrases: {a: ''}", "no paraphrase and no stop empty"),
        ("name: x\nstop: ['']", "no paraphrase and no stop empty"),
        ("name: x\ninstruction: 'Describe {title}.'", "instruction holds {title}, which is filled in input and output alone"),
        ("name: x\nsystem: 'You sell {content}.'", "system holds {content}"),
        ("name: x\nparaphrases: {brief: 'Tell of {title}.'}", "brief holds {title}"),
        ("name: x\nsytem: hello", "did you mean 'system'"),
        ("name: x\nmax_new_tokens: many", "max_new_tokens"),
    ],
)
def test_a_task_that_cannot_be_used_says_why(yaml: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml)
    with pytest.raises(ProfileError) as error:
        load_task(str(path))
    assert what in str(error.value)
    assert str(path) in str(error.value)
