"""Batch plans of single-step DPM-Solvers: what a step does follows from its order and its two ends."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Array, Noise
from omsdpm.solvers.batch import BatchPlan, Flow, Ints, Steps
from omsdpm.solvers.dpm_solver.steps import FEW, GROUP, Step, stage_times, time_end
from omsdpm.solvers.plan import Combination

if TYPE_CHECKING:
    from omsdpm.solvers.dpm_solver.space import DPMSolverSpace

FEWEST, MOST = 0, 10**6
"""Evaluations for the two ends of sampling."""


class SolverBatch(BatchPlan):
    """Solvers divide the lambda axis evenly, so where one is follows from how many there are (spacing ``logSNR``)."""

    space: DPMSolverSpace

    @cached_property
    def _groups(self) -> Ints:
        """``(n, K, 3)``: members by slot, active solvers first."""
        return self.space.groups(self.X)

    @cached_property
    def _orders(self) -> Ints:
        """``(n, K)``."""
        return self.space.orders_of(self.X)

    @cached_property
    def _solvers(self) -> Ints:
        """``(n,)``: active solvers."""
        return (self._orders > 0).sum(axis=1)

    # -- where sampling ends ---------------------------------------------------------

    @property
    def late(self) -> NDArray[np.bool_]:
        return np.ones(len(self.X), dtype=bool) if self.options.t_end is not None else self.count >= FEW

    @property
    def _t_end(self) -> Array:
        """``(n,)``."""
        early, late = self._two_ends
        return np.where(self.late, late, early)

    @property
    def _two_ends(self) -> tuple[float, float]:
        if self.options.t_end is not None:
            return self.options.t_end, self.options.t_end
        return time_end(FEWEST), time_end(MOST)

    @property
    def _lambdas(self) -> tuple[float, float, float]:
        """Of the noise end, of the early end and of the late one."""
        start, early, late = self.noise.lam([self.noise.t_start, *self._two_ends])
        return start, early, late

    @property
    def _to_image(self) -> Array:
        """``(n, 1)``: length of each schedule's own lambda axis."""
        start, early, late = self._lambdas
        return np.where(self.late, late, early)[:, None] - start

    def time_at(self, position: Array) -> Array:
        start, _, _ = self._lambdas
        return 1 - self.noise.inverse_lambda(start + position * self._to_image) / self.noise.t_start

    # -- evaluations -----------------------------------------------------------------

    @cached_property
    def _walk(self) -> Ints:
        return np.argsort(self.X[:, ::-1] == 0, axis=1, kind="stable")[:, : int(self.count.max())]

    def _walked(self, values: NDArray) -> NDArray:
        """``(n, L)`` by slot as ``(n, E)`` in the order of sampling."""
        return np.take_along_axis(values[:, ::-1], self._walk, axis=1)

    @cached_property
    def member(self) -> Ints:
        return self._walked(self.X)

    @cached_property
    def timestep(self) -> Array:
        start, _, _ = self._lambdas
        steps = self.steps
        own = steps.start[:, :, None] + steps.fraction / steps.parts[:, :, None]
        time = self.noise.inverse_lambda(start + own * self._to_image[:, :, None])
        timestep = self.noise.timestep(np.minimum(time, self.noise.t_start))
        return np.where(self.active, self._walked(timestep.reshape(self.X.shape)), 0.0)

    @cached_property
    def position(self) -> Array:
        # With few evaluations sampling stops earlier, which shortens the axis for all of them.
        start, early, late = self._lambdas
        shorter = np.where(self.late, 1.0, (early - start) / (late - start))
        position = self._own_position() * shorter[:, None, None]
        return np.where(self.active, self._walked(position.reshape(self.X.shape)), 1.0)

    def _own_position(self) -> Array:
        """``(n, K, 3)``: of each slot on its schedule's own axis."""
        orders, active = self._orders, self._solvers[:, None]
        from_image = np.arange(1, self.space.num_solvers + 1)
        start = 1 - from_image / active  # (n, K), of each solver, at its noise side
        stage = orders[:, :, None] - 1 - np.arange(GROUP)  # the later slot is evaluated first
        return start[:, :, None] + stage / np.maximum(orders, 1)[:, :, None] / active[:, :, None]

    @cached_property
    def order(self) -> Ints:
        return np.where(self.active, self._walked(np.repeat(self._orders, GROUP, axis=1)), 0)

    # -- steps -----------------------------------------------------------------------

    @cached_property
    def steps(self) -> Steps:
        count, orders = self._solvers[:, None], self._orders
        number = np.arange(self.space.num_solvers)
        start = np.maximum(1 - (number + 1) / count, 0.0)
        fraction = np.maximum(1 - (np.arange(GROUP) + 1) / np.maximum(orders, 1)[:, :, None], 0.0)
        parts = np.broadcast_to(count.astype(float), start.shape)
        place = (count * 2 + ~self.late[:, None]) * self.space.num_solvers + number
        return Steps(self._groups, orders, start, parts, fraction, self._image_sides(), place)

    def _image_sides(self) -> Array:
        """``(n, K)``: timesteps of the solvers' image sides, 0 of skipped ones; uniform in lambda, as in sampling."""
        count, ends = self._solvers, self._t_end
        timesteps = np.zeros(self._orders.shape)
        for number, t_0 in {(int(k), float(t)) for k, t in zip(count, ends, strict=True)}:
            image, start = self.noise.lam([t_0, self.noise.t_start])
            lambdas = np.linspace(image, start, number + 1)
            rows = np.flatnonzero((count == number) & (ends == t_0))
            timesteps[rows[:, None], np.arange(number)] = self.noise.timestep(self.noise.inverse_lambda(lambdas[:-1]))
        return timesteps

    # -- what errors do --------------------------------------------------------------

    def flow(self, variances: Array) -> Flow:
        groups, orders = self._groups[:, ::-1], self._orders[:, ::-1]  # (n, K, 3), (n, K); from the noise end
        n, solvers = orders.shape
        maps, timestep = self._maps(variances)
        later = np.ones((n, solvers + 1, len(variances)))  # what the steps from each on do
        later[:, :-1] = maps[:, ::-1, 0].cumprod(axis=1)[:, ::-1]
        effect = maps[:, :, 1:] * later[:, 1:, None]
        # Stages in the order of evaluation; the later slot is evaluated first.
        stage = orders[:, :, None] - 1 - np.arange(GROUP)
        member = np.where(stage >= 0, np.take_along_axis(groups, np.maximum(stage, 0), axis=2), 0)
        shape = n, solvers * GROUP
        return Flow(later[:, 0], member.reshape(shape), timestep.reshape(shape), effect.reshape(*shape, len(variances)))

    def _maps(self, variances: Array) -> tuple[Array, Array]:
        """Of each solver from the noise end: ``(n, K, 1 + 3, V)`` and the timesteps ``(n, K, 3)`` of its stages."""
        orders, count, t_end = self._orders[:, ::-1], self._solvers, self._t_end
        n, solvers = orders.shape
        maps = np.zeros((n, solvers, 1 + GROUP, len(variances)))
        maps[:, :, 0] = 1
        timestep = np.zeros((n, solvers, GROUP))
        for number, end in sorted({(int(k), float(t)) for k, t in zip(count, t_end, strict=True)}):
            rows = np.flatnonzero((count == number) & (t_end == end))
            for order in range(1, GROUP + 1):
                its_maps, its_times = even_maps(number, order, end, self.noise, tuple(variances))
                row, solver = np.nonzero(orders[rows, -number:] == order)
                at = rows[row], solvers - number + solver
                maps[at], timestep[at] = its_maps[solver], its_times[solver]
        return maps, timestep

    def scale(self, variances: Array) -> Array:
        """From what each number of solvers does, were they of order 1, 2 or 3, looked up."""
        count, t_end = self._solvers, self._t_end
        most = int(count.max())
        orders = self._orders[:, :most]
        gains = np.ones((len(orders), most, len(variances)))
        for number, end in {(int(k), float(t)) for k, t in zip(count, t_end, strict=True)}:
            rows = np.flatnonzero((count == number) & (t_end == end))
            by_order = [
                even_maps(number, order, end, self.noise, tuple(variances))[0][:, 0] for order in range(1, GROUP + 1)
            ]
            table = np.stack(by_order, axis=1)[::-1]  # (number, 3, V), image end first
            gains[rows[:, None], np.arange(number)] = table[np.arange(number), orders[rows, :number] - 1]
        return gains.prod(axis=1, where=(orders > 0)[:, :, None])


