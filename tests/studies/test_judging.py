"""The measures of a predictor, on numbers that can be checked by eye."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omsdpm import DDIMSpace
from studies import judging
from studies.ranking import correlate

MEASURED = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 9.0, 7.0, 8.0, 10.0])


def test_a_perfect_order_a_reversed_one_and_none():
    for predicted, expected in ((np.log(MEASURED), 1), (-MEASURED, -1)):
        ranks = correlate(MEASURED, predicted)
        assert (ranks.kendall_tau, ranks.spearman, ranks.schedules) == pytest.approx((expected, expected, 10))
        assert not ranks.constant and "constant" not in ranks.words
    for measured, predicted in ((MEASURED, np.ones(10)), (np.ones(10), MEASURED)):
        ranks = correlate(measured, predicted)
        assert (ranks.kendall_tau, ranks.spearman, ranks.constant) == (0, 0, True)
        assert ranks.words.startswith("Kendall tau 0.000, Spearman 0.000 (constant: ")
    few = correlate(MEASURED[:1], MEASURED[:1])
    assert (few.kendall_tau, few.spearman, few.constant) == (None, None, False)
    assert few.words == "undefined: 1 schedule"


def test_one_swapped_pair_of_ten():
    predicted = MEASURED.copy()
    predicted[[1, 3]] = predicted[[3, 1]]  # the best and the second best
    assert correlate(MEASURED, predicted).kendall_tau == pytest.approx(1 - 2 / 45)
    assert judging.top_precision(MEASURED, predicted, 10) == 0
    assert judging.top_precision(MEASURED, predicted, 20) == 1
    assert judging.top_precision(MEASURED, predicted, 1) == 0  # of few schedules the best one


def test_ties_bring_nothing():
    assert judging.top_precision(MEASURED, np.ones(10), 30) == 0
    regret, best = judging.regrets(MEASURED, np.ones(10), np.arange(10), [2, 100])
    assert regret.tolist() == [5 - 1, 10 - 1] and best.tolist() == [1, 1]


@given(st.permutations(range(10)), st.integers(1, 100))
def test_precision_counts_common_schedules(order, percent):
    predicted = np.array(order, dtype=float)
    k = max(1, round(percent / 10))
    common = set(np.argsort(predicted)[:k].tolist()) & set(np.argsort(MEASURED)[:k].tolist())
    assert judging.top_precision(MEASURED, predicted, percent) == pytest.approx(len(common) / k)


def test_regret_is_of_what_fits():
    latency = np.array([3.0, 9.0, 2.0, 6.0, 5.0, 1.0, 1.0, 4.0, 2.0, 1.0])
    predicted = -MEASURED  # prefers the worst
    regret, best = judging.regrets(MEASURED, predicted, latency, [0.5, 1, 3, 6])
    np.testing.assert_array_equal(regret, [np.nan, 10 - 6, 10 - 4, 10 - 2])
    np.testing.assert_array_equal(best, [np.nan, 6, 4, 2])
    assert judging.mean_regret_percent(regret, best) == pytest.approx(100 * (4 / 6 + 6 / 4 + 8 / 2) / 3)
    assert math.isnan(judging.mean_regret_percent(regret[:1], best[:1]))
    exact, _ = judging.regrets(MEASURED, MEASURED, latency, [1, 3, 6])
    assert exact.tolist() == [0, 0, 0]


def test_timed_schedules_are_distinct_and_always_the_same():
    space = DDIMSpace(4, 20)
    X = judging.timed_schedules(space)
    assert X.shape == (2000, 20) and len(np.unique(X, axis=0)) == 2000 and space.valid(X).all()
    np.testing.assert_array_equal(X, judging.timed_schedules(space))
    assert len(judging.timed_schedules(DDIMSpace(2, 2))) == 8  # all there are
