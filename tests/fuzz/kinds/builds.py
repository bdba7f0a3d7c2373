"""What builds and trainings leave in their folders: shards, drawn schedules, cuts, markers, identities, checkpoints."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.case import Case, Kind
from tests.fuzz.mutations import Rng, array_changed, damaged, json_damaged
from tests.fuzz.valid import ROUNDS

WORK = Path("build") / "00-random"
MARKER = ".omsdpm-build.json"


class BuildKind(Kind):
    """Folders of a build that was killed, of one that is finished, and of a training."""

    name = "build folders"
    share = 0.9

    def __init__(self, valid: Path) -> None:
        super().__init__(valid)
        self._datasets: Any = None

    def case(self, rng: Rng, folder: Path) -> Case:
        if rng.random() < 0.15:
            return self._training(rng, folder)
        bench = folder / "benchmark"
        finished = rng.random() < 0.25
        shutil.copytree(self.valid / "benchmark", bench)
        if finished:
            path = bench / "measured.json"
            what = json_damaged(path, rng)
        else:
            (bench / "schedules.parquet").unlink()
            shutil.rmtree(bench / "build", ignore_errors=True)
            shutil.copytree(self.valid / "work" / "00-random", bench / WORK)
            names = ["drawn.npy", "shard-00000.npz", "shard-00001.npz", "cut.json", MARKER]
            path = bench / WORK / names[int(rng.choice(5, p=[0.3, 0.2, 0.2, 0.2, 0.1]))]
            if path.suffix == ".json":
                what = json_damaged(path, rng)
            elif path.suffix == ".npy":
                what = _damage_npy(path, rng)
            else:
                what = _damage_npz(path, rng)

        def read() -> Any:
            from omsdpm.dataset.build import Workers, build_dataset
            from omsdpm.dataset.recipe import Recipe

            return build_dataset(Recipe.read(bench), Workers("joblib", 1), shard_size=3)

        told = None if finished else _told(bench / WORK)
        return Case(f"{path.name}: {what}", path, read, lambda got: self._wrong(got, told))

    def _wrong(self, got: Any, told: np.ndarray | None) -> str | None:
        """A build that goes on from damage ends where one without damage ends, but for scores that are told anew."""
        from omsdpm.dataset import ScheduleDataset

        own = ScheduleDataset.read(self.valid / "benchmark" / "schedules.parquet")
        y = own.y.copy()
        if told is not None:
            y[: len(told)] = told
        same = np.array_equal(got.X, own.X) and np.array_equal(got.y, y) and np.array_equal(got.design, own.design)
        return None if same else "its dataset is not the one of an undisturbed build"

    def _training(self, rng: Rng, folder: Path) -> Case:
        """A checkpoint of a training that goes on."""
        import torch

        from omsdpm.zoo.recipe import ZooRecipe
        from omsdpm.zoo.train import CHECKPOINT

        recipe = _recipe(folder)
        member = folder / "1"
        path = member / CHECKPOINT
        shutil.copytree(self._trained(), member)
        act = rng.random()
        if act < 0.5:
            what, raw = damaged(path.read_bytes(), rng)
            path.write_bytes(raw)
        else:
            content = torch.load(path, weights_only=True)
            what = _state_changed(content, rng)
            torch.save(content, path)

        def read() -> Any:
            from omsdpm.zoo.train import train_member

            read_recipe: ZooRecipe = recipe
            images = np.linspace(-1, 1, 10 * 64, dtype=np.float32).reshape(10, 1, 8, 8)
            return train_member(read_recipe, read_recipe.members[0], images, member)

        def wrong(got: Any) -> str | None:
            from omsdpm.networks.unet2d import load_unet

            state = load_unet(got).state_dict()
            return None if all(torch.isfinite(one).all() for one in state.values()) else "its weights are not finite"

        return Case(f"{path.name}: {what}", path, read, wrong)

    def _trained(self) -> Path:
        """A folder with a checkpoint."""
        import omsdpm.zoo.train as train

        folder = self.valid / "training"
        if not folder.exists():
            recipe = _recipe(self.valid)
            images = np.linspace(-1, 1, 10 * 64, dtype=np.float32).reshape(10, 1, 8, 8)
            every, train.CHECKPOINT_EVERY = train.CHECKPOINT_EVERY, 2

            def stop(*args: Any) -> None:
                raise KeyboardInterrupt

            written = train.write_unet
            train.write_unet = stop
            try:
                train.train_member(recipe, recipe.members[0], images, folder)
            except KeyboardInterrupt:
                pass
            finally:
                train.write_unet, train.CHECKPOINT_EVERY = written, every
        return folder


def _told(work: Path) -> np.ndarray | None:
    """The scores of a round as files of shards tell them; ``None`` where they are damaged."""
    try:
        y = np.full(ROUNDS, np.nan)
        for path in sorted(work.glob("shard-*.npz")):
            with np.load(path) as file:
                if file["y"].dtype != np.float64 or file["rows"].shape != file["y"].shape:
                    return None
                y[file["rows"]] = file["y"]
    except Exception:  # whatever NumPy makes of random bytes: a judge does not say what readers should
        return None
    return y if np.isfinite(y).all() else None


def _recipe(folder: Path) -> Any:
    from omsdpm.zoo.recipe import ZooRecipe

    path = folder / "training.toml"
    path.write_text(
        '[zoo]\nname = "a"\nimage_size = 8\nchannels = 1\n[training]\nsteps = 4\nbatch_size = 2\nwarmup = 1\n'
        '[[member]]\nname = "1"\nunet = { block_out_channels = [4], layers_per_block = 1, norm_num_groups = 4, '
        'down_block_types = ["DownBlock2D"], up_block_types = ["UpBlock2D"], add_attention = false }\n'
    )
    return ZooRecipe.read(path)


def _state_changed(content: dict[str, Any], rng: Rng) -> str:
    import torch

    from tests.fuzz.mutations import hostile

    key = list(content)[int(rng.integers(len(content)))]
    act = rng.random()
    value = content[key]
    if act < 0.2:
        del content[key]
        return f"{key} removed"
    if act < 0.5:
        content[key] = hostile(rng)
        return f"{key} replaced"
    holder: Any = value
    place: Any = None
    if isinstance(value, dict) and all(isinstance(one, torch.Tensor) for one in value.values()):
        place = list(value)[int(rng.integers(len(value)))]
    elif isinstance(value, list) and value:
        place = int(rng.integers(len(value)))
    elif isinstance(value, torch.Tensor):
        holder, place = content, key
    else:
        content[key] = {} if isinstance(value, dict) else -3
        return f"{key} = {content[key]}"
    what, array = array_changed(holder[place].detach().numpy(), rng)
    holder[place] = torch.from_numpy(array.copy())
    return f"{key} {place} {what}"


def _damage_npy(path: Path, rng: Rng) -> str:
    raw = path.read_bytes()
    act = rng.random()
    if act < 0.4:
        what, raw = damaged(raw, rng)
        path.write_bytes(raw)
        return what
    if act < 0.5:
        path.write_bytes(header_of_terabytes())
        return "a header of terabytes"
    what, array = array_changed(np.load(path), rng)
    np.save(path, array)
    return what


def _damage_npz(path: Path, rng: Rng) -> str:
    raw = path.read_bytes()
    act = rng.random()
    if act < 0.35:
        what, raw = damaged(raw, rng)
        path.write_bytes(raw)
        return what
    with np.load(path) as file:
        arrays = dict(file)
    if act < 0.45:
        bomb(path, list(arrays)[int(rng.integers(len(arrays)))], arrays)
        return "a bomb"
    key = list(arrays)[int(rng.integers(len(arrays)))]
    if act < 0.55:
        del arrays[key]
        what = "removed"
    else:
        what, arrays[key] = array_changed(arrays[key], rng)
    np.savez(path, **arrays)
    return f"{key} {what}"


def header_of_terabytes() -> bytes:
    """An ``.npy`` that claims 2^40 numbers."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<i2", "fortran_order": False, "shape": (2**20, 2**20)})
    return file.getvalue() + bytes(64)


def bomb(path: Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    """An ``.npz`` of which one array is 30,000 x 30,000 zeros, in a few megabytes."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (30_000, 3_000)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            if name != key:
                one = io.BytesIO()
                np.save(one, array)
                archive.writestr(f"{name}.npy", one.getvalue())
        with archive.open(f"{key}.npy", "w") as file:
            file.write(head.getvalue())
            for _ in range(90):
                file.write(bytes(8 * 10**6))
