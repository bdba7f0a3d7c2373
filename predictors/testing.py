"""What every predictor must do, as functions that a plug-in's own tests can call.

Example:
    >>> check_predictor(partial(make_predictor, "knn"))  # raises AssertionError where it fails
    >>> @pytest.mark.parametrize("check", [pytest.param(run, id=name) for name, run in predictor_checks(make)])
    ... def test_conformance(check):
    ...     check()

A check is a function of a factory, ``make(space=..., **parameters)`` gives an unfitted predictor,
and of a :class:`Landscape`. The family must be registered, for its name is how it is saved.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import DiscreteVP, Noise
from omsdpm.sampling import sample_population
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, MultistepSpace, ScheduleSpace
from omsdpm.testing import refuses
from predictors.base import Predictor
from predictors.registry import load_predictor

Factory = Callable[..., Predictor]
Schedules = NDArray[np.int64]
Array = NDArray[np.float64]

SPACES = (DDIMSpace(num_models=3, length=10), DPMSolverSpace(num_models=3, num_solvers=5), MultistepSpace(3, 10))
"""Where a predictor is checked unless its test says otherwise."""

FLOOR = 0.6
"""Spearman's rho on held-out schedules that a family has to reach from 200 labels; Kendall's tau less 0.2."""


# -- landscapes of scores without images ----------------------------------------------


@dataclass(frozen=True, eq=False)
class Landscape:
    """Schedules ``(n, L)`` and scores ``(n,)`` of one space, first for training and then held out."""

    space: ScheduleSpace
    X: Schedules
    y: Array
    X_test: Schedules
    y_test: Array


@lru_cache(maxsize=16)
def make_landscape(space: ScheduleSpace, noise: Noise | None = None, n: int = 200, held_out: int = 100) -> Landscape:
    """Distinct random designs and their exact scores; arrays that nobody can change.

    Args:
        space: of the schedules.
        noise: what the networks were trained with; ``None`` is linear betas.
        n: schedules to train on.
        held_out: others.
    """
    rng = np.random.default_rng(0)
    drawn = space.canonical(space.random(3 * (n + held_out), rng, null=0.6))
    _, first = np.unique(drawn, axis=0, return_index=True)
    X = drawn[np.sort(first)[: n + held_out]]
    y = exact_scores(space, X, noise)
    for array in (X, y):
        array.setflags(write=False)
    return Landscape(space, X[:n], y[:n], X[n:], y[n:])


def exact_scores(space: ScheduleSpace, X: Schedules, noise: Noise | None = None, dimensions: int = 16) -> Array:
    """Fréchet distances ``(n,)`` of what schedules sample for normal data.

    Along each axis the data is normal, so the exact denoiser is affine in x; member ``k``
    is wrong by a factor that falls with ``k``, most at its own part of the time axis.
    Sampling is then affine too, and the images of 0 and 1 tell its mean and spread.
    """
    import torch

    spread = torch.linspace(0.05, 1.5, dimensions, dtype=torch.float64)
    mean = torch.linspace(-1.0, 1.0, dimensions, dtype=torch.float64)
    runs_on = space.solver_noise(DiscreteVP.linear() if noise is None else noise)
    wrong = 0.15 / np.arange(1, space.num_models + 1) ** 2
    peak = np.linspace(0.2, 0.8, space.num_models)

    def denoiser(k: int) -> Callable[[Any, Any], Any]:
        def eps(x: Any, timestep: Any) -> Any:
            t = runs_on.time(timestep)
            alpha, sigma = float(runs_on.alpha(t)), float(runs_on.sigma(t))
            exact = sigma * (x - alpha * mean) / (alpha**2 * spread**2 + sigma**2)
            return exact * (1 + wrong[k] * np.exp(-10 * (timestep / runs_on.steps - peak[k]) ** 2))

        return eps

    x_T = torch.stack([torch.zeros(dimensions), torch.ones(dimensions)]).double()
    y = np.zeros(len(X))
    denoisers = [denoiser(k) for k in range(space.num_models)]
    for row, x_0 in sample_population(denoisers, X, x_T, space=space, noise=runs_on):
        gain = (x_0[1] - x_0[0]).abs()
        y[row] = float(((gain - spread) ** 2 + (x_0[0] - mean) ** 2).sum())
    return y


# -- running the checks ---------------------------------------------------------------


def predictor_checks(
    make: Factory, *, spaces: Sequence[ScheduleSpace] = SPACES, noise: Noise | None = None, floor: float = FLOOR
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yields names and checks, each a function without arguments that raises where the predictor fails.

    Args:
        make: ``make(space=..., **parameters)`` gives an unfitted predictor.
        spaces: of the schedules; what does not depend on the space is checked in the first.
        noise: what the networks of the landscapes were trained with; ``None`` is linear betas.
        floor: see :data:`FLOOR`.
    """
    for space in spaces:
        for check in CHECKS_IN_EVERY_SPACE if space != spaces[0] else PREDICTOR_CHECKS:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            more = {"floor": floor} if check is check_learns_a_landscape else {}
            yield f"{name}, {space.solver}", partial(_run, check, make, space, noise, **more)


