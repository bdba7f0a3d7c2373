"""What a zoo asks of a network, and of its ``[[member]]`` table.

A kind of network is a subclass of :class:`MemberTable`, registered under its ``kind`` in the
entry-point group ``omsdpm.networks``. It declares its own keys and loads a :class:`Network`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from omsdpm.errors import InputError, unknown_name
from omsdpm.networks.lazy import LazyModel
from omsdpm.networks.predictions import check_prediction
from omsdpm.offload import Offload
from omsdpm.plugins import Registry

if TYPE_CHECKING:
    import torch

NETWORKS = Registry("network", "omsdpm.networks", needs=("load", "model_fields"))

PredictionType = Annotated[str, AfterValidator(check_prediction)]
"""A name of :data:`omsdpm.networks.predictions.PREDICTIONS`."""


class Network(ABC):
    """A network on its device, ready to be evaluated.

    Attributes:
        conditions: names of what it takes beside image and timestep, all of it or nothing.
        num_classes: classes that ``labels`` are of, if it takes them.
        takes_guidance: whether ``guidance`` means something to it.
        guidance: scale of classifier-free guidance that it is called with; 1 is unguided, ``None`` leaves it
            to whoever samples.
        exact_timesteps: it wants timesteps in the precision of the solver's states, though its own is less.
        pipeline: folder of the pipeline whose text encoders read its prompts; ``None`` for the zoo's own.
        stateful: an evaluation depends on earlier ones of the same trajectory, by what :meth:`snapshot` gives.
    """

    num_classes: int | None = None
    takes_guidance: bool = False
    guidance: float | None = None
    exact_timesteps: bool = False
    pipeline: str | None = None
    stateful: bool = False

    _model: Any = None

    @property
    def module(self) -> Any:
        """The torch module that is evaluated, which may stand in a pipeline; ``None`` where there is none.

        One whose weights wait to be read (:class:`~omsdpm.networks.lazy.LazyModel`) is read now.
        """
        return self._model.load() if isinstance(self._model, LazyModel) else self._model

    @module.setter
    def module(self, model: Any) -> None:
        self._model = model

    def offload(self, offload: Offload) -> None:
        """Makes its weights wait on the CPU whenever another network is evaluated; they may be read later.

        Raises:
            InputError: they have to stay where they are.
        """
        if isinstance(self._model, LazyModel):
            self._model.when_loaded(offload.add)
        elif self.weights is not None:
            offload.add(self.weights)

    @property
    def config(self) -> Any:
        """The configuration of :attr:`module`, for which nothing is read."""
        return getattr(self._model, "config", None)

    @property
    def weights(self) -> torch.nn.Module | None:
        """What holds its weights, where they are a torch module's."""
        module: torch.nn.Module | None = self.module
        return module

    @property
    def conditions(self) -> tuple[str, ...]:
        """Keywords that each evaluation has to be given: ``("labels",)`` where there are classes."""
        return () if self.num_classes is None else ("labels",)

    @abstractmethod
    def __call__(self, x: torch.Tensor, timesteps: torch.Tensor, **conditions: Any) -> torch.Tensor:
        """The network's output, shaped as ``x`` and in its own precision.

        Args:
            x: ``(n, C, H, W)`` in :attr:`dtype`, or in the caller's where that is ``None``.
            timesteps: ``(n,)`` model inputs, whole or not, in the same.
            conditions: those of :attr:`conditions`, by name; ``labels`` is ``(n,)`` classes from 0, ``prompts``
                are ``n`` :class:`~omsdpm.prompts.Prompts`.
        """

    def snapshot(self) -> Any:
        """What it remembers of the trajectory that was evaluated last, for :meth:`restore`."""
        return None

    def restore(self, kept: Any) -> None:  # noqa: B027  # most remember nothing
        """Goes on with a trajectory from its :meth:`snapshot`; ``None`` begins one."""

    def parameters(self) -> Iterable[torch.Tensor]:
        """Its weights, where it has any."""
        return () if self.weights is None else self.weights.parameters()

    @property
    def dtype(self) -> torch.dtype | None:
        """Precision of its weights, in which it wants its input; ``None`` if any will do."""
        first = next(iter(self.parameters()), None)
        return None if first is None else first.dtype


