"""The solvers to choose from."""

from __future__ import annotations

from omsdpm.solvers import SOLVERS


def solver_names() -> tuple[str, ...]:
    """Names of all solvers."""
    return tuple(SOLVERS)
