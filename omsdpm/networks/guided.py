"""Classifier-free guidance (Ho & Salimans, arXiv:2207.12598): with a condition, and away from without one."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from omsdpm.networks.base import Network
from omsdpm.networks.folder import FolderTable

if TYPE_CHECKING:
    import torch

    Given = dict[str, torch.Tensor]
    """A condition by the names under which a network takes its parts, a row an image."""

UNGUIDED = 1.0
"""The scale at which guidance changes nothing, and the evaluation without the condition is not made."""


class GuidedNetwork(Network):
    """A diffusers model that takes prompts or labels, perhaps guided.

    Its output is ``without + guidance (with - without)``. One with twice as many output channels as
    input channels has learned a variance, which is cut off.

    Args:
        model: the diffusers model.
        guidance: the scale; ``None`` is left to the measurement, and is no guidance where that says none.
        batched: evaluates with and without the condition as one batch, which is faster and takes more memory.
    """

    takes_guidance = True
    exact_timesteps = True

    def __init__(self, model: Any, guidance: float | None = None, batched: bool = True) -> None:
        self.module = model
        self.guidance = guidance
        self.batched = batched
        self.stateful = getattr(model, "keeps_state", False)

    @property
    def twice(self) -> bool:
        """Whether each evaluation is two of the model, with the condition and without."""
        return self.guidance not in (None, UNGUIDED)

    @abstractmethod
    def given(self, conditions: dict[str, Any]) -> Given:
        """The condition, by the names that :meth:`evaluate` knows."""

    @abstractmethod
    def without(self, conditions: dict[str, Any]) -> Given:
        """What stands for no condition, in the same form.

        Raises:
            InputError: there is nothing that does.
        """

    @abstractmethod
    def evaluate(self, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        """The model's own output for ``x (n, C, H, W)``, timesteps ``(n,)`` and ``n`` rows of a condition."""

    def __call__(self, x: torch.Tensor, timesteps: torch.Tensor, **conditions: Any) -> torch.Tensor:
        import torch

        channels, given = x.shape[1], self.given(conditions)
        if not self.twice:
            return self._evaluated("cond", x, timesteps, given)[:, :channels]
        without = self.without(conditions)
        if self.batched:
            both = {name: torch.cat([without[name], part]) for name, part in given.items()}
            outputs = self._evaluated("cond", torch.cat([x, x]), torch.cat([timesteps] * 2), both)[:, :channels]
            away, toward = outputs.chunk(2)
        else:
            toward = self._evaluated("cond", x, timesteps, given)[:, :channels]
            away = self._evaluated("uncond", x, timesteps, without)[:, :channels]
        guided: torch.Tensor = away + (self.guidance or 0.0) * (toward - away)
        return guided

    def _evaluated(self, context: str, x: torch.Tensor, timesteps: torch.Tensor, given: Given) -> torch.Tensor:
        """The model's output; a cache is told which of an evaluation's two calls it is, and when."""
        if not self.stateful:
            return self.evaluate(x, timesteps, given)
        self.module.current_timestep = float(timesteps[0])
        with self.module.cache_context(context):
            return self.evaluate(x, timesteps, given)

    def snapshot(self) -> Any:
        from omsdpm.variants.cache import snapshot

        return snapshot(self.module)

    def restore(self, kept: Any) -> None:
        from omsdpm.variants.cache import restore

        restore(self.module, kept)


class GuidedTable(FolderTable):
    """Keys of a member that takes prompts or labels.

    Attributes:
        guidance: scale of classifier-free guidance, 1 for none; what the measurement says where it is left out.
        guidance_batched: evaluate with and without the condition as one batch, and not one after the other.
    """

    guidance: Annotated[float, Field(ge=0, le=1000)] | None = None
    guidance_batched: bool = True

    def content(self, folder: Path) -> dict[str, Any]:
        # How it is evaluated changes nothing of what comes out.
        return {key: value for key, value in super().content(folder).items() if key != "guidance_batched"}
