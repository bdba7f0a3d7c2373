"""The strategies of the field: what each proposes, against closed forms and diffusers."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from benchmarks import load_benchmark
from benchmarks.baselines import all_baselines
from benchmarks.strategies.ays import PUBLISHED
from benchmarks.strategies.base import CannotError, Labels, Problem, most_of_each
from benchmarks.strategies.grids import nearest, timesteps_at
from benchmarks.strategies.jumps import best_path, jump_errors
from benchmarks.strategies.registry import make_strategy, strategy_names, usual_strategies
from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.noise import DiscreteVP
from omsdpm.noise.flow import Flow
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from omsdpm.solvers.multistep import MultistepSpace

DDIM, DPM = DDIMSpace(3, 10), DPMSolverSpace(3, 4)
LATENCY = (1.0, 2.5, 6.0)
NOISE = DiscreteVP.linear()

GRIDS = ("ays", "karras", "trailing", "leading", "linspace", "logSNR")
LABELED = ("optimal-steps", "lemica", "bisect", "anneal")
OURS = {"single", "stitch", "stitch3", "sandwich", "boundary", "guidance-interval", *GRIDS, *LABELED}

PARAMETERS = {"guidance-interval": "[pairs=[[2,1],[3,1]]]", "boundary": "[at=0.5]", "anneal": "[labels=40]"}
"""With which every strategy has something to propose in the spaces here."""


def additive(space):
    """A score that is a sum over slots, and the optimum a matter of each slot alone."""
    table = np.random.default_rng(3).random((space.length, space.num_models + 1)) + np.array([4.0, 2.0, 1.0, 0.5])

    def measure(X):
        return np.take_along_axis(table[None], np.asarray(X)[:, :, None], axis=2)[:, :, 0].sum(axis=1)

    return measure


def problem_of(space, measure=None, **facts):
    noise = space.solver_noise(NOISE)
    labels = Labels(space, additive(space) if measure is None else measure)
    return Problem(space, LATENCY, noise, labels=labels, **facts)


def propose(text, space, budget, **facts):
    return list(make_strategy(text).schedules(problem_of(space, **facts), budget))


def test_ours_are_registered_and_the_usual_baselines_are_what_they_were():
    assert set(strategy_names()) >= OURS
    assert set(usual_strategies()) & OURS == {"single", "stitch"}


@pytest.mark.parametrize("space", [DDIM, DPM, MultistepSpace(3, 9)], ids=lambda space: space.solver)
@pytest.mark.parametrize("name", sorted(OURS))
def test_proposals_are_distinct_schedules_within_the_budget_or_there_is_a_line_why_not(name, space):
    text = name + PARAMETERS.get(name, "")
    for budget in (0.5, 1.0, 9.0, 16.0, 60.0):
        try:
            made = propose(text, space, budget)
        except CannotError as error:
            assert "\n" not in str(error)
            assert budget >= 1 or name in ("boundary", *GRIDS, "optimal-steps", "lemica")
            continue
        if budget < 1:
            assert made == []
            continue
        assert len({one.name for one in made}) == len(made)
        for one in made:
            (x,) = space.check(one.x)
            assert space.latency(x, LATENCY)[0] <= budget
    if not (space is DPM and name in (*GRIDS, "optimal-steps", "lemica")):
        assert propose(text, space, 60.0)


# -- several members --------------------------------------------------------------------


def counts_by_force(budget, members, room):
    """All that fit, without those to which a step can be added."""
    cost = [LATENCY[m - 1] for m in members]
    grid = np.indices((room + 1,) * len(members)).reshape(len(members), -1).T
    fits = [tuple(row) for row in grid.tolist() if min(row) and sum(row) <= room and np.dot(row, cost) <= budget]
    one_more = np.eye(len(members), dtype=int)
    return sorted(row for row in fits if not any(tuple(row + more) in fits for more in one_more))


@pytest.mark.parametrize("budget", [3.0, 9.5, 14.0, 30.0])
@pytest.mark.parametrize("members", [(1, 2), (3, 1), (1, 2, 3)])
def test_most_of_each_is_what_brute_force_finds(budget, members):
    found = most_of_each(problem_of(DDIM), budget, 1, members)
    assert sorted(found) == counts_by_force(budget, members, room=10)


def test_three_members_go_from_fast_to_slow():
    made = propose("stitch3", DDIM, 16.0)
    assert made
    for one in made:
        members = one.x[one.x > 0][::-1]  # from the noise end
        assert set(members) == {1, 2, 3} and (np.diff(members) >= 0).all()
    assert "member 1 2 steps, then member 2 3 steps, then member 3 1 step" in [one.name for one in made]


def test_a_sandwich_has_the_slow_member_at_both_ends():
    made = propose("sandwich[shares=[0.5]]", DDIM, 16.0)
    for one in made:
        members = one.x[one.x > 0][::-1].tolist()
        slow, fast = members[0], min(members, key=lambda m: LATENCY[m - 1])
        inside = members.index(fast), len(members) - members[::-1].index(fast)
        assert slow != fast and members[-1] == slow
        assert members[inside[0] : inside[1]] == [fast] * members.count(fast)
        assert abs(inside[0] - (len(members) - inside[1])) <= 1  # half of the slow steps at each end
    assert {tuple(sorted(set(one.x[one.x > 0].tolist()))) for one in made} == {(1, 2), (1, 3), (2, 3)}


def test_a_boundary_is_a_timestep():
    made = propose("boundary[at=0.5]", DDIM, 20.0)
    assert len(made) == 6
    for one in made:
        at = np.flatnonzero(one.x)
        high = DDIM.timesteps[at] >= 500
        assert len(set(one.x[at[high]])) == len(set(one.x[at[~high]])) == 1
        assert one.x[at[high]][0] != one.x[at[~high]][0]


def test_a_boundary_of_a_solver_that_places_its_steps_itself():
    (one, *_) = propose("boundary[at=0.5]", DPM, 60.0)
    problem = problem_of(DPM)
    above = problem.timesteps(one.x) >= 500
    assert len(set(one.x[one.x > 0][above])) == 1 and 0 < above.sum() < len(above)


def test_a_boundary_that_nothing_lies_above():
    with pytest.raises(CannotError, match="both sides of timestep 950"):
        propose("boundary[at=0.95]", DDIM, 20.0)


def test_guidance_is_on_in_one_interval():
    made = propose("guidance-interval[pairs=[[2,1]],starts=[0.5]]", DDIM, 9.0)
    assert made
    for one in made:
        on = one.x[one.x > 0][::-1] == 2
        assert set(one.x) == {0, 1, 2}
        assert np.abs(np.diff(on.astype(int))).sum() in (1, 2)  # one run
    assert "member 1 4 steps, guided by member 2 from step 3 to 4" in [one.name for one in made]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guidance-interval[pairs=[[2,2]]]", r"pairs: \[2, 2\] is none"),
        ("guidance-interval[pairs=[[1,2,3]]]", r"pairs: \[1, 2, 3\] is none"),
        ("guidance-interval[pairs=two]", "pairs: 'two' is none"),
        ("guidance-interval[pairs=[[2,1]],starts=[2]]", r"starts=\[2\]: expected numbers from 0 to 1"),
        ("sandwich[shares=[]]", r"shares=\[\]: expected numbers from 0 to 1"),
        ("boundary[at=1000]", "at=1000: expected a part"),
        ("boundary[at=high]", "at='high': expected a part"),
        ("ays[model=sd4]", "unknown grid of ays 'sd4'; choose one of: sd, svd, sdxl"),
        ("karras[rho=0]", "rho = 0: expected a positive number"),
        ("lemica[reach=0]", "reach=0: expected a positive whole number"),
        ("optimal-steps[teacher=best]", "teacher='best': expected a positive whole number"),
        ("bisect[base=0]", "base=0: expected the number of a member"),
        ("anneal[labels=0]", "labels=0: expected a positive integer"),
    ],
)
def test_parameters_that_are_none(text, message):
    with pytest.raises(InputError, match=message):
        make_strategy(text)


@pytest.mark.parametrize("text", ["guidance-interval[pairs=[[4,1]]]", "lemica[teacher=4]", "bisect[base=4]"])
def test_members_that_the_zoo_does_not_have(text):
    with pytest.raises(InputError, match=r"members 1\.\.3"):
        propose(text, DDIM, 20.0)


def test_pairs_have_to_be_said():
    with pytest.raises(CannotError, match=r"guidance-interval\[pairs=\[\[2,1\]\]\]"):
        propose("guidance-interval", DDIM, 20.0)


# -- times of steps ---------------------------------------------------------------------


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize("steps", [1, 2, 5, 7, 10, 25])
def test_even_grids_are_those_of_diffusers(spacing, steps):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(timestep_spacing=spacing, steps_offset=0)
    scheduler.set_timesteps(steps)
    expected = scheduler.timesteps.numpy()
    if spacing == "linspace" and steps == 1:
        expected = [999]  # NumPy's linspace of one point is its first, which diffusers turns around
    grid = make_strategy(spacing).grid(problem_of(DDIM), steps)
    np.testing.assert_allclose(grid, expected, atol=0.5)


@pytest.mark.parametrize(("name", "option"), [("karras", "use_karras_sigmas"), ("logSNR", "use_lu_lambdas")])
@pytest.mark.parametrize("steps", [2, 5, 10, 25])
def test_noise_level_grids_are_those_of_diffusers(name, option, steps):
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(
        beta_start=1e-4, beta_end=0.02, timestep_spacing="linspace", final_sigmas_type="zero", **{option: True}
    )
    scheduler.set_timesteps(steps)
    grid = make_strategy(name).grid(problem_of(DDIM), steps)
    np.testing.assert_allclose(grid, scheduler.timesteps.numpy(), atol=1.5)  # rounded, and interpolated elsewise


def test_ays_has_the_published_numbers():
    from diffusers.schedulers import AysSchedules

    for key, name in (("StableDiffusion", "sd"), ("StableDiffusionXL", "sdxl"), ("StableDiffusionVideo", "svd")):
        assert [*PUBLISHED[name], 0.0] == AysSchedules[f"{key}Sigmas"]
    # On the noise schedule that they were found on, ten steps are the published timesteps.
    problem = Problem(DDIM, LATENCY, DiscreteVP.scaled_linear())
    grid = make_strategy("ays").grid(problem, 10)
    np.testing.assert_allclose(grid, AysSchedules["StableDiffusionTimesteps"], atol=4)
    five = make_strategy("ays").grid(problem, 4)
    np.testing.assert_allclose(five, grid[::3])  # every third of ten


def test_a_grid_takes_the_nearest_slots_and_each_once():
    slots = np.array([0.0, 100, 200, 300, 400])
    assert nearest(slots, np.array([390.0, 120, 10]), 2).tolist() == [2, 2, 0, 0, 2]
    assert nearest(slots, np.array([400.0, 390, 380]), 1).tolist() == [0, 0, 1, 1, 1]
    rng = np.random.default_rng(0)
    for steps in (1, 2, 3, 4, 5):
        grid = np.sort(rng.uniform(0, 450, steps))[::-1]
        chosen = np.flatnonzero(nearest(slots, grid, 1))
        best = min(np.abs(slots[list(some)] - grid[::-1]).sum() for some in combinations(range(5), steps))
        assert np.abs(slots[chosen] - grid[::-1]).sum() == pytest.approx(best)


def test_grids_give_every_member_the_most_steps_that_fit():
    for name in GRIDS:
        counts = {int(one.x.max()): int((one.x > 0).sum()) for one in propose(name, DDIM, 9.0)}
        assert counts == {1: 9, 2: 3, 3: 1}


def test_grids_on_flow_matching():
    space, noise = DDIMSpace(3, 8, tuple(1000 * (1 - np.arange(8) / 8))), Flow()
    problem = Problem(space, LATENCY, noise)
    for name in GRIDS:
        made = list(make_strategy(name).schedules(problem, 9.0))
        assert [int((one.x > 0).sum()) for one in made] == [8, 3, 1]
    lam = noise.lam(np.array([0.25, 0.75]))
    np.testing.assert_allclose(timesteps_at(problem, lam), noise.timestep([0.25, 0.75]))


def test_what_speaks_of_times_needs_the_noise_schedule():
    for name in (*GRIDS, "boundary"):
        with pytest.raises(InputError, match="needs the noise schedule: give noise="):
            all_baselines(DDIM, LATENCY, [9.0], [name])


# -- labels -----------------------------------------------------------------------------


def test_labels_are_counted_once_each():
    asked = []

    def measure(X):
        asked.extend(X.tolist())
        return X.sum(axis=1)

    labels = Labels(DPM, measure)
    same = [[1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0]]  # a skipped solver is nowhere
    assert labels(same).tolist() == [3.0, 3.0]
    assert labels(same[:1]).tolist() == [3.0] and labels.spent == len(asked) == 1
    with pytest.raises(InputError, match="all null"):
        labels([[0] * 12])


def test_what_spends_labels_needs_to_measure():
    for name in LABELED:
        with pytest.raises(InputError, match="needs to measure: give measure="):
            all_baselines(DDIM, LATENCY, [9.0], [name])
    assert all_baselines(DDIM, LATENCY, [9.0], ["lemica"], measure=additive(DDIM))


def jumping(errors):
    """The score of a schedule as the sum of what its jumps cost, ``errors`` by the slots left out."""

    def measure(X):
        scores = []
        for x in X:
            stops = [-1, *np.flatnonzero(x).tolist(), len(x)]
            scores.append(sum(errors[a, b] for a, b in pairwise(stops)))
        return np.array(scores)

    return measure


@pytest.fixture
def errors():
    """What it costs to go from slot a to b, ``{(a, b): error}``; -1 and 6 are the ends."""
    rng = np.random.default_rng(5)
    return {(a, b): float((b - a - 1) ** 2 * rng.uniform(0.5, 2)) for a in range(-1, 7) for b in range(a + 1, 7)}


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6])
def test_optimal_steps_and_lemica_are_what_brute_force_finds(errors, steps):
    space = DDIMSpace(1, 6)
    problem = Problem(space, [1.0], labels=Labels(space, jumping(errors)))

    def jumps_of(slots):
        return sorted((errors[a, b] for a, b in zip([-1, *slots], [*slots, 6], strict=True)), reverse=True)

    paths = list(combinations(range(6), steps))
    for name, value in (("optimal-steps", lambda path: sum(jumps_of(path))), ("lemica", jumps_of)):
        (one,) = make_strategy(name).schedules(problem, float(steps))
        assert tuple(np.flatnonzero(one.x)) == min(paths, key=value)
    assert problem.labels.spent == 6 * 7 / 2


def test_the_table_holds_what_each_jump_costs_alone(errors):
    space = DDIMSpace(1, 6)
    table = jump_errors(Problem(space, [1.0], labels=Labels(space, jumping(errors))), teacher=1)
    assert table[0, 1] == table[3, 4] == table[6, 7] == 0
    assert table[2, 5] == pytest.approx(errors[1, 4])  # slots 3 and 2 left out, from slot 4 to slot 1
    assert table[0, 3] == pytest.approx(errors[3, 6])
    assert np.isinf(table[0, 7]) and np.isinf(table[4, 3])


def test_reach_saves_labels_and_may_leave_no_path():
    problem = problem_of(DDIM)
    assert list(make_strategy("lemica[reach=2]").schedules(problem, 5.0))
    assert problem.labels.spent == 1 + 10 + 9  # the teacher, each slot left out, each two in a row
    with pytest.raises(CannotError, match="jumps over at most 1 steps make no path"):
        propose("lemica[reach=1]", DDIM, 3.0)
    assert best_path(np.full((4, 4), np.inf), 2, max) is None


def test_bisection_finds_the_lowest_threshold_that_fits():
    """With degradations that add, as it assumes: the schedule is the cheapest at that threshold."""
    measure = additive(DDIM)
    problem = problem_of(DDIM, measure)
    budgets = (5.0, 12.0, 30.0, 60.0)
    for budget in budgets:
        (one,) = make_strategy("bisect").schedules(problem, budget)
        assert problem.labels.spent == 10 * 3 + 1
        whole = np.full((1, 10), 3)
        alone = []
        for slot in range(10):
            for member in range(4):
                x = whole.copy()
                x[0, slot] = member
                alone.append(measure(x)[0] - measure(whole)[0])
        rise = np.array(alone).reshape(10, 4)
        cost = np.array([0.0, *LATENCY])
        fitting = [
            x for threshold in np.unique(np.maximum(rise, 0))
            if (x := np.where(rise <= threshold, cost, np.inf).argmin(axis=1)).any() and cost[x].sum() <= budget
        ]  # fmt: skip
        assert one.x.tolist() == fitting[0].tolist()


def test_bisection_where_all_slots_go_at_once():
    problem = problem_of(DDIM, lambda X: np.count_nonzero(X == 0, axis=1).astype(float))
    with pytest.raises(CannotError, match="no threshold leaves a schedule within 5 ms"):
        list(make_strategy("bisect").schedules(problem, 5.0))


def test_annealing_keeps_to_its_labels_and_comes_near_the_optimum():
    benchmark = load_benchmark("digits-tab")
    regrets = []
    for seed in range(5):
        for budget in benchmark.budgets:
            labels = Labels(benchmark.space, benchmark.evaluate)
            problem = Problem(benchmark.space, benchmark.latency, benchmark.noise, labels=labels, seed=seed)
            (one,) = make_strategy("anneal[labels=100]").schedules(problem, budget)
            assert labels.spent <= 100
            optimum = float(benchmark.optimum(budget).y[0])
            regrets.append(float(benchmark.evaluate([one.x])[0]) / optimum - 1)
    assert np.mean(regrets) < 0.05  # one member alone is 1.3 above


def test_annealing_draws_by_the_seed():
    one, two, other = (propose("anneal[labels=30]", DDIM, 16.0, seed=seed)[0].x for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_no_label_is_spent_where_no_step_fits():
    for name in LABELED:
        problem = problem_of(DDIM)
        assert list(make_strategy(name).schedules(problem, 0.5)) == []
        assert problem.labels.spent == 0


def test_strategies_stay_within_a_budget_that_counts_switches():
    table = LatencyTable(LATENCY, step=0.5, switch=2.0)
    ours = ["single", "stitch", "stitch3", "sandwich", "guidance-interval[pairs=[[2,1]]]"]
    named = all_baselines(DDIM, table, [12.0, 30.0], ours, noise=NOISE)
    assert (DDIM.latency([one.x for one in named], table) <= 30.0).all()
    assert {one.kind for one in named} == {"single", "stitch", "stitch3", "sandwich", "guidance-interval"}
