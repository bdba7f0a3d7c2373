"""Single-step DPM-Solver of orders 1 to 3 (Lu et al., arXiv:2206.00927, Alg. 1, 2 and 4).

Each group of three slots is one solver; the later slot is evaluated first. Not to be
confused with multistep DPM-Solver++, which reuses the step before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers.batch import BatchPlan
from omsdpm.solvers.dpm_solver.batch import SolverBatch, UniformTimeBatch
from omsdpm.solvers.dpm_solver.steps import GROUP, Step, stage_times, time_end
from omsdpm.solvers.grids import Timesteps
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import START, Plan, Stage
from omsdpm.solvers.space import Schedule, Schedules, ScheduleSpace, check_counts


@dataclass(frozen=True)
class DPMSolverSpace(ScheduleSpace):
    """Single-step DPM-Solver of orders 1 to 3, three slots a solver.

    There are ``num_solvers`` groups of three slots; a group's order is its number of non-null slots.

    The non-null slots of a group come first. An all-null group is skipped, so where
    the all-null groups stand changes nothing.

    Example:
        >>> space = DPMSolverSpace(num_models=6, num_solvers=12)
        >>> space.length
        36
    """

    solver: ClassVar[str] = "dpm-solver"
    group_size: ClassVar[int] = GROUP
    orders: ClassVar[tuple[int, ...]] = (1, 2, 3)
    placings: ClassVar[tuple[str, ...]] = ("trailing",)  # solvers are placed by the spacing
    spacings: ClassVar[tuple[str, ...]] = ("logSNR", "time_uniform")
    takes_t_end: ClassVar[bool] = True

    num_models: int
    num_solvers: int
    length: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_counts(num_models=self.num_models, num_solvers=self.num_solvers)
        object.__setattr__(self, "length", GROUP * self.num_solvers)

    @classmethod
    def make(cls, num_models: int, length: int, *, timesteps: Timesteps | None = None, train_steps: int = 1000) -> Self:
        if timesteps is not None:
            raise InputError(
                "timesteps for dpm-solver, which places its solvers itself: leave them out, or give a spacing"
            )
        if length % GROUP:
            raise InputError(f"length {length} for dpm-solver: expected a multiple of {GROUP}, three slots a solver")
        return cls(num_models, length // GROUP)

    def solver_noise(self, noise: Noise) -> Noise:
        """The continuous schedule that the networks' betas discretize."""
        return noise.continuous()

    @property
    def cardinality(self) -> int:
        return len(self._groups()) ** self.num_solvers - 1

    def groups(self, X: Schedules) -> Schedules:
        """``(n, L) -> (n, K, 3)``: the slots of each solver."""
        return X.reshape(-1, self.num_solvers, GROUP)

    def orders_of(self, X: ArrayLike) -> NDArray[np.int64]:
        """``(n, L) -> (n, K)``: the order of each solver, 0 for a skipped one."""
        return np.count_nonzero(self.groups(self.as_batch(X)), axis=2)

    def _well_formed(self, X: Schedules) -> NDArray[np.bool_]:
        first, second, third = (self.groups(X)[:, :, slot] == 0 for slot in range(GROUP))
        gap = (first & ~second) | (second & ~third)  # NumPy goes through an axis of three slots far slower
        return ~gap.any(axis=1)

    def _explain(self, row: NDArray[np.int64]) -> str:
        active = self.groups(row[None])[0] > 0
        group = int((active[:, :-1] < active[:, 1:]).any(axis=1).argmax())
        slots = row[GROUP * group : GROUP * (group + 1)].tolist()
        return f"has a null before a model in solver {group} {slots}: a solver's models come first, then its nulls"

    def _mend(self, X: Schedules) -> Schedules:
        rows = np.flatnonzero(~self._well_formed(X))  # mostly few, and sorting takes long
        groups = self.groups(X[rows])
        packed = np.argsort(groups == 0, axis=2, kind="stable")  # models first, in their order
        X[rows] = np.take_along_axis(groups, packed, axis=2).reshape(len(rows), self.length)
        return X

    def canonical(self, X: ArrayLike) -> Schedules:
        """Active solvers first, in their order; skipped ones at the noise end."""
        batch = np.ascontiguousarray(self.as_batch(X))  # whose groups are a view
        groups = self.groups(batch)
        skipped = (groups[:, :, 0] | groups[:, :, 1] | groups[:, :, 2]) == 0
        rows = np.flatnonzero((skipped[:, :-1] & ~skipped[:, 1:]).any(axis=1))
        packed = np.argsort(skipped[rows], axis=1, kind="stable")
        groups[rows] = np.take_along_axis(groups[rows], packed[:, :, None], axis=1)
        return batch

    def _groups(self) -> Schedules:
        """All contents of one solver, ``(1 + M + M^2 + M^3, 3)``, in lexicographic order."""
        slots = np.indices((self.num_models + 1,) * GROUP).reshape(GROUP, -1).T
        active = slots > 0
        return slots[(active[:, :-1] >= active[:, 1:]).all(axis=1)]

    def plan(self, schedule: Schedule, noise: Noise, options: SolverOptions = USUAL) -> Plan:
        groups = np.asarray(schedule).reshape(-1, GROUP).tolist()
        solvers = [[m for m in group if m][::-1] for group in reversed(groups)]
        solvers = [members for members in solvers if members]  # in the order of evaluation
        orders = [len(members) for members in solvers]
        t_end = time_end(sum(orders)) if options.t_end is None else options.t_end
        stages: list[Stage] = []
        entering = START
        for members, t in zip(solvers, stage_times(orders, noise, options.spacing, t_end), strict=True):
            step = Step(noise, t, first=len(stages) + 1)
            for i, member in enumerate(members):
                stages.append(Stage(member, float(noise.timestep(t[i])), step.input(i) if i else entering))
            entering = step.result()
        return Plan(tuple(stages), closing=entering)

    def batch_plan(self, X: Schedules, noise: Noise, options: SolverOptions = USUAL) -> BatchPlan:
        self.check_options(options)
        if type(self).plan is not DPMSolverSpace.plan:  # a solver of its own that has these slots
            return BatchPlan(X, self, noise, options)
        return (UniformTimeBatch if options.spacing == "time_uniform" else SolverBatch)(X, self, noise, options)

    def _even_slots(self, steps: int, order: int, placing: str) -> NDArray[np.int64]:
        rest = steps % order
        orders = [rest] * bool(rest) + [order] * (steps // order)
        return np.concatenate([GROUP * k + np.arange(o) for k, o in enumerate(orders)])

    def branch(self, trunks: Schedules, fresh: Schedules, rng: np.random.Generator) -> Schedules:
        """Branches keep which solvers of the trunk are active, since all times depend on how many there are."""
        trunks, fresh = self.canonical(trunks), self.canonical(fresh)
        filled = self.groups(fresh)
        singles = np.zeros_like(filled)
        singles[:, :, 0] = rng.integers(1, self.num_models + 1, size=filled.shape[:2])
        active = np.count_nonzero(self.groups(trunks), axis=2, keepdims=True) > 0
        filled = np.where(filled[:, :, :1] > 0, filled, singles)
        fresh = np.where(active, filled, 0).reshape(trunks.shape)
        # Sampling walks from the last active group; the cut lies within the active ones.
        solvers = active[:, :, 0].sum(axis=1)
        cuts = GROUP * rng.integers(1, np.maximum(solvers, 2))
        redraw = np.arange(self.length)[None, :] < cuts[:, None]
        return self.repair(np.where(redraw, fresh, trunks), rng)

    def enumerate(self) -> Schedules:
        self._check_enumerable()
        groups = self._groups()
        powers = len(groups) ** np.arange(self.num_solvers)[::-1]
        digits = np.arange(1, self.cardinality + 1)[:, None] // powers % len(groups)  # (n, K)
        return groups[digits].reshape(-1, self.length)
