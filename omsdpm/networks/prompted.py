"""What networks share that take prompts: how they are given, and whose text encoders read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from omsdpm.errors import InputError
from omsdpm.networks.base import Network
from omsdpm.networks.guided import GuidedNetwork, GuidedTable

if TYPE_CHECKING:
    from omsdpm.networks.guided import Given
    from omsdpm.prompts import Prompts

WIDTHS = {
    "encoder_hidden_states": ("caption_channels", "joint_attention_dim", "text_dim", "cross_attention_dim"),
    "pooled_projections": ("pooled_projection_dim",),
}
"""Parts of a prompt, and the key of a model's configuration that says how wide it takes them: the first that it has."""


class PromptedNetwork(GuidedNetwork):
    """A diffusers model that takes prompts; subclasses say how it is called (:meth:`evaluate`)."""

    @property
    def conditions(self) -> tuple[str, ...]:
        return ("prompts",)

    def given(self, conditions: dict[str, Any]) -> Given:
        given: Given = conditions["prompts"].of(self.pipeline).given
        return given

    def without(self, conditions: dict[str, Any]) -> Given:
        without: Given = conditions["prompts"].of(self.pipeline).without
        return without

    def check_prompts(self, prompts: Prompts, name: str) -> None:
        """Raises :class:`InputError` for prompts that are of another width than the model takes."""
        given, config = prompts.of(self.pipeline).given, self.config
        for part, keys in WIDTHS.items():
            key = next((key for key in keys if config.get(key) is not None), "")
            wanted = config.get(key)
            wanted = wanted[0] if isinstance(wanted, (list, tuple)) else wanted
            if isinstance(wanted, int) and part in given and given[part].shape[-1] != wanted:
                raise InputError(
                    f"member {name} has {key} = {wanted}, and its text encoders give {given[part].shape[-1]}: name the "
                    "folder of its own pipeline as the member's key `pipeline`"
                )


class PromptedTable(GuidedTable):
    """Keys of a member that takes prompts.

    Attributes:
        pipeline: folder of the pipeline whose text encoders read the member's prompts, where they are not the zoo's.
    """

    pipeline: Annotated[str, Field(min_length=1)] | None = None

    def load(self, folder: Path, shape: tuple[int, ...], device: str) -> Network:
        return self._with_pipeline(super().load(folder, shape, device))

    def lazy(self, folder: Path, shape: tuple[int, ...], device: str) -> Network:
        return self._with_pipeline(super().lazy(folder, shape, device))

    def _with_pipeline(self, network: Network) -> Network:
        network.pipeline = self.pipeline
        return network

    def content(self, folder: Path) -> dict[str, Any]:
        from omsdpm.zoo.pipeline import PipelineParts

        # What is in the pipeline's folder decides, not its name.
        content = {key: value for key, value in super().content(folder).items() if key != "pipeline"}
        if self.pipeline is not None:
            parts = PipelineParts(folder / self.pipeline)
            content |= {f"pipeline {path.relative_to(parts.folder).as_posix()}": path for path in parts.files()}
        return content
