"""A solver run as data: which network at which timestep, on which linear combination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_SIGNAL = 1e-3
"""``alpha`` below which a network's prediction of the noise says too little of the image, in float32 at the latest."""

Terms = tuple[tuple[int, float], ...]
"""``(index, weight)`` pairs."""


class Combination(NamedTuple):
    """``sum_j w_j x_j + sum_j v_j e_j + c z_n + sum_j u_j r_j``, what every input and the final image is.

    ``x_0`` of the sum is the starting noise ``x_T``; ``x_i`` and ``e_i`` are the input and the
    output of stage ``i = 1, 2, ...``; ``z_n`` is fresh noise that belongs to timestep ``n``, so
    that two schedules which stop at the same timestep add the same noise. ``r_i`` is the noise that
    stage ``i`` predicted less that of its clipped image, of members that clip the one and not the
    other; nothing of all others.
    """

    states: Terms
    outputs: Terms = ()
    noise: tuple[float, float] | None = None
    rests: Terms = ()


START = Combination(states=((0, 1.0),))
"""The input of the first stage: ``x_T`` itself."""


class Stage(NamedTuple):
    """One network evaluation: member ``model`` (from 1) at ``timestep``, on ``input``.

    Its output is the predicted noise (``"epsilon"``), or, where the input holds hardly any signal, the
    predicted image (``"sample"``): there the noise is the input itself and tells nothing.
    """

    model: int
    timestep: float
    input: Combination
    predicts: str = "epsilon"


class Plan(NamedTuple):
    """All network evaluations of one schedule, and the combination that gives the image.

    Plain tuples of float64 numbers: equal beginnings of two plans compare equal, which
    is what lets a population share them.
    """

    stages: tuple[Stage, ...]
    closing: Combination

    @property
    def nfe(self) -> int:
        """Number of network evaluations."""
        return len(self.stages)

    def latency(self, member_latency: Sequence[float]) -> float:
        """Sum of the members' latencies, in their unit."""
        return float(np.asarray(member_latency)[self.models - 1].sum())

    @property
    def models(self) -> NDArray[np.int64]:
        """``(nfe,)``: the member of each stage, in the order of evaluation."""
        return np.array([stage.model for stage in self.stages], dtype=np.int64)
