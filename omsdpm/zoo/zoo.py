"""A zoo in memory: its members as noise predictors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.noise import DiscreteVP
from omsdpm.zoo.files import ZooFile, read_latency_card

if TYPE_CHECKING:
    import torch

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"


@dataclass
class Member:
    """One network as a noise predictor: ``member(x, t) -> eps``.

    A diffusers ``UNet2DModel`` (or anything called like one) that predicts the noise, the
    image or the velocity ``v = alpha eps - sigma x_0`` (Salimans & Ho, 2022). A network with
    twice as many output channels as input channels has learned a variance (Nichol &
    Dhariwal, 2021), which these solvers do not use. One with ``num_class_embeds`` takes labels.
    """

    name: str
    unet: Any
    noise: DiscreteVP
    prediction_type: str = "epsilon"

    @property
    def num_classes(self) -> int | None:
        """Classes of the labels that the network takes; ``None`` if it takes none."""
        return getattr(getattr(self.unet, "config", None), "num_class_embeds", None)

    def __call__(self, x: torch.Tensor, t: float | torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """The predicted noise ``eps``, like ``x``.

        Args:
            x: ``(n, C, H, W)``.
            t: a timestep or ``(n,)`` of them, whole or not.
            labels: ``(n,)`` classes from 0, for a network that takes them.

        Raises:
            InputError: no labels where they are needed, or labels where none are taken.
        """
        import torch

        if (labels is None) != (self.num_classes is None):
            need = "takes labels: give them with omsdpm.guidance.conditioned" if labels is None else "takes no labels"
            raise InputError(f"member {self.name} {need}")
        weight = next(self.unet.parameters())
        timesteps = torch.as_tensor(t, dtype=weight.dtype, device=x.device).expand(len(x))
        given = {} if labels is None else {"class_labels": labels}
        out = self.unet(x.to(weight.dtype), timesteps, **given).sample[:, : x.shape[1]].to(x.dtype)
        if self.prediction_type == "epsilon":
            return out
        exact = torch.as_tensor(t, dtype=torch.float64, device="cpu").expand(len(x))
        alpha_bar = torch.from_numpy(self.noise.alpha_bar(exact.numpy())).view(-1, *[1] * (x.ndim - 1))
        # Both in float64 first: near the image 1 - alpha_bar loses digits in float32.
        alpha, sigma = alpha_bar.sqrt().to(x), (1 - alpha_bar).sqrt().to(x)
        if self.prediction_type == "sample":
            return (x - alpha * out) / sigma
        return alpha * out + sigma * x


@dataclass
class ModelZoo:
    """Networks for the same data, from cheap to costly.

    Attributes:
        members: the networks; member ``k`` of a schedule is ``members[k - 1]``.
        noise: the noise schedule they were trained on.
        shape: ``(channels, height, width)`` of an image.
        latency_card: ``ms`` a member and how it was measured, or ``None``.

    Example:
        >>> zoo = ModelZoo.load("benchmarks/data/digits-zoo")
        >>> eps = zoo.denoisers[0](torch.randn(4, *zoo.shape), 500)
    """

    members: list[Member]
    noise: DiscreteVP
    shape: tuple[int, int, int]
    name: str = ""
    latency_card: dict[str, Any] | None = None

    @classmethod
    def load(cls, folder: str | Path, device: str = "cpu") -> ModelZoo:
        """Loads a folder with a ``zoo.toml``.

        Raises:
            InputError: a file missing, truncated or not what ``zoo.toml`` says.
        """
        from omsdpm.devices import resolve_device

        folder = Path(folder)
        file = ZooFile.read(folder)
        device = resolve_device(device)
        members = []
        for entry in file.members:
            unet = load_unet(folder / entry.folder)
            if entry.heads:
                from omsdpm.networks.heads import set_heads

                set_heads(unet, entry.heads)
            expected = (file.channels, file.image_size)
            given = (unet.config.in_channels, unet.config.sample_size)
            if given != expected:
                raise InputError(
                    f"member {folder / entry.folder} takes (channels, size) {given}, zoo.toml says {expected}"
                )
            unet = unet.to(device).eval().requires_grad_(False)
            members.append(Member(entry.folder, unet, file.noise, entry.prediction_type))
        card = read_latency_card(folder)
        if card is not None and len(card["ms"]) != len(members):
            raise InputError(
                f"{folder}/latency.toml has {len(card['ms'])} latencies for {len(members)} members: "
                "measure anew with `omsdpm-bench zoo profile`"
            )
        return cls(members, file.noise, (file.channels, file.image_size, file.image_size), file.name, card)

    @property
    def denoisers(self) -> Sequence[Callable[[torch.Tensor, float | torch.Tensor], torch.Tensor]]:
        """``denoisers[k - 1](x, t)`` is member ``k``'s noise prediction."""
        return self.members

    @property
    def latency(self) -> list[float]:
        """Milliseconds that one evaluation of each member takes, as profiled.

        Raises:
            InputError: the zoo was never profiled.
        """
        if self.latency_card is None:
            raise InputError(f"zoo {self.name!r} has no latency table: measure it with `omsdpm-bench zoo profile`")
        return [float(ms) for ms in self.latency_card["ms"]]

    @property
    def device(self) -> str:
        """Where the members are."""
        return str(next(self.members[0].unet.parameters()).device)

    def subset(self, numbers: Sequence[int]) -> ModelZoo:
        """The zoo of some members, numbered from 1."""
        card = self.latency_card
        if card is not None:
            card = {**card, "ms": [card["ms"][k - 1] for k in numbers]}
        return ModelZoo([self.members[k - 1] for k in numbers], self.noise, self.shape, self.name, card)

    def starting_noise(self, images: int, seed: int) -> torch.Tensor:
        """``x_T (images, C, H, W)`` float32, drawn on the CPU so that every device starts from the same."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        return torch.randn((images, *self.shape), generator=generator).to(self.device)


def load_unet(folder: str | Path) -> Any:
    """A diffusers ``UNet2DModel`` from its folder, in evaluation mode.

    Raises:
        InputError: ``config.json`` or the weights are missing, truncated or do not fit.
    """
    import safetensors
    import torch
    from diffusers import UNet2DModel
    from safetensors.torch import load_file

    folder = Path(folder)
    weights = folder / WEIGHTS_FILE
    for path in (folder / "config.json", weights):
        if not path.is_file():
            raise InputError(f"zoo member {folder} lacks {path.name}: expected a diffusers UNet2DModel folder")
    try:
        config = UNet2DModel.load_config(folder)
        unet = UNet2DModel.from_config(config)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder / 'config.json'} is not a UNet2DModel config: {_line(error)}") from error
    try:
        state = load_file(weights)
        unet.load_state_dict(state)
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{weights} is truncated or not this network's weights: {_line(error)}") from error
    if not all(torch.isfinite(tensor).all() for tensor in state.values()):
        raise InputError(f"{weights} holds NaN or infinite weights: train or copy the member again")
    return unet.eval()


def parameter_counts(zoo: ModelZoo) -> list[int]:
    """Parameters of each member."""
    return [int(np.sum([p.numel() for p in member.unet.parameters()])) for member in zoo.members]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
