"""The DDPM U-Net of the DDIM code base (Song et al., 2021) as a diffusers ``UNet2DModel``.

The two compute the same under other names: levels count from the image in both halves
there and from the input on here, attention projections are 1x1 convolutions there and
linear layers here. What differs from diffusers' defaults: sines first in the timestep
embedding with the frequencies' last one included, GroupNorm with eps 1e-6, and a padding of
(0, 1, 0, 1) before downsampling.

The release scales attention by ``1 / sqrt(C)`` with all ``C`` channels, however many heads share
them (its recorded outputs say so), where diffusers and the literature take a head's width.
The missing factor ``1 / sqrt(heads)`` goes into the query projection's weights.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError
from omsdpm.networks.sizes import check_arguments, shapes_of, skeleton_of

if TYPE_CHECKING:
    import torch

GROUPS = 32

LEVELS = 16
"""Most halvings of an image."""

NEEDED = {
    "guided": "a converter of its input_blocks, middle_block and output_blocks, scale-and-shift residual blocks "
    "that resample, attention in guided-diffusion's order of heads, and class labels",
    "improved": "a converter of its input_blocks, middle_block and output_blocks, scale-and-shift residual blocks, "
    "and attention in improved-ddpm's order of heads",
    "": "a converter of its state dict",
}
"""What reading a model type would take, by a part of its name."""

UNUSED = {"logvar"}
"""Parameters that the release stores for ``type: bayesian`` and sampling does not use."""


@dataclass(frozen=True)
class DDPMConfig:
    """What ``config.yml`` says of the network and its noise schedule."""

    image_size: int
    in_channels: int
    out_channels: int
    widths: tuple[int, ...]
    temb_channels: int
    blocks: int
    attention: tuple[int, ...]
    """Number of heads at each level, 0 where there is no attention."""
    dropout: float
    ema: bool
    beta_start: float
    beta_end: float

    @classmethod
    def parse(cls, table: Mapping[str, Any], path: Path) -> DDPMConfig:
        """Reads a parsed ``config.yml``.

        Raises:
            InputError: a key lacking or of a wrong value, or a network that ``UNet2DModel``
                cannot express; the message names the key and what would be needed.
        """
        model, data = _section(table, "model", path), _section(table, "data", path)
        diffusion = _section(table, "diffusion", path) if "diffusion" in table else {}
        _check_expressible(model, diffusion, path)
        try:
            ch, mult = operator.index(model["ch"]), [operator.index(factor) for factor in model["ch_mult"]]
            size = operator.index(data["image_size"])
            heads = {
                int(key) if isinstance(key, str) else operator.index(key): operator.index(value)
                for key, value in (model.get("attn_num") or {}).items()
            }
            resolutions = {operator.index(resolution) for resolution in model["attn_resolutions"]}
            levels = [size // 2**level for level in range(len(mult))]
            config = cls(
                image_size=size,
                in_channels=operator.index(model["in_channels"]),
                out_channels=operator.index(model["out_ch"]),
                widths=tuple(ch * factor for factor in mult),
                temb_channels=operator.index(model.get("temb_ch", 4 * ch)),
                blocks=operator.index(model["num_res_blocks"]),
                attention=tuple(heads.get(level, 1) if level in resolutions else 0 for level in levels),
                dropout=float(model.get("dropout", 0.0)),
                ema=bool(model.get("ema", True)),
                beta_start=float(diffusion.get("beta_start", 1e-4)),
                beta_end=float(diffusion.get("beta_end", 0.02)),
            )
        except KeyError as error:
            raise InputError(f"{path} lacks the key {error} of a DDPM U-Net") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"{path}: a key of the network has a wrong value: {error}") from error
        config._check(mult, path)
        return config

    def _check(self, mult: list[int], path: Path) -> None:
        if len(mult) > LEVELS:
            raise InputError(f"{path}: ch_mult has {len(mult)} levels, expected {LEVELS} at most")
        sizes = {"image_size": self.image_size, "in_channels": self.in_channels, "out_ch": self.out_channels}
        sizes |= {"temb_ch": self.temb_channels, "num_res_blocks": self.blocks, "ch": max(self.widths, default=1)}
        check_arguments(sizes, str(path))
        if not mult or mult[0] != 1:
            raise InputError(
                f"{path}: ch_mult {mult} cannot be expressed as UNet2DModel, whose first convolution has the width "
                "of its first level: ch_mult has to start with 1"
            )
        if min(self.widths) < 1 or any(width % GROUPS for width in self.widths):
            raise InputError(f"{path}: widths {list(self.widths)}: expected multiples of {GROUPS}, the norms' groups")
        if self.image_size < 1 or self.image_size % 2 ** (len(self.widths) - 1):
            raise InputError(f"{path}: image_size {self.image_size} cannot be halved {len(self.widths) - 1} times")
        if self.out_channels not in (self.in_channels, 2 * self.in_channels):
            raise InputError(
                f"{path}: out_ch {self.out_channels} for in_channels {self.in_channels}: expected as many, or "
                "twice as many with a learned variance"
            )
        for width, heads in zip(self.widths, self.attention, strict=True):
            if heads < 0 or (heads and width % heads):
                raise InputError(f"{path}: attn_num gives {heads} heads to {width} channels: expected a divisor")

    @property
    def heads(self) -> dict[str, int]:
        """The blocks with several heads, as :func:`omsdpm.networks.heads.set_heads` takes them."""
        last = len(self.widths) - 1
        several = {level: heads for level, heads in enumerate(self.attention) if heads > 1}
        return {f"down_blocks.{level}": heads for level, heads in several.items()} | {
            f"up_blocks.{last - level}": heads for level, heads in several.items()
        }

    def network(self, unet_class: Callable[..., Any]) -> Any:
        """The network with random weights.

        Args:
            unet_class: ``UNet2DModel``, imported by who asks: its module may not be made on a device without memory.
        """
        from omsdpm.networks.heads import set_heads

        down = tuple("AttnDownBlock2D" if heads else "DownBlock2D" for heads in self.attention)
        up = tuple("AttnUpBlock2D" if heads else "UpBlock2D" for heads in reversed(self.attention))
        unet = unet_class(
            sample_size=self.image_size,
            in_channels=self.in_channels,
            out_channels=self.out_channels,
            freq_shift=1,
            flip_sin_to_cos=False,
            time_embedding_dim=self.temb_channels,
            down_block_types=down,
            up_block_types=up,
            block_out_channels=self.widths,
            layers_per_block=self.blocks,
            downsample_padding=0,
            attention_head_dim=None,  # one head everywhere; set_heads gives the others
            norm_num_groups=GROUPS,
            norm_eps=1e-6,
            dropout=self.dropout,
        )
        set_heads(unet, self.heads)
        return unet

    def names(self) -> dict[str, str]:
        """Released name of each layer -> its diffusers name; parameters add ``.weight`` and ``.bias``."""
        layers = {
            "temb.dense.0": "time_embedding.linear_1",
            "temb.dense.1": "time_embedding.linear_2",
            "conv_in": "conv_in",
            "norm_out": "conv_norm_out",
            "conv_out": "conv_out",
        }
        last = len(self.widths) - 1
        for level, heads in enumerate(self.attention):
            for half, index, blocks in (("down", level, self.blocks), ("up", last - level, self.blocks + 1)):
                released, ours = f"{half}.{level}", f"{half}_blocks.{index}"
                for block in range(blocks):
                    layers |= _resnet(f"{released}.block.{block}", f"{ours}.resnets.{block}")
                    if heads:
                        layers |= _attention(f"{released}.attn.{block}", f"{ours}.attentions.{block}")
            if level < last:
                layers[f"down.{level}.downsample.conv"] = f"down_blocks.{level}.downsamplers.0.conv"
            if level > 0:
                layers[f"up.{level}.upsample.conv"] = f"up_blocks.{last - level}.upsamplers.0.conv"
        layers |= _resnet("mid.block_1", "mid_block.resnets.0")
        layers |= _attention("mid.attn_1", "mid_block.attentions.0")
        return layers | _resnet("mid.block_2", "mid_block.resnets.1")


def to_diffusers(config: DDPMConfig, state: Mapping[str, torch.Tensor], path: Path) -> Any:
    """The ``UNet2DModel`` with a released state dict's weights, in evaluation mode.

    Raises:
        InputError: the weights are not those of the config; names the first that differs.
    """
    from diffusers import UNet2DModel

    where = f"{path}: config.yml describes another network"
    if config.blocks * len(config.widths) > len(state):
        raise InputError(f"{where}, of {len(config.widths)} levels of {config.blocks} blocks")
    # Memory is taken for the network once its weights are known to fit.
    wanted = shapes_of(skeleton_of(lambda: config.network(UNet2DModel), where))
    converted = {}
    released = dict(_released_names(config, wanted))
    several = config.heads
    for name, target in released.items():
        if name not in state:
            raise InputError(f"{path} lacks {name}: config.yml describes another network")
        tensor = state[name]
        if tensor.ndim == 4 and len(wanted[target]) == 2 and tensor.shape[2:] == (1, 1):
            tensor = tensor[:, :, 0, 0]  # a 1x1 convolution as a linear layer
        if tuple(tensor.shape) != wanted[target]:
            raise InputError(
                f"{path}: {name} has shape {tuple(state[name].shape)}, config.yml describes a network where it has "
                f"{wanted[target]}"
            )
        heads = several.get(target.partition(".attentions.")[0], 1) if ".to_q." in target else 1
        converted[target] = tensor.float() * heads**-0.5
    superfluous = sorted(set(state) - set(released) - UNUSED)
    if superfluous:
        raise InputError(f"{path} has {superfluous[0]!r}, which the network of config.yml has not")
    unet = config.network(UNet2DModel)
    unet.load_state_dict(converted)
    return unet.eval().requires_grad_(False)


def _released_names(config: DDPMConfig, wanted: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Released and diffusers name of every parameter; shortcuts only where the widths differ."""
    return [
        (f"{name}.{kind}", f"{target}.{kind}")
        for name, target in config.names().items()
        for kind in ("weight", "bias")
        if f"{target}.{kind}" in wanted
    ]


