"""What a zoo keeps of the pipeline that its members are from: the VAE and the text encoders."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from omsdpm.devices import Parts
from omsdpm.errors import InputError, one_line
from omsdpm.networks.diffusers_model import CONFIG_FILE, check_config, read_config, shared_model
from omsdpm.networks.sizes import check_arguments, shapes_of, skeleton_of
from omsdpm.tables import read_json, read_table

if TYPE_CHECKING:
    import torch

    from omsdpm.offload import Offload
    from omsdpm.prompts import Prompts
    from omsdpm.zoo.files import Shape

INDEX = "model_index.json"
VAE = "vae"
ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3", "tokenizer", "tokenizer_2", "tokenizer_3")
"""Folders of a pipeline that turn prompts into tensors."""

WEIGHTS = (".safetensors", ".bin")

LIBRARIES = ("diffusers", "transformers")
"""Packages that parts of a pipeline are classes of; nothing else is imported for what a file says."""

CLASSES = ("AutoencoderKL", "AutoencoderKLWan", "AutoencoderDC", "AutoencoderTiny")
"""VAEs whose latents are scaled as :meth:`PipelineParts.decode` says."""

DECODED_AT_ONCE = 8
"""Latents that a VAE decodes at once: images are much larger than their latents."""


Count = Annotated[int, Field(gt=0, le=2**20)]


class _VAE(BaseModel):
    """What is read of the configuration of a VAE."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    out_channels: Count = 3
    block_out_channels: list[Count] = []
    encoder_block_out_channels: list[Count] = []
    scale_factor_spatial: Count = 8
    scale_factor_temporal: Count = 4
    scaling_factor: float = 1.0
    shift_factor: float = 0.0
    latents_mean: list[float] | None = None
    latents_std: list[float] | None = None


