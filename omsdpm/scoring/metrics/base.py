"""What a metric is: images of one schedule in, a number out, in parts if need be.

A metric is registered in the entry-point group ``omsdpm.metrics``: a class that is made with the
parameters in brackets, and with a ``context`` where it takes that. It need not derive from
:class:`Metric`; one that has no attribute of a name below is taken to have its default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

from omsdpm.plugins import Registry

if TYPE_CHECKING:
    import torch

METRICS = Registry("metric", "omsdpm.metrics", needs=("update", "merge", "value"))


@runtime_checkable
class KnowsError(Protocol):
    """A metric that knows how far its value may be off; of others blocks of images tell it."""

    def error(self) -> float | None:
        """The standard error of the value; ``None`` where there is none of so few images."""


class Metric(ABC):
    """Takes the images of one schedule in and gives their score.

    One may also have ``error()``, the standard error of ``value()`` over draws of the images, or ``None``
    where it cannot be told; for others it is computed from blocks of images, see
    :mod:`omsdpm.scoring.metrics.jackknife`.

    Attributes:
        higher_is_better: then datasets and searches have the score negated, and tables call it ``-name``.
        takes_reference: it compares with real images.
        image_shape: the only ``(C, H, W)`` that it takes; ``None`` for any.
        files: names of those parameters that are paths of files; their bytes count, not their names.

    Example:
        >>> class Brightness(Metric):
        ...     def __init__(self):
        ...         self.total, self.count = 0.0, 0
        ...     def update(self, images, first):
        ...         self.total += float(images.double().sum())
        ...         self.count += images.numel()
        ...     def merge(self, other):
        ...         self.total, self.count = self.total + other.total, self.count + other.count
        ...     def value(self):
        ...         return self.total / self.count
    """

    higher_is_better: ClassVar[bool] = False
    takes_reference: ClassVar[bool] = False
    image_shape: ClassVar[tuple[int, int, int] | None] = None
    files: ClassVar[tuple[str, ...]] = ()

    LEFT_BEHIND: ClassVar[tuple[str, ...]] = ("context", "network")
    """Attributes that do not travel between processes: what came in does."""

    @abstractmethod
    def update(self, images: torch.Tensor, first: int) -> None:
        """Takes in a batch.

        Args:
            images: ``(b, C, H, W)`` in ``[-1, 1]`` or a little beyond, on the device that samples.
            first: number of the first of them among all images of the schedule.
        """

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Takes in what another one took in, perhaps in another process."""

    @abstractmethod
    def value(self) -> float:
        """The score of what came in so far.

        Raises:
            InputError: too few images.
        """

    @classmethod
    def feature_network(cls, **parameters: Any) -> str | None:
        """The feature network that these parameters ask for, ``name[param=value,...]``; ``None`` for none."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {name: None if name in self.LEFT_BEHIND else value for name, value in vars(self).items()}
