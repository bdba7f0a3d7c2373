"""``fid-inf``: the Fréchet inception distance that infinitely many images would have."""

from __future__ import annotations

from omsdpm.scoring.metrics.fd_inf import FrechetLimitMetric
from omsdpm.scoring.metrics.fid import InInception


class FIDLimitMetric(InInception, FrechetLimitMetric):
    """FID without the bias of few images (Chong and Forsyth, arXiv:1911.07023); 8,192 images or more.

    Args:
        weights: file with the network's weights instead of the usual download.
        context: has the real images.

    Raises:
        InputError: the weights or the real images cannot be used.
    """
