"""Optuna studies in a storage: what is kept, that it changes no result, and bad input."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace
from studies import SearchProblem, make_optimizer
from studies.optimizers.optuna_parts import open_storage


class Sum:
    def predict(self, X):
        return 100.0 - (X * np.arange(1, X.shape[1] + 1)).sum(axis=1)


def problem(budget=None):
    return SearchProblem(space=DDIMSpace(2, 5), predictor=Sum(), latency=[1.0, 2.0], budget=budget)


@pytest.mark.parametrize(
    ("name", "objectives"), [("tpe[batch=8,startup=8]", 1), ("optuna-nsga2", 2), ("optuna-gp[startup=20]", 1)]
)
def test_a_stored_study_is_opened_again(tmp_path, name, objectives):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    named, _, given = name.rstrip("]").partition("[")
    parameters = {part.split("=")[0]: int(part.split("=")[1]) for part in given.split(",") if part}
    kept = make_optimizer(named, storage=url, study="mine", **parameters)
    result = kept.run(problem(6.0), evaluations=20, seed=1)
    plain = make_optimizer(named, **parameters).run(problem(6.0), evaluations=20, seed=1)
    np.testing.assert_array_equal(result.X, plain.X)
    study = optuna.load_study(study_name="mine-6ms", storage=url)
    trials = study.get_trials()
    assert [trial.values[0] for trial in trials] == result.history.scores.tolist()
    assert [trial.user_attrs["latency_ms"] for trial in trials] == result.history.latency.tolist()
    assert len(trials[0].values) == objectives and study.user_attrs == {"budget_ms": 6.0}
    best = min(trials, key=lambda trial: trial.values[0])
    x = np.array([[best.params[f"slot{slot:03}"] for slot in range(5)]])
    assert Sum().predict(x)[0] == best.values[0] == result.scores[0]
    kept.run(problem(6.0), evaluations=20, seed=2)
    assert optuna.get_all_study_names(url) == ["mine-6ms", "mine-6ms-2"]


def test_a_journal_file_is_a_storage(tmp_path):
    path = str(tmp_path / "study.log")
    make_optimizer("tpe", storage=path, startup=8).run(problem(), evaluations=8, seed=0)
    study = optuna.load_study(study_name="tpe", storage=open_storage(path))
    assert len(study.trials) == 8 and len(study.directions) == 2


@pytest.mark.parametrize("storage", ["mysqll://nowhere", "sqlite:////no/such/folder/study.db", "/no/such/folder/x.log"])
def test_a_storage_that_cannot_be_opened(storage):
    with pytest.raises(InputError, match="cannot be opened"):
        make_optimizer("tpe", storage=storage).run(problem(), evaluations=8, seed=0)


def test_a_storage_that_is_no_text():
    with pytest.raises(InputError, match="expected a URL"):
        make_optimizer("tpe", storage=3)
