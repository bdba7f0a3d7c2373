"""``omsdpm-bench study``: each cell once, failures as rows, files, and what beats what."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from benchmarks import load_benchmark
from omsdpm.devices import usable_cpus
from omsdpm.errors import InputError
from predictors import Predictor
from studies.cli import main
from studies.jobs.run.settings import RunSettings, matrix_of
from studies.jobs.study import cell as cells
from studies.jobs.study import job
from studies.jobs.study.cell import any_time
from studies.jobs.study.diagram import cliques
from studies.jobs.study.settings import StudySettings, study_of_file
from studies.jobs.study.statistics import expected_cost, mean_interval, mean_ranks


def study(*args):
    return CliRunner().invoke(main, ["study", "--output", "out", *map(str, args)])


def rows(path="out/runs.csv"):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Same(Predictor):
    """Predicts the same for all."""

    def fit(self, X, y, **validation):
        return self

    def predict(self, X):
        return np.full(len(X), 1.5)


class Nan(Same):
    """Predicts nothing for all."""

    def predict(self, X):
        return np.full(len(X), np.nan)


def test_the_matrix_has_exact_regrets_and_goes_on(monkeypatch):
    args = ("--optimizer", "random,nsga2", "--predictor", "oracle", "--seeds", 2, "--evaluations", 120)
    result = study(*args)
    assert result.exit_code == 0, result.output
    benchmark = load_benchmark("digits-tab")
    found = rows()
    assert len(found) == 2 * 2 * len(benchmark.budgets)
    for row in found:
        x = np.array([[int(member) for member in row["schedule"].split()]])
        budget = float(row["budget"])
        assert float(row["regret"]) == pytest.approx(float(benchmark.regret(x, budget)[0]))
        assert benchmark.space.latency(x, benchmark.latency)[0] <= budget
        assert 0 < float(row["hypervolume"]) <= 1
        assert 0 <= float(row["overhead_seconds"]) <= float(row["search_seconds"])
        assert row["labels"] == row["evaluations"]  # an oracle's answers are measurements
    tables = ("anytime.csv", "ecdf.csv", "scores.csv", "ranks.csv", "targets.csv", "study.json")
    for name in (*tables, "anytime-digits-tab.png", "ranks-measured.png"):
        assert (job.Path("out") / name).stat().st_size > 0, name
    least = str(float(min(benchmark.budgets)))
    curve = [r for r in rows("out/anytime.csv") if (r["optimizer"], r["seed"], r["budget"]) == ("random", "0", least)]
    regrets = [float(r["regret"]) for r in curve]
    assert regrets == sorted(regrets, reverse=True) and regrets[-1] == pytest.approx(
        next(float(r["regret"]) for r in found if (r["optimizer"], r["seed"], r["budget"]) == ("random", "0", least))
    )

    for optimizer in ("random", "nsga2"):
        reached = [float(r["reached"]) for r in rows("out/ecdf.csv") if r["optimizer"] == optimizer]
        assert reached == sorted(reached) and 0 < reached[-1] <= 1

    def never(*given):
        raise AssertionError("a cell that is there was run again")

    monkeypatch.setattr(job, "measure_cell", never)
    before = job.Path("out/runs.csv").read_text()
    result = study(*args)
    assert result.exit_code == 0 and "4 of 4 cells are there already" in result.output
    assert job.Path("out/runs.csv").read_text() == before


def test_a_killed_study_runs_each_cell_once(monkeypatch):
    asked = []

    def killed(cell, *rest):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(cell)
        return cells.measure_cell(cell, *rest)

    args = ("--optimizer", "random,local", "--predictor", "oracle", "--seeds", 2, "--evaluations", 40)
    monkeypatch.setattr(job, "measure_cell", killed)
    result = study(*args)
    assert result.exit_code == 1 and "give the same command again to go on" in result.output

    def counted(cell, *rest):
        asked.append(cell)
        return cells.measure_cell(cell, *rest)

    monkeypatch.setattr(job, "measure_cell", counted)
    assert study(*args).exit_code == 0
    assert len(asked) == len(set(asked)) == 4


def test_failures_are_rows_and_the_others_stand(plugins):
    plugins.add("omsdpm.predictors", same=Same, nan=Nan)
    args = ("--optimizer", "random", "--predictor", "nan,same,ridge", "--seeds", 2, "--evaluations", 60)
    result = study(*args, "--budget", "0.5", "--budget", "150")
    assert result.exit_code == 0, result.output
    found = {(row["predictor"], row["budget"], row["seed"]): row for row in rows()}
    assert len(found) == 3 * 2 * 2
    assert "no schedule meets 0.5 ms" in found["ridge", "0.5", "0"]["reason"]
    assert found["ridge", "150.0", "0"]["status"] == "ok"
    assert "gave NaN" in found["nan", "150.0", "1"]["reason"]
    assert "gave 1.5 for all of" in found["same", "150.0", "0"]["reason"]
    ranked = {row["predictor"]: row for row in rows("out/ranks.csv")}
    assert float(ranked["ridge"]["mean_rank"]) == 1.0 and float(ranked["nan"]["mean_rank"]) == 2.5
    assert "failed" in result.output


def test_processes_give_the_same(tmp_path):
    args = ("--optimizer", "random,local", "--predictor", "oracle", "--seeds", 1, "--evaluations", 40)
    assert study(*args).exit_code == 0
    alone = [(row["optimizer"], row["budget"], row["score"]) for row in rows()]
    result = CliRunner().invoke(main, ["study", "--output", "two", "--jobs", "2", *map(str, args)])
    assert result.exit_code == 0, result.output
    assert [(row["optimizer"], row["budget"], row["score"]) for row in rows("two/runs.csv")] == alone


def test_a_dask_cluster_gives_the_same():
    from distributed import LocalCluster

    args = ("--optimizer", "random,local", "--predictor", "oracle", "--seeds", 1, "--evaluations", 40)
    assert study(*args).exit_code == 0
    alone = [(row["optimizer"], row["budget"], row["score"]) for row in rows()]
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        where = ("--output", "dask", "--executor", "dask", "--scheduler", cluster.scheduler_address)
        result = CliRunner().invoke(main, ["study", *where, *map(str, args)])
    assert result.exit_code == 0, result.output
    assert [(row["optimizer"], row["budget"], row["score"]) for row in rows("dask/runs.csv")] == alone


def test_searches_that_nobody_measures_are_ranked_on_one_predictor(tiny):
    result = study("--benchmark", "tiny", "--optimizer", "random,local", "--predictor", "ridge,gbdt[trees=5]",
                   "--seeds", 1, "--evaluations", 40)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {(row["basis"], row["regret"]) for row in rows()} == {("predicted", "")}
    ranked = rows("out/ranks.csv")
    assert sorted({(row["group"], row["predictor"]) for row in ranked}) == [
        ("on gbdt[trees=5]", "gbdt[trees=5]"),
        ("on ridge", "ridge"),
    ]
    assert rows("out/targets.csv") == []
    assert job.Path("out/anytime-tiny.png").stat().st_size > 0


def test_winners_are_sampled(tiny):
    result = study("--benchmark", "tiny", "--optimizer", "random", "--predictor", "ridge", "--seeds", 1,
                   "--evaluations", 40, "--validate", "--validate-seeds", 2)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {(row["basis"], row["status"]) for row in rows()} == {("measured", "ok")}
    assert len(json.loads(next(job.Path("out/cells").glob("*.json")).read_text())["rows"]) == 3


def test_a_file_says_the_same_as_options(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'benchmark = "digits-tab"\noptimizer = ["random", "tpe[batch=8]"]\npredictor = "oracle"\nseeds = 2\n'
    )
    settings = study_of_file(path)
    assert settings == StudySettings(
        benchmarks="digits-tab",
        optimizers="random,tpe[batch=8]",
        predictors="oracle",
        seeds=2,
        output=tmp_path / "mine",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seedz = 3\n", "unknown key 'seedz'; choose one of: seeds"),
        ('seeds = "three"\n', "seeds = 'three', expected a whole number"),
        ("seeds = 0\n", "seeds = 0"),
    ],
)
def test_a_wrong_key_is_told(tmp_path, text, message):
    path = tmp_path / "s.toml"
    path.write_text('benchmark = "digits-tab"\noptimizer = "random"\npredictor = "gp"\n' + text)
    result = CliRunner().invoke(main, ["study", str(path)])
    assert result.exit_code == 2 and message in result.output and result.output.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_an_unknown_cell_is_told_with_its_place(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('benchmark = "digits-tab"\noptimizer = ["random", "nsga3"]\npredictor = "gp"\n')
    result = CliRunner().invoke(main, ["study", str(path)])
    assert result.exit_code == 2 and "optimizer#2: unknown optimizer 'nsga3'; choose one of: nsga2" in result.output


def test_a_file_and_its_options_beside_it(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('benchmark = "digits-tab"\noptimizer = "random"\npredictor = "gp"\n')
    result = CliRunner().invoke(main, ["study", str(path), "--seeds", "3"])
    assert result.exit_code == 2 and "--seeds beside" in result.output


def test_a_damaged_cell_is_told():
    args = ("--optimizer", "random", "--predictor", "oracle", "--seeds", 1, "--evaluations", 20)
    assert study(*args).exit_code == 0
    path = next(job.Path("out/cells").glob("*.json"))
    for content, message in {
        '{"cell": ': "is damaged: ",
        "[" * 100_000: "is damaged: ",
        '{"cell": {}}': "holds no cell of a study: ",
    }.items():
        path.write_text(content)
        result = study(*args)
        assert result.exit_code == 2 and message in result.output and "remove it, and it is run again" in result.output


def test_ranks_and_their_critical_difference():
    table = np.random.default_rng(0).normal(size=(12, 4)) + np.arange(4)
    found = mean_ranks(table)
    assert found.mean == pytest.approx(stats.rankdata(table, axis=1).mean(axis=0))
    assert found.p_value == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)
    # Demsar (2006), table 5 (a): q of 0.05 is 2.569 for 4 and 1.960 for 2 methods.
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 12)), rel=1e-3)
    assert mean_ranks([[1.0, 2.0]] * 5).critical_difference == pytest.approx(1.960 * np.sqrt(6 / 30), rel=1e-3)
    assert mean_ranks([[np.inf, np.inf, 1.0]]).mean.tolist() == [2.5, 2.5, 1.0]
    with pytest.raises(InputError, match="at least two methods"):
        mean_ranks([[1.0]])


@pytest.mark.parametrize(
    "ranks, difference, bars",
    [
        ([1.2, 1.9, 2.9, 4.0], 1.0, [(0, 1), (1, 2)]),
        ([1.0, 2.0, 3.0], 0.5, []),
        ([1.0, 2.0, 3.0], 2.0, [(0, 2)]),
        ([1.5, 1.5], 0.1, [(0, 1)]),
        ([1.0, 1.4, 1.8, 3.8, 4.2], 0.9, [(0, 2), (3, 4)]),
    ],
)
def test_bars_are_over_methods_that_may_be_alike(ranks, difference, bars):
    assert cliques(ranks, difference) == bars
    differ = {(i, j) for i in range(len(ranks)) for j in range(i) if ranks[i] - ranks[j] > difference}
    alike = {(i, j) for i in range(len(ranks)) for j in range(i)} - differ
    assert alike == {(i, j) for first, last in bars for i in range(first, last + 1) for j in range(first, i)}


def test_intervals_and_expected_costs():
    mean, low, high = mean_interval(np.arange(20.0))
    assert low < mean == 9.5 < high and high - low == pytest.approx(2 * 1.96 * np.std(np.arange(20)) / 20**0.5, rel=0.2)
    assert mean_interval([2.0, 2.0]) == (2.0, 2.0, 2.0)
    assert expected_cost([10, 100, 20], [True, False, True]) == 65.0
    assert expected_cost([10], [False]) == np.inf


def test_the_any_time_curve_is_of_what_was_predicted_best():
    curve = any_time(
        np.array([5.0, 3.0, 4.0, 1.0]),
        np.array([9.0, 1.0, 1.0, 1.0]),
        np.arange(4.0),
        np.array([0.0, 7.0, 2.0, 8.0]),
        2.0,
    )
    assert [(p["evaluations"], p["row"], p["measured"]) for p in curve] == [(2, 1, 7.0), (3, 1, 7.0), (4, 3, 8.0)]
    assert any_time(np.ones(1), np.ones(1), np.ones(1), None, 0.5) == []


def test_lists_of_a_run_are_a_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = ["run", "--benchmark", "digits-tab", "--optimizer", "random,local", "--predictor", "ridge", "--seeds", "2"]
    args += ["--evaluations", "40", "--train-size", "50", "--no-validate", "--output", "cells"]
    outcome = CliRunner().invoke(main, args)
    assert outcome.exit_code == 0, outcome.output
    assert len(list((tmp_path / "cells" / "cells").iterdir())) == 2 * 2
    elsewhere = matrix_of(RunSettings(optimizer="random,local", executor="dask", scheduler="tcp://there:1"))
    assert (elsewhere.executor, elsewhere.scheduler) == ("dask", "tcp://there:1")
    assert matrix_of(RunSettings(optimizer="random,local", executor="joblib", jobs=3)).jobs == 3
    assert matrix_of(RunSettings(optimizer="random,local", executor="joblib")).jobs == usable_cpus()
    refused = CliRunner().invoke(main, [*args, "--top", "3"])
    assert refused.exit_code == 2 and "--top with lists of names, which are a study" in refused.stderr
