"""Training of zoo members: denoising score matching with an EMA, resumable.

A member is trained on uniformly drawn timesteps with the plain mean squared error of its
prediction (Ho et al., 2020, Eq. 14), Adam, a short warm-up and a cosine decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.images import Images
from omsdpm.noise import DiscreteVP
from omsdpm.zoo.recipe import MemberRecipe, ZooRecipe

CHECKPOINT = "training.pt"
CHECKPOINT_EVERY = 500

Progress = Callable[[int, int, float], None]
"""Called as ``(step, steps, loss)`` after some steps of training."""


def train_member(
    recipe: ZooRecipe,
    member: MemberRecipe,
    images: Images,
    folder: str | Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Trains one member and writes it as a diffusers folder; returns the folder.

    A killed training goes on from its last checkpoint, with the same random numbers; a
    finished one is left alone.

    Args:
        recipe: the zoo that the member belongs to.
        member: what to train.
        images: ``(n, C, H, W)`` in ``[-1, 1]``.
        folder: the member's folder, ``config.json`` and weights when done.
        device: where to train.
        progress: told the running loss every 50 steps.

    Raises:
        InputError: images of another shape than the recipe's, arguments that no
            ``UNet2DModel`` takes, or a checkpoint of another recipe.
    """
    import torch
    from diffusers import UNet2DModel

    folder = Path(folder)
    if (folder / "diffusion_pytorch_model.safetensors").exists():
        return folder
    shape = (recipe.channels, recipe.image_size, recipe.image_size)
    if images.ndim != 4 or images.shape[1:] != shape or not len(images):
        raise InputError(f"images of shape {images.shape}: the recipe of {recipe.name!r} is for (n, *{shape})")
    if member.unet.get("num_class_embeds") is not None or member.unet.get("class_embed_type") is not None:
        raise InputError(f"member {member.name!r} takes labels, images here have none: leave out num_class_embeds")
    plan = member.training
    torch.manual_seed(plan.seed)
    try:
        unet: Any = UNet2DModel(
            sample_size=recipe.image_size,
            in_channels=recipe.channels,
            out_channels=recipe.channels,
            **member.unet,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"member {member.name!r} has no UNet2DModel arguments: {error}") from error
    unet = unet.to(device)
    ema = [parameter.detach().clone() for parameter in unet.parameters()]
    optimizer = torch.optim.Adam(unet.parameters(), lr=plan.learning_rate)
    generator = torch.Generator().manual_seed(plan.seed)
    data = torch.from_numpy(np.ascontiguousarray(images))
    noise = DiscreteVP.linear(recipe.beta_start, recipe.beta_end)
    alpha_bar = torch.from_numpy(noise.alpha_bar(np.arange(len(noise.betas)))).float()

    start = 0
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        try:
            unet.load_state_dict(state["unet"])
            optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{checkpoint} is of another recipe: move it away to train anew") from error
        generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["dropout"].cpu())
        ema, start = state["ema"], state["step"]

    unet.train()
    running = math.nan
    for step in range(start, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * _learning_rate_factor(step, plan.warmup, plan.steps)
        x_0 = data[torch.randint(len(data), (plan.batch_size,), generator=generator)]
        t = torch.randint(len(alpha_bar), (plan.batch_size,), generator=generator)
        eps = torch.randn(x_0.shape, generator=generator)
        alpha = alpha_bar[t].sqrt()[:, None, None, None]
        sigma = (1 - alpha_bar[t]).sqrt()[:, None, None, None]
        target = _target(member.prediction_type, x_0, eps, alpha, sigma)
        prediction = unet((alpha * x_0 + sigma * eps).to(device), t.to(device)).sample
        loss = torch.nn.functional.mse_loss(prediction, target.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        # The average follows quickly at first, else it would remember the random start.
        decay = min(plan.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(unet.parameters()), 1 - decay)
        if progress is not None and (step + 1) % 50 == 0:
            value = loss.item()
            running = value if math.isnan(running) else 0.95 * running + 0.05 * value
            progress(step + 1, plan.steps, running)
        if (step + 1) % CHECKPOINT_EVERY == 0 and step + 1 < plan.steps:
            _save(checkpoint, unet, optimizer, generator, ema, step + 1)

    with torch.no_grad():
        for parameter, average in zip(unet.parameters(), ema, strict=True):
            parameter.copy_(average)
    write_member(unet, folder)
    checkpoint.unlink(missing_ok=True)
    return folder


def write_member(unet: Any, folder: str | Path) -> None:
    """Writes a ``UNet2DModel`` as diffusers does, the weights last and atomically."""
    from safetensors.torch import save_file

    folder = Path(folder)
    unet.save_config(folder)
    with replacing(folder / "diffusion_pytorch_model.safetensors") as temporary:
        weights = {name: tensor.cpu().contiguous() for name, tensor in unet.state_dict().items()}
        save_file(weights, temporary, metadata={"format": "pt"})


def _learning_rate_factor(step: int, warmup: int, steps: int) -> float:
    rise = min(1.0, (step + 1) / max(1, warmup))
    return rise * 0.5 * (1 + math.cos(math.pi * step / steps))


def _target(prediction_type: str, x_0: Any, eps: Any, alpha: Any, sigma: Any) -> Any:
    """What the network learns to predict, in diffusers' names for it."""
    targets = {"epsilon": eps, "sample": x_0, "v_prediction": alpha * eps - sigma * x_0}
    return targets[prediction_type]


def _save(path: Path, unet: Any, optimizer: Any, generator: Any, ema: list[Any], step: int) -> None:
    import torch

    state = {
        "unet": unet.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "dropout": torch.get_rng_state(),
        "ema": ema,
        "step": step,
    }
    with replacing(path) as temporary:
        torch.save(state, temporary)
