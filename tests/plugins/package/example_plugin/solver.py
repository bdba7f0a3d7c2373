"""PLMS of second order, in the terms of DDIM (Liu et al., arXiv:2202.09778, for the idea)."""

from omsdpm.solvers import USUAL
from omsdpm.solvers.plan import START, Combination, Plan, Stage
from omsdpm.solvers.slots import SlotSpace, active_slots


class PLMSSpace(SlotSpace):
    """PLMS: DDIM with the noise extrapolated from two evaluations, one step a slot."""

    solver = "plms"

    def plan(self, schedule, noise, options=USUAL):
        alphas, sigmas, _ = self.levels(noise)
        active, stages, entering = active_slots(schedule), [], START
        for number, (slot, following) in enumerate(zip(active, [*active[1:], self.length], strict=True), start=1):
            scale = alphas[following] / alphas[slot]
            output = sigmas[following] - scale * sigmas[slot]
            stages.append(Stage(int(schedule[slot]), float(self.timesteps[slot]), entering))
            outputs = ((number, 1.5 * output), (number - 1, -0.5 * output)) if number > 1 else ((number, output),)
            entering = Combination(states=((number, scale),), outputs=outputs)
        return Plan(tuple(stages), closing=entering)
