"""chrF2 against sacrebleu and its own test cases."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from ftlib.evaluation import chrf

# The numbers of sacrebleu's own test/test_chrf.py: with effective order and beta 3; texts in which every order occurs, beta 3; sentences, beta 2
EFFECTIVE_ORDER = [
    (["a"], ["a"], 100.0),
    ([""], ["reference"], 0.0),
    (["a b c"], ["a b c"], 100.0),
    (["a b c"], ["abc"], 100.0),
    ([""], ["c"], 0.0),
    (["a", "b"], ["a", "c"], 50.0),
    (["aa"], ["ab"], 25.0),
]
CORPUS = [
    (["abcdefg"], ["hijklmnop"], 0.0),
    (["a"], ["b"], 0.0),
    ([""], ["b"], 0.0),
    ([""], ["ref"], 0.0),
    (
        [" risk assessment must be made of those who are qualified and expertise in the sector - these are the scientists ."],
        ["risk assessment has to be undertaken by those who are qualified and expert in that area - that is the scientists ."],
        63.361730,
    ),
    (
        [" Die    Beziehung zwischen  Obama und Netanjahu ist nicht gerade  freundlich. "],
        ["Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich."],
        64.1302698,
    ),
    (["Niemand hat die Absicht, eine Mauer zu errichten"], ["Niemand hat die Absicht, eine Mauer zu errichten"], 100.0),
]
SENTENCES = [
    (["Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře."],
     ["Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře."], 39.14078509),
    (["Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři."],
     ["A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři."], 31.22557079),
    (["Lapali po dechu, jejich životy skončily dřív, než skutečně začaly."],
     ["Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, připomněli."], 57.15704367),
]  # fmt: skip


def ours(answers: list[str], references: list[str], beta: int = 2) -> float:
    counter = chrf.metric()
    rows = [chrf.statistics(counter, reference, [answer])[0] for answer, reference in zip(answers, references, strict=True)]
    return float(chrf.from_statistics(np.array(rows, dtype=float).sum(0), beta))


@pytest.mark.parametrize(
    ("answers", "references", "published", "beta"),
    [(*case, 3) for case in EFFECTIVE_ORDER + CORPUS] + [(*case, 2) for case in SENTENCES],
)
def test_sacrebleus_own_cases(answers, references, published, beta):
    assert ours(answers, references, beta) == pytest.approx(
        published, abs=1e-3
    )  # sentences and long texts were smoothed there: the 4th decimal differs
    assert ours(answers, references) == pytest.approx(sacrebleu.corpus_chrf(answers, [references], beta=2).score, abs=1e-9)


TEXT = st.text(alphabet="ab c", max_size=12) | st.text(max_size=30)  # few letters, so that the two have some in common


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
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
