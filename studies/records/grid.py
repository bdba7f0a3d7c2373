"""Images of a schedule as one PNG."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import replacing
from omsdpm.images import to_uint8

TARGET = 512
"""Pixels that a grid of small images is enlarged to, about."""


def write_grid(images: NDArray[np.floating], path: Path) -> None:
    """Writes ``(n, C, H, W)`` images in ``[-1, 1]`` as a square grid with thin white gaps.

    Small images are enlarged by whole factors, so that their pixels stay sharp.
    """
    from PIL import Image

    pixels = to_uint8(images)  # (n, H, W, C)
    n, height, width, channels = pixels.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    scale = max(1, TARGET // (columns * max(height, width)))
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    gap = max(1, scale // 2)
    step_y, step_x = height * scale + gap, width * scale + gap
    canvas = np.full((rows * step_y + gap, columns * step_x + gap, channels), 255, dtype=np.uint8)
    for number, image in enumerate(pixels):
        row, column = divmod(number, columns)
        top, left = gap + row * step_y, gap + column * step_x
        canvas[top : top + height * scale, left : left + width * scale] = image
    with replacing(path) as temporary:
        Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas).save(temporary, format="PNG", optimize=True)
