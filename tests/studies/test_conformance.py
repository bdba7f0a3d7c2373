"""The conformance kit on every registered optimizer, a third party's included; and what only ours promise."""

import inspect
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from studies import Optimizer, make_optimizer, optimizer_names
from studies import testing as kit

SLOW = {"optuna-gp": ("optuna-gp[startup=190,batch=5]", (DDIMSpace(3, 6), DPMSolverSpace(3, 3)))}
"""Optimizers whose proposals take long: with which parameters, and in which spaces, they are checked."""

every_check = [
    pytest.param(check, id=f"{name}: {what}")
    for name in optimizer_names()
    for text, spaces in [SLOW.get(name, (name, kit.SPACES))]
    for what, check in kit.optimizer_checks(partial(make_optimizer, text), spaces=spaces)
]


def test_ours_are_registered():
    ours = {"nsga2", "tpe", "evolution", "random", "ga", "moead", "optuna-nsga2", "optuna-gp", "local", "anneal"}
    assert ours <= set(optimizer_names())


@pytest.mark.parametrize("check", every_check)
def test_conformance(check):
    check()


# -- the kit itself ---------------------------------------------------------------------


def test_the_kit_needs_no_test_framework():
    code = "import studies.testing, sys; print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split() == ["False"]


def test_every_check_of_the_module_is_run():
    checks = {thing for name, thing in vars(kit).items() if name.startswith("check_") and inspect.isfunction(thing)}
    assert checks - {kit.check_optimizer} == set(kit.OPTIMIZER_CHECKS)
    names = [name for name, _ in kit.optimizer_checks(partial(make_optimizer, "random"))]
    assert len(set(names)) == len(names) == 2 * (len(kit.OPTIMIZER_CHECKS) + len(kit.CHECKS_UNDER_EVERY_BUDGET))


class Plain(Optimizer):
    """Random designs that keep to the contract."""

    multi_objective = False

    def _search(self, problem, ledger, rng):
        while ledger.open:
            ledger.score(problem.space.random(50, rng, null=0.7))


class Lazy(Plain):
    def _search(self, problem, ledger, rng):
        ledger.score(problem.space.random(1, rng))


class OwnRandomness(Plain):
    def _search(self, problem, ledger, rng):
        super()._search(problem, ledger, np.random.default_rng())


class GlobalRandomness(Plain):
    def _search(self, problem, ledger, rng):
        np.random.random()
        super()._search(problem, ledger, rng)


class Deaf(Plain):
    def run(self, problem, *, evaluations, seed, progress=None):
        return super().run(problem, evaluations=int(max(evaluations, 1)), seed=abs(seed), progress=progress)


class Overspends(Plain):
    def run(self, problem, *, evaluations, seed, progress=None):
        return super().run(problem, evaluations=evaluations + 5, seed=seed, progress=progress)


@pytest.mark.parametrize(
    ("optimizer", "check"),
    [
        (Lazy, partial(kit.check_search, budget=None)),
        (Overspends, partial(kit.check_search, budget=9.0)),
        (OwnRandomness, partial(kit.check_equal_seeds_give_equal_results, budget=None)),
        (GlobalRandomness, kit.check_global_random_states_are_left_alone),
        (Deaf, kit.check_wrong_arguments_are_refused),
        (Overspends, kit.check_a_small_allowance_is_kept),
    ],
)
def test_an_optimizer_that_breaks_the_contract_fails(optimizer, check):
    with pytest.raises(AssertionError):
        check(optimizer, kit.SPACES[0])
    check(Plain, kit.SPACES[0])


def test_all_checks_at_once_say_which_one_failed():
    kit.check_optimizer(Plain, spaces=kit.SPACES[:1], budgets=[None])
    with pytest.raises(AssertionError, match=r"^wrong arguments are refused, ddim: AssertionError: was accepted"):
        kit.check_optimizer(Deaf, spaces=kit.SPACES[:1])


# -- what ours promise ------------------------------------------------------------------


@pytest.mark.parametrize("space", [DDIMSpace(3, 7), DPMSolverSpace(3, 3)])
@pytest.mark.parametrize("budget", [10.0, 16.0])
def test_nsga2_finds_the_optimum(space, budget):
    """With one of three seeds; with half of a small space's schedules a single one may miss it."""
    everything = space.enumerate()
    everything = everything[space.latency(everything, kit.LATENCY) <= budget]
    everything = np.unique(space.canonical(everything), axis=0)
    optimum = kit.AdditiveScore(space.length, space.num_models).predict(everything).min()
    evaluations = min(len(everything) // 2, 2000)
    results = [
        make_optimizer("nsga2").run(kit.additive_problem(space, budget), evaluations=evaluations, seed=seed)
        for seed in range(3)
    ]
    assert min(result.scores.min() for result in results) == pytest.approx(optimum)


def test_one_nsga2_run_finds_the_front():
    space = DDIMSpace(3, 6)
    everything = space.enumerate()
    cost = space.latency(everything, kit.LATENCY)
    scores = kit.AdditiveScore(6, 3).predict(everything)
    result = make_optimizer("nsga2").run(kit.additive_problem(space), evaluations=2500, seed=0)
    for budget in (3.0, 9.0, 15.0, 36.0):
        assert result.scores[result.best_index(budget)] == pytest.approx(scores[cost <= budget].min())


def test_unknown_optimizer_names_the_nearest_first():
    with pytest.raises(InputError, match="unknown optimizer 'nsga3'; choose one of: nsga2, "):
        make_optimizer("nsga3")


@pytest.mark.parametrize(
    "call", [lambda: make_optimizer("nsga2", populatoin=3), lambda: make_optimizer("nsga2[populatoin=3]")]
)
def test_unknown_parameter_names_the_nearest_first(call):
    with pytest.raises(
        InputError, match="unknown parameter of optimizer 'nsga2' 'populatoin'; choose one of: population, "
    ):
        call()


def test_parameters_come_in_brackets_and_by_keyword():
    optimizer = make_optimizer("nsga2[population=100]", seeded=False)
    assert (optimizer.population, optimizer.seeded) == (100, False)
    assert make_optimizer("evolution[rounds=3,slots=2]").slots == 2
    with pytest.raises(InputError, match=r"'nsga2\[population=100\]': parameter 'population' is given twice"):
        make_optimizer("nsga2[population=100]", population=3)
    with pytest.raises(InputError, match="population='many': expected a positive integer"):
        make_optimizer("nsga2[population=many]")


def test_importing_studies_imports_no_optimization_library():
    code = "import studies, sys; studies.optimizer_names(); print([m for m in sys.modules if '.' not in m])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"pymoo", "optuna", "torch", "pandas", "sklearn", "matplotlib"} & set(eval(loaded))
