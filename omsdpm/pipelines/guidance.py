"""How pipelines of diffusers evaluate classifier-free guidance (Ho & Salimans, arXiv:2207.12598).

A pipeline makes ``g = u + s (c - u)`` of an unconditional output ``u`` and a conditional one ``c`` itself. A member
with a scale of its own gives it ``g`` for both, of which any ``s`` makes ``g`` again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Batched:
    """One call for both: the batch is ``u`` and ``c``, or the other way round.

    Attributes:
        conditional: which half is ``c``, 0 or 1.
        active: ``(pipe, first input of the call, its keywords)`` to whether it is guided.
    """

    conditional: int
    active: Callable[[Any, torch.Tensor, Mapping[str, Any]], bool]


@dataclass(frozen=True)
class TwoCalls:
    """A call for ``c``, and where the pipeline is guided another for ``u``."""


Protocol = Batched | TwoCalls


def _says_so(pipe: Any, x: torch.Tensor, keywords: Mapping[str, Any]) -> bool:
    return bool(pipe.do_classifier_free_guidance)


def _equal_halves(pipe: Any, x: torch.Tensor, keywords: Mapping[str, Any]) -> bool:
    """For a pipeline that tells nobody: guided, it has each image twice."""
    first, second = x.tensor_split(2)
    return first.shape == second.shape and bool((first == second).all())


def _null_class(pipe: Any, x: torch.Tensor, keywords: Mapping[str, Any]) -> bool:
    """DiT's second half is of the class that stands for none."""
    labels, null = keywords["class_labels"], pipe.transformer.config.num_embeds_ada_norm
    return len(labels) % 2 == 0 and bool((labels[len(labels) // 2 :] == null).all())


PROTOCOLS: dict[str, Protocol] = {
    "StableDiffusionPipeline": Batched(1, _says_so),
    "StableDiffusionXLPipeline": Batched(1, _says_so),
    "StableDiffusion3Pipeline": Batched(1, _says_so),
    "SanaPipeline": Batched(1, _says_so),
    "PixArtAlphaPipeline": Batched(1, _equal_halves),
    "PixArtSigmaPipeline": Batched(1, _equal_halves),
    "DiTPipeline": Batched(0, _null_class),
    "FluxPipeline": TwoCalls(),
    "WanPipeline": TwoCalls(),
}
"""By the class of the pipeline, as of diffusers 0.42."""


def protocol_of(pipe: Any) -> Protocol | None:
    """How a pipeline is guided; ``None`` for one that is not, or that nobody looked at."""
    return next((PROTOCOLS[kind.__name__] for kind in type(pipe).__mro__ if kind.__name__ in PROTOCOLS), None)
