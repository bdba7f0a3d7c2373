"""The contract of predictors: scikit-learn estimators over schedules."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from omsdpm.devices import resolve_device
from omsdpm.errors import InputError, one_line
from omsdpm.files import reads
from omsdpm.noise import DiscreteVP, Noise
from omsdpm.seeds import numpy_state
from omsdpm.solvers import USUAL, BatchPlan, ScheduleSpace, SolverOptions, space_from_table
from predictors import folder as _folder
from predictors.coverage import Coverage
from predictors.registry import registered_name
from predictors.targets import TargetScale

Array = NDArray[np.float64]
Schedules = NDArray[np.int64]


COVERAGE = "coverage/"
"""Arrays of a saved predictor that are the labels' outlines."""


class Predictor(RegressorMixin, BaseEstimator):
    """Learns schedule -> score from measured pairs; lower is better.

    The life of a call: :meth:`fit` checks schedules and scores, puts the scores on a
    standardized scale (logarithms where all are positive) and calls the family's
    :meth:`_learn`; :meth:`predict` brings schedules to canonical form, calls the
    family's :meth:`_score` once for every distinct one and maps back to scores. A family
    implements these two, :meth:`_state` and :meth:`_restore` for saving, and, where
    it knows its uncertainty, sets ``has_std`` and implements :meth:`_score_std`.

    A family's ``__init__`` stores its arguments and does nothing else, and its learned
    attributes end in ``_``; ``clone``, ``get_params`` and ``cross_val_score`` then work.
    :meth:`score` is Kendall's tau, because what a search asks of a predictor is order.

    Args:
        space: the space of the schedules; needed by ``fit``.
        noise: the noise schedule, for the time axis; ``None`` is the usual one of the
            space's solver: linear betas for one step a slot, ``LinearVP`` for DPM-Solver.
        latency: ``(M,)`` ms a member, for families that use it; ``None`` if unknown.
        random_state: the only source of randomness, an int or a NumPy ``RandomState``.
        options: that the solver ran with (spacing, eta, the last time); ``None`` is the usual.
    """

    has_std: ClassVar[bool] = False
    """Whether :meth:`predict_std` works."""

    _folder: str = ""
    """Where it was loaded from, for errors."""

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        options: SolverOptions | None = None,
    ) -> None:
        self.space = space
        self.noise = noise
        self.latency = latency
        self.random_state = random_state
        self.options = options

    # -- what a family implements ----------------------------------------------------

    @abstractmethod
    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        """Learns canonical schedules ``(n, L)``, n >= 2, and standardized scores ``(n,)``."""

    @abstractmethod
    def _score(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``: standardized scores of distinct canonical schedules."""

    def _score_std(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``: standard deviations on the standardized scale."""
        raise NotImplementedError

    def _score_and_std(self, X: Schedules) -> tuple[Array, Array]:
        """Both at once, for families that need the same for either."""
        return self._score(X), self._score_std(X)

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What was learned, as JSON values and arrays."""

    @abstractmethod
    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes back what :meth:`_state` gave; raises ``KeyError`` or ``ValueError`` if it cannot.

        A family checks types and shapes (:func:`predictors.folder.expect`) before it uses an array.
        """

    # -- estimator -------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_validation: ArrayLike | None = None,
        y_validation: ArrayLike | None = None,
    ) -> Self:
        """Learns from measured schedules.

        Args:
            X: ``(n, L)`` schedules, n at least 2.
            y: ``(n,)`` their scores, lower is better.
            X_validation, y_validation: measured schedules that are not learned from; a family
                may stop or choose by them.

        Raises:
            InputError: no space, schedules that are not valid in it, scores that are not
                one finite number a schedule, or an option that the space's solver does not have.
        """
        schedules, scores = self._check_pairs(X, y, "")
        if len(schedules) < 2:
            raise InputError(f"{len(schedules)} training schedules: give at least 2")
        if (X_validation is None) != (y_validation is None):
            raise InputError("validation schedules and scores come together: give both or neither")
        self._check_latency()
        if self.options is not None:
            self._space.check_options(self.options)
        self._begin(TargetScale.of(scores))
        validation = None
        if X_validation is not None and y_validation is not None:
            held_out, held_out_scores = self._check_pairs(X_validation, y_validation, "validation ")
            validation = (held_out, self.target_.forward(held_out_scores))
        z = self.target_.forward(scores)
        self._learn(schedules, z, validation)
        self.coverage_: Coverage | None = Coverage.of(schedules, z, self._space)
        return self

    def predict(self, X: ArrayLike) -> Array:
        """``(n, L) -> (n,)``: predicted scores, finite, lower is better.

        A schedule that looks like no label, by its evaluations, its longest stretch without any and its
        beginning, is not predicted better than the best label; see :class:`predictors.coverage.Coverage`.

        Raises:
            InputError: schedules that are not valid in the space.
        """
        distinct, back = self._distinct(X)
        if not len(distinct):
            return np.zeros(0)
        return self._finite(self.target_.inverse(self._covered(distinct, self._score(distinct))[0]))[back]

    def predict_bound(self, X: ArrayLike, kappa: float) -> Array:
        """``(n, L) -> (n,)``: predicted scores plus ``kappa`` standard deviations, on the standardized scale.

        What a pessimist searches by; a negative ``kappa`` is an optimist's. A family that does not know its
        uncertainty gives :meth:`predict`.

        Raises:
            InputError: schedules that are not valid in the space.
        """
        if not self.has_std or kappa == 0:
            return self.predict(X)
        z, std = self._predict_learned(X)
        return self._finite(self.target_.inverse(z + kappa * std))

    def predict_std(self, X: ArrayLike) -> Array:
        """``(n, L) -> (n,)``: standard deviation of the prediction, in units of the score.

        Raises:
            InputError: the family has none, or schedules that are not valid in the space.
        """
        z, std = self._predict_learned(X)
        return self._finite(self.target_.inverse_std(z, std))

    def predict_interval(self, X: ArrayLike, level: float = 0.9) -> tuple[Array, Array]:
        """``(n, L) -> (n,), (n,)``: ends of central intervals meant to hold ``level`` of the measured scores.

        Raises:
            InputError: as :meth:`predict_std`, or a level outside (0, 1).
        """
        if not 0 < level < 1:
            raise InputError(f"level {level}: expected a number between 0 and 1")
        z, std = self._predict_learned(X)
        half = stats.norm.ppf(0.5 + level / 2) * std
        return self.target_.inverse(z - half), self.target_.inverse(z + half)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: None = None) -> float:
        """Kendall's tau-b between predicted and measured scores; 0 where one of them is constant."""
        tau = float(stats.kendalltau(self.predict(X), np.asarray(y, dtype=float)).statistic)
        return tau if np.isfinite(tau) else 0.0

    # -- files -----------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the fitted predictor to ``folder``, without pickle; an older predictor there is replaced.

        Raises:
            InputError: the folder cannot be written or holds something else.
        """
        check_is_fitted(self, "target_")
        values, arrays = self._state()
        parameters = self.get_params(deep=False)
        space, noise, options = parameters.pop("space"), parameters.pop("noise"), parameters.pop("options", None)
        if not isinstance(parameters["random_state"], int):
            parameters["random_state"] = None
        with _folder.replacing_folder(folder) as new:
            coverage: Coverage | None = getattr(self, "coverage_", None)
            if coverage is not None:
                arrays = arrays | {COVERAGE + key: array for key, array in coverage.arrays().items()}
            _folder.write_arrays(new, arrays)
            _folder.write_header(
                new,
                {
                    "predictor": registered_name(type(self)),
                    "space": space.table(),
                    "noise": None if noise is None else noise.table(),
                    "options": None if options is None else asdict(options),
                    "parameters": parameters,
                    "target": asdict(self.target_),
                    "learned": values,
                    "arrays": _folder.described(arrays),
                },
            )

    @classmethod
    @reads("folder")
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The fitted predictor that :meth:`save` wrote.

        Raises:
            InputError: no predictor of this class there, or a damaged one.
        """
        if cls is Predictor:
            from predictors.registry import load_predictor

            return load_predictor(folder)
        header = _folder.read_header(folder)
        if header.predictor != (name := registered_name(cls)):
            raise InputError(f"{folder} holds the predictor {header.predictor!r}, not {name!r}")
        arrays = _folder.read_arrays(folder, header)
        where = Path(folder) / _folder.HEADER
        try:
            parameters = _folder.parameters_of_table(cls, header.parameters, "parameters")
            known: dict[str, Any] = {
                "space": space_from_table(header.space),
                "noise": _folder.noise_from_json(header.noise),
            }
            if header.options is not None:  # folders of the first format do not say
                known["options"] = header.options
                known["space"].check_options(header.options)
            if "device" in parameters:
                resolve_device(parameters["device"])
            predictor = cls(**known, **parameters)
            predictor._check_latency()
            predictor._begin(header.target)
            labels = {key.removeprefix(COVERAGE): arrays.pop(key) for key in list(arrays) if key.startswith(COVERAGE)}
            predictor._restore(header.learned, arrays)
            if labels:  # folders of older versions have none
                predictor.coverage_ = Coverage.from_arrays(predictor._space, labels)
        except (KeyError, TypeError, ValueError) as error:
            damage = f"{where} does not describe a {cls.__name__}: {one_line(error)}"
            raise InputError(f"{damage}; save the predictor again") from error
        predictor._folder = os.fspath(folder)
        return predictor

    # -- shared parts ----------------------------------------------------------------

    def _begin(self, target: TargetScale) -> None:
        """Sets what every fitted predictor has."""
        self.target_ = target
        self.n_features_in_ = self._space.length

    @property
    def _space(self) -> ScheduleSpace:
        if self.space is None:
            raise InputError(f"{type(self).__name__}(space=None): give the space of the schedules")
        return self.space

    @property
    def _noise(self) -> Noise:
        """The noise schedule given, or the usual one of the space's solver."""
        if self.noise is not None:
            return self.noise
        return self._space.solver_noise(DiscreteVP.linear())

    def _batch_plan(self, X: Schedules) -> BatchPlan:
        """Where the evaluations of canonical schedules ``(n, L)`` stand, and what their errors do."""
        return self._space.batch_plan(X, self._noise, self.options or USUAL)

    def _seed(self) -> int:
        """A seed drawn from ``random_state``, for libraries that take an integer."""
        state = self.random_state
        if isinstance(state, (int, np.integer)):
            state = numpy_state(state)
        return int(check_random_state(state).randint(2**31 - 1))

    def _check_pairs(self, X: ArrayLike, y: ArrayLike, what: str) -> tuple[Schedules, Array]:
        space = self._space
        schedules = space.canonical(space.check(X))
        try:
            scores = np.array(y, dtype=float)
        except (TypeError, ValueError) as error:
            raise InputError(f"{what}scores are not numbers: {error}") from error
        if scores.shape != (len(schedules),):
            raise InputError(
                f"{what}scores of shape {scores.shape} for {len(schedules)} schedules: give one a schedule"
            )
        bad = ~np.isfinite(scores)
        if bad.any():
            row = int(bad.argmax())
            raise InputError(f"{what}score {row} is {scores[row]}: scores must be finite; drop or measure it again")
        return schedules, scores

    def _check_latency(self) -> None:
        if self.latency is not None:
            self._space.latency(np.ones((1, self._space.length), dtype=np.int64), self.latency)

    def _distinct(self, X: ArrayLike) -> tuple[Schedules, NDArray[np.intp]]:
        """Distinct canonical schedules, sorted, and for each row of ``X`` which of them it is.

        Scoring each once saves work and makes the predictions of equal schedules equal to
        the last bit, which sums in blocks of a batch would not.
        """
        check_is_fitted(self, "target_")
        space = self._space
        schedules = space.canonical(space.check(X))
        # Big-endian bytes sort like the rows themselves, many times faster.
        rows = np.ascontiguousarray(schedules, dtype=">u4").view(f"S{4 * schedules.shape[1]}").reshape(-1)
        _, first, back = np.unique(rows, return_index=True, return_inverse=True)
        return schedules[first], back

    def _predict_learned(self, X: ArrayLike) -> tuple[Array, Array]:
        """Mean and standard deviation on the standardized scale, ``(n,), (n,)``."""
        if not self.has_std:
            raise InputError(f"{type(self).__name__} has no uncertainty; use a predictor with has_std")
        distinct, back = self._distinct(X)
        if not len(distinct):
            return np.zeros(0), np.zeros(0)
        z, std = self._score_and_std(distinct)
        z, away = self._covered(distinct, z)
        return z[back], np.hypot(std, away)[back]

    def _finite(self, values: Array) -> Array:
        """``values``, known to be numbers: weights that a damaged file has, or a fit ran away to, may give none."""
        if not np.isfinite(values).all():
            saved = f" of {self._folder}" if self._folder else ""
            raise InputError(f"{type(self).__name__}{saved} predicts NaN or infinity: fit it again")
        return values

    def _covered(self, X: Schedules, z: Array) -> tuple[Array, Array]:
        """Standardized scores ``(n,)`` as far as labels let them be believed, and distances from the labels."""
        coverage: Coverage | None = getattr(self, "coverage_", None)
        if coverage is None:  # weights of the release, which come without labels
            return z, np.zeros(len(z))
        floor, away = coverage.floor(X)
        return np.maximum(z, floor), away
