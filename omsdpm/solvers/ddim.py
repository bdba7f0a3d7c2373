"""DDIM (Song, Meng & Ermon, arXiv:2010.02502, Eq. 12): first order, one stage a slot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from omsdpm.noise import Noise
from omsdpm.solvers.plan import START, Combination, Plan, Stage


def compile_ddim(schedule: Sequence[int], timesteps: Sequence[int], noise: Noise, eta: float = 0.0) -> Plan:
    """The plan of one schedule.

    Args:
        schedule: ``(L,)`` members, index 0 = image end.
        timesteps: ``(L,)`` model-input timestep of each slot.
        noise: gives ``alpha_bar`` at the timesteps.
        eta: 0 is deterministic, 1 is ancestral sampling (Eq. 16).
    """
    active = [slot for slot in range(len(schedule) - 1, -1, -1) if schedule[slot]]
    alpha_bars = [float(a) for a in noise.alpha_bar([timesteps[slot] for slot in active])] + [1.0]
    stages, entering = [], START
    for number, slot in enumerate(active, start=1):
        stages.append(Stage(int(schedule[slot]), float(timesteps[slot]), entering))
        here, there = alpha_bars[number - 1 : number + 1]
        spread = eta * math.sqrt((1 - there) / (1 - here) * (1 - here / there))
        scale = math.sqrt(there / here)
        direction = math.sqrt(max(1 - there - spread**2, 0.0)) - scale * math.sqrt(1 - here)
        entering = Combination(
            states=((number, scale),),
            outputs=((number, direction),),
            noise=(int(timesteps[slot]), spread) if spread else None,
        )
    return Plan(tuple(stages), closing=entering)
