"""DPM-Solver++ (2M) (Lu et al., arXiv:2211.01095, Alg. 2): second order from the step before.

Not to be confused with the single-step DPM-Solver-2, which spends two evaluations a step.
The first step, and the last one to ``sigma = 0``, are of first order, as in diffusers'
``DPMSolverMultistepScheduler`` with ``final_sigmas_type="zero"``.
"""

from __future__ import annotations

import math
from typing import ClassVar

from omsdpm.noise import Noise
from omsdpm.solvers.batch import BatchPlan
from omsdpm.solvers.data_steps import DataSteps
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import Plan
from omsdpm.solvers.slot_batch import MultistepBatch
from omsdpm.solvers.slots import SlotSpace
from omsdpm.solvers.space import Schedule, Schedules


class MultistepSpace(SlotSpace):
    """Multistep DPM-Solver++ (2M): second order across steps, one step a slot (Lu et al., arXiv:2211.01095)."""

    solver: ClassVar[str] = "dpm-solver++"

    def plan(self, schedule: Schedule, noise: Noise, options: SolverOptions = USUAL) -> Plan:
        steps = DataSteps(self, schedule, noise)
        for i in range(len(steps) - 1):
            data = -steps.alpha[i + 1] * math.expm1(-steps.h(i))  # weight of the data prediction(s)
            if i == 0:
                steps.go(i, {i: data})
            else:
                half_inverse_r = 0.5 * steps.h(i) / steps.h(i - 1)
                steps.go(i, {i: data * (1 + half_inverse_r), i - 1: -data * half_inverse_r})
        return steps.end()

    def batch_plan(self, X: Schedules, noise: Noise, options: SolverOptions = USUAL) -> BatchPlan:
        if type(self).plan is not MultistepSpace.plan:  # a solver of its own on these slots
            return super().batch_plan(X, noise, options)
        self.check_options(options)
        return MultistepBatch(X, self, noise, options)
