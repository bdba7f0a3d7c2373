import numpy as np
import pytest

from omsdpm import InputError
from omsdpm.dataset.estimate import Estimate, estimate, total
from omsdpm.scoring.measurement import Measurement


def test_the_exhaustive_space_is_counted_exactly(tiny_zoo):
    m = Measurement(str(tiny_zoo), "ddim", 3, images=16)
    X = m.space.enumerate()
    cost = estimate(X, m, shard_size=1000)
    assert cost.schedules == cost.evaluations == 63
    assert cost.one_by_one == m.space.nfe(X).sum()
    # The zoo's latencies are for batches of 8 images, half of what a schedule samples here.
    assert cost.seconds_one_by_one == pytest.approx(2 * m.space.latency(X, m.latency).sum() / 1000)
    assert cost.seconds < cost.seconds_one_by_one


def test_shards_lose_some_sharing(tiny_zoo):
    m = Measurement(str(tiny_zoo), "ddim", 3, images=16)
    X = m.space.enumerate()
    whole, parts, alone = (estimate(X, m, shard_size=size).evaluations for size in (63, 8, 1))
    assert whole < parts < alone == m.space.nfe(X).sum()


def test_devices_for_a_deadline_and_proportion():
    cost = Estimate(100, 1000, 500, 60.0, 30.0)
    assert cost.scaled(1000) == Estimate(1000, 10_000, 5000, 600.0, 300.0)
    assert [cost.scaled(1000).devices(seconds) for seconds in (600, 300, 299, 10)] == [1, 1, 2, 30]
    assert total([cost, cost]) == Estimate(200, 2000, 1000, 120.0, 60.0)
    with pytest.raises(InputError, match="positive time"):
        cost.devices(0)


def test_invalid_schedules_are_refused(tiny_zoo):
    with pytest.raises(InputError, match="all null"):
        estimate(np.zeros((1, 3), int), Measurement(str(tiny_zoo), "ddim", 3))
