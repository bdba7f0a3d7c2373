"""What several packages' tests need: data, and a zoo small enough for a test."""

import json
from pathlib import Path

import numpy as np
import pytest

from omsdpm.threads import wait_briefly

wait_briefly()  # several processes of pytest share the processors

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def golden():
    """``golden("ddim_sampling")``: the JSON and the arrays of a file made by the authors' release."""

    def load(name: str):
        meta = json.loads((DATA / "golden" / f"{name}.json").read_text())
        with np.load(DATA / "golden" / f"{name}.npz") as arrays:
            return meta, dict(arrays)

    return load


@pytest.fixture(scope="session")
def tiny_zoo(tmp_path_factory):
    """The folder of a zoo of three untrained U-Nets on 8x8 images, with latencies 1, 2 and 4 ms."""
    import torch
    from diffusers import UNet2DModel

    from omsdpm.networks.unet2d import write_unet
    from omsdpm.zoo import ZooFile
    from omsdpm.zoo.files import write_latency_card

    folder = tmp_path_factory.mktemp("tiny-zoo")
    for k in (1, 2, 3):
        torch.manual_seed(k)
        unet = UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(4 * k,),
            layers_per_block=1,
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
            norm_num_groups=4,
            add_attention=False,
        )
        write_unet(unet, folder / str(k))
    ZooFile(
        zoo={"name": "tiny", "image_size": 8, "channels": 1},
        noise={"beta_start": 1e-4, "beta_end": 0.02},
        member=tuple({"folder": str(k)} for k in (1, 2, 3)),
    ).write(folder)
    write_latency_card(folder, {"ms": [1.0, 2.0, 4.0], "batch_size": 8, "device": "test", "date": "2026-01-01"})
    return folder


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """References that tests compute are kept apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMSDPM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
