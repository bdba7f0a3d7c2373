"""The embedded benchmarks: what they promise, and that everything runs on them."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks import TabularBenchmark, benchmark_names, load_benchmark
from omsdpm.images import load_digits_images
from omsdpm.scoring.features.digits import DigitNetwork
from predictors import make_predictor
from studies import SearchProblem, make_optimizer

NAMES = ["digits-ddim", "digits-dpm", "digits-tab"]
LARGE = ["digits-ddim", "digits-dpm"]


@pytest.fixture(scope="module", params=NAMES)
def benchmark(request):
    return load_benchmark(request.param)


def test_they_are_registered():
    assert set(NAMES) <= set(benchmark_names())


def test_splits_are_there_and_disjoint(benchmark):
    dataset = benchmark.dataset
    assert len(dataset) >= 3000
    rows = {row.tobytes() for row in benchmark.space.canonical(dataset.X)}
    assert len(rows) == len(dataset)
    for split, least in {"train": 1000, "validation": 200, "test": 400, "elite": 300}.items():
        assert len(dataset.subset(split)) >= least
    assert dataset.metric == benchmark.metric == "fd-digits"


def test_elite_schedules_are_better_than_random_ones(benchmark):
    dataset = benchmark.dataset
    elite, test = dataset.subset("elite"), dataset.subset("test")
    assert np.median(elite.y) < 0.75 * np.median(test.y)


@pytest.mark.parametrize("name", LARGE)
def test_large_spaces_are_beyond_enumeration(name):
    benchmark = load_benchmark(name)
    assert benchmark.space.cardinality > 1e15
    assert benchmark.space.num_models == 6


def test_table_is_complete():
    benchmark = load_benchmark("digits-tab")
    assert isinstance(benchmark, TabularBenchmark)
    assert len(benchmark.dataset) == benchmark.space.cardinality == 15_624
    assert benchmark.measurement.images >= 1000
    X = benchmark.space.enumerate()
    y = benchmark.evaluate(X)
    assert benchmark.optimum().y[0] == y.min()
    assert len(benchmark.repeat) >= 300


def test_scores_can_be_measured_again(benchmark):
    """The committed score of a schedule is what this machine measures, to the tolerance of its arithmetic."""
    cheap = np.argsort(benchmark.space.latency(benchmark.dataset.X, benchmark.latency))[3:5]
    again = benchmark.measurement.open().measure(benchmark.dataset.X[cheap])
    np.testing.assert_allclose(again, benchmark.dataset.y[cheap], rtol=1e-3)


def test_independent_noise_agrees_on_the_order(benchmark):
    repeat = benchmark.repeat
    score = {row.tobytes(): y for row, y in zip(benchmark.dataset.X, benchmark.dataset.y, strict=True)}
    first = [score[row.tobytes()] for row in repeat.X]
    assert kendalltau(first, repeat.y).statistic > 0.9


def test_baselines_of_both_kinds_are_validated_under_every_budget(benchmark):
    for budget in benchmark.budgets:
        for kind in ("single", "stitch"):
            within = [b for b in benchmark.baselines if b.kind == kind and b.latency <= budget]
            assert within
            assert all(len(b.scores) == len(benchmark.validation_seeds) >= 3 for b in within)
    assert benchmark.validation_images * len(benchmark.validation_seeds) > benchmark.measurement.images
    assert benchmark.measurement.seed not in benchmark.validation_seeds


def test_a_card_says_how_it_was_made(benchmark):
    card = (benchmark.folder / "CARD.md").read_text()
    for what in ("frozen latency", "How it was measured", "best of them", "independent noise", "times fewer"):
        assert what in card


def test_zoo_members_differ_clearly_in_cost(benchmark):
    latency = np.array(benchmark.latency)
    assert (latency[1:] / latency[:-1] > 1.25).all()


def test_digit_features_classify_held_out_digits():
    """The network behind fd-digits was trained on three quarters of these images."""
    from sklearn.datasets import load_digits

    probabilities = DigitNetwork().probabilities(load_digits_images())
    assert (np.asarray(probabilities).argmax(axis=1) == load_digits().target).mean() > 0.97


@pytest.fixture(scope="module", params=["lstm", "gbdt", "gp"])
def fitted(request):
    """Each predictor on 300 schedules of digits-ddim."""
    benchmark = load_benchmark("digits-ddim")
    train = benchmark.dataset.subset("train")[::7]
    kw = {"updates": 150} if request.param == "lstm" else {}
    predictor = make_predictor(request.param, space=benchmark.space, latency=benchmark.latency, **kw)
    return benchmark, predictor.fit(train.X, train.y)


def test_every_predictor_ranks_held_out_schedules(fitted):
    benchmark, predictor = fitted
    test = benchmark.dataset.subset("test")
    assert kendalltau(predictor.predict(test.X), test.y).statistic > 0.7


@pytest.mark.parametrize("optimizer", ["nsga2", "tpe", "evolution", "random"])
def test_every_optimizer_searches_on_every_predictor(fitted, optimizer):
    benchmark, predictor = fitted
    budget = benchmark.budgets[1]
    problem = SearchProblem(space=benchmark.space, predictor=predictor, latency=benchmark.latency, budget=budget)
    found = make_optimizer(optimizer).run(problem, evaluations=200, seed=0)
    best = found.best(budget)
    assert benchmark.space.valid(best).all()
    assert benchmark.space.latency(best, benchmark.latency)[0] <= budget
    typical = np.median(predictor.predict(benchmark.dataset.subset("test").X))
    assert predictor.predict(best[None])[0] < typical


def test_gp_does_not_praise_schedules_unlike_all_that_it_knows():
    """A search looks everywhere; where the linear part of the kernel leads must not be a score of nothing."""
    benchmark = load_benchmark("digits-dpm")
    train = benchmark.dataset.subset("train")[:400]
    predictor = make_predictor("gp", space=benchmark.space).fit(train.X, train.y)
    alone = np.zeros((216, benchmark.space.length), dtype=np.int64)
    alone[:, :3] = list(product(range(1, 7), repeat=3))  # one solver of order 3 takes the whole way: about 50
    predicted = predictor.predict(alone)
    assert predicted.min() > np.quantile(train.y, 0.25)
    assert predicted.max() < 10 * train.y.max()
