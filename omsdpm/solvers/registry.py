"""Solvers by name, ours and any installed package's, as files and the command line write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.plugins import Registry
from omsdpm.solvers.grids import Timesteps, grid_timesteps
from omsdpm.solvers.space import ScheduleSpace

if TYPE_CHECKING:
    from omsdpm.solvers.table import SpaceTable

SOLVERS = Registry("solver", "omsdpm.solvers", needs=("make", "plan", "canonical", "solver"))


def solver_names() -> list[str]:
    """The names of all installed solvers, sorted; imports none of them."""
    return SOLVERS.names()


def solver_class(name: str) -> type[ScheduleSpace]:
    """The space that is registered under a solver's name.

    Raises:
        InputError: nobody registered the name, it cannot be imported, is no solver, or calls itself otherwise.
    """
    space: type[ScheduleSpace] = SOLVERS.load(name)
    if space.solver != name:
        raise InputError(
            f"solver {name!r} ({SOLVERS.point(name).value}) calls itself {space.solver!r}: its files would not be "
            "found again; register it under its own name"
        )
    return space


def make_space(
    solver: str,
    num_models: int,
    length: int,
    *,
    timesteps: Timesteps | None = None,
    train_steps: int = 1000,
) -> ScheduleSpace:
    """The space of ``length`` slots for a registered solver.

    Args:
        solver: one of :func:`solver_names`.
        num_models: members of the zoo.
        length: slots.
        timesteps: model-input timestep of each slot in the order of sampling, falling, whole or not, or the
            name of a grid (:mod:`omsdpm.solvers.grids`); ``None`` is the solver's usual grid.
        train_steps: timesteps that the networks were trained on.

    Raises:
        InputError: unknown solver, a length that it does not take, or timesteps that it cannot use.
    """
    return solver_class(solver).make(num_models, length, timesteps=timesteps, train_steps=train_steps)


def space_on(
    noise: Noise, solver: str, num_models: int, length: int, timesteps: Timesteps | None = None
) -> ScheduleSpace:
    """The space of ``length`` slots for networks that were trained with ``noise``.

    Raises:
        InputError: as :func:`make_space`, or timesteps that the noise schedule does not have.
    """
    if timesteps is None and solver_class(solver).takes_timesteps:
        timesteps = noise.slots(length)
    if isinstance(timesteps, str) and solver_class(solver).takes_timesteps:
        timesteps = grid_timesteps(timesteps, length, noise.steps, noise)
    space = make_space(solver, num_models, length, timesteps=timesteps, train_steps=noise.steps)
    space.solver_noise(noise)
    return space


def space_from_table(table: Mapping[str, Any] | SpaceTable, where: str = "schedule space") -> ScheduleSpace:
    """The space that :meth:`ScheduleSpace.table` described.

    Args:
        table: see :class:`omsdpm.solvers.table.SpaceTable`.
        where: the file, for errors.

    Raises:
        InputError: as :func:`make_space`, or a table that is none.
    """
    from omsdpm.solvers.table import SpaceTable  # and pydantic, for which importing does not wait
    from omsdpm.tables import read_table

    said = table if isinstance(table, SpaceTable) else read_table(SpaceTable, table, where)
    return make_space(said.solver, said.num_models, said.length, timesteps=said.timesteps, train_steps=said.train_steps)
