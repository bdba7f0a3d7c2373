"""The commands that write, each on files so small that it takes a second."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "golden"

BENCHMARK = """
name = "little"
summary = "three untrained networks"
seed = 3
budgets = [4, 8]
strategies = ["ays", "anneal[labels=4]"]

[measurement]
zoo = "../zoo"
solver = "ddim"
length = 6
images = 6
seed = 1

[validation]
images = 8
seeds = [11, 12]

[repeat]
n = 8
seed = 2

[[round]]
name = "first"
design = "random"
n = 24
split = "train"
null = 0.5

[[round]]
name = "test"
design = "random"
n = 12
split = "test"
null = 0.5

[[round]]
name = "good"
design = "refine"
n = 6
split = "elite"
"""

RECIPE = """
[zoo]
name = "trained"
image_size = 8
channels = 1

[training]
steps = 5
batch_size = 4

[[member]]
name = "a"
unet = { block_out_channels = [4], layers_per_block = 1, down_block_types = ["DownBlock2D"], \
up_block_types = ["UpBlock2D"], norm_num_groups = 4, add_attention = false }

[[member]]
name = "b"
unet = { block_out_channels = [8], layers_per_block = 1, down_block_types = ["DownBlock2D"], \
up_block_types = ["UpBlock2D"], norm_num_groups = 4, add_attention = false }
"""

RUN = ("run", "--benchmark", "bench", "--optimizer", "random", "--evaluations", "60", "--seeds", "2", "--top", "2",
       "--race-images", "40", "--validate-images", "8", "--device", "cpu", "--output", "out")  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command, and what must be there before.

    Attributes:
        name: as the table has it.
        words: after the program's name.
        needs: parts of the prepared folder.
        before: commands that are given, undisturbed, in the same folder first.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ("bench", "zoo")
    before: tuple[tuple[str, ...], ...] = ()


FIT = ("predictor", "fit", "--dataset", "bench/schedules.parquet", "--output", "saved")
PLAIN_RUN = (*RUN, "--predictor", "ridge")

COMMANDS = (
    Command("run", PLAIN_RUN),
    Command("run (board)", (*PLAIN_RUN, "--leaderboard", "board.csv"), before=(
        (*PLAIN_RUN, "--leaderboard", "board.csv", "--seed", "1", "--output", "other"),)),
    Command("run gbdt", (*RUN, "--predictor", "gbdt[trees=5]")),
    Command("run --active", (*RUN, "--predictor", "ridge", "--active", "--labels", "24")),
    Command("run --no-validate", (*PLAIN_RUN, "--no-validate")),
    Command("run --predictor-checkpoint", (
        "run", "--predictor-checkpoint", "saved", "--latency", "zoo", "--budget", "4", "--budget", "8",
        "--optimizer", "random", "--evaluations", "60", "--output", "out"),
        before=((*FIT, "--predictor", "ridge"),)),
    Command("search", (
        "search", "--zoo", "zoo", "--budget", "4", "--budget", "8", "--labels", "24", "--label-images", "6",
        "--length", "6", "--optimizer", "random", "--predictor", "ridge", "--evaluations", "60", "--seeds", "2",
        "--top", "2", "--race-images", "40", "--validate-images", "8", "--device", "cpu", "--output", "out")),
    Command("study", (
        "study", "--benchmark", "bench", "--optimizer", "random", "--predictor", "ridge,gbdt[trees=5]", "--seeds", "2",
        "--evaluations", "40", "--output", "out", "--device", "cpu")),
    Command("study --validate", (
        "study", "--benchmark", "bench", "--optimizer", "random", "--predictor", "ridge", "--seeds", "1", "--validate",
        "--validate-seeds", "2", "--evaluations", "40", "--budget", "8", "--output", "out", "--device", "cpu")),
    Command("dataset build", ("dataset", "build", "recipe", "--jobs", "1", "--shard-size", "8", "--device", "cpu"),
            needs=("zoo", "recipe")),
    Command("dataset import", (
        "dataset", "import", str(DATA / "dataset_ddim.pth"), "--solver", "ddim", "--members", "6", "--output",
        "d.parquet"), needs=()),
    Command("dataset estimate", ("dataset", "estimate", "recipe", "--output", "e.json"), needs=("zoo", "recipe")),
    Command("dataset designs", (
        "dataset", "designs", "--benchmark", "bench", "--predictor", "ridge", "--evaluations", "20", "--seeds", "1",
        "--output", "d.json")),
    Command("predictor fit", (*FIT, "--predictor", "gbdt[trees=5]", "--train-ratio", "0.5")),
    Command("predictor fit (over one)", (*FIT, "--predictor", "ridge", "--train-ratio", "0.5"), before=(
        (*FIT, "--predictor", "gbdt[trees=5]", "--train-ratio", "0.3"),)),
    Command("predictor evaluate", (
        "predictor", "evaluate", "--dataset", "bench/schedules.parquet", "--predictor-folder", "saved", "--output",
        "e.json"), before=((*FIT, "--predictor", "ridge"),)),
    Command("predictor compare", (
        "predictor", "compare", "--benchmark", "bench", "--predictor", "ridge,gbdt[trees=5]", "--train-sizes", "10,20",
        "--seeds", "2", "--output", "out")),
    Command("predictor fresh", (
        "predictor", "fresh", "--benchmark", "bench", "--predictor", "ridge", "--seeds", "1", "--output", "f.json")),
    Command("zoo train", ("zoo", "train", "recipe.toml", "--output", "trained", "--device", "cpu"),
            needs=("recipe.toml",)),
    Command("zoo train-features", ("zoo", "train-features", "--output", "net/digits.safetensors"), needs=()),
    Command("features train", ("features", "train", "classes", "-o", "net/small.safetensors", "--epochs", "2"),
            needs=("classes",)),
    Command("zoo profile", ("zoo", "profile", "zoo", "--batch-size", "2", "--repeats", "2", "--device", "cpu"),
            needs=("zoo",)),
    Command("zoo add", ("zoo", "add", "zoo/2", "--zoo", "added"), needs=("zoo",)),
    Command("zoo derive", (
        "zoo", "derive", "--from", "zoo/2", "--zoo", "derived", "--variant", "as-is", "--variant",
        "dtype[to=bfloat16]"), needs=("zoo",)),
    Command("export", ("export", "3 0 2 1", "--zoo", "zoo", "--solver", "ddim", "--to", "json", "--output", "s.json"),
            needs=("zoo",)),
    Command("init", ("init", "benchmark", "new"), needs=()),
    Command("zoo import", ("zoo", "import", str(DATA / "released_zoo"), "--output", "imported"), needs=()),
    Command("sample", (
        "sample", "--zoo", "zoo", "--schedule", "schedule.pth", "-n", "6", "--batch-size", "3", "--images", "images",
        "--metric", "fd-digits", "--output", "s.json", "--device", "cpu"), needs=("zoo", "schedule.pth")),
    Command("sample --images", (
        "sample", "--zoo", "zoo", "--schedule", "schedule.pth", "-n", "4", "--images", "images", "--device", "cpu"),
        needs=("zoo", "schedule.pth")),
    Command("validate", (
        "validate", "--population", "out/population-8.pth", "--benchmark", "bench", "--num-images", "6",
        "--final-images", "6", "--top", "3", "--output", "v.json", "--device", "cpu", "--solver", "ddim"),
        before=((*PLAIN_RUN, "--no-validate"),)),
    Command("confirm", ("confirm", "out", "--seeds", "2", "--device", "cpu", "--output", "c.json"),
            before=(PLAIN_RUN,)),
    Command("leaderboard rank", ("leaderboard", "leaderboard.csv", "--csv", "r.csv", "--markdown", "r.md"),
            before=(PLAIN_RUN,)),
    Command("leaderboard verify", (
        "leaderboard", "verify", "leaderboard.csv", "--rows", "1", "--device", "cpu", "--output", "v.json"),
        needs=(), before=(("run", "--benchmark", "digits-tab", *RUN[3:], "--predictor", "ridge", "--budget", "60"),)),
    Command("report", ("report", "out", "--html", "page.html"), before=(PLAIN_RUN,)),
    Command("info", ("info", "bench", "--output", "landscape.png")),
)  # fmt: skip
"""Every command of ``omsdpm-bench`` that writes a file."""


def prepare(folder: Path, build: Callable[[tuple[str, ...], Path], None]) -> None:
    """Makes what commands need: a zoo, a built benchmark, one to be built, a recipe and a schedule.

    Args:
        folder: takes it.
        build: runs a command in a folder.
    """
    from omsdpm import DDIMSpace
    from omsdpm.released import write_schedule

    _write_zoo(folder / "zoo")
    for name in ("recipe", "bench"):
        (folder / name).mkdir()
        (folder / name / "benchmark.toml").write_text(BENCHMARK)
    (folder / "recipe.toml").write_text(RECIPE)
    _write_classes(folder / "classes")
    write_schedule(folder / "schedule.pth", [0, 3, 0, 2, 1, 3], DDIMSpace(3, 6))
    build(("dataset", "build", "bench", "--jobs", "1", "--device", "cpu"), folder)


def lay_out(command: Command, prepared: Path, folder: Path) -> None:
    """A fresh folder with what a command needs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in command.needs:
        source = prepared / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.exists():
            shutil.copy(source, folder / name)


