"""Schedules measured again: which count, and against what."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import load_benchmark
from omsdpm.errors import InputError
from predictors import Predictor
from studies.cli import main
from studies.jobs.fresh import FreshResult, FreshSettings, fresh
from studies.jobs.fresh.job import FIRST, measured_twice


class Blind(Predictor):
    """Predicts the same for all."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return np.ones(len(X))

    _learn = _score = _state = _restore = None


def test_only_schedules_that_nothing_is_trained_on_count():
    benchmark = load_benchmark("digits-ddim")
    X, first, again = measured_twice(benchmark)
    train = {tuple(row) for row in benchmark.dataset.subset("train").X}
    assert 50 < len(X) < len(benchmark.repeat) and not train & {tuple(row) for row in X}
    assert np.corrcoef(np.log(first), np.log(again))[0, 1] > 0.95 and not np.array_equal(first, again)


def test_a_row_a_predictor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = CliRunner().invoke(
        main, ["predictor", "fresh", "--predictor", "ridge,gbdt[trees=20]", "--seeds", "1", "--output", "fresh.json"]
    )
    assert outcome.exit_code == 0, outcome.output
    result = FreshResult.read("fresh.json")
    assert [row.name for row in result.rows] == ["ridge", "gbdt[trees=20]", FIRST]
    ridge, _, first = result.rows
    assert 0.6 < ridge.fresh < 0.95 and first.labels is None and 0.9 < first.fresh < 1
    for text in ("ridge", "gbdt[trees=20]", FIRST, f"{first.fresh_good:.3f}"):
        assert text in outcome.stdout


def test_a_constant_prediction_counts_as_zero_and_says_so():
    result = fresh(FreshSettings(predictors=(Blind(),), seeds=1))
    blind = result.rows[0]
    assert (blind.name, blind.labels, blind.fresh, blind.constant) == ("Blind", 0, 0, True)


def test_a_benchmark_without_repeats_is_an_input_error(monkeypatch):
    benchmark = load_benchmark("digits-ddim")
    monkeypatch.setattr(type(benchmark), "repeat", None)
    with pytest.raises(InputError, match="no schedules that were measured again"):
        fresh(FreshSettings(benchmark=benchmark))


def test_an_unknown_parameter_is_told_before_anything_is_loaded():
    with pytest.raises(InputError, match="unknown parameter of predictor 'lstm' 'update'; choose one of: updates"):
        fresh(FreshSettings(benchmark="absent", predictors=("lstm[update=3]",)))
