"""``--predictor oracle``: a search on the benchmark's own measurement."""

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from benchmarks import load_benchmark
from omsdpm import DDIMSpace
from omsdpm.errors import InputError
from studies.cli import main
from studies.jobs.naming import check_predictor, predictor_of


def test_a_run_on_the_oracle_predicts_what_is_measured_and_finds_the_optimum(tmp_path):
    args = ["run", "--benchmark", "digits-tab", "--predictor", "oracle", "--optimizer", "local"]
    args += ["--evaluations", "1000", "--no-validate", "--output", str(tmp_path / "out")]
    outcome = CliRunner().invoke(main, args)
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["predictor"]["name"] == "oracle"
    benchmark = load_benchmark("digits-tab")
    for winner in result["winners"]:
        (score,) = benchmark.evaluate([winner["schedule"]])
        assert winner["predicted_score"] == pytest.approx(score)
        assert score == benchmark.optimum(winner["budget_ms"]).y[0]


def test_it_needs_a_benchmark():
    problem = SimpleNamespace(space=DDIMSpace(2, 4), noise=None, latency=[1.0, 2.0])
    with pytest.raises(InputError, match="predictor 'oracle' measures on a benchmark, and here is none"):
        predictor_of("oracle", problem, seed=0)


def test_its_parameters():
    benchmark = load_benchmark("digits-tab")
    assert predictor_of("oracle[device=cuda]", benchmark, seed=0).device == "cuda"
    with pytest.raises(InputError, match=r"unknown parameter of predictor 'oracle' 'trees'; choose one of: device"):
        check_predictor("oracle[trees=3]")
