"""LPIPS, the learned perceptual distance of two images: VGG16, and one weight a channel of five of its layers.

The network and its scaling are those of Zhang et al. (arXiv:1801.03924), version 0.1, as in the package
``lpips`` and in torch-fidelity, whose files of weights are read.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError, one_line

if TYPE_CHECKING:
    import torch

LEAST = 16
"""Pixels that VGG16's four halvings need."""

LAYERS = (3, 8, 15, 22, 29)
"""Of torchvision's ``vgg16().features`` that are compared: the last activation before each halving."""

CHANNELS = (64, 128, 256, 512, 512)
"""Of those layers."""

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation a channel, for pixels from -1 to 1."""

EPSILON = 1e-10

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-vgg16-lpips.pth"
"""Where torch-fidelity has the layers' weights."""

INSTALLED = (("lpips", "weights/v0.1/vgg.pth"), ("torchmetrics", "functional/image/lpips_models/vgg.pth"))
"""Packages that bring the layers' weights along, and where."""

BATCH = 64
"""Pairs of images a forward pass."""


class PerceptualDistance:
    """LPIPS of pairs of images.

    Args:
        device: where the network runs.
        weights: the layers' weights, ``vgg.pth``; by default an installed package's, or torch-fidelity's download.
        backbone: VGG16's weights, ``vgg16-397923af.pth``; by default torchvision's download.

    Raises:
        InputError: weights that cannot be had, read or loaded.
    """

    def __init__(
        self, device: str = "cpu", weights: str | Path | None = None, backbone: str | Path | None = None
    ) -> None:
        import torch

        self.device = device
        self.layers = _vgg16(backbone).to(device).eval().requires_grad_(False)
        self.weights = [weight.to(device, torch.float32) for weight in _channel_weights(weights)]
        self.shift, self.scale = (torch.tensor(v, device=device)[:, None, None] for v in (SHIFT, SCALE))

    def __call__(self, images: torch.Tensor, others: torch.Tensor, resize: int | None = None) -> torch.Tensor:
        """``(n, C, H, W)`` images in ``[-1, 1]`` and others, C 1 or 3: ``(n,)`` distances.

        Args:
            images: one side.
            others: the other.
            resize: both are resized to so many pixels first: averaged to fewer, interpolated to more.

        Raises:
            InputError: images of another number of channels.
        """
        import torch

        if images.shape[1] not in (1, 3):
            raise InputError(f"images of {images.shape[1]} channels: lpips takes 1 (gray) or 3 (RGB)")
        with torch.inference_mode():
            pairs = zip(images.split(BATCH), others.split(BATCH), strict=True)
            return torch.cat([self._distances(a, b, resize) for a, b in pairs])

    def _distances(self, images: torch.Tensor, others: torch.Tensor, resize: int | None) -> torch.Tensor:
        import torch

        total = torch.zeros(len(images), device=self.device)
        sides = (self._activations(side, resize) for side in (images, others))
        for weight, a, b in zip(self.weights, *sides, strict=True):
            total += ((a - b) ** 2 * weight[:, None, None]).sum(dim=1).mean(dim=(1, 2))
        return total

    def _activations(self, images: torch.Tensor, resize: int | None) -> Iterator[torch.Tensor]:
        """Of each layer, ``(n, c, h, w)``, every pixel of unit length."""
        import torch

        x = images.to(self.device, torch.float32).expand(-1, 3, -1, -1)
        x = (x - self.shift) / self.scale
        if resize is not None:
            x = _resized(x, resize)
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in LAYERS:
                yield x / (x.square().sum(dim=1, keepdim=True).sqrt() + EPSILON)


def _resized(x: torch.Tensor, size: int) -> torch.Tensor:
    """As torch-fidelity does it."""
    from torch.nn.functional import interpolate

    if min(x.shape[2:]) > size:
        return interpolate(x, (size, size), mode="area")
    return interpolate(x, (size, size), mode="bilinear", align_corners=False)


def _vgg16(backbone: str | Path | None) -> Any:
    import torch
    from torchvision.models import VGG16_Weights, vgg16

    with torch.device("meta"):  # no random numbers are drawn for weights to be replaced
        layers = vgg16(weights=None).features[: LAYERS[-1] + 1]
    state = _state(backbone, "backbone", VGG16_Weights.IMAGENET1K_V1.url)
    held = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
    try:
        layers.load_state_dict(held, assign=True)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"lpips backbone {backbone} is of another network ({one_line(error)[:160]}): expected torchvision's vgg16"
        ) from error
    for layer in layers:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False  # what was given out stays
    return layers


def _channel_weights(weights: str | Path | None) -> list[torch.Tensor]:
    """``(c,)`` of each layer."""
    source = weights if weights is not None else _installed()
    state = _state(source, "weights", URL)
    keys = [f"lin{number}.model.1.weight" for number in range(len(LAYERS))]
    shapes = [tuple(getattr(state.get(key), "shape", ())) for key in keys]
    if shapes != [(1, channels, 1, 1) for channels in CHANNELS]:
        raise InputError(f"lpips weights {source} are of another network: expected vgg.pth, version 0.1")
    return [state[key].flatten() for key in keys]


def _installed() -> Path | None:
    """The layers' weights that an installed package brings along."""
    for package, inside in INSTALLED:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            if (path := Path(folder) / inside).is_file():
                return path
    return None


def _state(path: str | Path | None, parameter: str, url: str) -> dict[str, Any]:
    """A state dict from a file, or else from where everybody has it from, kept by ``torch.hub``."""
    import torch

    hint = f"give the path of the file, lpips[member=...,{parameter}=PATH]"
    try:
        if path is None:
            state = torch.hub.load_state_dict_from_url(url, map_location="cpu", weights_only=True)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        what = (
            f"cannot download {url.rpartition('/')[2]}" if path is None else f"lpips {parameter} {path} cannot be read"
        )
        raise InputError(f"{what} ({one_line(error)[:160]}); {hint}") from error
    if not isinstance(state, dict):
        raise InputError(f"lpips {parameter} {path or url} hold a {type(state).__name__}, no state dict; {hint}")
    return state
