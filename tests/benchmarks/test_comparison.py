"""Strategies side by side, with the labels that each spends."""

import numpy as np
import pytest

from benchmarks import load_benchmark
from benchmarks.comparison import compare_strategies
from benchmarks.strategies.base import NamedSchedule, Strategy
from benchmarks.strategies.registry import strategy_names
from omsdpm.errors import InputError


@pytest.fixture(scope="module")
def tab():
    return load_benchmark("digits-tab")


def test_every_strategy_under_every_budget_of_a_tabular_benchmark(tab):
    names = [name for name in strategy_names() if name != "anneal"] + ["anneal[labels=40]", "boundary[at=0.5]"]
    rows = compare_strategies(tab, names=names)
    assert [(row.strategy, row.budget) for row in rows] == [(name, b) for name in names for b in tab.budgets]
    for row in rows:
        if row.reason is not None:
            assert row.schedule is row.score is row.latency is row.name is None and "\n" not in row.reason
            continue
        assert row.score == tab.evaluate([row.schedule])[0]
        assert row.latency == tab.space.latency(row.schedule, tab.latency)[0] <= row.budget
        assert tab.optimum(row.budget).y[0] <= row.score
    met = {row.strategy for row in rows if row.reason is None}
    assert set(names) - met == {"boundary", "guidance-interval"}


def test_labels_are_what_the_strategy_measured_and_what_there_was_to_choose_from(tab):
    rows = {row.strategy: row for row in compare_strategies(tab, [160], ["single", "bisect", "lemica"])}
    single = rows["single"]
    assert single.labels == single.proposals > 1
    assert (rows["bisect"].labels, rows["bisect"].proposals) == (6 * 4 + 1, 1)
    # 21 labels for the table; of the proposals, the teacher's own path may stand in it already.
    assert 21 < rows["lemica"].labels <= 21 + rows["lemica"].proposals
    # The stored baselines were measured with other noise: the same one is best, with nearly the same score.
    stored = min((b for b in tab.baselines if b.kind == "single" and b.latency <= 160), key=lambda b: b.mean)
    assert single.name == stored.name and single.score == pytest.approx(stored.mean, rel=0.15)


def test_a_budget_that_nothing_fits(tab):
    (row, other) = compare_strategies(tab, [5.0], ["single", "bisect"])
    assert row.reason == other.reason == "budget 5 ms: one step of the fastest member takes 13.526 ms"
    assert row.labels == other.labels == 0


def test_a_measuring_function_is_asked_about_nothing_twice(tab):
    asked = []

    def measure(X):
        asked.extend(map(tuple, X.tolist()))
        return tab.evaluate(X)

    rows = compare_strategies(tab, [100, 160], ["single", "stitch", "lemica", "optimal-steps"], measure=measure)
    assert len(set(asked)) == len(asked)
    expected = compare_strategies(tab, [100, 160], ["single", "stitch", "lemica", "optimal-steps"])
    assert [row.score for row in rows] == [row.score for row in expected]
    assert sum(row.labels for row in rows) > len(asked)  # every row pays for itself


def test_a_strategy_of_ones_own_is_checked(tab):
    class Wrong(Strategy):
        name = "wrong"

        def schedules(self, problem, budget):
            return [NamedSchedule("all of them", np.full(6, 4))]

    with pytest.raises(InputError, match=r"strategy 'wrong' proposes 'all of them', which takes .* 100 ms at most"):
        compare_strategies(tab, [100], [Wrong()])


def test_seeds_matter_to_who_draws_at_random(tab):
    def of(seed):
        return [row.score for row in compare_strategies(tab, None, ["anneal[labels=15]", "bisect"], seed)]

    assert of(0) == of(0) != of(1)
    assert of(0)[4:] == of(1)[4:]  # bisect draws nothing
