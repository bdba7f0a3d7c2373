"""What a person would note about a schedule, as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omsdpm.solvers import BatchPlan
from omsdpm.solvers.batch import Flow
from predictors.axis import piecewise
from predictors.gaussian import VARIANCES, log_ratio

STRETCHES = 12
"""Parts of the lambda axis that are looked at one by one."""


def structural_features(
    batch: BatchPlan, latency: Sequence[float] | None = None
) -> tuple[NDArray[np.float64], list[str]]:
    """Features of ``n`` schedules.

    Args:
        batch: their batch plan.
        latency: ``(M,)`` ms a member, if known.

    Returns:
        ``(n, F)`` and the features' names ``(F,)``.
    """
    space = batch.space
    columns: dict[str, NDArray] = {"steps": batch.count}
    columns |= _placement(batch)
    columns |= _members(batch, space.num_models)
    columns |= _stretches(batch, space.num_models)
    columns |= _on_gaussians(batch.flow(VARIANCES), space.num_models)
    if space.group_size > 1:
        orders = batch.steps.order
        columns["solvers"] = (orders > 0).sum(axis=1)
        columns |= {f"solvers of order {o}": (orders == o).sum(axis=1) for o in space.orders}
    if latency is not None:
        columns["latency"] = space.latency(batch.X, latency)
        columns |= _latency_of_halves(batch, np.asarray(latency, dtype=float))
    return np.column_stack(list(columns.values())).astype(float), list(columns)


def _placement(batch: BatchPlan) -> dict[str, NDArray]:
    """Where the evaluations are and how far apart."""
    gaps = batch.width
    count = batch.count
    last = np.take_along_axis(batch.position, count[:, None] - 1, axis=1)[:, 0]
    widest = gaps.argmax(axis=1)
    log_gaps = np.log(np.maximum(gaps, 1e-3)) * batch.active
    return {
        "first position": batch.position[:, 0],
        "last position": last,
        "widest gap": gaps.max(axis=1),
        "place of the widest gap": np.take_along_axis(batch.position, widest[:, None], axis=1)[:, 0],
        "second widest gap": np.partition(np.pad(gaps, ((0, 0), (1, 0))), -2, axis=1)[:, -2],
        "sum of squared gaps": (gaps**2).sum(axis=1),
        "sum of cubed gaps": (gaps**3).sum(axis=1),
        "mean log gap": log_gaps.sum(axis=1) / count,
        "mean position": (batch.position * batch.active).sum(axis=1) / count,
    }


def _members(batch: BatchPlan, num_models: int) -> dict[str, NDArray]:
    """How often, how far and where each member works."""
    gaps = batch.width
    columns: dict[str, NDArray] = {}
    for k in range(1, num_models + 1):
        mine = batch.member == k
        count = mine.sum(axis=1)
        covered = (gaps * mine).sum(axis=1)
        columns[f"steps of member {k}"] = count
        columns[f"cover of member {k}"] = covered
        # An unused member is nowhere; trees send missing values where they fit best.
        with np.errstate(invalid="ignore"):
            columns[f"place of member {k}"] = (batch.position * mine).sum(axis=1) / np.where(count, count, np.nan)
    count = batch.count
    columns["first member"] = batch.member[:, 0]
    columns["last member"] = np.take_along_axis(batch.member, count[:, None] - 1, axis=1)[:, 0]
    return columns


def _stretches(batch: BatchPlan, num_models: int) -> dict[str, NDArray]:
    """For each stretch of the axis the steps in it, the gap over its middle, and who covers it."""
    middles = (np.arange(STRETCHES) + 0.5) / STRETCHES
    gaps = piecewise(batch, batch.width, middles)
    members = piecewise(batch, batch.member, middles)
    stretch = np.minimum((batch.position * STRETCHES).astype(int), STRETCHES - 1)
    columns: dict[str, NDArray] = {}
    for s in range(STRETCHES):
        columns[f"steps in stretch {s}"] = ((stretch == s) & batch.active).sum(axis=1)
        columns[f"gap over stretch {s}"] = gaps[:, s]
        columns |= {f"member {k} over stretch {s}": members[:, s] == k for k in range(1, num_models + 1)}
    return columns


def _on_gaussians(flow: Flow, num_models: int) -> dict[str, NDArray]:
    """What the solver gets wrong on Gaussian data, and how much each member's errors count there."""
    columns: dict[str, NDArray] = {}
    ratios = log_ratio(flow.scale)
    for v, variance in enumerate(VARIANCES):
        ratio = ratios[:, v]
        columns |= {f"ratio on variance {variance}": ratio, f"error on variance {variance}": np.abs(ratio)}
        for k in range(1, num_models + 1):
            effect = np.where(flow.member == k, flow.effect[:, :, v], 0.0)
            columns[f"effect of member {k} on variance {variance}"] = effect.sum(axis=1)
            columns[f"squared effect of member {k} on variance {variance}"] = (effect**2).sum(axis=1)
    return columns


def _latency_of_halves(batch: BatchPlan, latency: NDArray) -> dict[str, NDArray]:
    """Time spent near the noise and near the image."""
    cost = np.concatenate([[0.0], latency])[batch.member]
    near_image = batch.position >= 0.5
    return {
        "latency near the noise": (cost * ~near_image).sum(axis=1),
        "latency near the image": (cost * near_image).sum(axis=1),
    }
