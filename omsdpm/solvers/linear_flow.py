"""What plans do to Gaussian data with perfect networks, which is linear: read off any solver's plans.

For data of variance ``v`` in some direction, the best prediction of noise there is
``sigma x / (alpha^2 v + sigma^2)`` and that of the image ``alpha v x / (alpha^2 v + sigma^2)``. So an
image is a number times its starting noise, plus numbers times the errors of its evaluations;
both follow from the plan's weights, backwards from the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omsdpm.noise import Array, Noise
from omsdpm.solvers.plan import Combination, Plan


def plan_flow(plans: Sequence[Plan], noise: Noise, variances: Array) -> tuple[Array, NDArray[np.int64], Array, Array]:
    """The flow of ``n`` plans of at most ``E`` evaluations, for data of ``variances`` ``(V,)``.

    Returns:
        ``(n, V)`` standard deviation of the image, from starting noise of 1 and what a plan adds to it, with
        the sign of the starting noise in it; ``(n, E)`` members, 0 where there is no
        evaluation; ``(n, E)`` timesteps; ``(n, E, V)`` derivative of the image by what each
        evaluation predicts, the noise or, where there is hardly any signal, the image.
    """
    n, E, V = len(plans), max(plan.nfe for plan in plans), len(variances)
    scale, effect = np.zeros((n, V)), np.zeros((n, E, V))
    member, timestep = np.zeros((n, E), dtype=np.int64), np.zeros((n, E))
    for row, plan in enumerate(plans):
        member[row, : plan.nfe] = plan.models
        timestep[row, : plan.nfe] = [stage.timestep for stage in plan.stages]
        t = noise.time(timestep[row, : plan.nfe])
        alpha, sigma = noise.alpha(t)[:, None], noise.sigma(t)[:, None]
        sample = np.array([stage.predicts == "sample" for stage in plan.stages])[:, None]
        slope = np.where(sample, alpha * variances, sigma) / (alpha**2 * variances + sigma**2)  # (E, V)
        by_state, by_output = np.zeros((plan.nfe + 1, V)), np.zeros((plan.nfe + 1, V))
        _take_back(plan.closing, np.ones(V), by_state, by_output)
        for number in range(plan.nfe, 0, -1):
            by_state[number] += by_output[number] * slope[number - 1]
            _take_back(plan.stages[number - 1].input, by_state[number], by_state, by_output)
        scale[row], effect[row, : plan.nfe] = by_state[0], by_output[1:]
        fresh = _fresh_variance(plan, by_state)
        if fresh.any():
            scale[row] = np.copysign(np.sqrt(scale[row] ** 2 + fresh), scale[row])
    return scale, member, timestep, effect


def _fresh_variance(plan: Plan, by_state: Array) -> Array:
    """``(V,)``: variance that the noise added on the way has in the image, from the derivatives by states."""
    fresh = np.zeros(by_state.shape[1])
    for number, stage in enumerate(plan.stages, start=1):
        if stage.input.noise is not None:
            fresh += (stage.input.noise[1] * by_state[number]) ** 2
    if plan.closing.noise is not None:
        fresh += plan.closing.noise[1] ** 2
    return fresh


def _take_back(combination: Combination, by_sum: Array, by_state: Array, by_output: Array) -> None:
    """Adds to the derivatives by a sum's terms what the derivative by the sum makes of them."""
    for number, weight in combination.states:
        by_state[number] += weight * by_sum
    for number, weight in combination.outputs:
        by_output[number] += weight * by_sum