def check_predictor(
    make: Factory, *, spaces: Sequence[ScheduleSpace] = SPACES, noise: Noise | None = None, floor: float = FLOOR
) -> None:
    """Runs all of :func:`predictor_checks`.

    Raises:
        AssertionError: the first check that fails, by name.
    """
    for name, check in predictor_checks(make, spaces=spaces, noise=noise, floor=floor):
        try:
            check()
        except Exception as error:  # whatever a predictor does that it should not
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error


def _run(check: Callable[..., None], make: Factory, space: ScheduleSpace, noise: Noise | None, **more: Any) -> None:
    if noise is not None:
        make = partial(make, noise=space.solver_noise(noise))
    check(make, make_landscape(space, noise), **more)


def _fit_few(make: Factory, landscape: Landscape, n: int = 40, **parameters: Any) -> Predictor:
    return make(space=landscape.space, **parameters).fit(landscape.X[:n], landscape.y[:n])


# -- checks in every space ------------------------------------------------------------


def check_learns_a_landscape(make: Factory, landscape: Landscape, floor: float = FLOOR) -> None:
    """From 200 labels it ranks held-out schedules."""
    from scipy import stats

    predictor = make(space=landscape.space).fit(landscape.X, landscape.y)
    rho = stats.spearmanr(predictor.predict(landscape.X_test), landscape.y_test).statistic
    assert rho > floor, f"Spearman's rho {rho:.3f} on held-out schedules, expected more than {floor}"
    tau = predictor.score(landscape.X_test, landscape.y_test)
    assert tau > floor - 0.2, f"Kendall's tau {tau:.3f} on held-out schedules, expected more than {floor - 0.2:g}"


def check_far_from_labels_nothing_is_better_than_the_best(make: Factory, landscape: Landscape) -> None:
    """Where all labels have four evaluations or more, and none has all: schedules of one, of three and of all slots.

    A search goes where a predictor errs to the good side.
    """
    space = landscape.space
    nfe = space.nfe(landscape.X)
    within = (nfe >= 4) & (nfe < space.length)
    X, y = landscape.X[within], landscape.y[within]
    predictor = make(space=space).fit(X, y)
    far = np.zeros((space.num_models, 3, space.length), dtype=np.int64)
    far[:, 0, -space.group_size] = 1
    far[:, 1, space.even_slots(3)] = 1
    far[:, 2] = 1
    far *= np.arange(1, space.num_models + 1)[:, None, None]
    schedules = space.canonical(far.reshape(-1, space.length))
    predicted = predictor.predict(schedules)
    best = int(predicted.argmin())
    assert predicted[best] >= y.min() * (1 - 1e-9), (
        f"{schedules[best].tolist()} looks like no label and is predicted {predicted[best]:.4g}, "
        f"better than the best label, {y.min():.4g}"
    )