def _write_classes(folder: Path) -> None:
    """Some digits, in a folder for each of three classes."""
    from PIL import Image

    from omsdpm.images import load_digits_images, load_digits_labels, to_uint8

    pixels, labels = to_uint8(load_digits_images())[..., 0], load_digits_labels()
    for digit in range(3):
        (folder / str(digit)).mkdir(parents=True)
        for number, image in enumerate(pixels[labels == digit][:20]):
            Image.fromarray(image).save(folder / str(digit) / f"{number}.png")


def _write_zoo(folder: Path) -> None:
    import torch
    from diffusers import UNet2DModel

    from omsdpm.networks.unet2d import write_unet
    from omsdpm.zoo import ZooFile
    from omsdpm.zoo.files import write_latency_card

    for k in (1, 2, 3):
        torch.manual_seed(k)
        unet = UNet2DModel(
            sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4 * k,), layers_per_block=1,
            down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4, add_attention=False,
        )  # fmt: skip
        write_unet(unet, folder / str(k))
    ZooFile(
        zoo={"name": "tiny", "image_size": 8, "channels": 1},
        noise={"beta_start": 1e-4, "beta_end": 0.02},
        member=tuple({"folder": str(k)} for k in (1, 2, 3)),
    ).write(folder)
    write_latency_card(folder, {"ms": [1.0, 2.0, 4.0], "batch_size": 8, "device": "test", "date": "2026-01-01"})
