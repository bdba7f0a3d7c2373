"""DPM-Solver++ (2M) (Lu et al., arXiv:2211.01095, Alg. 2): second order from the step before.

Not to be confused with the single-step DPM-Solver-2, which spends two evaluations a step.
The first step, and the last one to ``sigma = 0``, are of first order, as in diffusers'
``DPMSolverMultistepScheduler`` with ``final_sigmas_type="zero"``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from omsdpm.noise import Noise
from omsdpm.solvers.ddim import DDIMSpace
from omsdpm.solvers.plan import START, Combination, Plan, Stage


@dataclass(frozen=True)
class MultistepSpace(DDIMSpace):
    """The slots of :class:`DDIMSpace`, second order across steps (Lu et al., arXiv:2211.01095)."""

    solver: ClassVar[str] = "dpm-solver++"


def compile_multistep(schedule: Sequence[int], timesteps: Sequence[int], noise: Noise) -> Plan:
    """The plan of one schedule ``(L,)``; slot ``i`` has model-input timestep ``timesteps[i]``."""
    active = [slot for slot in range(len(schedule) - 1, -1, -1) if schedule[slot]]
    alpha_bars = [float(a) for a in noise.alpha_bar([timesteps[slot] for slot in active])]
    alphas = [math.sqrt(a) for a in alpha_bars]
    sigmas = [math.sqrt(1 - a) for a in alpha_bars]
    lambdas = [math.log(a / s) for a, s in zip(alphas, sigmas, strict=True)]
    stages, entering = [], START
    for i, slot in enumerate(active):
        number = i + 1
        stages.append(Stage(int(schedule[slot]), float(timesteps[slot]), entering))
        if number == len(active):
            break
        h = lambdas[number] - lambdas[i]
        data = -alphas[number] * math.expm1(-h)  # weight of the data prediction(s)
        if i == 0:
            predictions = [(i, data)]
        else:
            half_inverse_r = 0.5 * h / (lambdas[i] - lambdas[i - 1])
            predictions = [(i, data * (1 + half_inverse_r)), (i - 1, -data * half_inverse_r)]
        # A data prediction is (x - sigma e) / alpha of its own stage.
        states = {number: sigmas[number] / sigmas[i]}
        for j, weight in predictions:
            states[j + 1] = states.get(j + 1, 0.0) + weight / alphas[j]
        outputs = tuple((j + 1, -weight * sigmas[j] / alphas[j]) for j, weight in predictions)
        entering = Combination(states=tuple(states.items()), outputs=outputs)
    last = len(active)
    closing = Combination(states=((last, 1 / alphas[-1]),), outputs=((last, -sigmas[-1] / alphas[-1]),))
    return Plan(tuple(stages), closing)
