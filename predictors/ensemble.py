"""Families averaged, because they err differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.optimize import nnls

from omsdpm.errors import InputError, unknown_name
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from predictors.base import Array, Predictor, Schedules
from predictors.registry import make_predictor
from predictors.targets import TargetScale

OWN_PARAMETERS: Mapping[str, Mapping[str, Any]] = {"lstm": {"networks": 6}}
"""Of members by family: more networks rank a little better, and who takes the time for several families has it."""

ENOUGH = 20
"""Labels from which on a part is held out; with fewer, every one is needed to learn."""

PULL = 20.0
"""Held-out schedules that the pull of stacked weights towards inverse squared errors counts as."""

FOLDS = 5
"""Parts of the held-out schedules; the average's errors on one are seen with weights from the others."""

SUM_TO_ONE = 1e4
"""Weight of the equation that makes weights sum to 1, far above that of any schedule."""

FACTOR_TRUST = 4
"""Held-out schedules at which the measured factor of the variance counts half, and 1 the other half."""

UNKNOWN_VARIANCE = 0.25
"""Of the average's error, on the standardized scale, where nothing was held out to measure it."""

LEAST_VARIANCE = 1e-6
"""Of any error, on the standardized scale; constant targets would give none."""

CALIBRATED_LEVELS = (0.5, 0.9)
"""Central intervals that the factor is to make true, on average; errors have heavier tails than the normal law."""

ONE_STD = float(special.ndtr(1) - special.ndtr(-1))
"""Level of the interval that goes one standard deviation to either side."""


