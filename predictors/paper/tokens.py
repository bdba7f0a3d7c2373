"""Schedules as sequences of categorical tokens on the time axis, for sequence networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.solvers import BatchPlan, ScheduleSpace

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """A batch of ``n`` schedules as sequences of ``S`` tokens, image end first.

    Member and timestep are both categorical, so a network embeds the few distinct ones and
    looks the rest up.

    Attributes:
        vocabulary: ``(U, G)`` members of the distinct tokens; G is 1, or 3 for DPM-Solvers.
        token: ``(n, S)`` rows of ``vocabulary``.
        timesteps: ``(V,)`` distinct model-input timesteps.
        time: ``(n, S)`` rows of ``timesteps``; ``V`` stands for no timestep.
    """

    vocabulary: Ints
    token: Ints
    timesteps: NDArray[np.float64]
    time: Ints


def tokenize(batch: BatchPlan) -> Tokens:
    """Tokens of a batch plan's schedules: a slot each, or for DPM-Solvers a group of three; null ones too.

    Raises:
        InputError: a solver whose slots have no timesteps of their own and do not come in groups.
    """
    X, space = batch.X, batch.space
    if space.group_size > 1:
        steps = batch.steps
        groups = steps.members
        # The ends of a schedule's active solvers; what is skipped has no time.
        timesteps = np.where(steps.order > 0, steps.timestep, np.nan)
    else:
        groups, timesteps = X[:, :, None], np.broadcast_to(slot_timesteps(space), X.shape)
    width = groups.shape[2]
    # One number a group, which sorts as its members do: NumPy finds distinct numbers far sooner than distinct rows.
    place = (space.num_models + 1) ** np.arange(width - 1, -1, -1)
    codes, token = np.unique(groups @ place, return_inverse=True)
    vocabulary = codes[:, None] // place % (space.num_models + 1)
    values, time = np.unique(timesteps, return_inverse=True)
    time = time.reshape(timesteps.shape)
    known = len(values) - int(np.isnan(values).any())  # NaN, for no timestep, sorts last
    return Tokens(vocabulary, token.reshape(timesteps.shape), values[:known], time)


def slot_timesteps(space: ScheduleSpace) -> NDArray[np.float64]:
    """``(L,)``: the model-input timesteps of the slots."""
    timesteps = getattr(space, "timesteps", None)
    if timesteps is None:
        raise InputError(f"lstm-paper on {space}: it needs slots with timesteps of their own, or groups of slots")
    return np.asarray(timesteps, dtype=float)
