"""The solvers to choose from."""

from __future__ import annotations

from omsdpm.plugins import Registry


def solver_names() -> tuple[str, ...]:
    """Names of all solvers, read off their registration: importing them would cost ``--help`` NumPy."""
    return tuple(Registry("solver", "omsdpm.solvers").names())
