"""What one single-step DPM-Solver does, and where the solvers of a schedule stand in time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from omsdpm.noise import Array, Noise
from omsdpm.solvers.plan import Combination

GROUP = 3
"""Slots of one solver: its highest order."""

FEW = 15
"""Evaluations below which sampling stops earlier (App. D.4)."""


def time_end(nfe: int) -> float:
    """Where sampling stops: nearer the image when there are evaluations to spend (App. D.4)."""
    return 1e-4 if nfe >= FEW else 1e-3


def stage_times(orders: Sequence[int], noise: Noise, spacing: str, t_end: float) -> list[Array]:
    """For each solver its stages' times and its end, ``(order + 1,)``, falling.

    ``logSNR`` puts the ends of the solvers, and the stages inside each, uniformly in lambda;
    ``time_uniform`` does so in t, a solver of order o spanning o of ``nfe`` equal parts.
    """
    if spacing == "time_uniform":
        points = np.linspace(noise.t_start, t_end, sum(orders) + 1)
        starts = np.cumsum([0, *orders[:-1]])
        return [points[start : start + order + 1] for start, order in zip(starts, orders, strict=True)]
    start, end = noise.lam([noise.t_start, t_end])
    lambdas = np.linspace(start, end, len(orders) + 1)
    inner = [np.linspace(lambdas[k], lambdas[k + 1], order + 1) for k, order in enumerate(orders)]
    return [noise.inverse_lambda(lam) for lam in inner]


class Step:
    """One solver from ``t[0]`` to ``t[-1]``; ``first`` is the number of its first stage."""

    def __init__(self, noise: Noise, t: Array, first: int = 1) -> None:
        alpha, lam = noise.alpha(t), noise.lam(t)
        self.first = first
        self.order = len(t) - 1
        self.scales = [float(s) for s in alpha / alpha[0]]
        self.sigmas = [float(s) for s in noise.sigma(t)]
        self.offsets = [float(o) for o in lam - lam[0]]  # r_i h, and h at the end

    def input(self, i: int) -> Combination:
        """What stage ``i > 0`` of this step is evaluated at."""
        return self._combine(i, at=None if i == 1 else 1)

    def result(self) -> Combination:
        """The state at the end of the step."""
        return self._combine(self.order, at=None if self.order == 1 else self.order - 1)

    def _combine(self, i: int, at: int | None) -> Combination:
        """The state at time ``i``: the first stage's output, corrected by stage ``at``'s.

        With ``s = r h`` the offset of the correcting stage and ``h`` that of time ``i``, the
        correction is ``(e_at - e_first) (h / s) phi_2(h)`` with ``phi_2(h) = expm1(h) / h - 1``;
        a two-stage result uses ``expm1(h) h / (2 s)`` instead, as the paper's Alg. 1 does.
        """
        h = self.offsets[i]
        first = -self.sigmas[i] * math.expm1(h)
        outputs = {self.first: first}
        if at is not None:
            s = self.offsets[at]
            phi = 0.5 * math.expm1(h) if self.order == 2 else math.expm1(h) / h - 1.0
            correction = -self.sigmas[i] * (h / s) * phi
            outputs = {self.first: first - correction, self.first + at: correction}
        return Combination(states=((self.first, self.scales[i]),), outputs=tuple(outputs.items()))
