"""ROUGE against google's library, and by hand."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from ftlib.errors import MissingExtra
from ftlib.evaluation.rouge import ORDERS, common_subsequence, rouge
from ftlib.evaluation.words import _porter, google_words, signature, stemmed_words, unicode_words

SCORER = rouge_scorer.RougeScorer(list(ORDERS))
TEXTS = st.text(alphabet=st.sampled_from("abc AB12 .,'-\nßñ中"), max_size=60) | st.text(max_size=40)


STEMMING = rouge_scorer.RougeScorer(list(ORDERS), use_stemmer=True)
ENDINGS = """Flies dies mules denied died agreed owned humbled sized meeting stating siezing itemization sensational traditional
    reference colonizer plotted skies 2nd was wa has ha running-shoes l'été sky a"""
ENGLISH = st.lists(st.sampled_from(ENDINGS.split()), max_size=20).map(" ".join)


def assert_equal_to_google(answer: str, reference: str) -> None:
    for split, scorer in ((google_words, SCORER), (stemmed_words, STEMMING)):
        theirs = scorer.score(reference, answer)
        for name, ours in zip(ORDERS, rouge(split(answer), split(reference)), strict=True):
            assert ours == pytest.approx([100 * value for value in theirs[name]], abs=1e-9), (name, answer, reference)


@given(TEXTS | ENGLISH, TEXTS | ENGLISH)
@settings(deadline=None, max_examples=300)
def test_google_mode_equals_rouge_score(answer, reference):
    assert_equal_to_google(answer, reference)


def test_google_mode_equals_rouge_score_on_long_texts():
    rng = random.Random(1)
    words = [f"w{i}" for i in range(80)]
    for _ in range(100):
        assert_equal_to_google(" ".join(rng.choices(words, k=rng.randint(1, 200))), " ".join(rng.choices(words, k=rng.randint(1, 200))))


def test_stems_are_those_of_rouge_scores_own_test():
    assert stemmed_words("the friends had a meeting") == ["the", "friend", "had", "a", "meet"]
    assert stemmed_words("was gas cats") == ["was", "gas", "cat"]  # three letters are left alone
    assert_equal_to_google("was", "wa")
    assert signature("stem").startswith("tok:rouge_score.0.1.2|stem:porter.nltk.")


def test_stems_without_nltk_are_refused_in_one_sentence(monkeypatch):
    _porter.cache_clear()
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    with pytest.raises(MissingExtra, match="pip install nltk"):
        signature("stem")
    _porter.cache_clear()


def test_rouge_scores_own_examples():
    """The example of rouge_score's README, and those of its tests: targets and predictions with their known scores."""
    assert_equal_to_google("The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog")
    precision, recall, f1 = rouge(["testing", "one", "two"], ["testing"])[0]
    assert (precision, recall, f1) == pytest.approx((100 / 3, 100, 50))
    assert rouge(["testing", "one", "two"], ["testing", "one"])[1] == pytest.approx((50, 100, 200 / 3))
    assert rouge(["testing", "one", "two"], ["testing", "two"])[2] == pytest.approx((200 / 3, 100, 80))


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12))
def test_longest_common_subsequence_by_its_table(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    assert common_subsequence(a, b) == table[-1][-1]


@given(st.text(min_size=1))
def test_an_answer_equal_to_its_reference_scores_100(text):
    words = unicode_words(text)
    ones, twos, longest = rouge(words, words)
    assert longest == ones == ((100, 100, 100) if words else (0, 0, 0))
    assert twos == ((100, 100, 100) if len(words) > 1 else (0, 0, 0))


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_swapping_answer_and_reference_swaps_precision_and_recall(a, b):
    for one, two in zip(rouge(a, b), rouge(b, a), strict=True):
        assert one == pytest.approx((two[1], two[0], two[2]))
