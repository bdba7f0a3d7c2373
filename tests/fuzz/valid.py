"""Valid files of each kind, which generators damage; small, and made by the toolkit itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
DATA = Path(__file__).parents[2] / "benchmarks" / "data"

FAMILIES = (
    "ridge", "gp", "gbdt[trees=5]", "gbdt[trees=5,objective=ranking]", "lstm[updates=3,networks=2]",
    "deepsets[updates=3,networks=2]", "lstm-paper[epochs=1]", "ensemble",
)  # fmt: skip
"""Predictors that are saved."""

ROUNDS = 6
"""Schedules of the round that is built."""


def make_valid(folder: Path) -> None:
    """Makes all of them in a folder."""
    from tests.pipelines import tiny_sd

    _zoo(folder / "zoo")
    shutil.copytree(GOLDEN / "released_zoo", folder / "released_zoo")
    _predictors(folder / "predictors")
    _benchmark(folder / "benchmark", folder / "zoo")
    _pictures(folder / "images")
    _results(folder / "results")
    tiny_sd(folder / "pipeline")


def _zoo(folder: Path) -> None:
    import torch
    from diffusers import UNet2DModel

    from omsdpm.networks.unet2d import write_unet
    from omsdpm.zoo import ZooFile
    from omsdpm.zoo.files import write_latency_card

    for k in (1, 2):
        torch.manual_seed(k)
        unet = UNet2DModel(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4 * k,), layers_per_block=1,
            down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4, add_attention=False,
        )  # fmt: skip
        write_unet(unet, folder / str(k))
    images = {"name": "tiny", "image_size": 8, "channels": 1}
    noise = {"beta_start": 1e-4, "beta_end": 0.02}
    ZooFile(zoo=images, noise=noise, member=tuple({"folder": str(k)} for k in (1, 2))).write(folder)
    write_latency_card(folder, {"ms": [1.0, 2.0], "batch_size": 8, "device": "test", "date": "2026-01-01"})


def _predictors(folder: Path) -> None:
    from benchmarks import load_benchmark

    benchmark = load_benchmark("digits-tab")
    train = benchmark.dataset.subset("train")[:60]
    for number, family in enumerate(FAMILIES):
        more = {"members": ("gp", "ridge"), "parameters": {"gp": {"tune_size": 30}}} if family == "ensemble" else {}
        benchmark.predictor(family, **more).fit(train.X, train.y).save(folder / f"{number}")


def _benchmark(folder: Path, zoo: Path) -> None:
    """A benchmark that was built but for the merging of its round, with the finished one beside it."""
    from omsdpm.dataset.build import Workers, build_dataset
    from omsdpm.dataset.recipe import Recipe
    from omsdpm.dataset.workfolder import put_away

    folder.mkdir()
    (folder / "benchmark.toml").write_text(
        'name = "tiny"\nsummary = "for tests"\nbudgets = [3, 5.5]\nseed = 3\n'
        f'[measurement]\nzoo = "{zoo.as_posix()}"\nsolver = "ddim"\nlength = 3\nimages = 4\nmetric = "fd-digits"\n'
        'members = [1, 2]\nspacing = "logSNR"\neta = 0.0\n'
        "[validation]\nimages = 8\nseeds = [11, 12]\n"
        "[repeat]\nn = 2\nseed = 1\n"
        f'[[round]]\nname = "random"\ndesign = "random"\nsplit = "train"\nn = {ROUNDS}\nnull = [0.2, 0.5]\n'
        "alpha = 0.7\nwindow = [0, 9.5]\n"
        '[[round]]\nname = "refine"\ndesign = "refine"\nsplit = "test"\nn = 2\nmutations = 1\n',
        encoding="utf-8",
    )
    kept = folder.parent / "work"
    import omsdpm.dataset.build as build

    def keep(work: Path) -> None:
        if work.exists():
            shutil.copytree(work, kept / work.name)
        put_away(work)

    build.put_away = keep  # what a build clears when it is done is what a killed one leaves
    try:
        build_dataset(Recipe.read(folder), Workers("joblib", 1), shard_size=3)
    finally:
        build.put_away = put_away


def _pictures(folder: Path) -> None:
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    gray = color[..., 0]
    Image.fromarray(color).save(folder / "color.png")
    Image.fromarray(color).save(folder / "color.jpg")
    Image.fromarray(color).save(folder / "color.bmp")
    Image.fromarray(color).save(folder / "color.webp")
    Image.fromarray(color).save(folder / "color.ppm")
    Image.fromarray(gray).save(folder / "gray.png")
    Image.fromarray(gray.astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray((gray / 255).astype(np.float32)).save(folder / "float.tif")
    Image.fromarray(color).save(folder / "color.tif", compression="tiff_lzw")
    Image.fromarray(color).quantize(16).save(folder / "palette.png")


def _results(folder: Path) -> None:
    from studies.jobs.run.job import run
    from studies.jobs.run.settings import RunSettings

    run(
        RunSettings(
            benchmark="digits-tab", predictor="ridge", optimizer="random", evaluations=50, train_size=30,
            validated=False, output=folder / "run",
        )
    )  # fmt: skip
