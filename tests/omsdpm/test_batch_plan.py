"""What a solver knows of a whole batch, against its plans one by one."""

from __future__ import annotations

import numpy as np
import pytest

from omsdpm import InputError
from omsdpm.noise import DiscreteVP, Flow, LinearVP
from omsdpm.solvers import (
    USUAL,
    BatchPlan,
    DDIMSpace,
    DPMSolverSpace,
    MultistepSpace,
    SolverOptions,
    UniPCSpace,
    compile_plans,
)

VARIANCES = np.array([1e-3, 0.1, 4.0])

CASES = {
    "ddim": (DDIMSpace(3, 9), DiscreteVP.linear(), USUAL),
    "ddim, eta": (DDIMSpace(3, 9), DiscreteVP.linear(), SolverOptions(eta=0.7)),
    "ddim to the first timestep": (
        DDIMSpace(3, 5, (801.0, 601.0, 401.0, 201.0, 1.0)),
        DiscreteVP.scaled_linear(),
        SolverOptions(t_end=1e-3),
    ),
    "ddim, eta, to the first timestep": (
        DDIMSpace(3, 5, (801.0, 601.0, 401.0, 201.0, 1.0)),
        DiscreteVP.scaled_linear(),
        SolverOptions(eta=0.5, t_end=1e-3),
    ),
    "ddim on a grid": (DDIMSpace(3, 5, (999.0, 700.5, 430.0, 200.25, 3.0)), DiscreteVP.cosine(), USUAL),
    "euler": (DDIMSpace(2, 5, (1000.0, 800.0, 600.0, 400.0, 200.0)), Flow(), USUAL),
    "multistep": (MultistepSpace(3, 9), DiscreteVP.linear(), USUAL),
    "unipc": (UniPCSpace(3, 9), DiscreteVP.linear(), USUAL),
    "logSNR": (DPMSolverSpace(3, 7), LinearVP(), USUAL),
    "logSNR to 0.01": (DPMSolverSpace(3, 7), LinearVP(), SolverOptions(t_end=0.01)),
    "logSNR on cosine": (DPMSolverSpace(2, 4), DiscreteVP.cosine(), USUAL),
    "time_uniform": (DPMSolverSpace(3, 7), LinearVP(), SolverOptions("time_uniform")),
    "time_uniform on betas to 0.005": (
        DPMSolverSpace(2, 5),
        DiscreteVP.linear(),
        SolverOptions("time_uniform", t_end=0.005),
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    space, noise, options = request.param
    rng = np.random.default_rng(0)
    X = space.random(50, rng, null=rng.uniform(0.1, 0.9, 50))
    X[0] = 1  # the longest
    return space.canonical(X), space, noise, options


def test_evaluations_are_those_of_the_plans(case):
    X, space, noise, options = case
    batch, plans = space.batch_plan(X, noise, options), compile_plans(X, space, noise, options)
    assert batch.count.tolist() == [plan.nfe for plan in plans]
    for row, plan in enumerate(plans):
        there = batch.active[row]
        assert there.sum() == plan.nfe
        assert batch.member[row][there].tolist() == plan.models.tolist()
        assert not batch.member[row][~there].any() and not batch.order[row][~there].any()
        timesteps = np.array([stage.timestep for stage in plan.stages])
        assert batch.timestep[row][there] == pytest.approx(timesteps, abs=1e-6)
        lam = noise.lam(noise.time(timesteps))
        finite = np.isfinite(lam)
        assert batch.lam[row][there][finite] == pytest.approx(lam[finite], abs=1e-6)
        assert (batch.position[row][~there] == 1).all()
        assert batch.width[row].sum() == pytest.approx(1 - batch.position[row, 0])


def test_positions_are_linear_in_lambda(case):
    """Within a schedule: an evaluation's place on the axis is its lambda's."""
    X, space, noise, options = case
    batch = space.batch_plan(X, noise, options)
    for row in range(len(X)):
        there = batch.active[row] & (batch.timestep[row] > 0)  # a network's input is held at 0 below its first step
        position, lam = batch.position[row][there], batch.lam[row][there]
        if len(lam) < 3 or not np.isfinite(lam).all():
            continue
        assert (np.diff(position) > 0).all()
        slope = (position[-1] - position[0]) / (lam[-1] - lam[0])
        assert position - position[0] == pytest.approx(slope * (lam - lam[0]), abs=1e-6)


def test_what_errors_add_is_what_the_plans_add(case):
    X, space, noise, options = case
    batch = space.batch_plan(X, noise, options)
    known, read = batch.flow(VARIANCES), BatchPlan(X, space, noise, options).flow(VARIANCES)
    assert known.scale == pytest.approx(read.scale, rel=1e-6, abs=1e-9)
    assert batch.scale(VARIANCES) == pytest.approx(read.scale, rel=1e-6, abs=1e-9)
    for row in range(len(X)):
        mine, theirs = known.member[row] > 0, read.member[row] > 0
        assert known.effect[row][mine] == pytest.approx(read.effect[row][theirs], rel=1e-6, abs=1e-9)


def test_orders_are_those_of_the_groups(case):
    X, space, noise, options = case
    batch = space.batch_plan(X, noise, options)
    for row, x in enumerate(X):
        groups = x.reshape(-1, space.group_size)[::-1]
        expected = [n for n in np.count_nonzero(groups, axis=1).tolist() for _ in range(n)]
        assert batch.order[row][batch.active[row]].tolist() == expected


def test_any_solver_is_read_off_its_plans(case):
    """A solver that knows nothing of batches gives the same members, times, orders and rising places."""
    X, space, noise, options = case
    known, read = space.batch_plan(X, noise, options), BatchPlan(X, space, noise, options)
    assert np.array_equal(known.member, read.member)
    assert np.array_equal(known.order, read.order)
    assert known.timestep == pytest.approx(read.timestep, abs=1e-6)
    assert (np.diff(read.position, axis=1)[read.active[:, 1:]] >= 0).all()
    assert ((read.position >= 0) & (read.position <= 1)).all()
    if space.group_size > 1:
        steps = read.steps
        assert np.array_equal(steps.members, known.steps.members)
        assert np.array_equal(steps.order, known.steps.order)


def test_fresh_noise_is_part_of_the_samples():
    """On data of variance 1 and betas, the best networks keep the variance at 1 whatever is added on the way."""
    space, noise, errors = DDIMSpace(1, 1000), DiscreteVP.linear(), []
    for steps in (10, 100, 1000):
        X = np.zeros((1, 1000), dtype=np.int64)
        X[0, space.even_slots(steps)] = 1
        noisy = space.batch_plan(X, noise, SolverOptions(eta=1.0)).scale(np.ones(1))
        errors.append(abs(noisy[0, 0] - 1))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01  # the starting noise alone is forgotten: without what is added it would be 1


def test_time_uniform_evaluates_where_the_issue_says():
    """1,000 timesteps, eight evaluations: every 125th, not where lambda is even."""
    space, noise = DPMSolverSpace(1, 8), LinearVP()
    X = np.tile([1, 0, 0], (1, 8))
    batch = space.batch_plan(X, noise, SolverOptions("time_uniform"))
    assert batch.timestep[0, :3].round().tolist() == [999, 874, 749]
    assert space.batch_plan(X, noise).timestep[0, 1] < 874


def test_an_option_that_is_not_the_solvers_is_refused():
    with pytest.raises(InputError, match="only DDIM takes it"):
        UniPCSpace(2, 4).batch_plan(np.ones((1, 4), dtype=np.int64), DiscreteVP.linear(), SolverOptions(eta=0.5))


def test_a_solver_that_borrows_slots_is_not_taken_for_ddim():
    class Halved(DDIMSpace):
        solver = "halved"

        def plan(self, schedule, noise, options=USUAL):
            plan = super().plan(schedule, noise, options)
            closing = plan.closing._replace(
                states=tuple((number, weight / 2) for number, weight in plan.closing.states),
                outputs=tuple((number, weight / 2) for number, weight in plan.closing.outputs),
            )
            return plan._replace(closing=closing)

    X, noise = np.array([[1, 0, 2, 0, 1]]), DiscreteVP.linear()
    usual = DDIMSpace(2, 5).batch_plan(X, noise).scale(VARIANCES)
    assert Halved(2, 5).batch_plan(X, noise).scale(VARIANCES) == pytest.approx(usual / 2)