class EnsemblePredictor(Predictor):
    """Weighted average of several families on one scale, with a calibrated standard deviation.

    All members learn the ensemble's standardized (log) scores. They are fitted twice: on
    80 % of the labels, to see on the others how large each member's errors and those of
    the average are, and then on all of them. Weights are those of least squares that are not
    negative and sum to 1 (stacking, Breiman 1996), pulled gently towards inverse mean squared
    errors; so a member that is far ahead is not held back by the others, though with few labels
    the split's luck can cost a little against that member alone. The variance of a
    prediction is the members' disagreement plus the mean of the variances that they
    state themselves plus a constant, times one factor that makes it true of the held-out
    schedules; these were predicted from fewer labels, so it errs to the large side.

    Validation schedules take the place of the held-out part, and members are fitted once;
    a member that stops by them too makes its own errors look smaller than they are.
    Far from its labels the members part ways, and their disagreement is in the standard deviation.

    With fewer than 20 labels nothing is held out, weights are equal and the standard
    deviation is a rough guess.

    Args:
        space, noise, latency, random_state, options: see :class:`predictors.Predictor`; the members get
            them too, each with a seed of its own.
        members: registered families (:func:`predictors.predictor_names`); one may stand twice.
        parameters: a family's name -> parameters for its members, for those that differ from
            the family's defaults; ``lstm`` has 6 networks unless they say otherwise.
        held_out: fraction of the labels in the held-out part.
        refit: whether members are fitted again on all labels; without, the fit takes half the
            time, and the held-out labels are not learned from.
    """

    has_std: ClassVar[bool] = True

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        members: Sequence[str] = ("gp", "lstm"),
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        held_out: float = 0.2,
        refit: bool = True,
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(space, noise, latency, random_state, options)
        self.members = members
        self.parameters = parameters
        self.held_out = held_out
        self.refit = refit

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        self._check_members()
        random = np.random.RandomState(self._seed())
        seeds = random.randint(2**31 - 1, size=len(self.members)).tolist()
        self._trust_nothing()
        if validation is not None:
            self._fit_members(X, z, seeds, validation)
            self._calibrate(*validation)
        elif len(X) < ENOUGH:
            self._fit_members(X, z, seeds)
        else:
            rows = random.permutation(len(X))
            kept, rest = np.split(rows, [round(self.held_out * len(X))])
            self._fit_members(X[rest], z[rest], seeds)
            self._calibrate(X[kept], z[kept])
            if self.refit:
                self._fit_members(X, z, seeds)

    def _fit_members(
        self, X: Schedules, z: Array, seeds: Sequence[int], validation: tuple[Schedules, Array] | None = None
    ) -> None:
        # Members take logarithms of positive scores; exp(z) makes z what they learn, on any scale of ours.
        held_out = () if validation is None else (validation[0], np.exp(validation[1]))
        self.members_ = [
            self._member(name, seed).fit(X, np.exp(z), *held_out)
            for name, seed in zip(self.members, seeds, strict=True)
        ]
        for member in self.members_:
            member.coverage_ = None  # what labels cover is held against the average

    def _trust_nothing(self) -> None:
        """Weights and variances before any error was measured."""
        self.weights_ = np.full(len(self.members), 1 / len(self.members))
        self.base_variance_, self.factor_ = UNKNOWN_VARIANCE, 1.0

    def _calibrate(self, X: Schedules, z: Array) -> None:
        """Weights and the factor of the variance, from schedules that the members were not fitted to."""
        scores, own = self._opinions(X)
        n = len(X)
        self.weights_ = _stacked(scores - z[:, None])
        # Weights chosen on a schedule make its error look small, most where few were held out.
        fold, weights = np.arange(n) % FOLDS, np.zeros((n, scores.shape[1]))
        for f in range(min(FOLDS, n)):
            weights[fold == f] = _stacked((scores - z[:, None])[fold != f]) if n > 1 else self.weights_
        squares = ((scores * weights).sum(axis=1) - z) ** 2
        self.base_variance_ = max(float(squares.mean()) / 2, LEAST_VARIANCE)
        ratio = np.sqrt(squares / self._variance(scores, own))
        levels = np.array(CALIBRATED_LEVELS)
        measured = float((np.quantile(ratio, levels) / special.ndtri(0.5 + levels / 2)).mean()) ** 2
        self.factor_ = (n * measured + FACTOR_TRUST) / (n + FACTOR_TRUST)

    def _score(self, X: Schedules) -> Array:
        return self._scores(X) @ self.weights_

    def _score_std(self, X: Schedules) -> Array:
        return np.sqrt(self.factor_ * self._variance(*self._opinions(X)))

    def _score_and_std(self, X: Schedules) -> tuple[Array, Array]:
        scores, own = self._opinions(X)
        return scores @ self.weights_, np.sqrt(self.factor_ * self._variance(scores, own))

    def _variance(self, scores: Array, own: Array) -> Array:
        """``(n, K), (n, K) -> (n,)``: before the calibrated factor."""
        center = scores @ self.weights_
        return (own + (scores - center[:, None]) ** 2) @ self.weights_ + self.base_variance_

    def _opinions(self, X: Schedules) -> tuple[Array, Array]:
        """``(n, L) -> (n, K), (n, K)``: scores of the members on our scale, and the variances that they state."""
        own = np.zeros((len(X), len(self.members_)))
        for k, member in enumerate(self.members_):
            if member.has_std:
                low, high = (np.log(end) for end in member.predict_interval(X, ONE_STD))
                own[:, k] = ((high - low) / 2) ** 2
        return self._scores(X), own

    def _scores(self, X: Schedules) -> Array:
        """``(n, L) -> (n, K)``: scores of the members on our scale."""
        return np.column_stack([np.log(member.predict(X)) for member in self.members_])

    def _member(self, name: str, seed: int) -> Predictor:
        known = {"noise": self.noise, "latency": self.latency, "random_state": seed, "options": self.options}
        own, given = OWN_PARAMETERS.get(name, {}), (self.parameters or {}).get(name, {})
        return make_predictor(name, space=self._space, **(known | {**own} | {**given}))

    def _check_members(self) -> None:
        if isinstance(self.members, str) or not len(self.members):
            raise InputError(f"members={self.members!r}: give the names of one family or more, such as ('gp', 'lstm')")
        for name in self.parameters or {}:
            if name not in self.members:
                raise unknown_name("member of the ensemble", name, self.members)
        if not 0 < self.held_out <= 0.5:
            raise InputError(f"held_out={self.held_out}: expected a fraction above 0 and at most 0.5")

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        members, arrays = [], {"weights": self.weights_}
        for k, (name, member) in enumerate(zip(self.members, self.members_, strict=True)):
            learned, own = member._state()
            seed, target = member.random_state, asdict(member.target_)
            members.append({"name": name, "seed": seed, "target": target, "learned": learned})
            arrays |= {f"{k}/{key}": array for key, array in own.items()}
        return {"members": members, "base variance": self.base_variance_, "factor": self.factor_}, arrays

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self.weights_ = arrays["weights"]
        self.base_variance_, self.factor_ = float(values["base variance"]), float(values["factor"])
        self.members_ = []
        for k, saved in enumerate(values["members"]):
            member = self._member(saved["name"], saved["seed"])
            member._begin(TargetScale(**saved["target"]))
            own = {key.removeprefix(f"{k}/"): array for key, array in arrays.items() if key.startswith(f"{k}/")}
            member._restore(saved["learned"], own)
            self.members_.append(member)


def _stacked(errors: Array) -> Array:
    """``(n, K) -> (K,)``: weights, at least 0 and of sum 1, under which errors of the members cancel best."""
    squares = (errors**2).mean(axis=0) + LEAST_VARIANCE
    prior = (1 / squares) / (1 / squares).sum()
    scale = np.sqrt(squares.mean())
    pull = np.sqrt(PULL) * np.eye(errors.shape[1])
    # Of weights that sum to 1, those that minimize the average's error have these equations to solve.
    rows = np.vstack([errors / scale, pull, np.full_like(prior, SUM_TO_ONE)])
    weights, _ = nnls(rows, np.concatenate([np.zeros(len(errors)), pull @ prior, [SUM_TO_ONE]]))
    return weights / weights.sum()
