"""Several metrics of one sample set in one pass, each with a standard error."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, InputError, ModelZoo
from omsdpm.fid import Statistics
from omsdpm.images import load_digits_images
from omsdpm.scoring.features import make_features
from omsdpm.scoring.metrics import Context, OpenMetric, OpenMetrics
from omsdpm.scoring.metrics.jackknife import block_edges, jackknife
from omsdpm.scoring.metrics.mean import RunningMean
from omsdpm.scoring.metrics.several import InBlocks
from omsdpm.scoring.sampler import Sampler

SHAPE = (1, 8, 8)
TEXTS = ("fd-digits", "kid[features=digits]", "precision[features=digits]", "recall[features=digits]")
X = np.array([[2, 2, 2, 2], [1, 3, 0, 2], [0, 0, 0, 3]])


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    real = load_digits_images()
    drawn = 0.3 * rng.standard_normal((n, *SHAPE)).astype(np.float32)
    return torch.from_numpy(real[rng.integers(len(real), size=n)] + drawn)


def opened(texts, images, **given):
    return OpenMetrics(texts, Context(SHAPE, reference="digits", **given), images)


@pytest.fixture
def sampler(tiny_zoo):
    return Sampler(ModelZoo.load(tiny_zoo), DDIMSpace(3, 4), batch_size=35)


def test_in_one_pass_they_are_what_each_alone_is(sampler):
    texts = (*TEXTS, "psnr[member=2]")
    metrics = opened(texts, 100, space=sampler.space)
    scored = {row: metrics.score(taken) for row, taken in sampler.taken(X, 100, seed=3, metric=metrics)}
    for number, text in enumerate(texts):
        alone = OpenMetric(text, Context(SHAPE, reference="digits", space=sampler.space))
        expected = sampler.score(X, 100, seed=3, metric=alone)
        np.testing.assert_allclose([scored[row][number].value for row in range(3)], expected, rtol=1e-6, atol=1e-9)
        assert {scored[row][number].metric for row in range(3)} == {alone.signed}
    assert all(score.error is not None and score.error >= 0 for row in range(3) for score in scored[row])
    assert scored[1][0].error > 0 and scored[0][4].error < 1e-12  # the reference member is itself everywhere


def test_batches_need_not_end_where_blocks_do(sampler):
    metrics = opened(("fd-digits", "psnr[member=1]"), 100, space=sampler.space)
    given = [metrics.score(taken) for _, taken in sampler.taken(X[1:2], 100, seed=3, metric=metrics)]
    whole = Sampler(sampler.zoo, sampler.space, batch_size=100)
    (other,) = [metrics.score(taken) for _, taken in whole.taken(X[1:2], 100, seed=3, metric=metrics)]
    for ours, theirs in zip(given[0], other, strict=True):
        assert (ours.value, ours.error) == pytest.approx((theirs.value, theirs.error), rel=1e-5)


def test_features_of_a_network_are_computed_once_a_batch(monkeypatch):
    from omsdpm.scoring.features.digits import DigitNetwork

    metrics, seen = opened(TEXTS, 60), []
    call = DigitNetwork.__call__
    monkeypatch.setattr(DigitNetwork, "__call__", lambda self, x: seen.append(len(x)) or call(self, x))
    taken, x = metrics.fresh(), images(60)
    for first in (0, 30):
        taken.update(x[first : first + 30], first)
    assert sum(seen) == 60 and len(seen) == 10  # ten blocks, and not four times as many
    monkeypatch.undo()
    buffer = images(30)  # one that is filled again is other images
    alone = OpenMetric("fd-digits", metrics.context).fresh()
    alone.update(buffer, 0)
    buffer.copy_(images(30, seed=5))
    alone.update(buffer, 30)
    both = torch.cat([images(30), images(30, seed=5)])
    network = make_features("digits")
    expected = Statistics.of(network(load_digits_images())).distance(Statistics.of(network(both)))
    assert alone.value() == pytest.approx(expected, rel=1e-6)


def test_the_error_of_a_frechet_distance_is_the_jackknife_over_blocks():
    x, edges = images(203), block_edges(203)
    metrics = opened(["fd-digits"], 203)
    taken = metrics.fresh()
    taken.update(x, 0)
    (score,) = metrics.score(taken)
    rows = make_features("digits")(x)
    reference = metrics.context.statistics("digits")
    without = [
        reference.distance(Statistics.of(np.concatenate([rows[: edges[b]], rows[edges[b + 1] :]]))) for b in range(10)
    ]
    assert score.value == pytest.approx(reference.distance(Statistics.of(rows)), rel=1e-8)
    assert score.error == pytest.approx(jackknife(without), rel=1e-6)


def test_the_error_of_a_frechet_distance_is_about_the_deviation_over_repeats():
    metrics = opened(["fd-digits"], 400)
    scores = []
    for seed in range(25):
        taken = metrics.fresh()
        taken.update(images(400, seed), 0)
        scores += metrics.score(taken)
    ratio = np.mean([score.error for score in scores]) / np.std([score.value for score in scores], ddof=1)
    assert 0.6 < ratio < 1.7


def test_the_error_of_a_mean_is_exact():
    metrics = opened(["psnr[member=1]"], 50, space=DDIMSpace(3, 4))
    values = np.random.default_rng(0).normal(1e6, 1, 50)
    mean, other = RunningMean(), RunningMean()
    mean.update(values[:20])
    other.update(values[20:])
    mean.merge(other)
    assert mean.error() == pytest.approx(values.std(ddof=1) / math.sqrt(50), rel=1e-9)
    assert mean.value() == pytest.approx(values.mean(), rel=1e-12)
    assert RunningMean().error() is None and metrics.fresh().metrics[0].error() is None


def test_a_metric_may_ask_a_network_for_more():
    import copy

    network = opened(["fd-digits"], 10).context.features("digits")
    assert network.probabilities(images(3)).shape == (3, 10) and network.dim == 64
    assert copy.copy(network).dim == 64
    with pytest.raises(AttributeError):
        _ = network.nothing


class Brightness:
    """A metric of a stranger's, with three methods and no base."""

    def __init__(self):
        self.values = []

    def update(self, images, first):
        self.values += images.flatten(1).mean(dim=1).tolist()

    def merge(self, other):
        self.values += other.values

    def value(self):
        return float(np.mean(self.values))


