"""The comparison of ways to spend labels, and what is known without any."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import load_benchmark

spending = pytest.importorskip("benchmarks.speed.spending")  # of the checkout; no installed package has it
prior = pytest.importorskip("benchmarks.speed.prior")

tab = load_benchmark("digits-tab")


def test_a_ledger_pays_for_each_schedule_once_and_knows_the_best_so_far():
    ledger = spending.Ledger(tab)
    X = tab.dataset.X[:40]
    assert np.array_equal(ledger(X[:10]), tab.evaluate(X[:10]))
    ledger(X[:40])
    assert len(ledger.y) == len(ledger.X) == 40
    cost = tab.space.latency(np.array(ledger.X[:25]), list(tab.latency))
    expected = [np.where(cost <= budget, ledger.y[:25], np.inf).min() for budget in tab.budgets]
    assert ledger.best(25) == expected


@pytest.mark.parametrize("way", ["anneal", "local", "one-factor"])
def test_no_way_spends_more_than_it_has(way):
    ledger = spending.WAYS[way](tab, 30, 0)
    assert 20 <= len(ledger.y) <= 30
    keys = {x.tobytes() for x in ledger.X}
    assert len(keys) == len(ledger.y)
    assert np.array_equal(tab.evaluate(np.array(ledger.X)), ledger.y)


def test_one_factor_at_a_time_is_exact_where_changes_add_up():
    space = tab.space
    rng = np.random.default_rng(0)
    change = rng.normal(size=(space.length, space.num_models + 1))
    additive = spending.Additive(space, change)
    X = space.random(50, rng)
    expected = [sum(change[slot, member] for slot, member in enumerate(x)) for x in X]
    assert additive.predict(X) == pytest.approx(expected)
    unknown = change.copy()
    unknown[0, 1] = np.inf
    assert spending.Additive(space, unknown).predict(np.ones((1, space.length), dtype=np.int64))[0] == 1e3


def test_the_prior_ranks_all_schedules_without_a_label():
    guess = prior.Prior(tab)
    rows = np.random.default_rng(0).permutation(len(tab.dataset))[:1500]
    X, y = tab.dataset.X[rows], tab.dataset.y[rows]
    tau = prior.kendalltau(guess(X), y).statistic
    assert 0.68 < tau < 0.77
    assert guess.excess.min() == 0 and (guess.excess[0] >= guess.excess[-1]).all()  # the first member is the smallest


def test_on_the_prior_few_labels_rank_better():
    guess = prior.Prior(tab)
    rng = np.random.default_rng(1)
    X = tab.space.random(10, rng)
    rows = rng.permutation(len(tab.dataset))[:1000]
    fitted = prior.OnPrior(tab.predictor("gp"), guess).fit(X, tab.evaluate(X))
    plain = tab.predictor("gp").fit(X, tab.evaluate(X))
    truth = tab.dataset.y[rows]

    def tau(predictor):
        return prior.kendalltau(predictor.predict(tab.dataset.X[rows]), truth).statistic

    assert tau(fitted) > tau(plain)
    assert (fitted.predict_bound(X, 1.0) >= fitted.predict(X)).all()
