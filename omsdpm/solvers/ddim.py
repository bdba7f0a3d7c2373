"""DDIM (Song, Meng & Ermon, arXiv:2010.02502, Eq. 12): first order, one stage a slot.

In terms of ``alpha`` and ``sigma``, so that on a flow-matching schedule it is Euler's method.
"""

from __future__ import annotations

import math
from typing import ClassVar

from omsdpm.noise import Noise
from omsdpm.solvers.batch import BatchPlan
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import NO_SIGNAL, START, Combination, Plan, Stage
from omsdpm.solvers.slot_batch import DDIMBatch
from omsdpm.solvers.slots import SlotSpace, active_slots
from omsdpm.solvers.space import Schedule, Schedules


class DDIMSpace(SlotSpace):
    """DDIM: first order, one step a slot; Euler's method on flow matching.

    Slot ``i`` is timestep ``i * (1000 // length)`` unless a grid says otherwise. Sampling ends in the image, or at
    :attr:`SolverOptions.t_end`: 1/1000, the first of 1,000 timesteps, is diffusers' ``set_alpha_to_one=False``.

    Example:
        >>> space = DDIMSpace(num_models=6, length=20)
        >>> space.random(2, np.random.default_rng(0)).shape
        (2, 20)
    """

    solver: ClassVar[str] = "ddim"
    takes_eta: ClassVar[bool] = True
    takes_t_end: ClassVar[bool] = True

    def plan(self, schedule: Schedule, noise: Noise, options: SolverOptions = USUAL) -> Plan:
        alphas, sigmas, lams = self.levels(noise, options.t_end)
        timesteps, active = self.timesteps.tolist(), active_slots(schedule)
        stages, entering = [], START
        for number, (slot, following) in enumerate(zip(active, [*active[1:], self.length], strict=True), start=1):
            alpha, sigma = alphas[slot], sigmas[slot]
            next_alpha, next_sigma = alphas[following], sigmas[following]
            # Ancestral variance, Eq. 16, for any alpha and sigma.
            spread = options.eta * next_sigma * math.sqrt(max(-math.expm1(2 * (lams[slot] - lams[following])), 0.0))
            kept = math.sqrt(max(next_sigma**2 - spread**2, 0.0))
            if alpha < NO_SIGNAL:  # the noise prediction is the input itself there: step from the image's
                scale = kept / sigma
                predicts, output = "sample", next_alpha - alpha * scale
            else:
                scale = next_alpha / alpha
                predicts, output = "epsilon", kept - scale * sigma
            stages.append(Stage(int(schedule[slot]), float(timesteps[slot]), entering, predicts))
            entering = Combination(
                states=((number, scale),),
                outputs=((number, output),),
                noise=(float(timesteps[slot]), spread) if spread else None,
                rests=((number, kept),) if kept else (),
            )
        return Plan(tuple(stages), closing=entering)

    def batch_plan(self, X: Schedules, noise: Noise, options: SolverOptions = USUAL) -> BatchPlan:
        if type(self).plan is not DDIMSpace.plan:  # a solver of its own on these slots
            return super().batch_plan(X, noise, options)
        self.check_options(options)
        self.levels(noise, options.t_end)  # refuses an end that is noisier than a slot
        return DDIMBatch(X, self, noise, options)