class UniformTimeBatch(SolverBatch):
    """Evaluations divide the time axis evenly (spacing ``time_uniform``); a solver's ends follow from what is before.

    A schedule of ``e`` evaluations has the times ``0..e`` of an even grid; a solver of order ``o``
    that ``b`` evaluations come before spans those from ``b`` to ``b + o``.
    """

    @cached_property
    def _before(self) -> Ints:
        """``(n, K)``: evaluations before each solver's first, in the order of sampling."""
        return self._orders[:, ::-1].cumsum(axis=1)[:, ::-1] - self._orders

    def _looked_up(self, table: Callable[[int, float], Array], index: Ints) -> Array:
        """Rows ``index`` ``(n, ...)`` of the table of each schedule's number of evaluations and end."""
        count, t_end = self.count, self._t_end
        keys = {(int(e), float(t)) for e, t in zip(count, t_end, strict=True)}
        values: Array | None = None
        for number, end in keys:
            rows = np.flatnonzero((count == number) & (t_end == end))
            part = table(number, end)[index[rows]]
            if values is None:
                values = np.zeros((*index.shape, *part.shape[index.ndim :]))
            values[rows] = part
        assert values is not None
        return values

    def _grid(self, number: int, end: float) -> Array:
        """``(number + 1,)``: times of the evaluations and of the end."""
        return np.linspace(self.noise.t_start, end, number + 1)

    def _grid_positions(self, number: int, end: float) -> Array:
        lam = self.noise.lam(self._grid(number, end))
        return (lam - lam[0]) / (lam[-1] - lam[0])

    def _own_position(self) -> Array:
        stage = np.maximum(self._orders[:, :, None] - 1 - np.arange(GROUP), 0)
        number = np.minimum(self._before[:, :, None] + stage, self.count[:, None, None])
        return self._looked_up(self._grid_positions, number)

    @cached_property
    def timestep(self) -> Array:
        evaluations = np.minimum(np.arange(int(self.count.max())), self.count[:, None])
        time = self._looked_up(self._grid, np.broadcast_to(evaluations, self.active.shape))
        return np.where(self.active, self.noise.timestep(time), 0.0)

    @cached_property
    def steps(self) -> Steps:
        orders, before, active = self._orders, self._before, self._orders > 0
        start = self._looked_up(self._grid_positions, before)
        width = self._looked_up(self._grid_positions, before + orders) - start
        width = np.where(active, width, 1.0)
        fraction = (self._own_position() - start[:, :, None]) / width[:, :, None]
        fraction = np.where(self._groups > 0, fraction, 0.0)
        place = (self.count[:, None] * (self.space.length + 1) + before) * (GROUP + 1) + orders
        start = np.where(active, start, 0.0)
        return Steps(self._groups, orders, start, 1 / width, fraction, self._image_sides(), place)

    def _image_sides(self) -> Array:
        time = self._looked_up(self._grid, self._before + self._orders)
        return np.where(self._orders > 0, self.noise.timestep(time), 0.0)

    def _maps(self, variances: Array) -> tuple[Array, Array]:
        orders, before = self._orders[:, ::-1], self._before[:, ::-1]
        index = before * (GROUP + 1) + orders
        v = tuple(variances)

        def table(number: int, end: float) -> Array:
            return uniform_maps(number, end, self.noise, v)[0]

        def times(number: int, end: float) -> Array:
            return uniform_maps(number, end, self.noise, v)[1]

        return self._looked_up(table, index), self._looked_up(times, index)

    def scale(self, variances: Array) -> Array:
        return self._maps(variances)[0][:, :, 0].prod(axis=1)


