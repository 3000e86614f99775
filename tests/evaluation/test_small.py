"""Trivial systems, near-equal titles, checks of the retention probe, bleeding, costs, seeds, semantic similarity."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from ftlib.errors import Refused
from ftlib.evaluation.bleeding import blurbs
from ftlib.evaluation.checks import CHECKS, passes
from ftlib.evaluation.costs import quantile
from ftlib.evaluation.flexibility import against_base, by_row, changes, interval, mean, wording
from ftlib.evaluation.likelihood import bits_per_byte
from ftlib.evaluation.questions import ask_task, probe, probe_rows
from ftlib.evaluation.recorded import training_texts
from ftlib.evaluation.seeds import spread
from ftlib.evaluation.semantic import embed, semantic
from ftlib.evaluation.similar import clusters
from ftlib.evaluation.trivial import Index, answer_trivially, most_typical
from ftlib.evaluation.words import unicode_words
from ftlib.formatting.task import load_task

RIGHT = json.loads(Path(__file__).with_name("right_answers.json").read_text("utf-8"))  # one right answer to each retention item
WRONG = json.loads(Path(__file__).with_name("wrong_answers.json").read_text("utf-8"))  # and one that is nearly right
ORDINARY = json.loads(Path(__file__).with_name("ordinary_answers.json").read_text("utf-8"))  # none of them in ftlib/probes/ordinary.jsonl
BLURB = (
    "This beautifully written volume offers readers a sweeping account of life in 1931, with 12 illustrations, and a foreword by the author himself."
)


def test_sixty_retention_items_each_pass_a_right_answer_and_fail_a_wrong_one_and_a_blurb():
    rows = probe("retention")
    assert len(rows) == len({row["id"] for row in rows}) == 60
    assert len({row["kind"] for row in rows}) == 8
    assert {row["check"]["type"] for row in rows} == set(CHECKS)
    for row in rows:
        assert passes(RIGHT[row["id"]], row["check"]), row["id"]
        assert not passes(WRONG[row["id"]], row["check"]), row["id"]
        assert not passes(BLURB, row["check"]), row["id"]
        assert not passes("", row["check"])
        assert not passes(None, row["check"])


@pytest.mark.parametrize(
    ("item", "answer"),
    [
        ("rewriting-01", "The boat left the harbor at noon."),
        ("rewriting-08", "Kids played outside despite rain."),
        ("json-01", '{"age": "31", "name": "Olga"}'),
        ("json-02", "[4.0, 12, 7]"),
        ("arithmetic-02", "9 × 6 = 54.0"),
        ("nonsense-01", "Tuesday has no weight."),
        ("nonsense-01", "I’m sorry, but a day can’t be weighed, so I can’t answer that."),
        ("nonsense-02", "Triangles don't sing."),
        ("nonsense-03", "None: a smell has no corners."),
        ("nonsense-04", "I don't understand; this is gibberish."),
        ("nonsense-05", "There is not enough information to know that."),
        ("nonsense-06", "Numbers never marry."),
        ("nonsense-07", "Silence has no colour."),
    ],
)
def test_what_is_right_in_other_words_passes(item, answer):
    assert passes(answer, next(row for row in probe("retention") if row["id"] == item)["check"])


@pytest.mark.parametrize("text", ["1.2.3", "it was on 12.05.2020", "12,0", "...", "-", "9" * 5000, "[" * 3000, "{}", "٣", "\ud800"])
def test_no_answer_ends_the_checking(text):
    assert not any([passes(text, row["check"]) for row in probe("retention")][22:30])  # the arithmetic ones; the others may do as they like


def test_hardly_any_real_blurb_passes_for_a_refusal(real_data):
    """A description that happens to say "not" refuses nothing."""
    blurbs_ = [" ".join(json.loads(line)["content"].split()[:50]) for line in (real_data / "trn_head_nonempty_1000.jsonl").open(encoding="utf-8")]
    for row in probe("retention"):
        assert sum(passes(text, row["check"]) for text in blurbs_) <= 0.02 * len(blurbs_), row["id"]


def test_a_right_answer_to_one_item_passes_few_others():
    """The checks look at the answer: but for equal numbers hardly any right answer passes another item's check."""
    rows = [row for row in probe("retention") if row["kind"] not in ("nonsense", "yes-no", "list")]
    wrong = sum(passes(RIGHT[a["id"]], b["check"]) for a, b in itertools.permutations(rows, 2))
    assert wrong <= 8