def check_predictions_are_finite_floats_one_a_schedule(make: Factory, landscape: Landscape) -> None:
    """``(n, L) -> (n,)`` float64, also of one row and of none."""
    predictor = _fit_few(make, landscape)
    predicted = predictor.predict(landscape.X_test)
    assert predicted.shape == (len(landscape.X_test),)
    assert predicted.dtype == np.float64
    assert np.isfinite(predicted).all()
    assert predictor.predict(landscape.X_test[0]).shape == (1,)
    assert predictor.predict(landscape.X_test[:0]).shape == (0,)


def check_equal_schedules_get_equal_predictions(make: Factory, landscape: Landscape) -> None:
    """Also those that sample the same and are written otherwise; where slots form groups, no others do."""
    predictor, space = _fit_few(make, landscape), landscape.space
    X = landscape.X_test[:30]
    twice = predictor.predict(np.concatenate([X, X[::-1]]))
    assert np.array_equal(twice[:30], twice[30:][::-1])
    if space.group_size > 1:
        moved = np.roll(X, space.group_size, axis=1)  # the last group becomes the first
        same = (space.canonical(moved) == X).all(axis=1)
        predicted = predictor.predict(np.concatenate([moved, X]))
        assert np.array_equal(predicted[:30] == predicted[30:], same)


def check_save_and_load_predict_equally(make: Factory, landscape: Landscape) -> None:
    """Without pickle, in a folder of its own; what was there before is replaced."""
    predictor = _fit_few(make, landscape, latency=(1.0, 2.0, 4.0), random_state=5)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "deep" / "predictor"
        predictor.save(folder)
        predictor.save(folder)
        for loaded in (load_predictor(folder), type(predictor).load(folder), Predictor.load(folder)):
            assert type(loaded) is type(predictor)
            assert np.array_equal(loaded.predict(landscape.X_test), predictor.predict(landscape.X_test))
            assert loaded.space == landscape.space
            assert loaded.random_state == 5
            if loaded.has_std:
                assert np.allclose(loaded.predict_std(landscape.X_test), predictor.predict_std(landscape.X_test))
        assert [path.name for path in folder.parent.iterdir()] == ["predictor"]
        pickles = (".pkl", ".pickle", ".pt", ".pth", ".joblib")
        assert not [path for path in folder.rglob("*") if path.suffix in pickles]


def check_two_training_rows_are_enough_and_one_is_not(make: Factory, landscape: Landscape) -> None:
    """Two labels give finite predictions; one is refused."""
    predictor = make(space=landscape.space).fit(landscape.X[:2], landscape.y[:2])
    assert np.isfinite(predictor.predict(landscape.X_test)).all()
    with refuses("at least 2"):
        make(space=landscape.space).fit(landscape.X[:1], landscape.y[:1])


def check_members_unseen_in_training_are_scored(make: Factory, landscape: Landscape) -> None:
    """A member that no training schedule names gets finite predictions."""
    members = landscape.space.num_models
    seen = np.minimum(landscape.X[:40], members - 1)
    predictor = make(space=landscape.space).fit(seen, landscape.y[:40])
    unseen = np.where(landscape.X_test > 0, members, 0)
    assert np.isfinite(predictor.predict(unseen)).all()


# -- checks in one space --------------------------------------------------------------


def check_the_same_random_state_gives_the_same_predictions(make: Factory, landscape: Landscape) -> None:
    """``random_state`` is the only source of randomness."""
    first, second = (
        _fit_few(make, landscape, random_state=np.random.RandomState(3)).predict(landscape.X_test) for _ in range(2)
    )
    assert np.array_equal(first, second)


def check_global_random_states_are_left_alone(make: Factory, landscape: Landscape) -> None:
    """Fitting and predicting draw nothing from NumPy's and torch's own generators."""
    import torch

    _, keys, position, *_ = np.random.get_state()
    torch_before = torch.random.get_rng_state()
    _fit_few(make, landscape).predict(landscape.X_test)
    _, keys_after, position_after, *_ = np.random.get_state()
    assert np.array_equal(keys_after, keys)
    assert position_after == position
    assert torch.equal(torch.random.get_rng_state(), torch_before)