@lru_cache(maxsize=256)
def even_maps(number: int, order: int, t_end: float, noise: Noise, variances: tuple[float, ...]) -> tuple[Array, Array]:
    """Each of ``number`` solvers of one order: ``(number, 1 + 3, V)`` and the timesteps ``(number, 3)`` of its stages.

    The first number multiplies the state that enters; the others, the errors of its stages.
    """
    times = stage_times([order] * number, noise, "logSNR", t_end)
    maps = [_step_map(t, noise, variances) for t in times]
    timestep = np.array([noise.timestep(t[:-1]) for t in times])
    return np.array(maps), np.pad(timestep, ((0, 0), (0, GROUP - order)))


@lru_cache(maxsize=256)
def uniform_maps(number: int, t_end: float, noise: Noise, variances: tuple[float, ...]) -> tuple[Array, Array]:
    """As :func:`even_maps`, of every solver on the even grid of ``number`` evaluations.

    Row ``4 b + o`` is that of order ``o`` which ``b`` evaluations come before; of order 0 it changes nothing.
    """
    grid = np.linspace(noise.t_start, t_end, number + 1)
    maps = np.zeros(((number + 1) * (GROUP + 1), 1 + GROUP, len(variances)))
    timestep = np.zeros((len(maps), GROUP))
    maps[:: GROUP + 1, 0] = 1
    for before in range(number):
        for order in range(1, min(GROUP, number - before) + 1):
            t = grid[before : before + order + 1]
            row = before * (GROUP + 1) + order
            maps[row] = _step_map(t, noise, variances)
            timestep[row, :order] = noise.timestep(t[:-1])
    return maps, timestep


def _step_map(t: Array, noise: Noise, variances: tuple[float, ...]) -> Array:
    """``(1 + 3, V)``: what one solver from ``t[0]`` to ``t[-1]`` multiplies the state and its stages' errors by."""
    step, order = Step(noise, t), len(t) - 1
    time = noise.time(noise.timestep(t[:-1]))
    alpha, sigma = noise.alpha(time)[:, None], noise.sigma(time)[:, None]
    slope = sigma / (alpha**2 * np.array(variances) + sigma**2)  # (order, V)
    unit = np.eye(1 + GROUP)[:, :, None]
    states: dict[int, Array] = {}
    outputs: dict[int, Array] = {}
    state = unit[0] * np.ones(len(variances))
    for s in range(order):
        states[s + 1] = state
        outputs[s + 1] = slope[s] * state + unit[1 + s]
        if s + 1 < order:
            state = _combined(step.input(s + 1), states, outputs)
    return _combined(step.result(), states, outputs)


def _combined(combination: Combination, states: dict[int, Array], outputs: dict[int, Array]) -> Array:
    terms = [weight * states[number] for number, weight in combination.states]
    terms += [weight * outputs[number] for number, weight in combination.outputs]
    return np.sum(terms, axis=0)
