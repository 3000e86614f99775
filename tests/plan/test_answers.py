"""How long a machine takes to answer, before it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ftlib.catalogue.hardware import LAYER_STEP, answer_seconds, find_device
from ftlib.plan import estimate, estimate_text
from ftlib.plan.answers import _passes

DATA = {"source": "sample", "train": 20, "valid": 4, "test": 20}
LLAMA = {"name": "a", "trainer": "local", "model": "llama-3.2-3b"}


def profile(folder: Path, *contestants: dict[str, Any]) -> str:
    path = folder / "p.yaml"
    about = {"data": DATA, "evaluation": {"probe_items": 3, "probes": ["retention"]}, "contestants": list(contestants)}
    path.write_text(yaml.safe_dump({"name": "p", "task": "describe", **about}))
    return str(path)


def test_a_batch_goes_on_until_its_longest_answer_ends() -> None:
    assert _passes([3, 5, 2], 2) == 7
    assert _passes([], 2) == 0


def test_the_formula() -> None:
    """A billion parameters read 6,250 tokens at 12.5e12 operations a second in one second; 10 layers write 100 tokens."""
    low, expected, high = answer_seconds(10**9, 10, 6_250, (50, 100, 200), find_device("t4"))
    assert (low, expected, high) == pytest.approx([1 + 500 * LAYER_STEP[0], 1 + 1000 * LAYER_STEP[1], 1 + 2000 * LAYER_STEP[2]])


def test_answers_are_timed_and_a_base_that_is_asked_already_takes_no_time(tmp_path: Path) -> None:
    found = estimate(profile(tmp_path, LLAMA, {**LLAMA, "name": "b", "lr": 1e-3}))
    first, second = found["contestants"]
    assert 0 < second["answers_seconds"] < first["answers_seconds"] < 2.2 * second["answers_seconds"]
    assert second["base_answers_of"] == {"test": "a", "retention": "a"}
    assert first["answers_seconds_low"] < first["answers_seconds"] < first["answers_seconds_high"]
    assert found["local_seconds_high"] == sum(part[key] for part in (first, second) for key in ("seconds_high", "answers_seconds_high"))
    assert "x 28 layers x 2.1 ms (1 to 3, by published speeds)" in estimate_text(found)
    assert "local training and answers on t4: " in estimate_text(found)


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"engine": "vllm"}, "vLLM puts answers together"), ({"model": "someone/unheard-of"}, "the sizes of someone/unheard-of are not")],
)
def test_what_cannot_be_timed_says_why(tmp_path: Path, fields: dict[str, str], why: str) -> None:
    found = estimate(profile(tmp_path, {**LLAMA, **fields}))
    assert why in found["contestants"][0]["na"]["answers_seconds"]
    assert found["local_seconds"] is None
    assert f"time of answering: n/a, {why}" in estimate_text(found)


def test_expected_texts_that_are_longer_than_an_answer_may_be_are_warned_of(tmp_path: Path) -> None:
    task = tmp_path / "short.yaml"
    task.write_text("name: short\ninstruction: Describe it.\ninput: '{title}'\noutput: '{content}'\nmax_new_tokens: 20\n")
    path = profile(tmp_path, LLAMA)
    assert not any("longer than an answer may be" in line for line in estimate(path)["warnings"])
    (warning,) = [line for line in estimate(path, overrides=[f"task={task}"])["warnings"] if "longer than an answer may be" in line]
    assert warning.startswith("a: ")
    assert "of 20 expected texts" in warning
