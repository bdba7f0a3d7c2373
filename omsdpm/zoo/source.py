"""What a person has: the folder of a diffusers pipeline or model, or the name of one on a hub."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omsdpm.errors import InputError, one_line
from omsdpm.networks.base import NETWORKS
from omsdpm.tables import read_json

INDEX = "model_index.json"
CONFIG = "config.json"
DENOISERS = ("unet", "transformer", "transformer_2")
"""Folders of a pipeline that hold the networks that are sampled with."""

CLIPPING = ("DDIMScheduler", "DDPMScheduler")
"""Schedulers of diffusers that clip predicted images to [-1, 1] by default."""

SCHEDULER = Path("scheduler") / "scheduler_config.json"
EXPECTED = f"expected the folder of a diffusers pipeline, with {INDEX}, or of a model, with {CONFIG}"

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
DOWNLOADED = ("*.json", "*.txt", "*.model", "*/*.json", "*/*.txt", "*/*.model", "*/*.safetensors", "*/*.bin")
"""Files of a pipeline on a hub that are read."""


@dataclass(frozen=True)
class Source:
    """A pipeline's denoisers, or a model alone.

    Attributes:
        folder: of the pipeline, or of the model.
        denoisers: folders of the models.
        scheduler: what the pipeline's scheduler says; ``None`` of a model alone.
        pipeline: whether it is one.
    """

    folder: Path
    denoisers: tuple[Path, ...]
    scheduler: dict[str, Any] | None
    pipeline: bool

    @classmethod
    def open(cls, source: str | Path) -> Source:
        """Finds out what is there; a name of a hub is looked up, and downloaded unless it was before.

        Raises:
            InputError: neither a pipeline nor a model, or nothing of that name can be had.
        """
        folder = Path(source)
        if not folder.is_dir():
            folder = _downloaded(str(source))
        if (folder / INDEX).is_file():
            index = read_object(folder / INDEX)
            named = [name for name in DENOISERS if isinstance(entry := index.get(name), list) and entry[-1:] != [None]]
            denoisers = tuple(folder / name for name in named)
            for denoiser in denoisers:
                if not (denoiser / CONFIG).is_file():
                    raise InputError(
                        f"pipeline {folder} says that it has a {denoiser.name}, but {denoiser} lacks {CONFIG}"
                    )
            if not denoisers:
                raise InputError(f"pipeline {folder} has neither of the folders unet and transformer")
            scheduler = folder / SCHEDULER
            said = read_object(scheduler) if scheduler.is_file() else None
            return cls(folder, denoisers, said, True)
        if not (folder / CONFIG).is_file():
            raise InputError(f"{folder} is no model: {EXPECTED}")
        return cls(folder, (folder,), None, False)

    @property
    def prediction_type(self) -> str | None:
        """What the networks predict, in the words of the scheduler; a flow's schedulers predict its velocity."""
        if self.scheduler is None:
            return None
        flow = "FlowMatch" in str(self.scheduler.get("_class_name")) or bool(self.scheduler.get("use_flow_sigmas"))
        return "flow_prediction" if flow else str(self.scheduler.get("prediction_type", "epsilon"))

    @property
    def clip(self) -> float | None:
        """Where predicted images are clipped; DDPM's and DDIM's schedulers do so unless they say otherwise."""
        if self.scheduler is None:
            return None
        if not self.scheduler.get("clip_sample", self.scheduler.get("_class_name") in CLIPPING):
            return None
        return float(self.scheduler.get("clip_sample_range", 1.0))

    @property
    def use_clipped_model_output(self) -> bool:
        """Whether steps take the noise of the clipped image: as DDPM does, and pipelines of DDIM do not."""
        return self.clip is None or self.scheduler is None or self.scheduler.get("_class_name") != "DDIMScheduler"


def kind_of(config: Mapping[str, Any], folder: Path) -> str:
    """The kind of network that takes a model of this class.

    Raises:
        InputError: none does; those that take a model's folder are listed.
    """
    name = config.get("_class_name")
    takes = {kind: tuple(getattr(NETWORKS.load(kind), "model_classes", ())) for kind in NETWORKS.names()}
    for kind, classes in takes.items():
        if name in classes:
            return kind
    known = ", ".join(f"{kind} ({', '.join(classes)})" for kind, classes in takes.items() if classes)
    raise InputError(
        f"{folder} is a `{str(name)[:80]}`, which no kind of network takes; those that take a model's folder: {known}"
    )


def full_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration with what its file leaves out, as its class has it."""
    import diffusers

    model = getattr(diffusers, str(config.get("_class_name")), None)
    parameters = inspect.signature(model.__init__).parameters.values() if inspect.isclass(model) else ()
    return {**{one.name: one.default for one in parameters if one.default is not one.empty}, **config}


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file's object.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    content = read_json(path, "copy the model again", infinite=True)  # schedulers say lambda_min_clipped = -Infinity
    if not isinstance(content, dict):
        raise InputError(f"{path} is no JSON object; copy the model again")
    return content


def _downloaded(name: str) -> Path:
    """The folder of what a hub has under a name, in the cache of its own client."""
    if not HUB_NAME.fullmatch(name) or Path(name).parent.is_dir():
        raise InputError(f"{name} is no folder: {EXPECTED}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    try:
        return Path(snapshot_download(name, allow_patterns=list(DOWNLOADED)))
    except Exception as error:  # whatever a network does
        raise InputError(
            f"{name} is no folder, and cannot be had from the hub ({type(error).__name__}: {one_line(error)[:120]}): "
            f"{EXPECTED}, or download it where there is a network, `hf download {name} --local-dir FOLDER`"
        ) from error