@dataclass(frozen=True)
class PipelineParts:
    """VAE and text encoders of a diffusers pipeline, each loaded when it is first asked for.

    Attributes:
        folder: of the pipeline, with its ``model_index.json``.
    """

    folder: Path

    @cached_property
    def _index(self) -> dict[str, Any]:
        path = self.folder / INDEX
        if not path.is_file():
            raise InputError(f"{self.folder} is no diffusers pipeline: it has no {INDEX}")
        index = read_json(path, "copy the pipeline again")
        if not isinstance(index, dict):
            raise InputError(f"{path} is no JSON object; copy the pipeline again")
        for name, entry in index.items():
            words = entry if isinstance(entry, list) else []
            if (
                isinstance(entry, dict)
                or (isinstance(entry, list) and len(entry) != 2)
                or not all(isinstance(word, str | None) for word in words)
            ):
                raise InputError(f"{path}: {name[:80]} is no part of a pipeline, a package and a class")
        return index

    @property
    def has_vae(self) -> bool:
        """Whether members denoise latents."""
        entry = self._index.get(VAE)
        return isinstance(entry, list) and entry[1] is not None

    @property
    def has_encoders(self) -> bool:
        """Whether it reads prompts."""
        return any((self.folder / name).is_dir() for name in ENCODERS)

    @cached_property
    def _config(self) -> dict[str, Any]:
        check_config(self.folder / VAE, CLASSES[0])
        config = read_config(self.folder / VAE, CLASSES[0])
        if config.get("_class_name") not in CLASSES:
            raise InputError(
                f"{self.folder / VAE} is a `{str(config.get('_class_name'))[:80]}`; latents of these VAEs are "
                f"decoded: {', '.join(CLASSES)}"
            )
        try:
            read_table(_VAE, {key: config[key] for key in _VAE.model_fields if config.get(key) is not None}, "")
        except InputError as error:
            raise InputError(f"{self.folder / VAE / CONFIG_FILE}{error}; copy the pipeline again") from error
        return config

    def image_shape(self, shape: Shape) -> Shape:
        """``(channels, [frames,] height, width)`` of the images that latents ``shape`` are decoded to.

        Raises:
            InputError: no pipeline, or a VAE of another class.
        """
        if not self.has_vae:
            return shape
        space, time = _scale(self._config)
        frames = () if len(shape) == 3 else (time * (shape[1] - 1) + 1,)
        return (int(self._config.get("out_channels", 3)), *frames, space * shape[-2], space * shape[-1])

    def decode(self, latents: torch.Tensor, offload: Offload | None = None) -> torch.Tensor:
        """Images of latents, ``(n, C, [F,] h, w) -> (n, C', [F',] H, W)``, as the pipeline scales and shifts them.

        Args:
            latents: on the device that decodes them.
            offload: keeps the VAE's weights on the CPU until it is called.
        """
        import torch

        if not self.has_vae:
            return latents
        vae = self._vae(str(latents.device))
        if offload is not None:
            offload.add(vae)
            offload.enter(vae)
        scaled = _unscaled(latents, self._config).to(vae.dtype)
        with torch.inference_mode(False), torch.no_grad():
            parts = [self._decoded(vae, part) for part in scaled.split(DECODED_AT_ONCE)]
        return torch.cat(parts).to(latents.dtype)

    def _vae(self, device: str) -> Any:
        """The VAE, which is read once."""
        if device not in self._vaes:
            self._vaes[device] = shared_model(self.folder / VAE, CLASSES, "VAE", None, device)
        return self._vaes[device]

    @cached_property
    def _vaes(self) -> dict[str, Any]:
        return {}

    @cached_property
    def _decoding(self) -> Parts:
        return Parts(f"VAE of {self.folder}")

    def _decoded(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Of few scaled latents, in parts that fit into the device's memory."""

        def evaluate(rows: slice) -> torch.Tensor:
            image: torch.Tensor = vae.decode(latents[rows], return_dict=False)[0]
            return image

        return self._decoding(evaluate, len(latents))

    def encode(self, prompts: Sequence[str], negative: str | None, size: tuple[int, int]) -> Prompts:
        """What the text encoders make of prompts, on the CPU, for images of ``(height, width)`` pixels.

        Raises:
            InputError: the pipeline has no text encoders, or they cannot be loaded or used.
        """
        from omsdpm.prompts import encode_prompts

        pipe = self._pipe()
        try:
            with quiet():
                return encode_prompts(pipe, prompts, negative, size)
        except InputError as error:
            there = ", ".join(name for name in ENCODERS if (self.folder / name).is_dir())
            raise InputError(f"pipeline {self.folder} ({there}): {error}") from error

    def files(self) -> list[Path]:
        """The files that decide what is decoded and encoded, sorted."""
        folders = [self.folder / name for name in (VAE, *ENCODERS)]
        walked = (Path(root) / name for folder in folders for root, _, names in os.walk(folder) for name in names)
        return sorted(path for path in walked if not path.name.startswith("."))

    def _pipe(self) -> Any:
        """The pipeline with its text encoders, tokenizers and scheduler alone."""
        import diffusers

        if not self.has_encoders:
            raise InputError(f"pipeline {self.folder} has no text encoders: prompts mean nothing to it")
        if find_spec("transformers") is None:
            raise InputError("prompts need the package transformers: `pip install omsdpm[prompts]`")
        name = str(self._index.get("_class_name"))
        pipeline = getattr(diffusers, name, None)
        if not (inspect.isclass(pipeline) and issubclass(pipeline, diffusers.DiffusionPipeline)):
            raise InputError(f"{self.folder / INDEX}: this diffusers has no pipeline `{name[:80]}`")
        takes = inspect.signature(pipeline.__init__).parameters
        given: dict[str, Any] = {}
        try:
            with quiet():
                for part, entry in self._index.items():
                    if part not in takes:
                        continue
                    if isinstance(entry, list):
                        kept = part in (*ENCODERS, "scheduler") and entry[0] in LIBRARIES
                        given[part] = self._loaded(part, *entry) if kept else None
                    else:
                        given[part] = entry
                return pipeline(**given)
        except InputError:
            raise
        except Exception as error:  # whatever the files of strangers do to their own readers
            raise InputError(
                f"the text encoders of pipeline {self.folder} cannot be loaded ({_told(error)})"
            ) from error

    def _loaded(self, part: str, library: str, name: str) -> Any:
        """A part of the pipeline.

        Raises:
            InputError: it cannot be loaded.
        """
        try:
            return self._read(part, library, name)
        except InputError:
            raise
        except Exception as error:  # whatever the files of strangers do to their own readers
            raise InputError(
                f"{self.folder / part} cannot be loaded ({_told(error)}); copy the pipeline again"
            ) from error

    def _read(self, part: str, library: str, name: str) -> Any:
        """A part of the pipeline; text encoders in single precision, with all of their weights from its files."""
        kind = getattr(import_module(library), name)
        if not part.startswith("text_encoder"):
            return kind.from_pretrained(self.folder / part, local_files_only=True)
        self._check_claimed(part, kind)
        model, told = kind.from_pretrained(self.folder / part, local_files_only=True, output_loading_info=True)
        for what in ("missing_keys", "mismatched_keys"):  # these are drawn at random otherwise
            for key in sorted(map(str, told[what])):
                raise InputError(f"{self.folder / part}: the weights lack {key}, or have it of another shape")
        if not all(tensor.isfinite().all() for tensor in model.state_dict().values() if tensor.is_floating_point()):
            raise InputError(f"{self.folder / part} holds NaN or infinite weights; copy the pipeline again")
        return model.eval().float()

    def _check_claimed(self, part: str, kind: Any) -> None:
        """Raises :class:`InputError` for a configuration that asks for more memory than its weights fill."""
        folder = self.folder / part
        where = f"{folder / CONFIG_FILE} is not a {kind.__name__} config"
        check_arguments(read_config(folder, kind.__name__), where)
        config = kind.config_class.from_pretrained(folder, local_files_only=True)
        shapes = shapes_of(skeleton_of(lambda: kind(config), where))
        claimed = sum(math.prod(shape) for shape in shapes.values())
        stored = sum(path.stat().st_size for path in folder.iterdir() if path.suffix in WEIGHTS)
        if claimed > stored:  # a number takes a byte at least
            raise InputError(f"{where}: it asks for {claimed} numbers, and its weights have {stored} bytes")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"[:200]


@contextmanager
def quiet() -> Iterator[None]:
    """No bars and no warnings of the libraries that load a pipeline: that parts are left out is as it should be."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    libraries = (of_diffusers, of_transformers)
    before = [library.get_verbosity() for library in libraries]
    bars = of_transformers.is_progress_bar_enabled()
    for library in libraries:
        library.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, verbosity in zip(libraries, before, strict=True):
            library.set_verbosity(verbosity)
        if bars:
            of_transformers.enable_progress_bar()


def _scale(config: Mapping[str, Any]) -> tuple[int, int]:
    """Pixels a latent, along a side and in time."""
    if config["_class_name"] == "AutoencoderKLWan":
        return int(config.get("scale_factor_spatial", 8)), int(config.get("scale_factor_temporal", 4))
    keys = ("block_out_channels", "encoder_block_out_channels")
    blocks = next((config[key] for key in keys if isinstance(config.get(key), list)), [1])
    return int(2 ** (len(blocks) - 1)), 1


def _unscaled(latents: torch.Tensor, config: Mapping[str, Any]) -> torch.Tensor:
    """Latents as the VAE gave them, before they were made to have variance 1."""
    import torch

    mean, std = config.get("latents_mean"), config.get("latents_std")
    factor = float(config.get("scaling_factor") or 1.0)
    if mean is not None and std is not None:
        sides = [1, -1] + [1] * (latents.ndim - 2)
        mean, std = (torch.tensor(part, dtype=latents.dtype, device=latents.device).view(sides) for part in (mean, std))
        return latents * std / factor + mean
    return latents / factor + float(config.get("shift_factor") or 0.0)
