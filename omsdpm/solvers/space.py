"""What all schedule spaces share: checks, costs, random designs, mutation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.noise import Noise
from omsdpm.solvers.batch import BatchPlan
from omsdpm.solvers.grids import Timesteps
from omsdpm.solvers.options import USUAL, SolverOptions
from omsdpm.solvers.plan import Plan

Schedules = NDArray[np.int64]  # (n, L), 0 = null, index 0 = image end
Schedule = Sequence[int] | NDArray[np.int64]  # (L,)

ENUMERATION_LIMIT = 10_000_000
"""Most schedules that :meth:`ScheduleSpace.enumerate` puts in memory at once."""


class ScheduleSpace(ABC):
    """All model schedules of one solver family, one length and one zoo size.

    A space is its solver's face: it knows which arrays are schedules, compiles them to plans,
    and answers what predictors, strategies and plots ask of a solver. Subclasses are found by
    name in the entry-point group ``omsdpm.solvers``.

    They are frozen dataclasses, so spaces compare and hash by value. They say
    which arrays are schedules (:meth:`_well_formed`), how to make one of an array that
    is not (:meth:`_mend`), and which schedules are the same (:meth:`canonical`). The
    all-null schedule is never valid.
    """

    solver: ClassVar[str]
    """The solver family's name in files and on the command line."""

    group_size: ClassVar[int] = 1
    """Slots that belong together: those of one solver step of several evaluations, else 1."""

    orders: ClassVar[tuple[int, ...]] = (1,)
    """Orders that a step may have by the number of its slots."""

    placings: ClassVar[tuple[str, ...]] = ("trailing", "leading", "linspace")
    """Ways of :meth:`even_slots`, the usual one first."""

    spacings: ClassVar[tuple[str, ...]] = ()
    """Values of :attr:`SolverOptions.spacing`, for a solver that places its steps itself."""

    takes_eta: ClassVar[bool] = False
    """Whether :attr:`SolverOptions.eta` means something to it."""

    takes_timesteps: ClassVar[bool] = False
    """Whether its slots have timesteps of their own."""

    takes_t_end: ClassVar[bool] = False
    """Whether :attr:`SolverOptions.t_end` means something to it."""

    num_models: int
    """Number of members ``M`` in the zoo."""

    length: int
    """Number of slots ``L``."""

    # -- what a solver implements ----------------------------------------------------

    @classmethod
    @abstractmethod
    def make(cls, num_models: int, length: int, *, timesteps: Timesteps | None = None, train_steps: int = 1000) -> Self:
        """The space of ``length`` slots.

        Args:
            num_models: members of the zoo.
            length: slots.
            timesteps: model-input timestep of each slot in the order of sampling, falling, or the name of a
                grid, for a solver whose slots have one; ``None`` is the usual grid.
            train_steps: timesteps that the networks were trained on.

        Raises:
            InputError: a length that the solver does not take, or timesteps that it cannot use.
        """

    @abstractmethod
    def plan(self, schedule: Schedule, noise: Noise, options: SolverOptions = USUAL) -> Plan:
        """The plan of one valid schedule ``(L,)`` on the solver's noise schedule (:meth:`solver_noise`)."""

    def batch_plan(self, X: Schedules, noise: Noise, options: SolverOptions = USUAL) -> BatchPlan:
        """The evaluations of valid, canonical schedules ``(n, L)`` at once: what predictors see of a solver.

        This one reads them off the plans; a solver that knows them for a whole batch overrides it.

        Raises:
            InputError: an option is not the solver's.
        """
        self.check_options(options)
        return BatchPlan(X, self, noise, options)

    @property
    @abstractmethod
    def cardinality(self) -> int:
        """Number of valid schedules, exact."""

    @abstractmethod
    def _well_formed(self, X: Schedules) -> NDArray[np.bool_]:
        """``(n,)``: the structure of each row is that of this solver."""

    @abstractmethod
    def _mend(self, X: Schedules) -> Schedules:
        """Rows of the right structure, equal to the given ones where those had it."""

    @abstractmethod
    def canonical(self, X: ArrayLike) -> Schedules:
        """One representative of each class of schedules that sample the same images."""

    @abstractmethod
    def enumerate(self) -> Schedules:
        """All valid schedules, ``(cardinality, L)``, in lexicographic order of the slots.

        Raises:
            InputError: there are more than ``ENUMERATION_LIMIT`` of them.
        """

    @abstractmethod
    def _even_slots(self, steps: int, order: int, placing: str) -> NDArray[np.int64]:
        """:meth:`even_slots` of arguments that were checked."""

    @abstractmethod
    def branch(self, trunks: Schedules, fresh: Schedules, rng: np.random.Generator) -> Schedules:
        """Schedules that begin like ``trunks`` at the noise end and go on like ``fresh``, ``(n, L)`` each.

        Where each leaves its trunk is drawn; what they share costs one evaluation for all.
        """

    # -- what the solver is run with -------------------------------------------------

    def solver_noise(self, noise: Noise) -> Noise:
        """The schedule that this solver runs on, for networks that were trained with ``noise``."""
        return noise

    @classmethod
    def check_options(cls, options: SolverOptions) -> None:
        """Raises :class:`InputError` for an option that is not the solver's."""
        if options.spacing != USUAL.spacing and options.spacing not in cls.spacings:
            ways = (
                f"choose one of {', '.join(cls.spacings)}" if cls.spacings else f"{cls.solver} has none; leave it out"
            )
            raise InputError(f"spacing {options.spacing!r}: {ways}")
        if options.eta and not (cls.takes_eta and 0 <= options.eta <= 1):
            raise InputError(f"eta={options.eta}: only DDIM takes it, from 0 to 1")
        if options.t_end is not None and not (cls.takes_t_end and 0 < options.t_end < 1):
            raise InputError(f"t_end={options.t_end}: only DDIM and DPM-Solver take it, between 0 and 1")

    def table(self) -> dict[str, Any]:
        """What :func:`omsdpm.solvers.space_from_table` needs to make the space again, as JSON takes it."""
        return {"solver": self.solver, "num_models": self.num_models, "length": self.length}

    # -- checks ----------------------------------------------------------------------

    def as_batch(self, X: ArrayLike) -> Schedules:
        """``X`` as an integer array ``(n, L)`` of member numbers; a single row becomes a batch.

        Raises:
            InputError: not integers, a wrong length, or a member the zoo does not have.
        """
        batch = np.asarray(X)
        if batch.ndim == 1:
            batch = batch[None, :]
        if batch.ndim != 2 or batch.shape[1] != self.length:
            given = batch.shape[-1] if batch.ndim == 2 else f"an array of shape {batch.shape}"
            raise InputError(f"schedule of length {given}: {self} takes {self.length} slots a schedule")
        if batch.dtype == bool or not np.issubdtype(batch.dtype, np.number):
            raise InputError(f"schedule of type {batch.dtype}: give integers, 0 for null and 1..{self.num_models}")
        whole = batch.astype(np.int64)
        if not np.issubdtype(batch.dtype, np.integer) and not np.array_equal(whole, batch):
            raise InputError(f"schedule of fractions: give integers, 0 for null and 1..{self.num_models}")
        if whole.size and (whole.min() < 0 or whole.max() > self.num_models):
            row, slot = np.argwhere((whole < 0) | (whole > self.num_models))[0]
            raise InputError(
                f"schedule {row} names member {whole[row, slot]} in slot {slot}: "
                f"the zoo has members 1..{self.num_models}, 0 is null"
            )
        return whole

    def valid(self, X: ArrayLike) -> NDArray[np.bool_]:
        """``(n, L) -> (n,)``: right structure and at least one model. Members must be in range."""
        batch = self.as_batch(X)
        return self._well_formed(batch) & batch.any(axis=1)

    def check(self, X: ArrayLike) -> Schedules:
        """``X`` as a batch of valid schedules.

        Raises:
            InputError: names the first row that is not valid, and why.
        """
        batch = self.as_batch(X)
        empty = ~batch.any(axis=1)
        if empty.any():
            raise InputError(f"schedule {int(empty.argmax())} is all null: at least one slot must name a member")
        malformed = ~self._well_formed(batch)
        if malformed.any():
            row = int(malformed.argmax())
            raise InputError(f"schedule {row} {self._explain(batch[row])}")
        return batch

    def _explain(self, row: NDArray[np.int64]) -> str:
        """Why ``row`` is not well-formed, to follow 'schedule 7 '."""
        return f"is not a schedule of {self}"

    def repair(self, X: ArrayLike, rng: np.random.Generator | None = None) -> Schedules:
        """``(n, L) -> (n, L)`` valid schedules; valid rows come back unchanged.

        An all-null row gets one model: a random member in a random slot with ``rng``,
        else member 1 at the noise end.
        """
        batch = self.as_batch(X).copy()
        empty = np.flatnonzero(~batch.any(axis=1))
        if rng is None:
            batch[empty, -1] = 1
        else:
            slots = rng.integers(self.length, size=len(empty))
            batch[empty, slots] = rng.integers(1, self.num_models + 1, size=len(empty))
        return self._mend(batch)

    # -- costs -----------------------------------------------------------------------

    def nfe(self, X: ArrayLike) -> NDArray[np.int64]:
        """``(n, L) -> (n,)``: number of network evaluations of each schedule."""
        return np.count_nonzero(self.as_batch(X), axis=1)

    def latency(self, X: ArrayLike, member_latency: Sequence[float]) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``: sum of the members' latencies, in their unit (ms in the zoo).

        A :class:`~omsdpm.latency.LatencyTable` may add what steps and changes of members cost.

        Raises:
            InputError: not one finite, non-negative latency a member.
        """
        table = np.asarray(member_latency, dtype=float)
        if table.shape != (self.num_models,) or not (np.isfinite(table) & (table >= 0)).all():
            raise InputError(
                f"latency table {np.round(table, 4).tolist()}: expected {self.num_models} "
                "non-negative numbers, one a member, without the null model"
            )
        # Counting members before multiplying makes the sum independent of their order, and adding
        # member by member makes it independent of the batch, whose products a library sums as it likes:
        # equal schedules cost exactly the same, and a budget that is a schedule's own cost includes it.
        total = np.zeros(len(batch := self.as_batch(X)))
        counts = self._member_counts(batch)
        for count, cost in zip(counts, table, strict=True):
            total += count * cost
        terms = LatencyTable.of(member_latency).terms()
        if "step" in terms:
            total += counts.sum(axis=0) * terms["step"]
        if "switch" in terms:
            total += self.switches(batch) * terms["switch"]
        return total

    def switches(self, X: ArrayLike) -> NDArray[np.int64]:
        """``(n, L) -> (n,)``: evaluations whose member is not that of the evaluation before.

        Slots stand in the reverse of the order of evaluation; a solver where they do not overrides this.
        """
        batch = self.as_batch(X)
        before, changes = np.zeros(len(batch), dtype=np.int64), np.zeros(len(batch), dtype=np.int64)
        for slot in batch.T[::-1]:
            active = slot > 0
            changes += active & (before > 0) & (slot != before)
            before = np.where(active, slot, before)
        return changes

    def _member_counts(self, batch: Schedules) -> NDArray[np.int64]:
        """``(n, L) -> (M, n)``: how often each member is called."""
        kinds = self.num_models + 1
        counts = np.bincount((batch + kinds * np.arange(len(batch))[:, None]).reshape(-1), minlength=kinds * len(batch))
        return counts.reshape(len(batch), kinds)[:, 1:].T

    # -- questions of strategies -----------------------------------------------------

    def most_steps(self, order: int | None = None) -> int:
        """Most network evaluations that steps of one order take; ``None`` is the highest order."""
        return self._order(order) * (self.length // self.group_size)

    def even_slots(self, steps: int, order: int | None = None, placing: str | None = None) -> NDArray[np.int64]:
        """``(steps,)`` slots, rising, that spread network evaluations most evenly.

        Args:
            steps: network evaluations.
            order: of the solver's steps; ``None`` is the highest.
            placing: one of :attr:`placings`; ``None`` is the usual one.

        Raises:
            InputError: a number of steps, an order or a placing that the space does not have.
        """
        order, placing = self._order(order), placing or self.placings[0]
        if placing not in self.placings:
            raise InputError(f"placing {placing!r}: choose one of {', '.join(self.placings)}")
        room = self.most_steps(order)
        if not 1 <= steps <= room:
            raise InputError(f"{steps} steps: {self} takes 1 to {room}")
        return self._even_slots(steps, order, placing)

    def _order(self, order: int | None) -> int:
        if order is None:
            return self.orders[-1]
        if order not in self.orders:
            raise InputError(f"order {order}: {self.solver} has orders {', '.join(map(str, self.orders))}")
        return order

    # -- designs ---------------------------------------------------------------------

    def random(
        self,
        n: int,
        rng: np.random.Generator,
        *,
        null: float | NDArray[np.float64] = 0.8,
        alpha: float | None = None,
    ) -> Schedules:
        """Draws ``n`` schedules from the paper's random designs, ``(n, L)``.

        Every slot draws a member, then becomes null with probability ``null`` (Liu et
        al., 2023, Sec. 4.3). All-null draws are drawn again.

        Args:
            n: number of schedules.
            rng: the only source of randomness.
            null: null probability in ``[0, 1)``; a number, or one a schedule ``(n,)``.
            alpha: ``None`` draws members uniformly; a number draws each schedule's member
                probabilities from a symmetric Dirichlet of that concentration (0.4 in
                the paper), which gives schedules dominated by few members.

        Raises:
            InputError: ``null`` or ``alpha`` out of range.
        """
        null_of_row = np.broadcast_to(np.asarray(null, dtype=float), (n,))
        if not ((null_of_row >= 0) & (null_of_row < 1)).all():
            raise InputError(f"null probability {null}: expected numbers from 0 up to but without 1")
        if alpha is not None and not alpha > 0:
            raise InputError(f"Dirichlet concentration {alpha}: expected a positive number")
        X = np.zeros((n, self.length), dtype=np.int64)
        todo = np.arange(n)
        while len(todo):
            shape = (len(todo), self.length)
            if alpha is None:
                members = rng.integers(1, self.num_models + 1, size=shape)
            else:
                p = rng.dirichlet(np.full(self.num_models, alpha), size=len(todo))  # (m, M)
                below = rng.random(shape)[:, :, None] > p.cumsum(axis=1)[:, None, :-1]
                members = 1 + below.sum(axis=2)
            X[todo] = np.where(rng.random(shape) < null_of_row[todo, None], 0, members)
            todo = todo[~X[todo].any(axis=1)]
        return self._mend(X)

    def neighbors(self, x: ArrayLike) -> Schedules:
        """All valid schedules that differ from the schedule ``x`` ``(L,)`` in one slot, ``(m, L)``."""
        (row,) = self.check(np.asarray(x)[None, :])
        slots, members = np.divmod(np.arange(self.length * (self.num_models + 1)), self.num_models + 1)
        candidates = np.repeat(row[None, :], len(slots), axis=0)
        candidates[np.arange(len(slots)), slots] = members
        return candidates[self.valid(candidates) & (candidates != row).any(axis=1)]

    def _check_enumerable(self) -> None:
        if self.cardinality > ENUMERATION_LIMIT:
            raise InputError(
                f"{self} has {self.cardinality:.3g} schedules: at most {ENUMERATION_LIMIT:,} can be enumerated"
            )


def check_counts(**counts: int) -> None:
    """Raises :class:`InputError` for a count that is not a positive integer."""
    for name, count in counts.items():
        if not isinstance(count, (int, np.integer)) or count < 1:
            raise InputError(f"{name}={count!r}: expected a positive integer")
