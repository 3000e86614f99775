"""Intervals and tests against scipy and statsmodels, and the laws that they obey."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from ftlib.evaluation import statistics as ours

NUMBERS = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_statsmodels(pair):
    count, n = pair
    low, high = proportion_confint(count, n, method="wilson")
    assert ours.wilson(count, n) == pytest.approx((max(0, low), min(1, high)), abs=1e-12)


def test_wilson_of_a_published_example():
    """Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert ours.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert ours.wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_equals_statsmodels_exact(only_a, only_b):
    assert ours.mcnemar(only_a, only_b) == pytest.approx(
        their_mcnemar([[5, only_a], [only_b, 7]], exact=True).pvalue if only_a + only_b else 1, rel=1e-9
    )


def test_mcnemar_of_many_discordant_pairs():
    assert ours.mcnemar(50_500, 49_500) == pytest.approx(scipy.stats.binomtest(50_500, 100_000).pvalue, rel=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=20)  # theirs takes a tenth of a second
def test_holm_equals_statsmodels(p):
    assert ours.holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-12)


@given(st.lists(st.tuples(st.sampled_from("abt"), st.sampled_from("abt")), min_size=2, max_size=40))
def test_kappa_equals_scikit_learn(pairs):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    if len({*a, *b}) == 1:
        assert ours.kappa(a, b) is None
    else:
        assert ours.kappa(a, b) == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)


def test_bootstrap_interval_agrees_with_scipy():
    values = np.random.default_rng(3).gamma(2, 10, size=200)
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(4)).confidence_interval
    drawn = ours.bootstrap(values[:, None], 20_000, 5)[:, 0] / len(values)
    assert ours.interval(drawn) == pytest.approx((theirs.low, theirs.high), rel=0.01)
    assert drawn.std() == pytest.approx(values.std() / np.sqrt(len(values)), rel=0.03)


def test_sign_flips_agree_with_scipys_paired_permutation():
    rng = np.random.default_rng(6)
    difference = rng.normal(0.4, 1, size=25)
    theirs = scipy.stats.permutation_test((difference, np.zeros(25)), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples",
                                          vectorized=True, n_resamples=50_000, rng=np.random.default_rng(7)).pvalue  # fmt: skip
    flipped = ours.sign_flips(difference[:, None], 50_000, 8)[:, 0] / 25
    assert ours.permutation(flipped, difference.mean()) == pytest.approx(theirs, abs=0.006)


def test_the_p_of_a_bootstrap_is_near_a_t_tests_for_a_normal_sample():
    difference = np.random.default_rng(9).normal(0, 1, size=300)
    for mean in (-0.09, 0.05, 0.12):
        shifted = difference - difference.mean() + mean
        drawn = ours.bootstrap(shifted[:, None], 20_000, 1)[:, 0] / 300
        expected = scipy.stats.ttest_1samp(shifted, 0).pvalue
        assert 0.01 < expected < 0.5
        assert ours.two_sided(drawn) == pytest.approx(expected, rel=0.15)


def test_the_smallest_difference_is_that_of_a_power_analysis():
    difference = np.random.default_rng(10).normal(0, 3, size=500)
    drawn = ours.bootstrap(difference[:, None], 20_000, 2)[:, 0] / 500
    theirs = TTestPower().solve_power(nobs=500, alpha=0.05, power=0.8) * difference.std(ddof=1)
    assert ours.smallest_difference(drawn) == pytest.approx(theirs, rel=0.02)


@given(NUMBERS, st.integers(0, 100))
def test_no_difference_gives_an_interval_of_zero_and_p_one(values, seed):
    zeros = np.zeros((len(values), 1))
    drawn = ours.bootstrap(zeros, 50, seed)[:, 0]
    assert ours.interval(drawn) == (0, 0)
    assert ours.two_sided(drawn) == ours.permutation(ours.sign_flips(zeros, 50, seed)[:, 0], 0.0) == 1


@given(NUMBERS)
def test_the_same_seed_draws_the_same_items_for_every_column(values):
    column = np.array(values)[:, None]
    both = ours.bootstrap(np.concatenate([column, column * 2], axis=1), 40, 3)
    assert both[:, 1] == pytest.approx(2 * both[:, 0], abs=1e-6)
    assert ours.bootstrap(column, 40, 3)[:, 0] == pytest.approx(both[:, 0], abs=1e-6)


def test_chunks_do_not_change_what_is_drawn_for_small_memory(monkeypatch):
    values = np.arange(50.0)[:, None]
    whole = ours.bootstrap(values, 100, 1)
    monkeypatch.setattr(ours, "CELLS", 500)
    assert (ours.bootstrap(values, 100, 1) == whole).all()


def test_clusters_are_drawn_whole():
    """Ten copies of one observation are one: the spread is that of the distinct ones."""
    values = np.random.default_rng(2).normal(size=40)
    copies, labels = np.repeat(values, 10)[:, None], np.repeat(np.arange(40), 10)
    whole = ours.bootstrap(ours.cluster_sums(copies, labels), 5000, 1)[:, 0] / 400
    apart = ours.bootstrap(copies, 5000, 1)[:, 0] / 400
    assert whole.std() == pytest.approx(values.std() / np.sqrt(40), rel=0.05)
    assert apart.std() < 0.4 * whole.std()
