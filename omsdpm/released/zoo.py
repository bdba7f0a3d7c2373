"""Released zoos: a folder with ``N/config.yml`` and ``N/ckpt.pth`` for every member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from omsdpm.errors import InputError
from omsdpm.files import check_creatable, writable_folder
from omsdpm.networks.heads import heads_of
from omsdpm.networks.unet2d import UNet2D, UNet2DTable, load_unet, write_unet
from omsdpm.noise import make_noise
from omsdpm.released._pickle import load_pth
from omsdpm.released._states import DDPM_UNET, state_of
from omsdpm.released._yaml import read_yaml
from omsdpm.released.ddpm import DDPMConfig, to_diffusers
from omsdpm.released.latency import read_latency
from omsdpm.zoo import Member, ModelZoo
from omsdpm.zoo.files import ZOO_FILE, ImagesTable, ZooFile, read_latency_card, write_latency_card

CONFIG, CHECKPOINT = "config.yml", "ckpt.pth"


def load_zoo(path: str | Path, latency: str | Path | Sequence[float] | None = None, *, device: str = "cpu") -> ModelZoo:
    """A released zoo, its members as diffusers ``UNet2DModel`` with the EMA weights.

    Args:
        path: the folder; its members are the folders named 1, 2, ..., in that order.
        latency: ms a member, or the release's file with them; without it the one
            ``*latency.pth`` in the folder, if there is one.
        device: where the members go.

    Raises:
        InputError: a file is missing, broken, wants to run something, or is a checkpoint of
            something else; a network that ``UNet2DModel`` cannot express; members for
            different images or noise schedules; a latency table of the wrong length.

    Example:
        >>> eps = load_zoo("released_zoo").denoisers[0](torch.randn(2, 3, 16, 16), 500)
    """
    from omsdpm.devices import resolve_device

    path, device = Path(path), resolve_device(device)
    folders = _member_folders(path)
    configs = [DDPMConfig.parse(read_yaml(folder / CONFIG), folder / CONFIG) for folder in folders]
    first = configs[0]
    for folder, config in zip(folders, configs, strict=True):
        for key in ("image_size", "in_channels", "beta_start", "beta_end"):
            one, other = getattr(first, key), getattr(config, key)
            if one != other:
                raise InputError(
                    f"{folder / CONFIG}: {key} is {other}, member 1 has {one}: the members of a zoo model the same data"
                )
    table = _latency(path, latency, len(folders))
    noise = make_noise({"kind": "linear", "beta_start": first.beta_start, "beta_end": first.beta_end})
    members = [
        Member(folder.name, UNet2D(_network(folder, config).to(device)), noise)
        for folder, config in zip(folders, configs, strict=True)
    ]
    shape = (first.in_channels, first.image_size, first.image_size)
    card = None if table is None else {"ms": table, "source": "the OMS-DPM release"}
    return ModelZoo(members, noise, shape, path.resolve().name, card, device)


def import_zoo(path: str | Path, output: str | Path, latency: str | Path | Sequence[float] | None = None) -> ZooFile:
    """Writes a released zoo in our layout, for :meth:`omsdpm.ModelZoo.load`; returns its ``zoo.toml``.

    Args:
        path: the released folder.
        output: a folder without a zoo.
        latency: as :func:`load_zoo`.

    Raises:
        InputError: as :func:`load_zoo`, or ``output`` cannot be written or has a zoo.
    """
    output = Path(output)
    check_creatable(output)
    zoo = load_zoo(path, latency)
    unets = {member.name: cast(UNet2D, member.network).module for member in zoo.members}
    channels, size, _ = zoo.shape
    images = ImagesTable(name=zoo.name, image_size=size, channels=channels)
    tables = tuple(UNet2DTable(folder=name, heads=heads_of(unet)) for name, unet in unets.items())
    file = ZooFile(zoo=images, noise=zoo.noise, member=tables)
    if (output / ZOO_FILE).exists():
        if _is_imported(output, file, unets, zoo.latency_card):  # the command was killed at its end, or is given again
            return file
        raise InputError(f"{output} has a zoo already: name another folder or remove it")
    writable_folder(output)
    for name, unet in unets.items():
        write_unet(unet, output / name)
    if zoo.latency_card is not None:
        write_latency_card(output, zoo.latency_card)
    file.write(output)  # last, so that a killed import leaves no zoo
    return file


def _is_imported(folder: Path, file: ZooFile, unets: Mapping[str, Any], card: Mapping[str, Any] | None) -> bool:
    """Whether a folder has this very zoo, weights and latencies included."""
    try:
        if ZooFile.read(folder) != file or read_latency_card(folder) != card:
            return False
        there = {name: load_unet(folder / name).state_dict() for name in unets}
    except InputError:
        return False
    return all(
        there[name].keys() == unet.state_dict().keys()
        and all(bool((there[name][key] == tensor.cpu()).all()) for key, tensor in unet.state_dict().items())
        for name, unet in unets.items()
    )


def _member_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        raise InputError(f"zoo {path} is no folder: expected one with N/{CONFIG} and N/{CHECKPOINT}")
    folders = sorted((int(item.name), item) for item in path.iterdir() if item.is_dir() and item.name.isdecimal())
    numbers = [number for number, _ in folders]
    if not folders or numbers != list(range(1, len(folders) + 1)):
        listed = ", ".join(map(str, numbers)) or "none"
        raise InputError(f"zoo {path} has the member folders {listed}: expected 1, 2, ... without a gap")
    return [folder for _, folder in folders]


def _network(folder: Path, config: DDPMConfig) -> Any:
    path = folder / CHECKPOINT
    content = load_pth(path)
    if isinstance(content, list):
        # [weights, optimizer, epoch, step, EMA shadow]; sampling uses the shadow where there is one.
        if not content:
            raise InputError(f"{path} is an empty list: expected {DDPM_UNET}")
        content = content[-1 if config.ema else 0]
    return to_diffusers(config, state_of(content, path, DDPM_UNET), path)


def _latency(path: Path, latency: str | Path | Sequence[float] | None, num_models: int) -> list[float] | None:
    if latency is None:
        tables = sorted(path.glob("*latency.pth"))
        if len(tables) != 1:
            return None
        latency = tables[0]
    if isinstance(latency, (str, Path)):
        return read_latency(latency, num_models)
    if len(latency) != num_models:
        raise InputError(
            f"{len(latency)} latencies for {num_models} members: give one a member, without the null model"
        )
    return [float(milliseconds) for milliseconds in latency]
