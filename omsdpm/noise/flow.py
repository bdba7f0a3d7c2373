"""Flow matching on straight lines (Lipman et al., arXiv:2210.02747; Liu et al., arXiv:2209.03003)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.noise.base import Array, Noise, check_positive, check_steps, within


@dataclass(frozen=True)
class Flow(Noise):
    """``alpha = 1 - sigma``, ``sigma = shift t / (1 + (shift - 1) t)``.

    A shift above 1, for large images, gives the noisy end more of the time (Esser et al.,
    arXiv:2403.03206, Eq. 23). The model input is ``steps * sigma(t)``, from 0 at the image to
    ``steps`` at the noise: time ``n / steps`` is what diffusers' ``FlowMatchEulerDiscreteScheduler``
    of this shift has as its training timestep, for ``n`` from 1 to ``steps``.

    At the noise end there is no signal and ``lambda`` is infinite; :attr:`t_start` is 0.999.

    Args:
        shift: of the times, see above.
        steps: training timesteps.
    """

    kind: ClassVar[str] = "flow"
    shift: float = 1.0
    steps: int = 1000

    def __post_init__(self) -> None:
        check_positive(shift=self.shift)
        check_steps(self.steps)

    def alpha(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=float)
        return (1.0 - t) / (1.0 + (self.shift - 1.0) * t)  # 1 - sigma, without cancellation

    def sigma(self, t: ArrayLike) -> Array:
        t = np.asarray(t, dtype=float)
        return self.shift * t / (1.0 + (self.shift - 1.0) * t)

    def inverse_lambda(self, lam: ArrayLike) -> Array:
        # alpha / sigma = (1 - t) / (shift t), so t = 1 / (1 + shift exp(lambda)).
        return np.exp(-np.logaddexp(0.0, np.asarray(lam, dtype=float) + math.log(self.shift)))

    def timestep(self, t: ArrayLike) -> Array:
        return self.steps * self.sigma(t)

    def time(self, timestep: ArrayLike) -> Array:
        sigma = within(timestep, 0, self.steps) / self.steps
        return sigma / (self.shift + (1.0 - self.shift) * sigma)

    def slots(self, length: int) -> tuple[float, ...]:
        """Even in time, from pure noise to one step before the image; the image itself has nothing to predict."""
        return tuple(self.timestep(np.arange(length, 0, -1) / length).tolist())

    @property
    def t_start(self) -> float:
        """0.999, the last but one of 1,000 timesteps: between it and 1 any time has a finite ``lambda``."""
        return 0.999
