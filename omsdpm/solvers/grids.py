"""Grids of slots by name, equal to what schedulers of diffusers make of a number of steps.

A grid is written ``name[param=value]`` wherever timesteps are taken: ``"trailing"``, ``"leading[offset=1]"``.
The first three names are those of Table 2 in Lin et al. (arXiv:2305.08891).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError, unknown_name
from omsdpm.noise import Noise
from omsdpm.plugins import Named, parameters_of

Timesteps = Sequence[float] | str
"""Timesteps in the order of sampling, falling, or the name of a grid."""

Array = NDArray[np.floating[Any]]


def leading(length: int, steps: int, offset: int = 0) -> Array:
    """DDIM, DDPM, Euler and PNDM: multiples of ``steps // length``, and ``steps_offset``."""
    return np.arange(length)[::-1] * (steps // length) + float(offset)


def trailing(length: int, steps: int) -> Array:
    """DDIM, DDPM, Euler, DPM-Solver and UniPC: in even steps from the last timestep."""
    return np.rint(steps - np.arange(length) * (steps / length)) - 1.0


def linspace(length: int, steps: int) -> Array:
    """DDPM: even, from the last timestep to the first. DDIM evaluates there too, but steps to others."""
    return np.rint(np.linspace(0, steps - 1, length))[::-1]


def dpm_leading(length: int, steps: int, offset: int = 0) -> Array:
    """DPM-Solver and UniPC multistep: the last ``length`` of :func:`leading` with one more."""
    return np.arange(1, length + 1)[::-1] * (steps // (length + 1)) + float(offset)


def dpm_linspace(length: int, steps: int) -> Array:
    """DPM-Solver and UniPC multistep, their usual grid: :func:`linspace` with one more, without the first timestep."""
    return np.rint(np.linspace(0, steps - 1, length + 1))[:0:-1]


def flow_euler(length: int, steps: int, shift: float) -> Array:
    """``FlowMatchEulerDiscreteScheduler``: even between its extreme sigmas, which are shifted already, and shifted.

    So timesteps are shifted twice but for the noise end. Pipelines that pass sigmas of their own, as Flux
    does, are on the usual grid of flow matching instead.
    """
    lowest = _shifted(np.array(1 / steps), shift)
    return steps * _shifted(np.linspace(1.0, float(lowest), length), shift)


def _shifted(sigma: Array, shift: float) -> Array:
    return shift * sigma / (1.0 + (shift - 1.0) * sigma)


GRIDS: dict[str, Callable[..., Array]] = {
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
    "dpm-leading": dpm_leading,
    "dpm-linspace": dpm_linspace,
    "flow-euler": flow_euler,
}
"""By name: ``(length, steps, **parameters)`` to ``(length,)`` timesteps, falling."""

SETTLED = ("length", "steps")


def parse_grid(text: str) -> Named:
    """The grid that a text names.

    Raises:
        InputError: no such grid, or a parameter that it does not have or that is no number.
    """
    named = Named.parse(text)
    if named.name not in GRIDS:
        raise unknown_name("grid of timesteps", named.name, GRIDS)
    known = [name for name in parameters_of(GRIDS[named.name]) if name not in SETTLED]
    for key, value in named.parameters.items():
        if key not in known:
            if not known:
                raise InputError(f"grid {named.name!r} takes no parameters: leave out {key!r}")
            raise unknown_name(f"parameter of grid {named.name!r}", key, known)
        whole = key == "offset"
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < 0:
            raise InputError(
                f"grid {text!r}: {key} = {value!r}, expected a {'whole ' if whole else ''}number from 0 on"
            )
    return named


def grid_timesteps(text: str, length: int, steps: int = 1000, noise: Noise | None = None) -> tuple[float, ...]:
    """The timesteps of a named grid, in the order of sampling.

    Args:
        text: ``name[param=value]``, a name of :data:`GRIDS`.
        length: slots.
        steps: timesteps that the networks were trained on.
        noise: says the shift of flow matching, where the text does not.

    Raises:
        InputError: as :func:`parse_grid`, more slots than timesteps, or a shift that nobody says.

    Example:
        >>> grid_timesteps("leading[offset=1]", 4)
        (751.0, 501.0, 251.0, 1.0)
    """
    named = parse_grid(text)
    if not 1 <= length <= steps:
        raise InputError(f"length={length}: at most {steps} slots, one a training timestep")
    parameters = dict(named.parameters)
    if named.name == "flow-euler" and "shift" not in parameters:
        shift = getattr(noise, "shift", None)
        if shift is None:
            raise InputError(f"grid {text!r} is of flow matching: give its shift, as flow-euler[shift=3]")
        parameters["shift"] = shift
    return tuple(GRIDS[named.name](length, steps, **parameters).tolist())
