"""Betas rescaled so that the last timestep is noise alone (Lin et al., arXiv:2305.08891, Alg. 1)."""

from __future__ import annotations

import numpy as np

from omsdpm.errors import InputError
from omsdpm.noise.base import Array


def rescale_zero_terminal_snr(betas: Array) -> Array:
    """Betas whose ``sqrt(alpha_bar)`` is shifted to end at 0 and scaled to start as before.

    Args:
        betas: ``(N,)``, N > 1.

    Returns:
        ``(N,)``, the last of which is exactly 1.

    Raises:
        InputError: one timestep, or so much noise that float64 tells no signal from none.
    """
    alpha = np.exp(0.5 * np.log1p(-betas).cumsum())  # sqrt(alpha_bar)
    shifted = alpha - alpha[-1]
    if len(betas) < 2 or not (np.diff(shifted) < 0).all():
        raise InputError(
            f"{len(betas)} betas cannot be rescaled to zero terminal SNR: "
            "expected at least two, and signal before the last timestep"
        )
    alpha_bar = (shifted * (alpha[0] / shifted[0])) ** 2
    return np.concatenate([betas[:1], 1.0 - alpha_bar[1:] / alpha_bar[:-1]])