def _resnet(released: str, diffusers: str) -> dict[str, str]:
    parts = {"temb_proj": "time_emb_proj", "nin_shortcut": "conv_shortcut"}
    layers = ("norm1", "conv1", "temb_proj", "norm2", "conv2", "nin_shortcut")
    return {f"{released}.{layer}": f"{diffusers}.{parts.get(layer, layer)}" for layer in layers}


def _attention(released: str, diffusers: str) -> dict[str, str]:
    layers = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
    return {f"{released}.{layer}": f"{diffusers}.{target}" for layer, target in layers.items()}


def _section(table: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    section = table.get(name)
    if not isinstance(section, Mapping):
        raise InputError(f"{path} has no section {name!r}: expected the config.yml of a DDPM U-Net")
    return section


def _check_expressible(model: Mapping[str, Any], diffusion: Mapping[str, Any], path: Path) -> None:
    kind = str(model.get("model_type", "ddpm"))
    if kind.lower() not in ("ddpm", "diffusion"):
        need = next(text for part, text in NEEDED.items() if part in kind)
        raise InputError(f"{path}: model_type {kind!r} cannot be read; it would need {need}")
    limits = [
        ("type", model.get("type", "simple"), ("simple", "bayesian"), "the plain noise prediction network"),
        ("resamp_with_conv", model.get("resamp_with_conv", True), (True,), "resampling without convolutions"),
        ("is_upsampling", model.get("is_upsampling", False), (False,), "a network conditioned on a small image"),
        ("beta_schedule", diffusion.get("beta_schedule", "linear"), ("linear",), "that schedule in zoo.toml"),
        ("num_diffusion_timesteps", diffusion.get("num_diffusion_timesteps", 1000), (1000,), "other training steps"),
    ]
    for key, value, known, need in limits:
        if value not in known:
            choices = " or ".join(repr(choice) for choice in known)
            raise InputError(f"{path}: {key} {value!r} cannot be read, only {choices}; it would need {need}")
