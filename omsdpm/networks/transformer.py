"""``transformer``: a diffusers transformer that takes prompts, of any class that an adapter knows.

Their calls differ, so each class has a :class:`PromptedTransformer` of its own, registered under the class's
name in the entry-point group ``omsdpm.transformers``.
"""

from __future__ import annotations

from abc import abstractmethod
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from omsdpm.networks.lazy import class_of
from omsdpm.networks.prompted import PromptedNetwork, PromptedTable
from omsdpm.plugins import Registry

if TYPE_CHECKING:
    import torch

    from omsdpm.networks.guided import Given

TRANSFORMERS = Registry("transformer", "omsdpm.transformers", needs=("evaluate", "channels"))


class PromptedTransformer(PromptedNetwork):
    """A transformer of one class; subclasses say how it is called (:meth:`evaluate`).

    Example:
        >>> class Mine(PromptedTransformer):
        ...     def evaluate(self, x, timesteps, given):
        ...         return self.module(x, timestep=timesteps, **given, return_dict=False)[0]
    """

    @abstractmethod
    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor: ...

    @classmethod
    def channels(cls, config: Any) -> int:
        """Channels of the images or latents that a model of this configuration takes."""
        return int(config["in_channels"])


class TransformerTable(PromptedTable):
    """A folder of a diffusers transformer that takes prompts; keys of its member."""

    model_classes: ClassVar[tuple[str, ...]] = tuple(
        sorted({point.name for point in entry_points(group="omsdpm.transformers")})
    )

    kind: Literal["transformer"] = "transformer"

    def network(self, model: Any) -> PromptedTransformer:
        adapter = TRANSFORMERS.load(class_of(model))
        network: PromptedTransformer = adapter(model, self.guidance, self.guidance_batched)
        return network

    @staticmethod
    def channels(config: Any) -> int:
        channels: int = TRANSFORMERS.load(config["_class_name"]).channels(config)
        return channels
