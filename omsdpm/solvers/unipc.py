"""UniPC of order 2 with ``B(h) = expm1(-h)`` (bh2) (Zhao et al., arXiv:2302.04867, Alg. 1 to 4), on data predictions.

The predictor is that of DPM-Solver++ (2M); the next evaluation then corrects the state it was
predicted to, which costs no evaluation of its own. The first step and the last one, to
``sigma = 0``, are of first order, as in diffusers' ``UniPCMultistepScheduler``.
"""

from __future__ import annotations

import math
from typing import ClassVar

from omsdpm.noise import Noise
from omsdpm.solvers.data_steps import DataSteps
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import Plan
from omsdpm.solvers.slots import SlotSpace
from omsdpm.solvers.space import Schedule


class UniPCSpace(SlotSpace):
    """UniPC: second order across steps, one step a slot, each state corrected by its own evaluation."""

    solver: ClassVar[str] = "unipc"

    def plan(self, schedule: Schedule, noise: Noise, options: SolverOptions = USUAL) -> Plan:
        steps = DataSteps(self, schedule, noise)
        for i in range(len(steps) - 1):
            kept = steps.sigma[i + 1] / steps.sigma[i]
            data = {j: kept * weight for j, weight in _correction(steps, i).items()}
            for j, weight in _prediction(steps, i).items():
                data[j] = data.get(j, 0.0) + weight
            steps.go(i, data)
        return steps.end()


def _prediction(steps: DataSteps, i: int) -> dict[int, float]:
    """UniP: weights of the data predictions in the step from evaluation ``i``."""
    full = -steps.alpha[i + 1] * math.expm1(-steps.h(i))
    if i == 0:
        return {0: full}
    half_inverse_r = 0.5 * steps.h(i) / steps.h(i - 1)
    return {i: full * (1 + half_inverse_r), i - 1: -full * half_inverse_r}


def _correction(steps: DataSteps, i: int) -> dict[int, float]:
    """UniC: what evaluation ``i`` adds to its own input, as weights of data predictions.

    The corrected state starts from the same corrected state before as the predicted one, so
    that their difference holds data predictions alone.
    """
    if i == 0:
        return {}
    before = i - 1
    h = steps.h(before)
    full = -steps.alpha[i] * math.expm1(-h)
    if i == 1:
        return {1: 0.5 * full, 0: -0.5 * full}
    r = -steps.h(before - 1) / h  # where the evaluation before the last stands, in steps
    b_1 = _phi(2, h)
    b_2 = 2 * _phi(3, h)
    if math.isinf(r):  # the evaluation before was of pure noise and says nothing of the slope
        slope_before, slope_here = 0.0, b_1
    else:
        # rho of Eq. 9: [1 1; r 1] rho = b.
        slope_before = (b_2 - b_1) / (r - 1)
        slope_here = b_1 - slope_before
        slope_before = (slope_before - 0.5) / r  # less what the prediction had of it
    return {
        i: full * slope_here,
        before: -full * (slope_here + slope_before),
        before - 1: full * slope_before,
    }


def _phi(k: int, h: float) -> float:
    """``h_phi_k / B(h)`` of the authors' code, with ``h_phi_1 = B(h) = expm1(-h)``; finite for ``h = inf``."""
    hh = -h
    first = math.expm1(hh)
    value = first / hh - 1
    if k == 3:
        value = value / hh - 0.5
    return value / first
