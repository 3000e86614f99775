"""chrF2 against sacrebleu and its own test cases."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.evaluation import chrf

# sacrebleu's test/test_chrf.py: hypotheses, references, score of corpus_chrf with beta 3 given there; here beta 2, as computed by it
CASES = [
    (["abcdefg"], ["hijklmnop"], 0.0),
    (["a"], ["b"], 0.0),
    ([""], ["b"], 0.0),
    ([""], ["ref"], 0.0),
    (["aa"], ["ab"], 8.3),
    (["a", "b"], ["a", "c"], 8.3),
    (["a"], ["a"], 16.7),
    (["a b c"], ["a b c"], 50.0),
    (["a b c"], ["abc"], 50.0),
    ([" risk assessment must be made of those who are qualified and expertise in the sector - these are the scientists ."],
     ["risk assessment has to be undertaken by those who are qualified and expert in that area - that is the scientists ."], 63.361730),
    ([" Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. "],
     ["Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."], 64.1302698),
    (["Niemand hat die Absicht, eine Mauer zu errichten"], ["Niemand hat die Absicht, eine Mauer zu errichten"], 100.0),
]  # fmt: skip


def ours(answers: list[str], references: list[str]) -> float:
    counter = chrf.metric()
    rows = [chrf.statistics(counter, reference, [answer])[0] for answer, reference in zip(answers, references, strict=True)]
    return float(chrf.from_statistics(np.array(rows, dtype=float).sum(0)))


@pytest.mark.parametrize(("answers", "references", "at_order_6_beta_3"), CASES)
def test_sacrebleus_own_cases(answers, references, at_order_6_beta_3):
    assert ours(answers, references) == pytest.approx(sacrebleu.corpus_chrf(answers, [references], beta=2).score, abs=1e-9)
    theirs = sacrebleu.corpus_chrf(answers, [references], beta=3, eps_smoothing=True).score
    assert theirs == pytest.approx(at_order_6_beta_3, abs=0.05)  # the numbers in that file, so that the cases are the published ones


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=6))
@settings(deadline=None)
def test_corpus_and_sentence_scores_equal_sacrebleus(pairs):
    answers, references = [a for a, _ in pairs], [r for _, r in pairs]
    assert ours(answers, references) == pytest.approx(sacrebleu.corpus_chrf(answers, [references]).score, abs=1e-9)
    for answer, reference in pairs:
        assert ours([answer], [reference]) == pytest.approx(sacrebleu.sentence_chrf(answer, [reference]).score, abs=1e-9)


def test_the_signature_is_sacrebleus():
    metric = sacrebleu.CHRF()
    metric.corpus_score(["a"], [["a"]])
    theirs = str(metric.get_signature()).split("|")
    assert set(theirs).issubset(chrf.signature().split("|"))


def test_an_answer_equal_to_its_reference_scores_100():
    assert ours(["abc def ghi"], ["abc def ghi"]) == 100