def test_neutral_texts():
    rows = probe("neutral")
    assert len(rows) == 24
    assert all(row["start"].endswith(".") and len(row["rest"].encode()) > 80 for row in rows)


def test_few_probe_rows_are_of_all_kinds(make_run):
    chosen = Counter(row["kind"] for row in probe_rows(make_run(probe_items=16), "retention"))
    assert set(chosen.values()) == {2}
    assert len(chosen) == 8


def test_trivial_systems():
    task = load_task("describe")
    train = [
        {"id": str(i), "title": t, "content": c}
        for i, (t, c) in enumerate([("red oak lamp", "A lamp of oak."), ("blue chair", "A chair to sit on."), ("green lamp", "A lamp of tin.")])
    ]
    test = [{"id": "9", "title": "Blue chairs and a chair", "content": "?"}, {"id": "8", "title": "zzz", "content": "?"}]
    assert answer_trivially("echo", task, test, train) == ["Blue chairs and a chair", "zzz"]
    assert answer_trivially("nearest", task, test, train) == ["A chair to sit on.", "A lamp of oak."]
    assert answer_trivially("constant", task, test, train) == ["A lamp of oak."] * 2
    assert most_typical(["a b", "a b c", "x"]) == "a b"


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6).map(" ".join), min_size=2, max_size=8),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6).map(" ".join),
)
@settings(deadline=None)
def test_the_nearest_text_is_scikit_learns(texts, query):
    theirs = TfidfVectorizer(tokenizer=unicode_words, token_pattern=None, sublinear_tf=True)
    scores = (theirs.fit_transform(texts) @ theirs.transform([query]).T).toarray()[:, 0]
    assert scores[Index(texts).nearest(query)] == pytest.approx(scores.max())


LONG = "abcdefghijklmnopqrst"
NEAR = st.tuples(st.integers(0, 18), st.integers(0, 20), st.sets(st.sampled_from(LONG), max_size=3)).map(
    lambda cut: " ".join(sorted(set(LONG[cut[0] : cut[1]]) ^ cut[2]))
)  # pieces of one long title with a few words changed: many of them nearly equal


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=7).map(" ".join) | NEAR, min_size=1, max_size=14))
@settings(max_examples=400)
def test_clusters_are_those_of_comparing_all_with_all(titles):
    sets = [frozenset(title.split()) for title in titles]
    label = list(range(len(titles)))
    for i, j in itertools.combinations(range(len(titles)), 2):
        if sets[i] and len(sets[i] & sets[j]) >= 0.8 * len(sets[i] | sets[j]):
            label = [label[i] if other == label[j] else other for other in label]
    found = clusters(titles)
    assert all((found[i] == found[j]) == (label[i] == label[j]) for i, j in itertools.combinations(range(len(titles)), 2))


def test_bleeding_needs_the_training_texts_own_words():
    training = ["a sweeping account of life in the old town with a foreword by the author"]
    answers = ["a sweeping account of life in the old town", "Lyon is a city in France, and Paris is one too.", "a sweeping account", None]
    assert blurbs(answers, ["?"] * 4, training) == [True, False, False, False]
    assert blurbs(answers[:1], ["copy: a sweeping account of life in the old town"], training) == [False]
    assert blurbs(answers, ["?"] * 4, []) == [False] * 4
    assert blurbs(["a foreword by a foreword by a foreword by a foreword"], ["?"], training) == [False]  # three words, whatever their number


