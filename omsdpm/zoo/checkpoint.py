"""Where a training was stopped: read back, and known to be of this training before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError
from omsdpm.files import reads

if TYPE_CHECKING:
    import torch

KEYS = ("unet", "optimizer", "generator", "dropout", "ema", "step")
"""Of a checkpoint: weights, Adam's moments, two states of random numbers, averaged weights, steps done."""

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""That Adam keeps of each parameter."""


@reads("path")
def resume(
    path: Path, unet: Any, optimizer: torch.optim.Optimizer, generator: torch.Generator, steps: int
) -> tuple[list[Any], int]:
    """Sets network, optimizer and random numbers to where a checkpoint has them.

    Args:
        path: of the checkpoint.
        unet, optimizer, generator: of the training, as it begins.
        steps: of the whole training.

    Returns:
        The averaged weights, and the steps that are done.

    Raises:
        InputError: the file is damaged, or of another recipe.
    """
    import torch

    from omsdpm.released._pickle import load_pth

    try:
        state = load_pth(path)
    except InputError as error:
        raise InputError(f"{path} is damaged: remove it to train the member anew") from error
    weights, parameters = unet.state_dict(), list(unet.parameters())
    fault = _fault(state, weights, parameters, generator.get_state(), steps)
    if fault is not None:
        raise InputError(f"{path} is of another recipe or damaged ({fault}): move it away to train anew")
    device = parameters[0].device
    unet.load_state_dict(state["unet"])
    # The groups of parameters follow from the recipe; only the moments are what was learned.
    own = optimizer.state_dict()
    moments = {
        number: {name: value.clone() for name, value in kept.items()}
        for number, kept in state["optimizer"]["state"].items()
    }
    optimizer.load_state_dict({"state": moments, "param_groups": own["param_groups"]})
    try:
        generator.set_state(state["generator"].clone())
        torch.set_rng_state(state["dropout"].clone())
    except RuntimeError as error:
        raise InputError(f"{path} holds no state of random numbers: move it away to train anew") from error
    return [average.clone().to(device) for average in state["ema"]], state["step"]


def _fault(
    state: Any,
    weights: Mapping[str, torch.Tensor],
    parameters: Sequence[torch.Tensor],
    random: torch.Tensor,
    steps: int,
) -> str | None:
    """What is wrong with a checkpoint's content; ``None`` if nothing is."""
    if not isinstance(state, dict) or set(state) != set(KEYS):
        return f"expected {', '.join(KEYS)}"
    if type(state["step"]) is not int or not 0 < state["step"] < steps:
        return f"step {str(state['step'])[:20]} of {steps}"
    if not isinstance(state["unet"], dict) or set(state["unet"]) != set(weights):
        return "weights of another network"
    for name, tensor in weights.items():
        if not _alike(state["unet"][name], tensor):
            return f"{name} of another shape or type, or no numbers"
    averages = state["ema"]
    if not isinstance(averages, list) or len(averages) != len(parameters):
        return "averages of another network"
    if not all(map(_alike, averages, parameters)):
        return "an average of another shape or type, or no numbers"
    moments = state["optimizer"].get("state") if isinstance(state["optimizer"], dict) else None
    if not isinstance(moments, dict) or set(moments) != set(range(len(parameters))):
        return "an optimizer of another network"
    for number, parameter in enumerate(parameters):
        kept = moments[number]
        if not isinstance(kept, dict) or set(kept) != set(MOMENTS):
            return "an optimizer that is not Adam"
        if not (_alike(kept["exp_avg"], parameter) and _alike(kept["exp_avg_sq"], parameter)):
            return "moments of another shape or type, or no numbers"
        if not (_alike(kept["step"], parameter.new_zeros(())) and kept["step"] > 0 and (kept["exp_avg_sq"] >= 0).all()):
            return "moments that Adam has not"
    if not (_alike(state["generator"], random) and _alike(state["dropout"], random)):
        return "random numbers of another generator"
    return None


def _alike(value: Any, wanted: torch.Tensor) -> bool:
    """Whether ``value`` is a tensor of the shape and type of another, and of numbers."""
    import torch

    fits = isinstance(value, torch.Tensor) and value.shape == wanted.shape and value.dtype == wanted.dtype
    return fits and (not value.is_floating_point() or bool(torch.isfinite(value).all()))
