"""InceptionV3 pool features, the network behind every score that is called FID.

The architecture is pytorch-fid's port of the TensorFlow network of 2015 (it differs from
torchvision's in its pooling) and so are the weights, a state dict of 92 MB.
"""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.scoring.features.base import in_batches

DIM = 2048
BATCH_SIZE = 50  # 299x299 activations: 50 images take about 1 GB
USUAL = "6726825d"
"""How the SHA-256 of pytorch-fid's own weights begins, as the name of the file says."""

NEEDS = "FID needs pytorch-fid and torchvision: pip install pytorch-fid"
HINT = "give the path of pt_inception-2015-12-05-6726825d.pth (fid[weights=PATH])"


class InceptionNetwork:
    """Pool features of ``(n, C, H, W)`` images in ``[-1, 1]``, C 1 or 3: ``(n, 2048)`` float64.

    Images are rounded to bytes first, as they would be in the PNG files that pytorch-fid
    reads, gray ones are repeated to three channels, and the network enlarges them to 299x299.

    Args:
        device: where the network runs.
        weights: a local state dict; by default pytorch-fid's, downloaded once and cached by torch.
        batch_size: images a forward pass.

    Raises:
        InputError: pytorch-fid is not installed, or the weights cannot be had, read or loaded.
    """

    dim = DIM
    files = ("weights",)

    def __init__(self, device: str = "cpu", weights: str | Path | None = None, batch_size: int = BATCH_SIZE) -> None:
        self.device = device
        self.batch_size = batch_size
        state, source = _download() if weights is None else _read(Path(weights))
        self.layers = pool_layers(_with_weights(state, source)).requires_grad_(False).eval().to(device)

    @classmethod
    def content(cls, weights: str | Path | None = None, **_: Any) -> dict[str, Any]:
        """What decides the features: the weights; those of the download are the usual ones wherever they lie."""
        return {"inception": "usual" if are_usual(weights) else Path(str(weights))}

    def __call__(self, images: Any) -> NDArray[np.float64]:
        """``(n, C, H, W)`` images, tensor or array, to ``(n, 2048)`` features.

        Raises:
            InputError: images of another shape, or NaN in them.
        """
        channels = images.shape[1] if getattr(images, "ndim", 0) == 4 else None
        if channels not in (None, 1, 3):
            raise InputError(f"images of {channels} channels: Inception takes 1 (gray) or 3 (RGB)")
        return in_batches(self._features, images, (None, None, None), DIM, self.device, self.batch_size)

    def _features(self, batch: Any) -> Any:
        from torch.nn.functional import interpolate

        pixels = as_png(batch).expand(-1, 3, -1, -1)
        enlarged = interpolate(pixels, size=(299, 299), mode="bilinear", align_corners=False)
        return self.layers(2 * enlarged - 1)[:, :, 0, 0]


def are_usual(weights: str | Path | None) -> bool:
    """Whether a file holds pytorch-fid's own weights, as it does where none is given.

    A file that cannot be read is not said to be another: the network says what is wrong with it.
    """
    if weights is None or not Path(weights).is_file():
        return True
    try:
        with open(weights, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().startswith(USUAL)
    except OSError:
        return True


def as_png(batch: Any) -> Any:
    """``[-1, 1]`` to ``[0, 1]``, clipped and rounded to the 256 values that a PNG can hold."""
    import torch

    return torch.round(((batch.double() + 1) * 127.5).clamp(0, 255)).float() / 255


def new_inception() -> Any:
    """pytorch-fid's network with random weights; its own constructor would download them."""
    try:
        from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
        from torchvision.models import inception_v3
    except ImportError as error:
        raise InputError(f"{NEEDS} ({error})") from error

    network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b = FIDInceptionA(192, pool_features=32)
    network.Mixed_5c = FIDInceptionA(256, pool_features=64)
    network.Mixed_5d = FIDInceptionA(288, pool_features=64)
    network.Mixed_6b = FIDInceptionC(768, channels_7x7=128)
    network.Mixed_6c = FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6d = FIDInceptionC(768, channels_7x7=160)
    network.Mixed_6e = FIDInceptionC(768, channels_7x7=192)
    network.Mixed_7b = FIDInceptionE_1(1280)
    network.Mixed_7c = FIDInceptionE_2(2048)
    return network


def pool_layers(inception: Any) -> Any:
    """The layers from the image to the 2048 averages, without dropout and classifier."""
    from torch import nn

    return nn.Sequential(
        inception.Conv2d_1a_3x3,
        inception.Conv2d_2a_3x3,
        inception.Conv2d_2b_3x3,
        nn.MaxPool2d(kernel_size=3, stride=2),
        inception.Conv2d_3b_1x1,
        inception.Conv2d_4a_3x3,
        nn.MaxPool2d(kernel_size=3, stride=2),
        inception.Mixed_5b,
        inception.Mixed_5c,
        inception.Mixed_5d,
        inception.Mixed_6a,
        inception.Mixed_6b,
        inception.Mixed_6c,
        inception.Mixed_6d,
        inception.Mixed_6e,
        inception.Mixed_7a,
        inception.Mixed_7b,
        inception.Mixed_7c,
        nn.AdaptiveAvgPool2d(output_size=(1, 1)),
    )


def _download() -> tuple[Any, str]:
    from torch.hub import load_state_dict_from_url

    try:
        from pytorch_fid.inception import FID_WEIGHTS_URL
    except ImportError as error:
        raise InputError(f"{NEEDS} ({error})") from error
    try:
        state = load_state_dict_from_url(FID_WEIGHTS_URL, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(f"cannot download the Inception weights ({_first_line(error)}); {HINT}") from error
    return state, FID_WEIGHTS_URL


def _read(path: Path) -> tuple[Any, str]:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True), str(path)
    except FileNotFoundError as error:
        raise InputError(f"Inception weights {path} do not exist; {HINT}") from error
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise InputError(
            f"Inception weights {path} cannot be read, truncated or no state dict ({_first_line(error)}); {HINT}"
        ) from error


def _with_weights(state: Any, source: str) -> Any:
    import torch

    if not isinstance(state, dict):
        raise InputError(f"Inception weights {source} hold a {type(state).__name__}, no state dict; {HINT}")
    with torch.random.fork_rng(devices=[]):  # random weights that are replaced: the caller's numbers stay as they are
        inception = new_inception()
    try:
        inception.load_state_dict(state)
    except RuntimeError as error:
        problems = str(error).splitlines()
        detail = problems[1].strip()[:120] if len(problems) > 1 else problems[0][:120]
        raise InputError(f"Inception weights {source} are of another network ({detail}); {HINT}") from error
    return inception


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:160] if lines else type(error).__name__
