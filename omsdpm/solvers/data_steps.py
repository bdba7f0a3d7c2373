"""What multistep solvers that step from predictions of data share: the writing of their plans."""

from __future__ import annotations

from collections.abc import Mapping

from omsdpm.noise import Noise
from omsdpm.solvers.plan import NO_SIGNAL, START, Combination, Plan, Stage
from omsdpm.solvers.slots import SlotSpace, active_slots
from omsdpm.solvers.space import Schedule


class DataSteps:
    """The evaluations of one schedule, and the plan that is written for them step by step.

    Evaluation ``i = 0, 1, ...`` has the input ``x_i`` and predicts the data ``D_i = (x_i - sigma_i e_i) / alpha_i``.

    Attributes:
        alpha, sigma, lam: of each evaluation.
    """

    def __init__(self, space: SlotSpace, schedule: Schedule, noise: Noise) -> None:
        levels = space.levels(noise)
        timesteps, slots = space.timesteps.tolist(), active_slots(schedule)
        self.alpha, self.sigma, self.lam = ([values[slot] for slot in slots] for values in levels)
        self._models = [int(schedule[slot]) for slot in slots]
        self._timesteps = [float(timesteps[slot]) for slot in slots]
        self._stages: list[Stage] = []
        self._entering = START

    def __len__(self) -> int:
        return len(self._models)

    def h(self, i: int) -> float:
        """How far ``lambda`` moves from evaluation ``i`` to the next."""
        return self.lam[i + 1] - self.lam[i]

    def go(self, i: int, data: Mapping[int, float]) -> None:
        """Step from evaluation ``i`` to the next: ``x_{i+1} = sigma_{i+1} / sigma_i x_i + sum_j data[j] D_j``."""
        self._evaluate(i)
        self._entering = self._combine({i: self.sigma[i + 1] / self.sigma[i]}, data)

    def end(self) -> Plan:
        """The plan, whose last evaluation's data prediction is the image."""
        last = len(self) - 1
        self._evaluate(last)
        return Plan(tuple(self._stages), self._combine({}, {last: 1.0}))

    def _evaluate(self, i: int) -> None:
        predicts = "sample" if self.alpha[i] < NO_SIGNAL else "epsilon"
        self._stages.append(Stage(self._models[i], self._timesteps[i], self._entering, predicts))

    def _combine(self, states: Mapping[int, float], data: Mapping[int, float]) -> Combination:
        total = {i + 1: weight for i, weight in states.items()}
        outputs = []
        for j, weight in data.items():
            if self._stages[j].predicts == "sample":
                outputs.append((j + 1, weight))
            else:
                total[j + 1] = total.get(j + 1, 0.0) + weight / self.alpha[j]
                outputs.append((j + 1, -weight * self.sigma[j] / self.alpha[j]))
        return Combination(states=tuple(total.items()), outputs=tuple(outputs))
