"""Training of zoo members: denoising score matching with an EMA, resumable.

A member is trained with the plain mean squared error of its prediction (Ho et al., 2020, Eq. 14),
Adam, a short warm-up and a cosine decay. Its timesteps are drawn uniformly from the ``steps`` of the
noise schedule, whichever kind it is: for flow matching too, where they are the times ``1/N, ..., 1``
with the schedule's shift, as in diffusers' training scripts. Between them the network interpolates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.files import replacing
from omsdpm.guidance import check_labels
from omsdpm.images import Images
from omsdpm.networks.predictions import training_target
from omsdpm.networks.sizes import check_arguments, skeleton_of
from omsdpm.networks.unet2d import WEIGHTS_FILE, write_unet
from omsdpm.noise import Noise
from omsdpm.seeds import seed_torch, torch_generator
from omsdpm.zoo.checkpoint import resume
from omsdpm.zoo.held_out import HeldOutLoss, noise_loss, split_rows
from omsdpm.zoo.recipe import MemberRecipe, ZooRecipe

CHECKPOINT = "training.pt"
CHECKPOINT_EVERY = 500

DIFFUSERS_LEVELS = (224, 448, 672, 896)
"""``block_out_channels`` where a recipe says none."""

Progress = Callable[[int, int, float], None]
"""Called as ``(step, steps, loss)`` after some steps of training."""


def train_member(
    recipe: ZooRecipe,
    member: MemberRecipe,
    images: Images,
    folder: str | Path,
    *,
    labels: ArrayLike | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Trains one member and writes it as a diffusers folder; returns the folder.

    A killed training goes on from its last checkpoint, with the same random numbers; a
    finished one is left alone. The loss that compares between members is kept beside the weights
    (:class:`omsdpm.zoo.held_out.HeldOutLoss`).

    Args:
        recipe: the zoo that the member belongs to.
        member: what to train.
        images: ``(n, C, H, W)`` in ``[-1, 1]``.
        folder: the member's folder, ``config.json`` and weights when done.
        labels: ``(n,)`` classes of the images from 0, for a member with ``num_class_embeds``; others ignore them.
        device: where to train.
        progress: told the running loss every 50 steps, and at the end.

    Raises:
        InputError: images of another shape than the recipe's, labels that are lacking or not of the
            member's classes, arguments that no ``UNet2DModel`` takes, a checkpoint of another recipe, or a
            loss that became NaN or infinite.
    """
    import torch

    folder = Path(folder)
    if (folder / WEIGHTS_FILE).exists():
        (folder / CHECKPOINT).unlink(missing_ok=True)  # of a training that was killed after its last step
        return folder
    classes = check_training(recipe, member, images, labels)
    plan = recipe.training_of(member)
    seed_torch(plan.seed)
    unet = _network(recipe, member).to(device)
    ema = [parameter.detach().clone() for parameter in unet.parameters()]
    optimizer = torch.optim.Adam(unet.parameters(), lr=plan.learning_rate)
    generator = torch_generator(plan.seed)
    rows_in, rows_out = split_rows(len(images), recipe.held_out, recipe.training.seed)
    data = torch.from_numpy(np.ascontiguousarray(images[rows_in]))
    trained_classes = None if classes is None else torch.from_numpy(classes[rows_in])
    timesteps, alphas, sigmas = _trained(recipe.noise)

    start = 0
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        ema, start = resume(checkpoint, unet, optimizer, generator, plan.steps)

    unet.train()
    running = math.nan
    for step in range(start, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * _learning_rate_factor(step, plan.warmup, plan.steps)
        rows = torch.randint(len(data), (plan.batch_size,), generator=generator)
        step_of = torch.randint(len(timesteps), (plan.batch_size,), generator=generator)
        x_0 = data[rows]
        eps = torch.randn(x_0.shape, generator=generator)
        alpha, sigma = (weight[step_of][:, None, None, None] for weight in (alphas, sigmas))
        target = training_target(member.prediction_type, x_0, eps, alpha, sigma)
        given = {} if trained_classes is None else {"class_labels": trained_classes[rows].to(device)}
        x_t = (alpha * x_0 + sigma * eps).to(device)
        prediction = unet(x_t, timesteps[step_of].to(device), **given).sample
        loss = torch.nn.functional.mse_loss(prediction, target.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        # The average follows quickly at first, else it would remember the random start.
        decay = min(plan.ema_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(ema, list(unet.parameters()), 1 - decay)
        if (step + 1) % 50 == 0 or step + 1 == plan.steps:
            value = loss.item()
            if not math.isfinite(value):
                raise InputError(
                    f"member {member.name!r}: the loss is {value} after {step + 1} steps, nothing is written; "
                    f"lower its learning_rate, {plan.learning_rate:g}"
                )
            running = value if math.isnan(running) else 0.95 * running + 0.05 * value
            if progress is not None:
                progress(step + 1, plan.steps, running)
        if (step + 1) % CHECKPOINT_EVERY == 0 and step + 1 < plan.steps:
            _save(checkpoint, unet, optimizer, generator, ema, step + 1)

    if not all(torch.isfinite(average).all() for average in ema):
        raise InputError(f"member {member.name!r}: its weights became NaN or infinite; lower its learning_rate")
    with torch.no_grad():
        for parameter, average in zip(unet.parameters(), ema, strict=True):
            parameter.copy_(average)
    judged = rows_out if len(rows_out) else rows_in
    compared = noise_loss(
        unet.eval(),
        torch.from_numpy(np.ascontiguousarray(images[judged])),
        None if classes is None else torch.from_numpy(classes[judged]),
        prediction_type=member.prediction_type, timesteps=timesteps, alphas=alphas, sigmas=sigmas,
        seed=recipe.training.seed, device=device,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    HeldOutLoss(loss=compared, images=len(judged), held_out=bool(len(rows_out)), seed=recipe.training.seed).write(
        folder
    )
    write_unet(unet, folder)
    checkpoint.unlink(missing_ok=True)
    return folder


def check_training(
    recipe: ZooRecipe, member: MemberRecipe, images: Images, labels: ArrayLike | None = None
) -> NDArray[np.int64] | None:
    """The labels ``(n,)`` that a member is trained with, ``None`` if it takes none, known to fit its images.

    Raises:
        InputError: images of another shape than the recipe's, or labels that are lacking or none of the classes.
    """
    shape = recipe.zoo.shape
    if images.ndim != 4 or images.shape[1:] != shape or not len(images):
        raise InputError(f"images of shape {images.shape}: the recipe of {recipe.zoo.name!r} is for (n, *{shape})")
    split_rows(len(images), recipe.held_out, recipe.training.seed)
    levels = len(member.unet.get("block_out_channels", DIFFUSERS_LEVELS))
    least = 2 ** max(0, levels - 1)
    if recipe.zoo.frames is not None or recipe.zoo.pipeline is not None:
        raise InputError(f"the recipe of {recipe.zoo.name!r} is for videos or latents: U-Nets are trained on images")
    if any(side % least for side in shape[1:]):
        raise InputError(
            f"member {member.name!r} has {levels} levels, which halve images {levels - 1} times: {shape[1]}x{shape[2]} "
            f"is no multiple of {least}; give fewer block_out_channels, or another image_size"
        )
    if member.unet.get("class_embed_type") is not None:
        raise InputError(f"member {member.name!r} has a class_embed_type: only num_class_embeds alone is trained")
    if member.num_classes is None:
        return None
    if labels is None:
        raise InputError(f"member {member.name!r} takes labels, images here have none: leave out num_class_embeds")
    checked = check_labels(labels, member.num_classes)
    if len(checked) != len(images):
        raise InputError(f"{len(checked)} labels for {len(images)} images: expected one an image")
    return checked


def _network(recipe: ZooRecipe, member: MemberRecipe) -> Any:
    """The member's ``UNet2DModel`` with random weights."""
    from diffusers import UNet2DModel

    where = f"member {member.name!r} has no UNet2DModel arguments"

    def build() -> Any:
        try:
            return UNet2DModel(
                sample_size=recipe.zoo.image_size,
                in_channels=recipe.zoo.channels,
                out_channels=recipe.zoo.channels,
                **member.unet,
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: {error}") from error

    check_arguments(member.unet, where)
    skeleton_of(build, where)
    return build()


def _trained(noise: Noise) -> tuple[Any, Any, Any]:
    """Model inputs that a network is trained on, with their alpha and sigma; three float32 ``(N,)``."""
    import torch

    times = np.arange(1, noise.steps + 1) / noise.steps
    alpha, sigma = (torch.as_tensor(weight) for weight in (noise.alpha(times), noise.sigma(times)))
    timesteps = torch.as_tensor(noise.timestep(times)).float()
    if not torch.allclose(alpha**2 + sigma**2, torch.ones_like(alpha), rtol=0, atol=1e-12):
        return timesteps, alpha.float(), sigma.float()
    # Variance preserving: from alpha_bar in float32, as the embedded zoo was trained, so that its
    # recipe still gives its weights.
    alpha_bar = (alpha**2).float()
    return timesteps, alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def _learning_rate_factor(step: int, warmup: int, steps: int) -> float:
    rise = min(1.0, (step + 1) / max(1, warmup))
    return rise * 0.5 * (1 + math.cos(math.pi * step / steps))


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
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
