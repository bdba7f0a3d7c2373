"""``omsdpm-bench predictor compare``: the protocol's numbers, going on after a stop, plots and bad input."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import stats

from benchmarks import load_benchmark
from predictors import Predictor, make_predictor
from studies.cli import main
from studies.jobs.compare.columns import COLUMNS
from studies.jobs.compare.plot import _limits
from studies.jobs.compare.predictions import Predictions
from studies.jobs.compare.result import Comparison, ComparisonFile
from studies.paired import mean_and_margin

PERFECT = "perfect"


def compare(*args):
    return CliRunner().invoke(main, ["predictor", "compare", "--output", "out", *map(str, args)])


def rows(path="out/predictors.csv"):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def keys():
    return [(row["predictor"], int(row["train_size"]), int(row["seed"])) for row in rows()]


class Lookup(Predictor):
    """Predicts what was measured; its intervals of 50 % hold every other schedule, those of 90 % all."""

    has_std: ClassVar[bool] = True
    table: ClassVar[dict[bytes, float]] = {}
    fits: ClassVar[list] = []

    def fit(self, X, y, **validation):
        self.fits.append((self, X, y, validation))
        return self

    def predict(self, X):
        return np.array([self.table.get(row.tobytes(), 1e6) for row in X])

    def predict_interval(self, X, level=0.9):
        y = self.predict(X)
        off = np.where((np.arange(len(y)) % 2 == 0) | (level > 0.5), 0.0, 2e-3)
        return y + off - 1e-3, y + off + 1e-3


class Blind(Lookup):
    """Predicts the same for all, and has no uncertainty."""

    has_std: ClassVar[bool] = False

    def predict(self, X):
        return np.ones(len(X))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fakes(tiny, here, plugins, monkeypatch):
    """Registers :class:`Lookup` as ``perfect`` and :class:`Blind` as ``blind`` beside the installed ones."""
    monkeypatch.setattr(Lookup, "table", {x.tobytes(): y for x, y in zip(tiny.dataset.X, tiny.dataset.y, strict=True)})
    monkeypatch.setattr(Lookup, "fits", [])
    plugins.add("omsdpm.predictors", **{PERFECT: Lookup, "blind": Blind})
    return Lookup.fits


# -- protocol ------------------------------------------------------------------------


@pytest.mark.parametrize("name, size, seed", [("gbdt", 30, 0), ("gp", 20, 1)])
def test_a_row_holds_the_protocols_numbers(tiny, here, name, size, seed):
    outcome = compare("--benchmark", "tiny", "--predictor", name, "--train-sizes", size, "--seeds", seed + 1)
    assert outcome.exit_code == 0, outcome.output
    row = rows()[seed]
    assert tuple(row) == COLUMNS.names
    assert (row["benchmark"], row["data_hash"], row["predictor"]) == ("tiny", "0123abcd", name)
    assert (int(row["train_size"]), int(row["seed"])) == (size, seed)

    train, test, elite = (tiny.dataset.subset(split) for split in ("train", "test", "elite"))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train))[:size])
    predictor = make_predictor(
        name, space=tiny.space, noise=tiny.noise, latency=list(tiny.latency), random_state=seed
    ).fit(train.X[chosen], train.y[chosen])
    predicted = predictor.predict(test.X)

    def number(column):
        return pytest.approx(float(row[column]), rel=1e-4)

    assert stats.kendalltau(predicted, test.y).statistic == number("kendall_tau")
    assert stats.spearmanr(predicted, test.y).statistic == number("spearman")
    assert stats.kendalltau(predictor.predict(elite.X), elite.y).statistic == number("elite_kendall_tau")
    for percent in (1, 5):
        k = max(1, round(len(test) * percent / 100))
        common = set(np.argsort(predicted)[:k]) & set(np.argsort(test.y)[:k])
        assert len(common) / k == number(f"precision_top_{percent}_percent")

    assert row["budgets_ms"] == "4 8 16"
    X, y = np.concatenate([test.X, elite.X]), np.concatenate([test.y, elite.y])
    guess, cost = predictor.predict(X), tiny.space.latency(X, tiny.latency)
    percents = []
    for budget, text in zip(tiny.budgets, row["regret"].split(" "), strict=True):
        best = min(y[i] for i in range(len(y)) if cost[i] <= budget)
        _, found = min((guess[i], y[i]) for i in range(len(y)) if cost[i] <= budget)
        assert found - best == pytest.approx(float(text), rel=1e-4)
        percents.append(100 * (found - best) / best)
    assert np.mean(percents) == number("mean_regret_percent")

    for percent in (50, 90):
        if name == "gbdt":
            assert row[f"coverage_{percent}"] == ""
            continue
        low, high = predictor.predict_interval(test.X, percent / 100)
        assert np.mean([a <= b <= c for a, b, c in zip(low, test.y, high, strict=True)]) == number(
            f"coverage_{percent}"
        )
    assert float(row["fit_seconds"]) > 0 and float(row["predictions_per_second"]) > 0
    assert row["version"] and row["when"]


def test_regret_is_exact_where_all_is_measured(here):
    outcome = compare("--benchmark", "digits-tab", "--predictor", "gbdt", "--train-sizes", 20, "--seeds", 1)
    assert outcome.exit_code == 0, outcome.output
    benchmark = load_benchmark("digits-tab")
    train = benchmark.dataset.subset("train")
    chosen = np.sort(np.random.default_rng(0).permutation(len(train))[:20])
    predictor = make_predictor(
        "gbdt", space=benchmark.space, noise=benchmark.noise, latency=benchmark.latency, random_state=0
    ).fit(train.X[chosen], train.y[chosen])
    X = benchmark.space.enumerate()
    predicted, cost = predictor.predict(X), benchmark.space.latency(X, benchmark.latency)
    (row,) = rows()
    for budget, text in zip(benchmark.budgets, row["regret"].split(), strict=True):
        fits = X[cost <= budget]
        tied = fits[predicted[cost <= budget] == predicted[cost <= budget].min()]
        assert benchmark.regret(tied, budget).max() == pytest.approx(float(text), rel=1e-4)


def test_labels_are_nested_and_all_that_a_predictor_gets(tiny, fakes):
    outcome = compare("--benchmark", "tiny", "--predictor", PERFECT, "--train-sizes", "10,5", "--seeds", 2)
    assert outcome.exit_code == 0, outcome.output
    train = tiny.dataset.subset("train")
    assert [len(y) for _, _, y, _ in fakes] == [5, 10, 5, 10]
    for number, (predictor, X, y, validation) in enumerate(fakes):
        seed = number // 2
        first = np.random.default_rng(seed).permutation(len(train))[: len(y)]
        assert {x.tobytes() for x in X} == {x.tobytes() for x in train.X[first]}
        np.testing.assert_array_equal(y, predictor.predict(X))
        assert validation == {} and predictor.random_state == seed
        assert (predictor.space, predictor.noise, tuple(predictor.latency)) == (tiny.space, tiny.noise, tiny.latency)
    for small, large in (fakes[0:2], fakes[2:4]):
        assert set(small[2]) < set(large[2])
    assert set(fakes[0][2]) != set(fakes[2][2])


def test_a_perfect_predictor_and_a_blind_one(tiny, fakes):
    outcome = compare("--benchmark", "tiny", "--predictor", f"{PERFECT}, blind", "--train-sizes", 5, "--seeds", 1)
    assert outcome.exit_code == 0, outcome.output
    perfect, blind = rows()
    for column in (
        "kendall_tau",
        "spearman",
        "elite_kendall_tau",
        "precision_top_1_percent",
        "precision_top_5_percent",
    ):
        assert float(perfect[column]) == pytest.approx(1) and float(blind[column]) == 0
    assert (perfect["regret"], perfect["mean_regret_percent"]) == ("0 0 0", "0")
    assert min(map(float, blind["regret"].split())) > 0
    n = len(tiny.dataset.subset("test"))
    assert float(perfect["coverage_50"]) == pytest.approx(-(-n // 2) / n, rel=1e-4)
    assert float(perfect["coverage_90"]) == 1
    assert blind["coverage_50"] == blind["coverage_90"] == ""


def test_a_budget_that_nothing_fits_has_no_regret(tiny, fakes, monkeypatch):
    monkeypatch.setattr(tiny, "budgets", (0.5, 8.0))
    assert compare("--benchmark", "tiny", "--predictor", "blind", "--train-sizes", 5, "--seeds", 1).exit_code == 0
    (row,) = rows()
    none, some = map(float, row["regret"].split())
    assert row["budgets_ms"] == "0.5 8" and np.isnan(none) and some > 0
    assert float(row["mean_regret_percent"]) > 0


def test_threads_are_those_of_the_environment(tiny, fakes, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    compare("--benchmark", "tiny", "--predictor", "blind", "--train-sizes", 5, "--seeds", 1)
    assert rows()[0]["threads"] == "3"


# -- what a search finds -------------------------------------------------------------


def numbers(cell):
    return np.array([float(part) for part in cell.split()])


def test_what_a_search_finds_is_measured(tiny, here):
    args = ("--benchmark", "tiny", "--predictor", "ridge,gbdt", "--train-sizes", 30, "--seeds", 1)
    plain = compare(*args)
    assert plain.exit_code == 0 and "found" not in plain.output
    searched = compare(*args, "--search")
    assert searched.exit_code == 0, searched.output
    assert "skipped" not in searched.output and "found (%)" in searched.output
    without, found = rows()[:2], rows()[2:]
    assert all(row["found_top_1"] == row["found_top_10"] == row["found_gap_percent"] == "" for row in without)
    latency = tiny.space.latency(tiny.dataset.X, tiny.latency)
    known = np.array([tiny.dataset.y[latency <= budget].min() for budget in tiny.budgets])
    for row in found:
        first, best = numbers(row["found_top_1"]), numbers(row["found_top_10"])
        assert len(first) == len(tiny.budgets) and (best <= first).all()
        assert float(row["found_gap_percent"]) == pytest.approx(np.mean(100 * (best / known - 1)), rel=1e-4)
    # The row with a search stands for the fit, and its rank is the table's.
    comparison = Comparison.read("out", tiny)
    gaps = {row["predictor"]: float(row["found_gap_percent"]) for row in found}
    assert comparison.by_search == sorted(gaps, key=gaps.get)
    assert {key[0]: row["found_top_10"] for key, row in comparison.rows.items()} == {
        row["predictor"]: row["found_top_10"] for row in found
    }
    assert "skipped: 2 of 2 rows" in compare(*args, "--search").output
    assert "skipped: 2 of 2 rows" in compare(*args).output


def test_what_is_known_is_looked_up_and_the_rest_sampled_once(tiny, here, monkeypatch):
    from studies.jobs.compare import found

    predictor = make_predictor("ridge", space=tiny.space, latency=tiny.latency)
    predictor.fit(tiny.dataset.X, tiny.dataset.y)
    sampled = []
    monkeypatch.setattr(type(tiny), "evaluate", lambda self, X, device: sampled.append(X) or np.full(len(X), 9.0))
    outcome = found.found_by_search(tiny, predictor, 0, "cpu")
    (X,) = sampled
    assert np.isnan(tiny.stored_scores(X)).all() and len(np.unique(X, axis=0)) == len(X)
    assert len(X) <= found.TOP * len(tiny.budgets) and set(outcome.first) | set(outcome.best) <= {9.0, *tiny.dataset.y}


# -- going on ------------------------------------------------------------------------


def test_rows_that_are_there_are_not_made_again(tiny, fakes):
    first = compare("--benchmark", "tiny", "--predictor", PERFECT, "--train-sizes", "5,10", "--seeds", 1)
    assert first.exit_code == 0 and "skipped" not in first.output
    before = Path("out/predictors.csv").read_text()
    fakes.clear()
    again = compare("--benchmark", "tiny", "--predictor", f"{PERFECT},blind", "--train-sizes", "5,10", "--seeds", 2)
    assert again.exit_code == 0, again.output
    assert "skipped: 2 of 8 rows" in again.output
    assert len(fakes) == 6 and Path("out/predictors.csv").read_text().startswith(before)
    assert sorted(keys()) == [(name, n, s) for name in ("blind", PERFECT) for n in (5, 10) for s in (0, 1)]
    assert "not in" not in again.output  # the first run's predictions were kept, so both are drawn
    fakes.clear()
    assert (
        "skipped: 8 of 8 rows"
        in compare(
            "--benchmark", "tiny", "--predictor", f"{PERFECT},blind", "--train-sizes", "5,10", "--seeds", 2
        ).output
    )
    assert fakes == []


def test_other_data_of_the_same_name_is_measured_again(tiny, fakes, monkeypatch):
    args = ("--benchmark", "tiny", "--predictor", "blind", "--train-sizes", 5, "--seeds", 1)
    compare(*args)
    monkeypatch.setattr(tiny, "data_hash", "ffff")
    assert "skipped" not in compare(*args).output
    assert [row["data_hash"] for row in rows()] == ["0123abcd", "ffff"]


def test_an_interrupted_run_leaves_a_good_file(tiny, fakes, monkeypatch):
    fit = Lookup.fit

    def interrupted(self, X, y, **validation):
        if len(y) == 10 and self.random_state == 1:
            raise KeyboardInterrupt
        return fit(self, X, y, **validation)

    monkeypatch.setattr(Lookup, "fit", interrupted)
    args = ("--benchmark", "tiny", "--predictor", PERFECT, "--train-sizes", "5,10", "--seeds", 2)
    stopped = compare(*args)
    assert stopped.exit_code == 1 and "Stopped. What is done is kept" in stopped.stderr
    assert keys() == [(PERFECT, 5, 0), (PERFECT, 10, 0), (PERFECT, 5, 1)]
    monkeypatch.setattr(Lookup, "fit", fit)
    assert "skipped: 3 of 4 rows" in compare(*args).output
    assert len(rows()) == 4


def test_what_another_process_made_meanwhile_is_left_to_it(tiny, fakes, monkeypatch):
    fit = Lookup.fit

    def beaten(self, X, y, **validation):
        if len(y) == 5:
            row = dict.fromkeys(COLUMNS.names, "1")
            row |= {"benchmark": "tiny", "data_hash": tiny.data_hash, "predictor": PERFECT, "train_size": "10"}
            ComparisonFile("out").append([{**row, "seed": "0"}])
        return fit(self, X, y, **validation)

    monkeypatch.setattr(Lookup, "fit", beaten)
    outcome = compare("--benchmark", "tiny", "--predictor", PERFECT, "--train-sizes", "5,10", "--seeds", 1)
    assert outcome.exit_code == 0, outcome.output
    assert keys() == [(PERFECT, 10, 0), (PERFECT, 5, 0)] and len(fakes) == 1


# -- what is shown -------------------------------------------------------------------


def test_plots_predictions_and_table(tiny, fakes):
    outcome = compare(
        "--benchmark", "tiny", "--predictor", f"gp,{PERFECT},blind", "--train-sizes", "10,20", "--seeds", 2
    )
    assert outcome.exit_code == 0, outcome.output
    for name in ("learning-curves-tiny.png", "predicted-vs-measured-tiny.png"):
        with Image.open(f"out/{name}") as image:
            assert image.width > 600 and len(image.convert("RGB").getcolors(10**6)) > 50
    names = {path.name for path in Path("out/predictions").iterdir()}
    assert names == {f"tiny-{name}-20-0.csv" for name in ("gp", PERFECT, "blind")}

    held_out = tiny.dataset[np.isin(tiny.dataset.split, ["test", "elite"])]
    for name in ("gp", PERFECT, "blind"):
        kept = rows(f"out/predictions/tiny-{name}-20-0.csv")
        assert [row["split"] for row in kept] == held_out.split.tolist()
        np.testing.assert_allclose([float(row["measured"]) for row in kept], held_out.y, rtol=1e-6)
    assert all(float(row["predicted"]) == pytest.approx(1) and row["low"] == row["high"] == "" for row in kept)
    for row in rows("out/predictions/tiny-gp-20-0.csv"):
        assert float(row["low"]) < float(row["predicted"]) < float(row["high"])

    lines = outcome.stdout.splitlines()
    (header,) = [line for line in lines if "fit (s)" in line]
    assert header.split() == ["predictor", "10", "20", "fit", "(s)", "coverage", "(%)"]
    cells = {line.split()[0]: line.split()[1:] for line in lines if line.split()[:1] in (["gp"], [PERFECT], ["blind"])}
    assert cells[PERFECT][:2] == ["1.000/1.000"] * 2 and cells[PERFECT][3].endswith("/100")
    assert cells["blind"][:2] == ["0.000/0.000"] * 2 and cells["blind"][3] == "-"
    mean = [np.mean([float(row[c]) for row in rows() if (row["predictor"], row["train_size"]) == ("gp", "20")])
            for c in ("kendall_tau", "elite_kendall_tau")]  # fmt: skip
    assert cells["gp"][1] == f"{mean[0]:.3f}/{mean[1]:.3f}"
    assert "mean of 2 seeds" in outcome.stdout and "Comparison: out" in lines[-1]


def test_lost_predictions_are_told(tiny, fakes):
    args = ("--benchmark", "tiny", "--predictor", f"{PERFECT},blind", "--train-sizes", 5, "--seeds", 1)
    compare(*args)
    Path(f"out/predictions/tiny-{PERFECT}-5-0.csv").unlink()
    outcome = compare(*args)
    assert outcome.exit_code == 0
    assert f"no predictions of seed 0 are kept: {PERFECT}" in outcome.stdout


def test_axes_hold_what_was_measured_and_no_prediction_far_from_it():
    def of(predicted, measured=(2.0, 8.0)):
        return Predictions(np.array(["test"] * 2), np.array(measured), np.array(predicted), *np.full((2, 2), np.nan))

    assert _limits([of([3.0, 4.0])]) == pytest.approx((0.85 * 2, 1.18 * 8, True))
    assert _limits([of([1.5, 4.0]), of([3.0, 10.0])]) == pytest.approx((0.85 * 1.5, 1.18 * 10, True))
    assert _limits([of([1e-300, 1e300])]) == pytest.approx((0.85 * 1, 1.18 * 16, True))
    assert _limits([of([-2.0, 4.0])]) == pytest.approx((-2.5, 8.5, False))


def test_the_band_is_the_confidence_interval_of_the_mean():
    values = np.array([0.2, 0.25, 0.21, 0.3, 0.24])
    mean, margin = mean_and_margin(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - margin, mean + margin) == pytest.approx((low, high))
    assert mean_and_margin(values[:1]) == (0.2, 0.0)


def test_defaults_are_all_predictors_and_the_sizes_that_there_are(tiny, fakes, monkeypatch):
    monkeypatch.setattr("studies.jobs.compare.job.predictor_names", lambda: ["blind", PERFECT])
    outcome = compare("--benchmark", "tiny", "--seeds", 1)
    assert outcome.exit_code == 0, outcome.output
    assert 50 <= len(tiny.dataset.subset("train")) < 100
    assert keys() == [("blind", 50, 0), (PERFECT, 50, 0)]


# -- bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, expected",
    [
        (["--predictor", "gbdt,gbtd"], "unknown predictor 'gbtd'; choose one of: gbdt, "),
        (["--predictor", "gbdt,,gp"], "--predictor 'gbdt,,gp': expected values with a comma between two"),
        (["--benchmark", "tinny"], "unknown benchmark 'tinny'; choose one of: tiny, "),
        (["--train-sizes", "10,1"], "train size 1: expected 2 to "),
        (["--train-sizes", "10,5000"], "train size 5000: expected 2 to "),
        (["--train-sizes", "10,many"], "--train-sizes many: input should be a valid integer"),
        (["--train-sizes", ""], "--train-sizes '': expected values"),
        (["--output", "file"], "cannot write to folder file"),
        (
            ["--output", "other"],
            "has other columns than a comparison (it lacks benchmark, data_hash, predictor, train_size, seed): ",
        ),
        (["--output", "torn"], f"row 1 has 3 cells, expected {len(COLUMNS.names)}; mend it or give another --output"),
        (["--output", "damaged"], "could not convert string to float: 'high'; mend it or give another --output"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_fitted(fakes, here, args, expected):
    (here / "file").touch()
    header, cells = ",".join(COLUMNS.names) + "\n", dict.fromkeys(COLUMNS.names, "1") | {"kendall_tau": "high"}
    cells |= {"benchmark": "tiny", "data_hash": "0123abcd"}
    contents = {
        "other": "name,score\n",
        "torn": header + "a,b,c\n",
        "damaged": header + ",".join(cells.values()) + "\n",
    }
    for name, content in contents.items():
        (here / name).mkdir()
        (here / name / "predictors.csv").write_text(content)
    defaults = ["--benchmark", "tiny", "--predictor", PERFECT, "--train-sizes", "10"]
    outcome = compare(*defaults, *args)
    assert outcome.exit_code == 2, outcome.output
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("Error: ") and expected in line
    assert fakes == [] and not (here / "out").exists()
    for name, content in contents.items():
        assert (here / name / "predictors.csv").read_text() == content


def test_a_benchmark_too_small_for_the_default_sizes(tiny, fakes, monkeypatch):
    few = tiny.dataset[np.flatnonzero(tiny.dataset.split != "train")]
    monkeypatch.setitem(tiny.__dict__, "dataset", few)
    outcome = compare("--benchmark", "tiny", "--predictor", PERFECT)
    assert outcome.exit_code == 2 and "fewer than the smallest default size 50: give --train-sizes" in outcome.stderr


def test_two_comparisons_at_once_write_each_key_once(tiny, tmp_path, monkeypatch):
    """The second makes all of its fits without seeing the first's rows, as one that runs beside it does."""
    from studies.jobs.compare import CompareSettings, compare
    from studies.jobs.compare import job as module

    settings = CompareSettings(
        benchmark=tiny, predictors=("ridge",), train_sizes=(10, 20), seeds=2, output=tmp_path / "out"
    )
    compare(settings)
    before = (tmp_path / "out" / "predictors.csv").read_bytes()
    real, asked = module.ComparisonFile.of, []

    def blind(self, *given):
        asked.append(given)
        return {} if len(asked) <= 1 + 4 else real(self, *given)

    monkeypatch.setattr(module.ComparisonFile, "of", blind)
    assert len(compare(settings).rows) == 4
    assert len(asked) > 5 and (tmp_path / "out" / "predictors.csv").read_bytes() == before
