"""Schedules without predictor or search."""

import numpy as np
import pytest

from benchmarks import load_benchmark
from benchmarks.baselines import all_baselines
from benchmarks.stored import BASELINES_FILE, read_baselines
from benchmarks.strategies.single import single_member
from benchmarks.strategies.stitch import stitch
from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace, DPMSolverSpace

DDIM, DPM = DDIMSpace(3, 10), DPMSolverSpace(3, 4)
LATENCY = (1.0, 2.5, 6.0)


def test_placings():
    def slots(steps, placing):
        return np.flatnonzero(single_member(DDIM, 2, steps, placing=placing)).tolist()

    assert slots(5, "trailing") == [1, 3, 5, 7, 9]
    assert slots(5, "leading") == [0, 2, 4, 6, 8]
    assert slots(4, "linspace") == [0, 3, 6, 9]
    assert slots(1, "linspace") == slots(1, "trailing") == [9]
    assert all(slots(10, placing) == list(range(10)) for placing in ("trailing", "leading", "linspace"))


@pytest.mark.parametrize("placing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", range(1, 11))
def test_uniform_steps_are_uniform(steps, placing):
    x = single_member(DDIM, 3, steps, placing=placing)
    assert DDIM.nfe(x) == steps
    gaps = np.diff(np.flatnonzero(x))
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_orders_with_the_rest_at_the_image_end():
    assert single_member(DPM, 2, 7, order=3).tolist() == [2, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0, 0]
    assert DPM.orders_of(single_member(DPM, 2, 5, order=2)).tolist() == [[1, 2, 2, 0]]
    assert DPM.orders_of(single_member(DPM, 2, 4, order=1)).tolist() == [[1, 1, 1, 1]]
    assert [DPM.most_steps(order) for order in (1, 2, 3)] == [4, 8, 12]


def test_stitch_puts_the_small_member_at_the_noise_end():
    assert stitch(DDIM, 1, 3, 5, split=3).tolist() == [0, 3, 0, 3, 0, 1, 0, 1, 0, 1]
    assert stitch(DPM, 1, 3, 4, split=2, order=3).tolist() == [3, 0, 0, 3, 1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: single_member(DDIM, 4, 3), "member 4"),
        (lambda: single_member(DDIM, 1, 11), "11 steps"),
        (lambda: single_member(DDIM, 1, 0), "0 steps"),
        (lambda: single_member(DPM, 1, 5, order=1), "5 steps"),
        (lambda: single_member(DPM, 1, 5, order=4), "order 4"),
        (lambda: single_member(DDIM, 1, 5, placing="even"), "placing 'even'"),
        (lambda: stitch(DDIM, 1, 2, 5, split=6), "split 6"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("space", [DDIM, DPM])
def test_all_baselines(space):
    budgets = [2.0, 9.0, 16.0]
    baselines = all_baselines(space, LATENCY, budgets)
    X = space.check([baseline.x for baseline in baselines])
    cost = space.latency(X, LATENCY)
    assert cost.max() <= max(budgets)
    assert len(np.unique(space.canonical(X), axis=0)) == len(X)
    assert len({baseline.name for baseline in baselines}) == len(baselines)
    used = np.array([len(set(x[x > 0])) for x in X])
    assert [b.kind for b in baselines] == np.where(used == 1, "single", "stitch").tolist()
    # under each budget every member that fits at all stands alone with the most steps that fit
    nfe = space.nfe(X)
    for budget in budgets:
        for member, price in enumerate(LATENCY, start=1):
            if price <= budget:
                alone = np.isin(X, member).any(axis=1) & (used == 1) & (cost <= budget)
                assert nfe[alone].max() == min(budget // price, space.most_steps())


def test_no_step_can_be_added_to_a_stitch():
    budget = 9.0
    stitches = [b.x for b in all_baselines(DDIM, LATENCY, [budget]) if b.kind == "stitch"]
    counts = {(1, 2): set(), (1, 3): set(), (2, 3): set()}
    for x in stitches:
        small, large = sorted(set(x[x > 0].tolist()))
        counts[small, large].add(((x == small).sum(), (x == large).sum()))
    assert counts == {(1, 2): {(1, 3), (4, 2), (6, 1)}, (1, 3): {(3, 1)}, (2, 3): {(1, 1)}}


def test_budget_below_everything_has_no_baseline():
    assert all_baselines(DDIM, LATENCY, [0.5]) == []


@pytest.mark.parametrize(("name", "count"), [("digits-ddim", 370), ("digits-dpm", 340), ("digits-tab", 68)])
def test_the_committed_baselines_come_out_again(name, count):
    benchmark = load_benchmark(name)
    # By name: strategies of other packages that are installed have more to propose.
    made = all_baselines(benchmark.space, benchmark.latency, benchmark.budgets, ["single", "stitch"])
    assert len(made) == count
    stored = read_baselines(benchmark.folder / BASELINES_FILE, benchmark.space, benchmark.latency)
    assert [(b.kind, b.name) for b in made] == [(b.kind, b.name) for b in stored]
    assert all(np.array_equal(b.x, kept.schedule) for b, kept in zip(made, stored, strict=True))
    assert [b.name for b in benchmark.baselines[:count]] == [b.name for b in stored]
