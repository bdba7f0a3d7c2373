"""What a person would note about a schedule, as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Noise
from omsdpm.solvers import DPMSolverSpace, ScheduleSpace
from predictors.axis import Ints, Steps, piecewise, steps_of
from predictors.gaussian import VARIANCES, GaussianFlow, gaussian_flow

STRETCHES = 12
"""Parts of the lambda axis that are looked at one by one."""

ORDERS = 3


def structural_features(
    X: Ints, space: ScheduleSpace, noise: Noise, latency: Sequence[float] | None = None
) -> tuple[NDArray[np.float64], list[str]]:
    """Features of canonical schedules.

    Args:
        X: ``(n, L)``.
        space, noise: give the place of each slot on the lambda axis, and the solver.
        latency: ``(M,)`` ms a member, if known.

    Returns:
        ``(n, F)`` and the features' names ``(F,)``.
    """
    steps = steps_of(X, space, noise)
    columns: dict[str, NDArray] = {"steps": steps.active.sum(axis=1)}
    columns |= _placement(steps)
    columns |= _members(steps, space.num_models)
    columns |= _stretches(steps, space.num_models)
    columns |= _on_gaussians(gaussian_flow(X, space, noise, VARIANCES), space.num_models)
    if isinstance(space, DPMSolverSpace):
        orders = space.orders_of(X)
        columns["solvers"] = (orders > 0).sum(axis=1)
        columns |= {f"solvers of order {o}": (orders == o).sum(axis=1) for o in range(1, ORDERS + 1)}
    if latency is not None:
        columns["latency"] = space.latency(X, latency)
        columns |= _latency_of_halves(steps, np.asarray(latency, dtype=float))
    return np.column_stack(list(columns.values())).astype(float), list(columns)


def _placement(steps: Steps) -> dict[str, NDArray]:
    """Where the evaluations are and how far apart."""
    gaps = steps.gaps
    count = steps.active.sum(axis=1)
    last = np.take_along_axis(steps.position, count[:, None] - 1, axis=1)[:, 0]
    widest = gaps.argmax(axis=1)
    log_gaps = np.log(np.maximum(gaps, 1e-3)) * steps.active
    return {
        "first position": steps.position[:, 0],
        "last position": last,
        "widest gap": gaps.max(axis=1),
        "place of the widest gap": np.take_along_axis(steps.position, widest[:, None], axis=1)[:, 0],
        "second widest gap": np.partition(np.pad(gaps, ((0, 0), (1, 0))), -2, axis=1)[:, -2],
        "sum of squared gaps": (gaps**2).sum(axis=1),
        "sum of cubed gaps": (gaps**3).sum(axis=1),
        "mean log gap": log_gaps.sum(axis=1) / count,
        "mean position": (steps.position * steps.active).sum(axis=1) / count,
    }


def _members(steps: Steps, num_models: int) -> dict[str, NDArray]:
    """How often, how far and where each member works."""
    gaps = steps.gaps
    columns: dict[str, NDArray] = {}
    for k in range(1, num_models + 1):
        mine = steps.member == k
        count = mine.sum(axis=1)
        covered = (gaps * mine).sum(axis=1)
        columns[f"steps of member {k}"] = count
        columns[f"cover of member {k}"] = covered
        # An unused member is nowhere; trees send missing values where they fit best.
        with np.errstate(invalid="ignore"):
            columns[f"place of member {k}"] = (steps.position * mine).sum(axis=1) / np.where(count, count, np.nan)
    count = steps.active.sum(axis=1)
    columns["first member"] = steps.member[:, 0]
    columns["last member"] = np.take_along_axis(steps.member, count[:, None] - 1, axis=1)[:, 0]
    return columns


def _stretches(steps: Steps, num_models: int) -> dict[str, NDArray]:
    """For each stretch of the axis the steps in it, the gap over its middle, and who covers it."""
    middles = (np.arange(STRETCHES) + 0.5) / STRETCHES
    gaps = piecewise(steps, steps.gaps, middles)
    members = piecewise(steps, steps.member, middles)
    stretch = np.minimum((steps.position * STRETCHES).astype(int), STRETCHES - 1)
    columns: dict[str, NDArray] = {}
    for s in range(STRETCHES):
        columns[f"steps in stretch {s}"] = ((stretch == s) & steps.active).sum(axis=1)
        columns[f"gap over stretch {s}"] = gaps[:, s]
        columns |= {f"member {k} over stretch {s}": members[:, s] == k for k in range(1, num_models + 1)}
    return columns


def _on_gaussians(flow: GaussianFlow, num_models: int) -> dict[str, NDArray]:
    """What the solver gets wrong on Gaussian data, and how much each member's errors count there."""
    columns: dict[str, NDArray] = {}
    for v, variance in enumerate(VARIANCES):
        ratio = flow.log_ratio[:, v]
        columns |= {f"ratio on variance {variance}": ratio, f"error on variance {variance}": np.abs(ratio)}
        for k in range(1, num_models + 1):
            effect = np.where(flow.member == k, flow.effect[:, :, v], 0.0)
            columns[f"effect of member {k} on variance {variance}"] = effect.sum(axis=1)
            columns[f"squared effect of member {k} on variance {variance}"] = (effect**2).sum(axis=1)
    return columns


def _latency_of_halves(steps: Steps, latency: NDArray) -> dict[str, NDArray]:
    """Time spent near the noise and near the image."""
    cost = np.concatenate([[0.0], latency])[steps.member]
    near_image = steps.position >= 0.5
    return {
        "latency near the noise": (cost * ~near_image).sum(axis=1),
        "latency near the image": (cost * near_image).sum(axis=1),
    }
