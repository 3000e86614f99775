"""The pictures of notebook 02 show every character, as it is."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ftlib.formatting import showing

matplotlib = pytest.importorskip("matplotlib")


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_row_is_shown_whole_with_its_keys() -> None:
    figure = showing.row_figure({"instruction": "Say.", "input": "", "output": "a $x^2$ <b>b</b>"}, "A row")
    assert texts(figure) == ["instruction", "Say.", "input", "", "output", "a $x^2$ <b>b</b>"]
    assert not any(text.get_parse_math() for text in figure.axes[0].texts)
    figure.savefig(io.BytesIO())


def test_a_chat_row_shows_its_roles() -> None:
    figure = showing.row_figure({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}, "A row")
    assert texts(figure) == ["user", "Q", "assistant", "A"]


@pytest.mark.parametrize("text", ["", "\n", "a\nb", "word " * 100, "x" * 500, "a  b\n\n c ", "\U0001f375 \u4e2d\u6587"])
def test_wrapping_loses_nothing(text: str) -> None:
    lines = showing._wrapped(text)
    assert "".join(lines).replace("\u00b6", "\n").replace("\n", "") == text.replace("\n", "")
    assert "".join(lines).count("\u00b6") == text.count("\n")


def test_a_very_long_text_says_how_much_is_not_shown() -> None:
    lines = showing._wrapped("line\n" * 100)
    assert len(lines) == showing.MOST_LINES + 1
    assert lines[-1] == f"... and {101 - showing.MOST_LINES} more lines"


def test_masked_and_learnt_stand_on_their_own_paper() -> None:
    figure = showing.seen_figure("<|user|>Q", "A<|end|>", "", "<|user|>QA<|end|>", "Seen")
    assert texts(figure) == ["given, no loss", "<|user|>Q", "learnt", "A<|end|>"]
    figure.savefig(io.BytesIO())


def test_what_the_template_writes_after_the_turn_is_shown_apart() -> None:
    figure = showing.seen_figure("<|user|>Q", "A<|end|>", "\n<|eos|>", "<|user|>QA<|end|>\n<|eos|>", "Seen")
    assert texts(figure)[4:] == ["not fed, no loss", "\u00b6", "<|eos|>"]


def test_an_answer_that_the_template_writes_otherwise_is_shown_with_what_it_writes() -> None:
    figure = showing.seen_figure("<|user|>Q", " A<|end|>", None, "<|user|>QA<|end|>", "Seen")
    assert texts(figure)[4:] == ["its template", "<|user|>QA<|end|>"]


def test_lengths_name_mean_and_longest() -> None:
    figure = showing.lengths_figure({"a": [10, 20, 30]})
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "a (mean 20, longest 30)"