def beginnings(texts: list[str]) -> tuple[list[str], list[str]]:
    """Every second text as training; the first forty words of the others, which were never trained on."""
    texts = [text for text in texts if len(text.split()) > 12]
    return texts[::2], [" ".join(text.split()[:40]) for text in texts[1::2]]


def test_bleeding_is_seen_in_texts_that_were_not_trained_on_and_not_in_ordinary_answers():
    rows = gzip.decompress(resources.files("ftlib").joinpath("sample", "sample.jsonl.gz").read_bytes()).decode().splitlines()
    training, unseen = beginnings([json.loads(row)["content"] or "" for row in rows[:1000] if row])
    assert all(blurbs(unseen, [""] * len(unseen), training))
    assert not any(blurbs(ORDINARY, [""] * len(ORDINARY), training))


@pytest.mark.parametrize(("name", "least"), [("trn_head_nonempty_1000.jsonl", 0.9), ("seed_gpt_training_file.jsonl", 0.8)])
def test_bleeding_of_real_texts(real_data, name, least):
    training, unseen = beginnings(list(training_texts(real_data / name)))
    assert sum(blurbs(unseen, [""] * len(unseen), training)) >= least * len(unseen)
    assert sum(blurbs(ORDINARY, [""] * len(ORDINARY), training)) <= 1


def test_what_tuning_lost_is_tested_exactly_against_the_base():
    """Ten of twelve instructions kept before, two after, one of them new: McNemar on nine against one."""
    before = {str(i): i < 10 for i in range(12)}
    after = {str(i): i in (0, 11) for i in range(12)}
    found = {name: {"retention": {}, "bleeding": {}, "forgetting": {"bits_per_byte": bits}} for name, bits in (("m.base", 2.0), ("m.tuned", 2.5))}
    against_base(found, {"retention": {"m.base": before, "m.tuned": after}, "bleeding": {"m.base": after, "m.tuned": after}})
    tuned = found["m.tuned"]
    assert tuned["retention"]["against_base"] == {"only_base": 9, "only_tuned": 1, "p": pytest.approx(22 / 1024)}
    assert tuned["bleeding"]["against_base"] == {"only_base": 0, "only_tuned": 0, "p": 1}
    assert tuned["forgetting"]["change"] == 0.5
    assert "against_base" not in found["m.base"]["retention"]


def test_points_before_and_after_are_compared_row_by_row(make_run):
    """Rows of very different difficulty, each better by 1 to 3: the means' intervals overlap, the difference's does not reach 0."""
    run = make_run()
    before = {str(i): (4.0 * i, f"thing {i}") for i in range(20)}
    after = {identity: (score + 1 + int(identity) % 3, title) for identity, (score, title) in before.items()}
    same = {identity: (score + (-1) ** int(identity), title) for identity, (score, title) in before.items()}
    found = {f"{name}.{state}": {"wording": {}, "transfer": {"reverse": {}}} for name in "mn" for state in ("base", "tuned")}
    answered = {"m.base": before, "m.tuned": after, "n.base": before, "n.tuned": same}
    changes(found, {"wording": answered, "reverse": answered, "transfer": {}}, run)
    better, alike = (found[f"{name}.tuned"]["wording"]["against_base"] for name in "mn")
    assert (better["value"], better["n"]) == (pytest.approx(1.95), 20)
    assert 1 < better["low"] < 1.95 < better["high"] < 3
    assert interval(before.values(), run)["high"] > interval(after.values(), run)["low"]
    assert better["p"] == pytest.approx(1 / (run.profile.evaluation.resamples + 1))
    assert (alike["value"], alike["p"]) == (0, 1)
    assert found["m.tuned"]["transfer"]["reverse"]["against_base"] == better
    assert "against_base" not in found["m.base"]["wording"]


