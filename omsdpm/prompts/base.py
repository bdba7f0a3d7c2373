"""What prompts are to a denoiser: tensors under the names of its arguments, a row a prompt.

Each class of pipelines has its own text encoders. What calls them is a function
``(pipe, prompts, negative, size) -> (given, without)``, registered under the class's name in the
entry-point group ``omsdpm.prompts``: ``given`` and ``without`` are dicts of tensors ``(P, ...)``,
``without`` for the negative prompt; it may be empty where the denoiser is never guided by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.plugins import Registry

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]
    Encoder = Callable[[Any, list[str], str | None, tuple[int, int]], tuple[Tensors, Tensors]]

ENCODERS = Registry("pipeline", "omsdpm.prompts")

PROMPTS_BYTES = 2**24
"""Largest file of prompts; one of COCO's 30,000 captions has two million bytes."""


@dataclass(frozen=True, eq=False)
class Prompts:
    """Some prompts as a denoiser takes them.

    Attributes:
        given: ``(n, ...)`` tensors by the names of the denoiser's arguments.
        without: the same for the negative prompt, which guidance leads away from.
        others: what text encoders of other pipelines make of the same prompts, by the pipelines' folders.
    """

    given: Tensors
    without: Tensors
    others: Mapping[str, Prompts] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.given.values())))

    def of(self, pipeline: str | None) -> Prompts:
        """What the text encoders of a pipeline made of them; ``None`` for the zoo's own."""
        return self if pipeline is None else self.others[pipeline]

    def rows(self, numbers: NDArray[np.int64]) -> Prompts:
        """Those of some numbers ``(n,)``, from 0, as often as they come."""
        return self._each(lambda tensor: tensor[numbers])

    def repeated(self, times: int) -> Prompts:
        """All of them so many times, one copy after the other."""
        return self._each(lambda tensor: tensor.repeat(times, *[1] * (tensor.ndim - 1)))

    def to(self, device: str | torch.device) -> Prompts:
        """The same on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Prompts:
        given, without = ({name: change(part) for name, part in one.items()} for one in (self.given, self.without))
        return Prompts(given, without, {name: other._each(change) for name, other in self.others.items()})


def read_prompts(path: str | Path) -> tuple[str, ...]:
    """Prompts from a text file, one a line; empty lines are passed over.

    Raises:
        InputError: it cannot be read, is not UTF-8, or holds no prompt.
    """
    from omsdpm.files import regular_file

    path = regular_file(path, "expected a text file of prompts, one a line")
    try:
        if (size := path.stat().st_size) > PROMPTS_BYTES:
            raise InputError(f"{path} has {size} bytes: expected a text file of prompts, one a line")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8 (byte {error.start}): expected a text file of prompts, one a line"
        ) from error
    prompts = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not prompts:
        raise InputError(f"{path} holds no prompt: expected a text file with one a line")
    return prompts


def encode_prompts(pipe: Any, prompts: Sequence[str], negative: str | None, size: tuple[int, int]) -> Prompts:
    """What a pipeline's text encoders make of prompts.

    Args:
        pipe: a diffusers pipeline; its denoiser may be ``None``.
        prompts: at least one.
        negative: what guidance leads away from; ``None`` is the pipeline's own choice where it is given none.
        size: ``(height, width)`` of the images in pixels, which some denoisers are told.

    Raises:
        InputError: a class of pipelines whose prompts nobody encodes, or an encoder that fails.
    """
    import torch

    name = type(pipe).__name__
    encode: Encoder = ENCODERS.load(name)
    try:
        with torch.inference_mode(False), torch.no_grad():
            given, without = encode(pipe, list(prompts), negative, size)
    except InputError:
        raise
    except Exception as error:  # whatever a stranger's text encoder does
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"a {name} cannot encode {len(prompts)} prompts with these ({reason})") from error
    return Prompts(given, without)