def check_clone_is_unfitted_with_equal_parameters(make: Factory, landscape: Landscape) -> None:
    """scikit-learn's ``clone`` works, and learns the same again."""
    from sklearn.base import clone

    predictor = _fit_few(make, landscape, random_state=7)
    copy = clone(predictor)
    assert copy.get_params() == predictor.get_params()
    assert copy.random_state == 7
    assert not hasattr(copy, "target_")
    fitted = copy.fit(landscape.X[:40], landscape.y[:40])
    assert np.array_equal(fitted.predict(landscape.X_test), predictor.predict(landscape.X_test))


def check_cross_validation_scores_kendall_tau(make: Factory, landscape: Landscape) -> None:
    """scikit-learn's ``cross_val_score`` works."""
    from sklearn.model_selection import cross_val_score

    scores = cross_val_score(make(space=landscape.space), landscape.X[:80], landscape.y[:80], cv=2)
    assert scores.shape == (2,)
    assert (np.abs(scores) <= 1).all()
    assert scores.mean() > 0.2


def check_damaged_and_missing_folders_are_refused(make: Factory, landscape: Landscape) -> None:
    """What cannot be loaded is said in one line, and nothing else is overwritten."""
    predictor = _fit_few(make, landscape)
    with tempfile.TemporaryDirectory() as temporary:
        saved, mine = Path(temporary) / "saved", Path(temporary) / "mine"
        predictor.save(saved)
        arrays = saved / "arrays.safetensors"
        arrays.write_bytes(arrays.read_bytes()[:-8])
        with refuses("save the predictor again"):
            load_predictor(saved)
        (saved / "predictor.json").write_text("{")
        with refuses("damaged"):
            load_predictor(saved)
        with refuses("no predictor"):
            load_predictor(Path(temporary) / "nothing")
        mine.mkdir()
        (mine / "thesis.txt").write_text("chapter 1")
        with refuses("not a saved predictor"):
            predictor.save(mine)
        assert (mine / "thesis.txt").read_text() == "chapter 1"


def check_constant_targets_are_predicted(make: Factory, landscape: Landscape) -> None:
    """Where all labels are equal, so are the predictions, and they rank nothing."""
    for constant in (3.0, 0.0, -2.0):
        predictor = make(space=landscape.space).fit(landscape.X[:20], np.full(20, constant))
        assert np.allclose(predictor.predict(landscape.X_test), constant, atol=0.2)
        assert predictor.score(landscape.X_test, np.full(len(landscape.X_test), constant)) == 0


def check_duplicate_rows_with_different_scores(make: Factory, landscape: Landscape) -> None:
    """A schedule that was measured several times is no trouble."""
    X = np.repeat(landscape.X[:15], 3, axis=0)
    y = np.repeat(landscape.y[:15], 3) * np.tile([0.9, 1.0, 1.1], 15)
    assert np.isfinite(make(space=landscape.space).fit(X, y).predict(landscape.X_test)).all()


def check_scores_of_any_sign_and_size(make: Factory, landscape: Landscape) -> None:
    """Negative scores, scores of 18 orders of magnitude, and large ones that differ little."""
    X = landscape.X[:40]
    for y in (np.linspace(-5, 5, 40), np.geomspace(1e-9, 1e9, 40), np.linspace(1e6, 1e6 + 1, 40)):
        predictor = make(space=landscape.space).fit(X, y)
        assert np.isfinite(predictor.predict(landscape.X_test)).all()


def check_validation_schedules_may_be_given(make: Factory, landscape: Landscape) -> None:
    """Schedules and scores together, or neither."""
    held_out = landscape.X_test[:50], landscape.y_test[:50]
    predictor = make(space=landscape.space).fit(landscape.X[:80], landscape.y[:80], *held_out)
    assert predictor.score(landscape.X_test[50:], landscape.y_test[50:]) > 0.2
    with refuses("both or neither"):
        make(space=landscape.space).fit(landscape.X, landscape.y, X_validation=landscape.X_test)


