"""What a network may predict, in diffusers' names: one table for training and for sampling.

A noisy image is ``x_t = alpha x_0 + sigma eps``. Every target is another combination
``c x_0 + d eps``, so a row of the table is ``(c, d)``, and the two equations give ``x_0`` and
``eps`` back whatever the noise schedule, variance preserving or not:

    eps = (alpha u - c x_t) / (alpha d - sigma c)
    x_0 = (d x_t - sigma u) / (alpha d - sigma c)        with u the network's output
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from omsdpm.errors import InputError, unknown_name

if TYPE_CHECKING:
    import torch

Weights = Callable[["torch.Tensor", "torch.Tensor"], tuple["torch.Tensor", "torch.Tensor"]]
"""``(alpha, sigma)``, float64, to ``(c, d)`` of the same shape."""

PREDICTIONS: dict[str, Weights] = {
    "epsilon": lambda alpha, sigma: (0 * alpha, 0 * sigma + 1),
    "sample": lambda alpha, sigma: (0 * alpha + 1, 0 * sigma),
    "v_prediction": lambda alpha, sigma: (-sigma, alpha),
    "flow_prediction": lambda alpha, sigma: (0 * alpha - 1, 0 * sigma + 1),
}
"""The noise; the image; the velocity ``alpha eps - sigma x_0`` (Salimans & Ho, 2022,
arXiv:2202.00512); the velocity of flow matching ``eps - x_0`` (Lipman et al., 2023, arXiv:2210.02747)."""

SAMPLING_TARGETS = ("epsilon", "sample")
"""What solvers ask for."""


def check_prediction(name: str) -> str:
    """The name, known to be in :data:`PREDICTIONS`; :class:`InputError` where it is not."""
    if name not in PREDICTIONS:
        raise unknown_name("prediction_type", name, PREDICTIONS)
    return name


def training_target(
    prediction: str, x_0: torch.Tensor, eps: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:
    """What a network learns to predict from ``alpha x_0 + sigma eps``, shaped as ``x_0``.

    Args:
        prediction: a name of :data:`PREDICTIONS`.
        x_0, eps: image and noise, ``(n, ...)``.
        alpha, sigma: of each image, ``(n, 1, ...)``.
    """
    # Picked out and not combined where it is one of the two, so that it is that to the last bit.
    if prediction == "epsilon":
        return eps
    if prediction == "sample":
        return x_0
    c, d = PREDICTIONS[prediction](alpha, sigma)
    return d * eps + c * x_0


def convert(
    output: torch.Tensor,
    x: torch.Tensor,
    alpha: torch.Tensor,
    sigma: torch.Tensor,
    *,
    prediction: str,
    target: str = "epsilon",
) -> torch.Tensor:
    """A network's output as a prediction of the noise or of the image, like ``x``.

    Args:
        output: of the network, ``(n, ...)``.
        x: the noisy images it was given, ``(n, ...)``.
        alpha, sigma: of each image, ``(n,)`` float64: near the image ``sigma`` loses digits in float32.
        prediction: what the output is, a name of :data:`PREDICTIONS`.
        target: ``"epsilon"`` or ``"sample"``.

    Raises:
        InputError: another target, or one that the output says nothing about: the image where there
            is only noise, from a prediction of noise; the noise where there is only image, from
            a prediction of the image.
    """
    if target not in SAMPLING_TARGETS:
        raise unknown_name("target of a prediction", target, SAMPLING_TARGETS)
    if target == prediction:
        return output
    c, d = PREDICTIONS[prediction](alpha, sigma)
    determinant = alpha * d - sigma * c
    if not determinant.all():
        where = "noise" if target == "sample" else "image"
        raise InputError(
            f"a network that predicts {prediction!r} says nothing of {target!r} where there is only {where}: "
            "use one that predicts v_prediction or flow_prediction"
        )
    shape = (-1, *[1] * (x.ndim - 1))
    alpha, sigma, c, d, determinant = (weight.to(x).view(shape) for weight in (alpha, sigma, c, d, determinant))
    if target == "epsilon":
        return (alpha * output - c * x) / determinant
    return (d * x - sigma * output) / determinant
