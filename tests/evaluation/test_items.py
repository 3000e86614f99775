"""Reading answers and references, and matching them."""

from __future__ import annotations

import re

import pytest

from ftlib.configuration import convert
from ftlib.errors import DataError, MissingExtra, ProfileError
from ftlib.evaluation.items import Given, Item, match, read_answers, read_references
from ftlib.preflight import preflight
from ftlib.profile import Profile


def test_references_and_answers(tmp_path):
    (tmp_path / "r.jsonl").write_bytes(b'\xef\xbb\xbf{"id": 1, "reference": "a"}\n\n{"id": "02", "title": "t", "content": "b"}\n')
    assert read_references(tmp_path / "r.jsonl") == [Item("1", "a"), Item("02", "b", "t")]
    (tmp_path / "a.jsonl").write_text('{"id": 1, "answer": "x", "finish": "stop", "seconds": 2}\n{"id": "02", "answer": null, "error": "timeout"}\n')
    first, second = read_answers(tmp_path / "a.jsonl")
    assert (first.failed, first.seconds, second.failed) == (False, 2, True)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "holds no line"),
        ("{", "line 1: not valid JSON"),
        ("[1]", "line 1: a line must be an object .* not a list"),
        ('{"answer": "x"}', "line 1: id is missing"),
        ('{"id": 1}', "line 1: answer is missing"),
        ('{"id": 1, "answer": 5}', "line 1: answer is a int"),
        ('{"id": 1, "answer": "a", "seconds": "0.5"}', "line 1: seconds is '0.5'; it must be a number from 0 on, or null"),
        ('{"id": 1, "answer": "a", "usd": NaN}', "line 1: usd is nan"),
        ('{"id": 1, "answer": "a", "tokens_out": -1}', "line 1: tokens_out is -1"),
        ('{"id": 1, "answer": "a", "tokens_in": true}', "line 1: tokens_in is True"),
        ('{"id": 1, "answer": "a", "finish": 5}', "line 1: finish is 5; it must be a text or null"),
        ('{"id": 1, "answer": "a", "error": {}}', "line 1: error is {}"),
        ('{"id": 1, "answer": "a"}\n{"id": "1", "answer": "b"}', "ids '1' stand more than once"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, lines, message):
    path = tmp_path / "a.jsonl"
    path.write_text(lines)
    with pytest.raises(DataError, match=message) as error:
        read_answers(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_references(tmp_path / "none.jsonl")


def test_ids_must_match_one_to_one():
    items = [Item(str(i), "") for i in range(8)]
    with pytest.raises(DataError) as error:
        match(items, [Given("0", "a"), Given("x", "b")], "file")
    assert str(error.value).startswith("file: ids '1', '2', '3', '4', '5' and 2 more have no answer; ids 'x' have no reference.")
    assert [a.id for a in match(items[:2], [Given("1", "b"), Given("0", "a")], "file")] == ["0", "1"]


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"primary": "rougel"}, "'rougel' is not among the metrics"),
        ({"metrics": ["rougeL", "chrff"]}, "no metric 'chrff' (did you mean 'chrf'"),
        ({"metrics": ["rougeL", "semantic"]}, "evaluation.embedding"),
        ({"probes": ["retension"]}, "evaluation.probes: there is no 'retension' (did you mean 'retention'"),
        ({"trivial": ["ecko"]}, "evaluation.trivial: there is no 'ecko' (did you mean 'echo'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_trained(evaluation, said):
    profile = convert({"name": "x", "contestants": [], "evaluation": evaluation}, Profile, "test")
    with pytest.raises(ProfileError, match=re.escape(said).replace("; did", ".*did")):
        preflight(profile)


def test_a_missing_library_is_named_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr("ftlib.evaluation.semantic.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="needs torch"):
        preflight(convert({"name": "x", "contestants": [], "evaluation": {"embedding": "somewhere"}}, Profile, "test"))
