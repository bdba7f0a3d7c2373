"""A zoo behind a schedule, where a pipeline has its denoiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from omsdpm.errors import InputError
from omsdpm.pipelines.guidance import Batched, Protocol, TwoCalls
from omsdpm.pipelines.scheduler import PlanScheduler

INPUTS = ("hidden_states", "sample")
"""Keywords by which pipelines give the noisy image, where they do not give it first."""

AS_GIVEN = ("timestep", "img_ids", "txt_ids")
"""Keywords that keep their precision: positions and timesteps, which half precision would round."""


class ScheduledModel(torch.nn.Module):
    """Each call goes to the member whose stage it is; everything else is the first member's.

    Args:
        modules: models of diffusers by the member's number; the first says configuration, dtype and device.
        scheduler: says the stage.
        guidance: scale of each member: ``None`` is the pipeline's, 1 unguided.
        protocol: how the pipeline is guided; ``None`` if no member has a scale of its own.
        pipe: asked whether it is guided.
    """

    def __init__(
        self,
        modules: Mapping[int, torch.nn.Module],
        scheduler: PlanScheduler,
        guidance: Mapping[int, float | None],
        protocol: Protocol | None,
        pipe: Any,
    ) -> None:
        super().__init__()
        self.members = torch.nn.ModuleDict({str(number): module for number, module in modules.items()})
        self.scheduler = scheduler
        self.guidance = dict(guidance)
        self.protocol = protocol
        self._pipe = (pipe,)  # in a tuple, for a pipeline's modules are no part of this one
        self._conditional: torch.Tensor | None = None
        self._evaluated = -1

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            members: Any = super().__getattr__("members")
            return getattr(next(iter(members.values())), name)

    def cache_context(self, *args: Any, **kwargs: Any) -> Any:
        """Of the member whose stage it is; pipelines name by it which of two calls follows."""
        return self._member.cache_context(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the stage's member, in the form that the pipeline asked for."""
        model = self.scheduler.stage.model
        scale = self.guidance.get(model)
        if scale is None or kwargs.get("skip_layers") is not None:  # SD3's third evaluation is no half of guidance
            return self._evaluate(args, kwargs)
        if isinstance(self.protocol, Batched):
            return self._batched(self.protocol, scale, args, kwargs)
        assert isinstance(self.protocol, TwoCalls)
        return self._one_of_two(scale, args, kwargs)

    @property
    def _member(self) -> Any:
        """The model of the stage's member."""
        return self.members[str(self.scheduler.stage.model)]

    def _evaluate(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The member's output, whose dtype is the input's."""
        given, own = _input(args, kwargs).dtype, self._member.dtype
        if given == own:
            return self._member(*args, **kwargs)

        def cast(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(own) if tensor.dtype == given else tensor

        others = {key: value if key in AS_GIVEN else _mapped(cast, value) for key, value in kwargs.items()}
        output = self._member(*_mapped(cast, args), **others)
        return _replaced(output, output[0].to(given))

    def _batched(self, protocol: Batched, scale: float, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = _input(args, kwargs)
        if not protocol.active(self._pipe[0], x, kwargs):
            if scale == 1:
                return self._evaluate(args, kwargs)
            raise InputError(self._unguided(scale))
        half = len(x) // 2
        if scale == 1:

            def conditional(tensor: torch.Tensor) -> torch.Tensor:
                if not tensor.ndim or len(tensor) != 2 * half:
                    return tensor
                return tensor[half:] if protocol.conditional else tensor[:half]

            output = self._evaluate(_mapped(conditional, args), _mapped(conditional, kwargs))
            guided = output[0]
        else:
            output = self._evaluate(args, kwargs)
            halves = output[0].chunk(2)
            c, u = halves[protocol.conditional], halves[1 - protocol.conditional]
            guided = u + scale * (c - u)
        return _replaced(output, torch.cat([guided, guided]))

    def _one_of_two(self, scale: float, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        conditional, self._conditional = self._conditional, None
        if conditional is None or self._evaluated != self.scheduler.step_index:
            output = self._evaluate(args, kwargs)
            self._evaluated, self._conditional = self.scheduler.step_index, output[0]
            if scale != 1:
                self.scheduler.awaiting = self._unguided(scale)
            return output
        if scale == 1:
            return _replaced_like(kwargs, conditional)
        output = self._evaluate(args, kwargs)
        guided = output[0] + scale * (conditional - output[0])
        # The pipeline holds the first output and combines it with this one: both have to be the guided one.
        conditional.copy_(guided)
        self.scheduler.awaiting = ""
        return _replaced(output, guided)

    def _unguided(self, scale: float) -> str:
        model = self.scheduler.stage.model
        return (
            f"member {model} is guided with scale {scale:g}: call the pipeline with guidance, and with a negative "
            "prompt where it takes one"
        )


def _input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    """The noisy images of a call."""
    given: torch.Tensor = args[0] if args else next(kwargs[name] for name in INPUTS if name in kwargs)
    return given


def _mapped(function: Callable[[torch.Tensor], torch.Tensor], tree: Any) -> Any:
    """A function of all tensors in tuples, lists and tables."""
    if isinstance(tree, torch.Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: _mapped(function, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_mapped(function, value) for value in tree)
    return tree


def _replaced(output: Any, tensor: torch.Tensor) -> Any:
    """An output of a model of diffusers with another tensor in it."""
    return (tensor, *output[1:]) if isinstance(output, tuple) else type(output)(sample=tensor)


def _replaced_like(kwargs: Mapping[str, Any], tensor: torch.Tensor) -> Any:
    """An output that no model made, in the form that is asked for."""
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    return Transformer2DModelOutput(sample=tensor) if kwargs.get("return_dict", True) else (tensor,)