def test_a_metric_of_three_methods_gets_an_error_too():
    x, edges = images(40), block_edges(40)
    blocks = InBlocks(Brightness, edges)
    for begin, end in pairwise(edges):
        blocks.update(x[begin:end], begin)
    values = x.flatten(1).mean(dim=1).double().numpy()
    assert blocks.whole().value() == pytest.approx(values.mean(), rel=1e-6)
    blockwise = values.reshape(10, 4).mean(axis=1)
    assert blocks.error() == pytest.approx(blockwise.std(ddof=1) / math.sqrt(10), rel=1e-4)


def test_workers_parts_merge():
    x = images(60)
    metrics = opened(TEXTS, 60)
    whole = metrics.fresh()
    whole.update(x, 0)
    merged = metrics.fresh()
    for first, last in ((42, 60), (0, 24), (24, 42)):  # as blocks end: a network rounds by what it gets at once
        part = metrics.fresh()
        part.update(x[first:last], first)
        merged.merge(pickle.loads(pickle.dumps(part)))
    for ours, theirs in zip(metrics.score(merged), metrics.score(whole), strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-8)
        assert ours.error == pytest.approx(theirs.error, rel=1e-6)


def test_few_images_have_no_error():
    metrics = opened(["fd-digits", "recall[features=digits]"], 6)
    taken = metrics.fresh()
    taken.update(images(6), 0)
    assert metrics.score(taken)[0].error is not None  # three blocks of two
    two = opened(["fd-digits"], 2)
    taken = two.fresh()
    taken.update(images(2), 0)
    assert two.score(taken)[0].error is None


def test_blocks_and_what_is_refused():
    assert block_edges(3) == [0, 3] and block_edges(25, 10) == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25]
    with pytest.raises(InputError, match="metric 'fd-digits' is given twice"):
        opened(["fd-digits", "fd-digits"], 10)
    with pytest.raises(InputError, match="no metric: give one"):
        opened([], 10)
