"""Variance-preserving diffusion in discrete steps, given by its betas (DDPM, Ho et al., arXiv:2006.11239)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.noise.base import Array, Noise, within
from omsdpm.noise.linear_vp import LinearVP
from omsdpm.noise.rescaling import rescale_zero_terminal_snr
from omsdpm.noise.vp import VP, log_alpha_of

if TYPE_CHECKING:
    from omsdpm.noise.beta_schedule import BetaSchedule

LIMIT = 0.01
"""How far ``alpha_bar`` may be from its continuous limit for that to stand in for it."""


@dataclass(frozen=True, eq=False)
class DiscreteVP(VP):
    """A schedule given by its betas, one a training timestep.

    Timestep ``n`` is time ``(n + 1) / N``; between timesteps, and from the image to the
    first of them, ``log alpha`` is interpolated linearly, which is what lets DPM-Solvers
    run on it (Lu et al., 2022, App. D). Where the last beta is 1 there is no signal at the last
    timestep (zero terminal SNR); up to it ``alpha`` itself is interpolated, for its logarithm cannot be.

    Args:
        betas: ``(N,)`` numbers in (0, 1), of which the last may be 1.
    """

    kind: ClassVar[str] = "betas"
    betas: Sequence[float] | NDArray[np.float64] = field(repr=False)
    steps: int = field(init=False)

    def __post_init__(self) -> None:
        self._keep(self.betas)

    def _keep(self, betas: Sequence[float] | NDArray[np.float64]) -> None:
        checked = _checked(betas)
        object.__setattr__(self, "betas", checked)
        object.__setattr__(self, "steps", len(checked))

    @staticmethod
    def linear(start: float = 1e-4, end: float = 0.02, steps: int = 1000) -> BetaSchedule:
        """Betas in equal steps from ``start`` to ``end``, DDPM's own choice."""
        from omsdpm.noise.linear import LinearBetas  # is a DiscreteVP, as the next two

        return LinearBetas(beta_start=start, beta_end=end, steps=steps)

    @staticmethod
    def scaled_linear(start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> BetaSchedule:
        """Betas whose square roots are in equal steps, Stable Diffusion's choice."""
        from omsdpm.noise.scaled_linear import ScaledLinearBetas

        return ScaledLinearBetas(beta_start=start, beta_end=end, steps=steps)

    @staticmethod
    def cosine(steps: int = 1000, max_beta: float = 0.999) -> BetaSchedule:
        """Betas of a squared cosine ``alpha_bar``."""
        from omsdpm.noise.cosine import CosineBetas

        return CosineBetas(max_beta=max_beta, steps=steps)

    def rescaled(self) -> DiscreteVP:
        """The same with zero terminal SNR (Lin et al., arXiv:2305.08891, Alg. 1)."""
        return self if self._ends_in_noise else DiscreteVP(rescale_zero_terminal_snr(np.asarray(self.betas)))

    @cached_property
    def _ends_in_noise(self) -> bool:
        return bool(self.betas[-1] == 1)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> DiscreteVP:
        from omsdpm.noise.registry import from_keys

        return from_keys(_of_list, cls.kind, table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DiscreteVP) and np.array_equal(self.betas, other.betas)

    def __hash__(self) -> int:
        return hash(np.asarray(self.betas).tobytes())

    @cached_property
    def _log_alphas(self) -> Array:
        """At the image, where it is 0, and at each timestep: ``(N + 1,)``."""
        with np.errstate(divide="ignore"):
            return np.concatenate([[0.0], 0.5 * np.log1p(-np.asarray(self.betas)).cumsum()])

    @cached_property
    def _finite(self) -> tuple[Array, Array]:
        """Times and ``log alpha`` of the image and of all timesteps that have signal."""
        times = np.linspace(0.0, 1.0, self.steps + 1)
        known = slice(None, self.steps if self._ends_in_noise else None)
        return times[known], self._log_alphas[known]

    def log_alpha(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=float)
        times, log_alphas = self._finite
        between = np.interp(t, times, log_alphas)
        if not self._ends_in_noise:
            return between
        with np.errstate(divide="ignore"):
            left = np.log(np.clip((1.0 - t) * self.steps, 0.0, 1.0))  # of the last alpha that is not 0
        return np.where(t > times[-1], log_alphas[-1] + left, between)

    def inverse_lambda(self, lam: ArrayLike) -> Array:
        # log_alpha falls with t, and interpolation wants rising abscissas.
        log_alpha = log_alpha_of(lam)
        times, log_alphas = self._finite
        between = np.interp(log_alpha, log_alphas[::-1], times[::-1])
        if not self._ends_in_noise:
            return between
        left = np.exp(np.minimum(log_alpha - log_alphas[-1], 0.0))
        return np.where(log_alpha < log_alphas[-1], 1.0 - left / self.steps, between)

    def timestep(self, t: ArrayLike) -> Array:
        return np.maximum(np.asarray(t, dtype=float) * self.steps - 1.0, 0.0)

    def time(self, timestep: ArrayLike) -> Array:
        return (within(timestep, 0, self.steps - 1) + 1.0) / self.steps

    @property
    def t_start(self) -> float:
        """1, or the time of the last timestep that has signal."""
        return float(self._finite[0][-1])

    def continuous(self) -> Noise:
        """:class:`LinearVP` where it is the limit of the betas, in equal steps; else the betas themselves.

        Few or steep steps, such as 50 up to 0.4, are too far from the limit: networks trained on
        them know other ``alpha_bar``.
        """
        return self._limit

    @cached_property
    def _limit(self) -> Noise:
        betas = np.asarray(self.betas)
        even = np.linspace(betas[0], betas[-1], self.steps)
        if not betas[0] < betas[-1] < 1 or not np.allclose(betas, even, rtol=1e-9, atol=0):
            return self
        limit = LinearVP(float(betas[0]) * self.steps, float(betas[-1]) * self.steps, self.steps)
        timesteps = np.arange(self.steps)
        near = np.abs(limit.alpha_bar(timesteps) - self.alpha_bar(timesteps)).max() <= LIMIT
        return limit if near else self


def _of_list(betas: list[float], zero_terminal_snr: bool = False) -> DiscreteVP:
    noise = DiscreteVP(betas)
    return noise.rescaled() if zero_terminal_snr else noise


def _checked(betas: ArrayLike) -> Array:
    """A copy that nobody can change.

    Raises:
        InputError: no list of numbers, or one out of bounds.
    """
    try:
        checked = np.array(betas, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError("betas: expected a list of numbers between 0 and 1") from error
    if checked.ndim != 1 or not len(checked):
        raise InputError(f"betas of shape {checked.shape}: expected a list of numbers between 0 and 1")
    inside = (checked > 0) & (checked < 1)
    inside[-1] |= checked[-1] == 1 and len(checked) > 1
    if not inside.all():
        worst = int((~inside).argmax())
        raise InputError(
            f"betas[{worst}] = {checked[worst]:g}, of {len(checked)}: "
            "expected numbers between 0 and 1, of which only the last of several may be 1 (zero terminal SNR)"
        )
    checked.setflags(write=False)
    return checked