def test_a_row_counts_once_whatever_the_number_of_wordings():
    rows = [{"id": str(i), "title": f"lamp {i}", "content": "x"} for i in range(2)]
    asked = [question for name in ("brief", "terse") for question in ask_task(load_task("describe"), rows, wording=name)]
    assert by_row(asked, [10, 30, 0, 10]) == {"0": (5, "lamp 0"), "1": (20, "lamp 1")}


def test_wordings_are_averaged_and_the_worst_named():
    task = load_task("describe")
    rows = [{"id": str(i), "title": f"lamp {i}", "content": "x"} for i in range(2)]
    asked = [question for name in ("brief", "terse", "portuguese") for question in ask_task(task, rows, wording=name)]
    found = wording(asked, [10, 30, 0, 10, 50, 50], {"0": 40.0, "1": 20.0, "2": 99.0})
    assert found["by_wording"] == {"brief": 20, "terse": 5, "portuguese": 50}
    assert (found["mean"], found["worst"], found["worst_wording"], found["spread"]) == (25, 5, "terse", 45)
    assert (found["original"], found["n"]) == (30, 2)  # of the same rows


def test_near_equal_titles_of_a_held_out_slice_are_drawn_whole(make_run):
    run = make_run()
    scores, titles = [10.0, 20.0, 30.0, 40.0] * 5, ["red oak lamp", "tin box", "blue mug", "old clock"] * 5
    found, apart = (mean(zip(scores, named, strict=True), run) for named in (titles, [None] * 20))
    assert (found["value"], found["n"]) == (25, 20)
    assert found["high"] - found["low"] > 1.5 * (apart["high"] - apart["low"])
    assert mean([(score, "one title") for score in scores], run) == {"value": 25, "low": None, "high": None, "n": 20}


def test_a_uniform_byte_model_has_8_bits_per_byte():
    assert bits_per_byte(1000 * np.log(256), 1000) == pytest.approx(8)
    with pytest.raises(ValueError, match="0 bytes"):
        bits_per_byte(1, 0)


def test_quantiles_of_latency():
    assert quantile([], 0.5) is None
    assert [quantile([1, 2, 3, 4], share) for share in (0, 0.5, 0.95, 1)] == [1, 2, 4, 4]
    for n in (1, 2, 7, 20, 200):
        assert [quantile(range(n), share) for share in (0.5, 0.95)] == list(np.quantile(range(n), [0.5, 0.95], method="inverted_cdf"))


def test_seeds_of_one_model_are_a_group(make_run):
    contestants = [{"name": f"m{seed}", "trainer": "local", "model": "tiny-llama", "seed": seed} for seed in (1, 2, 3)]
    run = make_run([*contestants, {"name": "x", "trainer": "local", "model": "other"}])
    systems = {
        f"{c.name}.tuned": {"metrics": {"rougeL": {"value": value}}} for c, value in zip(run.profile.contestants, (10, 12, 14, 50), strict=True)
    }
    found = spread(run, systems, "rougeL")
    assert found["na"] is None
    (group,) = found["groups"]
    assert (group["seeds"], group["mean"], group["sd"], group["low"], group["high"]) == ([1, 2, 3], 12, 2, 10, 14)


@pytest.mark.slow
def test_semantic_similarity_of_equal_texts_is_100_and_names_its_model(tiny_encoder):
    from ftlib.evaluation.items import Given, Item

    items = [Item("1", "oak lamp"), Item("2", "chair")]
    metric = semantic(items, {"s": [Given("1", "oak lamp"), Given("2", None)]}, str(tiny_encoder), 0.0)["semantic"]
    assert metric.values["s"] == pytest.approx([100, 0], abs=1e-4)
    assert "revision:" in metric.signature
    vectors, _ = embed(["lamp", "oak lamp chair"], str(tiny_encoder))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1])
    with pytest.raises(Refused, match="There is no folder"):
        embed(["x"], str(tiny_encoder / "nothing"))
