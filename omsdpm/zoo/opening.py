"""Opening a zoo in whichever layout it is in, ours or the release's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.devices import USUAL_RUNNING, Running
from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.offload import offload_to
from omsdpm.zoo.files import LATENCY_FILE, MEASURE, ZOO_FILE, device_of, latency_path, read_latency_card

if TYPE_CHECKING:
    from omsdpm.zoo import ModelZoo


def open_zoo(
    folder: str | Path,
    device: str = "cpu",
    latency: str | Path | None = None,
    running: Running = USUAL_RUNNING,
    *,
    profiled: bool = True,
    lazy: bool = False,
) -> ModelZoo:
    """A zoo from a folder with a ``zoo.toml``, or from a released one with ``N/config.yml``.

    Args:
        folder: where it is.
        device: where its members go.
        latency: a table for :func:`read_latency_table`, instead of the zoo's own.
        running: see :meth:`ModelZoo.load`.
        profiled, lazy: likewise; released zoos have no latencies of their own, and are loaded whole.

    Raises:
        InputError: neither layout, or a zoo that cannot be loaded.

    Example:
        >>> open_zoo("model_zoo/cifar10").shape
        (3, 32, 32)
    """
    from omsdpm.released import load_zoo
    from omsdpm.variants import varied
    from omsdpm.zoo import ModelZoo

    folder = Path(folder)
    if (folder / ZOO_FILE).is_file():
        zoo = ModelZoo.load(folder, device, profiled=profiled, running=running, lazy=lazy)
    elif any(folder.glob("[0-9]*/config.yml")):
        zoo = load_zoo(folder, device=device)
        for member in zoo.members if running.variants else ():
            member.network.module = varied(member.network.module, running.variants)
        if running.offload and (offload := offload_to(zoo.device)) is not None:
            zoo = replace(zoo, offload=offload)
            for member in zoo.members:
                member.network.offload(offload)
    else:
        raise InputError(f"{folder} is no zoo: expected a folder with {ZOO_FILE}, or the release's N/config.yml")
    if latency is None:
        return zoo
    table = read_latency_table(latency, len(zoo.members))
    terms = {f"{name}_ms": ms for name, ms in table.terms().items()}
    return replace(zoo, latency_card={"ms": list(table), "source": str(latency), **terms})


def read_latency_table(path: str | Path, num_models: int | None = None) -> LatencyTable:
    """Milliseconds a member, from the release's ``.pth``, or from a zoo's folder, ``latency.toml`` or a device's.

    Raises:
        InputError: no such table, or one for another number of members.
    """
    from omsdpm.released import read_latency

    path = Path(path)
    if path.is_dir():
        folder, name = path, None
    elif path.name == LATENCY_FILE:
        folder, name = path.parent, None
    elif (name := device_of(path)) is not None:
        folder = path.parent
    else:
        return LatencyTable(read_latency(path, num_models))
    card = read_latency_card(folder, num_models, name)
    if card is None:
        raise InputError(f"{folder} has no {latency_path(folder, name).name}: {MEASURE}")
    return LatencyTable.from_card(card)
