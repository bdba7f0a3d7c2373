"""The benchmark's own measurement as the objective of a search."""

import numpy as np
import pytest

from benchmarks import load_benchmark
from benchmarks.oracle import Oracle
from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace


def test_on_a_tabular_benchmark_it_is_exact_and_samples_nothing():
    benchmark = load_benchmark("digits-tab")
    oracle = Oracle(benchmark)
    X = benchmark.space.random(50, np.random.default_rng(0))
    np.testing.assert_array_equal(oracle.fit(X[:2], [1.0, 2.0]).predict(X), benchmark.evaluate(X))
    assert oracle.labels == 0


class Sampling:
    """A benchmark that stores one schedule and remembers what it had to sample."""

    space = DDIMSpace(2, 4)

    def __init__(self):
        self.sampled = []

    def stored_scores(self, X):
        return np.where((X == [1, 0, 0, 0]).all(axis=1), 7.0, np.nan)

    def evaluate(self, X, device="cpu"):
        self.sampled.extend(X.tolist())
        return X.sum(axis=1).astype(float)


def test_on_a_sampling_benchmark_it_samples_what_is_not_stored_once():
    benchmark = Sampling()
    oracle = Oracle(benchmark)
    assert oracle.predict([[1, 0, 0, 0], [2, 0, 0, 1], [2, 0, 0, 1]]).tolist() == [7.0, 3.0, 3.0]
    assert oracle.predict([[2, 0, 0, 1], [0, 0, 2, 2]]).tolist() == [3.0, 4.0]
    assert benchmark.sampled == [[2, 0, 0, 1], [0, 0, 2, 2]]
    assert oracle.labels == 2


def test_invalid_schedules_are_refused():
    with pytest.raises(InputError, match="all null"):
        Oracle(Sampling()).predict([[0, 0, 0, 0]])
