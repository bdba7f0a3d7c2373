"""A zoo in memory: its members as noise predictors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.devices import USUAL_RUNNING, Running, resolve_device
from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.noise import Noise
from omsdpm.offload import Offload, offload_to
from omsdpm.zoo.files import Shape, ZooFile, read_latency_card
from omsdpm.zoo.member import Member

if TYPE_CHECKING:
    import torch

    from omsdpm.prompts import Prompts
    from omsdpm.zoo.pipeline import PipelineParts


@dataclass(repr=False)
class ModelZoo:
    """Networks for the same data, from cheap to costly.

    Attributes:
        members: the networks; member ``k`` of a schedule is ``members[k - 1]``.
        noise: the noise schedule they were trained on.
        shape: ``(channels, height, width)`` of what is denoised, images or latents; a video has its frames after
            the channels.
        name: as ``zoo.toml`` has it.
        latency_card: ``ms`` a member and how it was measured, or ``None``.
        device: where the members are.
        pipeline: VAE and text encoders of the pipeline that the members are from, where they are from one.
        encoders: text encoders of members that have others, by the folder that ``zoo.toml`` says.
        offload: what keeps the members' weights on the CPU until they are called; ``None`` where they do not wait.

    Example:
        >>> zoo = ModelZoo.load("benchmarks/data/digits-zoo")
        >>> eps = zoo.denoisers[0](torch.randn(4, *zoo.shape), 500)
    """

    members: list[Member]
    noise: Noise
    shape: Shape
    name: str = ""
    latency_card: dict[str, Any] | None = None
    device: str = "cpu"
    pipeline: PipelineParts | None = None
    encoders: Mapping[str, PipelineParts] = field(default_factory=dict)
    offload: Offload | None = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str = "cpu",
        *,
        profiled: bool = True,
        running: Running = USUAL_RUNNING,
        lazy: bool = False,
    ) -> ModelZoo:
        """Loads a folder with a ``zoo.toml``.

        Args:
            folder: with the zoo's files.
            device: where the members go.
            profiled: whether its latencies are read too; a new measurement needs none, least of all broken ones.
            running: precision and layout of the members, and whether they wait on the CPU.
            lazy: read the weights of a member when it is first evaluated, so that one that no schedule calls takes
                neither time nor memory; faults of its weights are then told no sooner.

        Raises:
            InputError: a file missing, truncated or not what ``zoo.toml`` says, or a member that cannot run so.
        """
        folder = Path(folder)
        file = ZooFile.read(folder)
        card = read_latency_card(folder, len(file.members)) if profiled else None
        device = resolve_device(device)
        offload = offload_to(device) if running.offload else None
        members = []
        for entry in (entry.with_variants(running.variants) for entry in file.members):
            network = (entry.lazy if lazy else entry.load)(folder, file.shape, device)
            if offload is not None:
                network.offload(offload)
            said = (entry.prediction_type, entry.clip, entry.use_clipped_model_output)
            members.append(Member(entry.name, network, file.noise, *said))
        parts, encoders = file.parts(folder), file.encoders(folder)
        return cls(members, file.noise, file.shape, file.name, card, device, parts, encoders, offload)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        return (
            f"ModelZoo({self.name!r}, {len(self.members)} members for {shape}, {self.noise.kind} noise, {self.device})"
        )

    @property
    def denoisers(self) -> Sequence[Callable[[torch.Tensor, float | torch.Tensor], torch.Tensor]]:
        """``denoisers[k - 1](x, t)`` is member ``k``'s noise prediction."""
        return self.members

    @property
    def latency(self) -> LatencyTable:
        """Milliseconds that one evaluation of each member takes, as profiled, and what else is known of costs.

        Raises:
            InputError: the zoo was never profiled.
        """
        if self.latency_card is None:
            raise InputError(f"zoo {self.name!r} has no latency table: measure it with `omsdpm-bench zoo profile`")
        return LatencyTable.from_card(self.latency_card)

    def subset(self, numbers: Sequence[int]) -> ModelZoo:
        """The zoo of some members, numbered from 1."""
        card = self.latency_card
        if card is not None:
            kept = {
                key: value for key, value in card.items() if key not in ("peak_mib", "other_batches")
            }  # of all members
            card = {**kept, "ms": [card["ms"][k - 1] for k in numbers]}
        return replace(self, members=[self.members[k - 1] for k in numbers], latency_card=card)

    @property
    def image_shape(self) -> Shape:
        """``(channels, [frames,] height, width)`` of what :meth:`decode` gives."""
        return self.shape if self.pipeline is None else self.pipeline.image_shape(self.shape)

    @property
    def takes_prompts(self) -> bool:
        """Whether a member has to be given prompts."""
        return any("prompts" in member.conditions for member in self.members)

    def decode(self, x_0: torch.Tensor) -> torch.Tensor:
        """Images ``(n, *image_shape)`` of what was denoised, ``(n, *shape)``: itself, unless there is a VAE."""
        return x_0 if self.pipeline is None else self.pipeline.decode(x_0, self.offload)

    def encode(self, prompts: Sequence[str], negative: str | None = None) -> Prompts:
        """What the members take of prompts, on their device.

        Args:
            prompts: at least one.
            negative: what guidance leads away from; ``None`` leaves it to the pipeline.

        Raises:
            InputError: the zoo has no text encoders, or they cannot be used.
        """
        if self.pipeline is None:
            raise InputError(
                f"prompts for zoo {self.name!r}, which has no text encoders: name the folder of their pipeline as "
                "`pipeline` under [zoo] in zoo.toml"
            )
        from omsdpm.networks.prompted import PromptedNetwork
        from omsdpm.prompts import Prompts

        size = (self.image_shape[-2], self.image_shape[-1])
        own = self.pipeline.encode(prompts, negative, size)
        others = {name: parts.encode(prompts, negative, size) for name, parts in self.encoders.items()}
        encoded = Prompts(own.given, own.without, others)
        for member in self.members:
            if isinstance(member.network, PromptedNetwork):
                member.network.check_prompts(encoded, member.name)
        return encoded.to(self.device)

    def guided(self, scale: float | None) -> ModelZoo:
        """The zoo with guidance of a scale for those members that take some and do not say their own.

        Raises:
            InputError: no member takes any, or a scale that is no number from 0.
        """
        if scale is None:
            return self
        if not any(member.network.takes_guidance for member in self.members):
            raise InputError(f"guidance {scale:g} for zoo {self.name!r}: none of its members takes prompts or labels "
                             "that it could be guided by")  # fmt: skip
        return replace(self, members=[member.guided(scale) for member in self.members])

    def starting_noise(self, images: int, seed: int) -> torch.Tensor:
        """``x_T (images, C, H, W)`` float32, drawn on the CPU so that every device starts from the same."""
        import torch

        from omsdpm.seeds import torch_generator

        generator = torch_generator(seed)
        return torch.randn((images, *self.shape), generator=generator).to(self.device)


def parameter_counts(zoo: ModelZoo) -> list[int]:
    """Parameters of each member."""
    return [sum(weights.numel() for weights in member.network.parameters()) for member in zoo.members]