class MemberTable(BaseModel):
    """A ``[[member]]`` of ``zoo.toml``; a kind of network adds its own keys.

    Relative paths in it are relative to the zoo's folder.

    Attributes:
        kind: name of the kind of network.
        prediction_type: what the network predicts, a name of :data:`omsdpm.networks.predictions.PREDICTIONS`.
        clip: largest absolute value of a pixel in the image that it predicts; none without it.
        use_clipped_model_output: whether DDIM steps with the noise of the clipped image, as DDPM does, or, like
            diffusers' `DDIMPipeline`, with the noise that was predicted.

    Example:
        >>> class Null(MemberTable):
        ...     kind: str = "null"
        ...     def load(self, folder, shape, device):
        ...         return NullNetwork()
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),  # older versions of pydantic take names that begin with `model_` for their own
    )

    model_classes: ClassVar[tuple[str, ...]] = ()
    """Classes of diffusers whose folders the kind takes under its key ``folder``."""

    kind: str
    prediction_type: PredictionType = "epsilon"
    clip: Annotated[float, Field(gt=0)] | None = None
    use_clipped_model_output: bool = True

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        for key in given if isinstance(given, Mapping) else ():
            if key not in cls.model_fields:
                raise unknown_name(f"key of a {cls.model_fields['kind'].default} member", key, cls.model_fields)
        return given

    @model_validator(mode="after")
    def _clips(self) -> Self:
        if self.clip is None and not self.use_clipped_model_output:
            raise ValueError("use_clipped_model_output = false is of members that clip: say clip = 1.0 too")
        return self

    @property
    def name(self) -> str:
        """What tables and errors call the member."""
        return self.kind

    def table(self) -> dict[str, Any]:
        """What ``zoo.toml`` says of the member; defaults are left out, so that a new key changes no old file."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return {"kind": self.kind, **given, "prediction_type": self.prediction_type}

    @abstractmethod
    def load(self, folder: Path, shape: tuple[int, ...], device: str) -> Network:
        """The network, on a device and in evaluation mode.

        Args:
            folder: the zoo's.
            shape: ``(channels, height, width)`` of the zoo's images.
            device: where it goes.

        Raises:
            InputError: it cannot be loaded, or is for other images.
        """

    def lazy(self, folder: Path, shape: tuple[int, ...], device: str) -> Network:
        """As :meth:`load`, but what takes memory may wait until the network is evaluated.

        Kinds that know of no such thing load it now.

        Raises:
            InputError: as :meth:`load`, as far as it is known without the weights; the rest when they are read.
        """
        return self.load(folder, shape, device)

    def with_variants(self, variants: Sequence[str]) -> MemberTable:
        """The member with more variants of its model (:mod:`omsdpm.variants`), made after its own.

        Raises:
            InputError: its network is no model that can be changed so.
        """
        if variants:
            raise InputError(
                f"member {self.name} is of kind {self.kind!r}, which cannot be had as {' '.join(variants)}"
            )
        return self

    def content(self, folder: Path) -> dict[str, Any]:
        """What decides what the member computes: JSON values, and paths of files whose bytes do.

        Names of folders are no part of it, so that a copied zoo is the same zoo.

        Raises:
            InputError: a file is missing.
        """
        return self.table()


def member_table(table: Any) -> Any:
    """A ``[[member]]`` table as its kind's :class:`MemberTable`; what is no table stays as it is.

    Raises:
        InputError: an unknown kind.
        ValidationError: a key that the kind does not have, or of a wrong value.
    """
    if not isinstance(table, Mapping):
        return table
    kind = table.get("kind", "unet2d")
    if not isinstance(kind, str):
        raise ValueError("kind: expected the name of a kind of network")
    return NETWORKS.load(kind).model_validate(table)
