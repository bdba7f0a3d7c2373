"""What members share that are a diffusers model in a folder of its own, as diffusers saves it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field

from omsdpm.errors import InputError
from omsdpm.names import PlainName
from omsdpm.networks.base import MemberTable, Network
from omsdpm.networks.diffusers_model import model_content, shared_model, stored_model
from omsdpm.networks.lazy import LazyModel
from omsdpm.plugins import Named
from omsdpm.variants import VARIANTS, varied
from omsdpm.variants.base import keep_state, variant_files


def _known(text: str) -> str:
    VARIANTS.point(Named.parse(text).name)
    return text


VariantName = Annotated[str, AfterValidator(_known)]
"""``name[param=value,...]`` of a variant that is installed."""


class FolderTable(MemberTable):
    """A folder of a diffusers model; keys of its member.

    Attributes:
        folder: where ``config.json`` and the weights are.
        variant: of the weights' files, such as ``"fp16"``; they are computed with in single precision.
        variants: what is changed of the model, as ``["dtype[to=bfloat16]"]``, see :mod:`omsdpm.variants`.
    """

    folder: Annotated[str, Field(min_length=1)]
    variant: PlainName | None = None
    variants: Annotated[tuple[VariantName, ...], Field(strict=False)] = ()

    @property
    def name(self) -> str:
        return " ".join([self.folder, *self.variants])

    def load(self, folder: Path, shape: tuple[int, ...], device: str) -> Network:
        path = folder / self.folder
        model = self.model(path, device)
        self.check_shape(model.config, shape, path)
        return self.network(self._varied(model, folder))

    def lazy(self, folder: Path, shape: tuple[int, ...], device: str) -> Network:
        path = folder / self.folder
        skeleton = stored_model(path, self.model_classes, self.kind, self.variant, self.evaluate_once).skeleton
        self.check_shape(skeleton.config, shape, path)
        return self.network(
            LazyModel(skeleton, lambda: self._varied(self.model(path, device), folder), keep_state(self.variants))
        )

    def _varied(self, model: Any, folder: Path) -> Any:
        return varied(model, [_with_paths(text, folder) for text in self.variants])

    def with_variants(self, variants: Sequence[str]) -> Self:
        return self.model_copy(update={"variants": (*self.variants, *variants)}) if variants else self

    def model(self, path: Path, device: str) -> Any:
        """The model in a folder, which nobody may change."""
        return shared_model(path, self.model_classes, self.kind, self.variant, device, self.evaluate_once)

    def evaluate_once(self, model: Any) -> None:
        """Evaluates a model without memory, where its configuration says how; raises whatever it raises."""

    @abstractmethod
    def network(self, model: Any) -> Network:
        """The network that evaluates the model."""

    def check_shape(self, config: Any, shape: tuple[int, ...], path: Path) -> None:
        """Raises :class:`InputError` for a model that is not for a zoo's images ``(C, [F,] H, W)``."""
        if (channels := self.channels(config)) != shape[0]:
            raise InputError(f"member {path} takes {channels} channels, zoo.toml says {shape[0]}")

    @staticmethod
    def channels(config: Any) -> int:
        """Channels of the images that a model of this configuration takes."""
        return int(config["in_channels"])

    def content(self, folder: Path) -> dict[str, Any]:
        said = {key: value for key, value in self.table().items() if key not in ("folder", "variant")}
        files = {f"{text} {key}": folder / path for text in self.variants for key, path in variant_files(text).items()}
        return {**said, **files, **model_content(folder / self.folder, self.variant, self.model_classes[0])}


def _with_paths(text: str, folder: Path) -> str:
    """A variant with paths of files as the zoo in a folder means them."""
    named = Named.parse(text)
    files = {key: str(folder / path) for key, path in variant_files(text).items()}
    return str(Named(named.name, {**named.parameters, **files}))
