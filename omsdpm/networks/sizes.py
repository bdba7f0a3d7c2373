"""What a configuration asks of a network, before memory is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from omsdpm.errors import InputError, one_line

LARGEST = 2**20
"""Greatest whole number that an argument of a network may be: channels, classes, sizes."""

LAYERS = 1024
"""Most layers of a block where no weights are there to say it, and most entries of a list."""

PARAMETERS = 2 * 10**10
"""Most parameters of a network; the largest diffusion models of 2024 have 1.2e10."""


def check_arguments(arguments: Any, where: str, layers: int = LAYERS) -> None:
    """Raises :class:`InputError` for arguments that no network has: they would run away, not fail.

    Args:
        arguments: of a diffusers model, as its ``config.json`` or a recipe has them.
        where: the file, for errors.
        layers: tensors of the weights, where there are some; a network has at least one a layer.
    """
    if not isinstance(arguments, Mapping):
        raise InputError(f"{where}: expected a table of arguments")
    for key, value in arguments.items():
        entries = value if isinstance(value, (list, tuple)) else [value]
        if len(entries) > LAYERS:
            raise InputError(f"{where}: {key} has {len(entries)} entries, expected {LAYERS} at most")
        most = min(layers, LAYERS) if key == "layers_per_block" else LARGEST
        for entry in entries:
            if isinstance(entry, (int, float)) and not -LARGEST <= entry <= most:
                shown = f"{entry:g}" if isinstance(entry, float) else _digits(entry)
                raise InputError(f"{where}: {key} = {shown}, expected {most} at most")


def skeleton_of(build: Callable[[], Any], where: str) -> Any:
    """The network without memory: all that it is but for its weights.

    Args:
        build: makes the network, on whichever device is set.
        where: the file, for errors.

    Raises:
        InputError: it cannot be made, or is larger than any network.
    """
    import torch

    try:
        with torch.device("meta"):
            network = build()
            count = sum(tensor.numel() for tensor in network.state_dict().values())
    except InputError:
        raise
    except Exception as error:  # whatever the wrong arguments do to a stranger's constructor
        raise InputError(f"{where}: no network has these arguments ({_reason(error)})") from error
    if count > PARAMETERS:
        raise InputError(f"{where}: a network of {count:.3g} parameters, expected {PARAMETERS:.3g} at most")
    return network


def shapes_of(skeleton: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's tensors by name."""
    return {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}


def check_evaluated(build: Callable[[], Any], evaluate: Callable[[Any], Any], where: str) -> None:
    """Evaluates a network without memory: arguments that fit the weights may still be none that it runs with.

    Args:
        build: makes the network, on whichever device is set.
        evaluate: runs it, on whichever device is set.
        where: the file, for errors.

    Raises:
        InputError: it cannot be evaluated.
    """
    import torch

    try:
        with torch.device("meta"), torch.no_grad():
            evaluate(build())
    except Exception as error:  # whatever the wrong arguments do to a stranger's network
        raise InputError(f"{where}: such a network cannot be evaluated ({_reason(error)})") from error


def _digits(number: int) -> str:
    # Python refuses to write out integers of more than 4,300 digits.
    return str(number) if abs(number) < 10**15 else f"a whole number of {number.bit_length()} bits"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"[:200]
