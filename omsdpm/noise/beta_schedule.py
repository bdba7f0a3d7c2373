"""Betas that follow from a few numbers, by which files name them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.noise.base import Array, check_steps
from omsdpm.noise.discrete_vp import DiscreteVP
from omsdpm.noise.rescaling import rescale_zero_terminal_snr


@dataclass(frozen=True, eq=False, kw_only=True)
class BetaSchedule(DiscreteVP):
    """A formula for betas, which subclasses give; equal to the :class:`DiscreteVP` of the same betas.

    Args:
        steps: training timesteps ``N``.
        zero_terminal_snr: whether the formula's betas are rescaled, see :meth:`rescaled`.
    """

    betas: Sequence[float] | NDArray[np.float64] = field(init=False, repr=False, compare=False)
    steps: int = 1000
    zero_terminal_snr: bool = False

    def __post_init__(self) -> None:
        check_steps(self.steps)
        betas = self.formula()
        self._keep(rescale_zero_terminal_snr(betas) if self.zero_terminal_snr else betas)

    @abstractmethod
    def formula(self) -> Array:
        """``(N,)`` betas in (0, 1), before rescaling."""

    def rescaled(self) -> Self:
        return replace(self, zero_terminal_snr=True)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        from omsdpm.noise.registry import from_keys

        return from_keys(cls, cls.kind, table)


def check_betas(**betas: float) -> None:
    """Raises :class:`InputError` for a beta that is not in (0, 1); keys are their names."""
    for name, beta in betas.items():
        if not 0 < beta < 1:
            raise InputError(f"{name} = {beta!r}: expected a number between 0 and 1")
