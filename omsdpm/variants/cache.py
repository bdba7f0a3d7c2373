"""``cache[method=FirstBlockCache,...]``: a feature cache of diffusers, which reads what an earlier evaluation left."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from omsdpm.errors import InputError, unknown_name
from omsdpm.variants.base import Variant
from omsdpm.variants.blocks import transformer_blocks

LEAST_BLOCKS = 2

METHODS = ("FirstBlockCache", "MagCache", "PyramidAttentionBroadcast", "TaylorSeerCache")
"""Caches of diffusers that need nothing of the pipeline but the order of the evaluations."""


class CacheVariant(Variant):
    """A model that leaves out what it computed shortly before.

    What it left is a trajectory's own: it is forgotten at its start, and trajectories that share their first
    evaluations share it.

    Args:
        method: one of :data:`METHODS`.
        parameters: of the method's configuration in diffusers, as ``threshold=0.1``.

    Raises:
        InputError: another method, or a parameter that it does not have.
    """

    keeps_state = True

    def __init__(self, method: str = "FirstBlockCache", **parameters: Any) -> None:
        if method not in METHODS:
            raise unknown_name("cache", str(method), METHODS)
        self.method = method
        self.parameters = parameters

    def apply(self, model: Any) -> Any:
        """The model with the cache switched on."""
        import diffusers
        import torch

        if not hasattr(model, "enable_cache"):
            raise InputError("diffusers has no caches for models of its class")
        configuration = getattr(diffusers, f"{self.method}Config")
        known = inspect.signature(configuration).parameters
        for name in self.parameters:
            if name not in known:
                raise unknown_name(f"parameter of {self.method}", name, known)
        # A dtype of torch is said by its name.
        given = {name: getattr(torch, value) if name.endswith("dtype") else value
                 for name, value in self.parameters.items()}  # fmt: skip
        if "current_timestep_callback" in known:
            given["current_timestep_callback"] = lambda: getattr(model, "current_timestep", 0)
        if len(transformer_blocks(model)) < LEAST_BLOCKS:
            raise InputError(f"it has fewer than {LEAST_BLOCKS} blocks, and a cache leaves out all but the first")
        model.enable_cache(configuration(**given))
        if not any(_states(model)):
            raise InputError(f"{self.method} found nothing in it to keep; its parameters say where to look")
        model.keeps_state = True
        return model


def snapshot(model: Any) -> list[Mapping[str, Any]]:
    """What a model's caches hold, to be given to :func:`restore`; tensors are held, not copied."""
    return [_copied(vars(state)) for state in _states(model)]


def restore(model: Any, kept: list[Mapping[str, Any]] | None) -> None:
    """Makes a model's caches hold what they held at a :func:`snapshot`; ``None`` empties them."""
    model._reset_stateful_cache()
    if kept is not None:
        for state, held in zip(_states(model), kept, strict=True):
            vars(state).clear()
            vars(state).update(_copied(held))


def _states(model: Any) -> Iterator[Any]:
    """The objects that hold what the hooks of a model remember, each once, in one order."""
    seen = set()
    for module in model.modules():
        registry = getattr(module, "_diffusers_hook", None)
        for hook in () if registry is None else registry.hooks.values():
            for part in vars(hook).values():
                if _is_state(part) and id(part) not in seen:
                    seen.add(id(part))
                    yield part


def _is_state(part: Any) -> bool:
    """Whether an object of a hook holds what it remembers; not all of them have one class in common."""
    return type(part).__module__.startswith("diffusers.hooks") and type(part).__name__.endswith(
        ("State", "StateManager")
    )


def _copied(value: Any) -> Any:
    """A copy of containers and states, down to tensors, which hooks replace and do not change."""
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(part) for part in value)
    if _is_state(value):
        twin = object.__new__(type(value))
        vars(twin).update(_copied(vars(value)))
        return twin
    return value
