"""Scores from more and more images: the same images as at once, in as few batches as the rounds allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omsdpm.errors import InputError
from omsdpm.scoring.growing import GrowingScores
from omsdpm.scoring.measurement import Measurement

X = np.array([[1, 0, 2, 3], [1, 0, 2, 2], [3, 0, 0, 1]])


@pytest.fixture
def meter(tiny_zoo):
    return Measurement(zoo=str(tiny_zoo), solver="ddim", length=4, images=8).open()


def test_growing_scores_are_those_of_all_images_at_once(meter):
    growing = GrowingScores(meter.sampler, meter.metric, X, images=40, seeds=(5, 6))
    batches = []
    stream = meter.sampler.__class__.stream

    def watched(sampler, images, seed):
        following = stream(sampler, images, seed)
        return lambda size: batches.append((seed, size)) or following(size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter.sampler.__class__, "stream", watched)
        first = growing.grow([0, 1, 2], 10)
        second = growing.grow([0, 2], 20)
        last = growing.grow([2], 80)
    assert batches == [(5, 10), (5, 10), (5, 20), (6, 40)]  # what a round lacks, a seed at a time
    at_once = meter.sampler.score(X, 10, seed=5, metric=meter.metric)
    np.testing.assert_allclose(first, at_once, rtol=1e-5)
    at_once = meter.sampler.score(X, 20, seed=5, metric=meter.metric)
    np.testing.assert_allclose(second, at_once[[0, 2]], rtol=1e-5)
    taken = meter.metric.fresh()
    for seed in (5, 6):
        for _, at, x_0 in meter.sampler.batches(X[[2]], 40, seed):
            taken.update(x_0, at)
    np.testing.assert_allclose(last, meter.metric.score(taken), rtol=1e-5)


def test_a_batch_is_no_larger_than_the_samplers(meter):
    small = GrowingScores(replace(meter.sampler, batch_size=16), meter.metric, X, images=40, seeds=(5,))
    whole = GrowingScores(meter.sampler, meter.metric, X, images=40, seeds=(5,))
    told = []
    np.testing.assert_allclose(small.grow([1], 40, told.append), whole.grow([1], 40), rtol=1e-5)
    assert told == [16, 16, 8]


def test_who_was_left_behind_cannot_go_on(meter):
    growing = GrowingScores(meter.sampler, meter.metric, X, images=20, seeds=(5,))
    growing.grow([0, 1], 10)
    with pytest.raises(InputError, match="schedule 2 was left behind"):
        growing.grow([2], 20)
    with pytest.raises(InputError, match="21 images: there is noise for 20"):
        growing.grow([0], 21)
