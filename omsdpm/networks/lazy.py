"""Models whose weights wait until they are called for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class LazyModel:
    """A diffusers model that is read when it is first called for, and then stays.

    Args:
        skeleton: the model without memory.
        read: reads it.
        keeps_state: whether what it gives depends on its earlier evaluations.

    Attributes:
        config: its configuration, which is known before.
        class_name: of the model.
    """

    def __init__(self, skeleton: Any, read: Callable[[], Any], keeps_state: bool = False) -> None:
        self.config = skeleton.config
        self.class_name = type(skeleton).__name__
        self.keeps_state = keeps_state
        self._read = read
        self._model: Any = None
        self._steps: list[Callable[[Any], object]] = []

    @property
    def loaded(self) -> bool:
        """Whether it was called for."""
        return self._model is not None

    def load(self) -> Any:
        """The model.

        Raises:
            InputError: its weights cannot be read, or it cannot be had as is asked.
        """
        if self._model is None:
            model = self._read()
            for step in self._steps:
                step(model)
            self._model = model
        return self._model

    def when_loaded(self, step: Callable[[Any], object]) -> None:
        """Has something done with the model as soon as it is there."""
        if self._model is None:
            self._steps.append(step)
        else:
            step(self._model)


def class_of(model: Any) -> str:
    """Name of a model's class, be it loaded or not."""
    return model.class_name if isinstance(model, LazyModel) else type(model).__name__