def check_input_is_not_changed(make: Factory, landscape: Landscape) -> None:
    """Arrays that are given stay as they are."""
    X, y, X_test = landscape.X[:40].copy(), landscape.y[:40].copy(), landscape.X_test.copy()
    make(space=landscape.space).fit(X, y).predict(X_test)
    assert np.array_equal(X, landscape.X[:40])
    assert np.array_equal(y, landscape.y[:40])
    assert np.array_equal(X_test, landscape.X_test)
    for array in (X, y, X_test):
        array.setflags(write=False)
    make(space=landscape.space).fit(X, y).predict(X_test)  # nor does it try


def check_uncertainty_covers_what_it_says(make: Factory, landscape: Landscape) -> None:
    """Of a family with ``has_std``; of another it is refused."""
    predictor = make(space=landscape.space).fit(landscape.X, landscape.y)
    if not predictor.has_std:
        with refuses("no uncertainty"):
            predictor.predict_std(landscape.X_test)
        return
    std = predictor.predict_std(landscape.X_test)
    assert std.shape == (len(landscape.X_test),)
    assert (np.isfinite(std) & (std > 0)).all()
    low, high = predictor.predict_interval(landscape.X_test, 0.9)
    held = float(np.mean((low <= landscape.y_test) & (landscape.y_test <= high)))
    assert held >= 0.75, f"intervals of 0.9 hold {held:.2f} of the measured scores, expected at least 0.75"
    with refuses("level"):
        predictor.predict_interval(landscape.X_test, 1.5)


def check_scores_that_are_not_finite_are_refused(make: Factory, landscape: Landscape) -> None:
    """NaN and infinity, by row."""
    for bad in (np.nan, np.inf):
        y = landscape.y[:20].copy()
        y[3] = bad
        with refuses("score 3 is"):
            make(space=landscape.space).fit(landscape.X[:20], y)


def check_bad_schedules_and_shapes_are_refused(make: Factory, landscape: Landscape) -> None:
    """What does not fit the space, or not together."""
    space, X, y = landscape.space, landscape.X[:20], landscape.y[:20]
    predictor = make(space=space).fit(X, y)
    with refuses(f"length {space.length - 1}"):
        predictor.predict(X[:, : space.length - 1])
    with refuses(f"names member {space.num_models + 1}"):
        predictor.predict(np.full_like(X, space.num_models + 1))
    with refuses("all null"):
        predictor.fit(np.zeros_like(X), y)
    with refuses("one a schedule"):
        predictor.fit(X, y[:10])
    with refuses("not numbers"):
        predictor.fit(X, ["good"] * 20)
    with refuses("give the space"):
        make(space=None).fit(X, y)
    with refuses("latency table"):
        make(space=space, latency=(1.0,) * (space.num_models + 1)).fit(X, y)


CHECKS_IN_EVERY_SPACE: tuple[Callable[..., None], ...] = (
    check_learns_a_landscape,
    check_predictions_are_finite_floats_one_a_schedule,
    check_equal_schedules_get_equal_predictions,
    check_save_and_load_predict_equally,
    check_two_training_rows_are_enough_and_one_is_not,
    check_members_unseen_in_training_are_scored,
    check_far_from_labels_nothing_is_better_than_the_best,
)

PREDICTOR_CHECKS: tuple[Callable[..., None], ...] = (
    *CHECKS_IN_EVERY_SPACE,
    check_the_same_random_state_gives_the_same_predictions,
    check_global_random_states_are_left_alone,
    check_clone_is_unfitted_with_equal_parameters,
    check_cross_validation_scores_kendall_tau,
    check_damaged_and_missing_folders_are_refused,
    check_constant_targets_are_predicted,
    check_duplicate_rows_with_different_scores,
    check_scores_of_any_sign_and_size,
    check_validation_schedules_may_be_given,
    check_input_is_not_changed,
    check_uncertainty_covers_what_it_says,
    check_scores_that_are_not_finite_are_refused,
    check_bad_schedules_and_shapes_are_refused,
)
"""Functions of a factory and a landscape, those of every space first."""
