"""What a metric may ask about: the images' shape, real images, feature networks, the noise of a batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.scoring.features.opening import features_digest, make_features
from omsdpm.scoring.reference import Progress, Reference

if TYPE_CHECKING:
    import torch

    from omsdpm.fid import Statistics
    from omsdpm.scoring.features.base import FeatureNetwork
    from omsdpm.solvers import Schedules, ScheduleSpace

    T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """The images that are being scored: ``sample`` draws those of another schedule from the same noise and labels."""

    key: Hashable
    sample: Callable[[Schedules], torch.Tensor]


@dataclass(frozen=True)
class Piece:
    """Images that several metrics take in, one after the other.

    Attributes:
        images: ``(b, C, H, W)``.
        offset: of the first of them in the batch that is being scored.
        features: of them, by the text of the network.
    """

    images: torch.Tensor
    offset: int
    features: dict[str, Any] = field(default_factory=dict)


class SharedFeatures:
    """A feature network that computes the features of images that several metrics take in only once.

    Args:
        text: ``name[param=value,...]`` of the network.
        network: the network.
        context: knows whether the images are shared.
    """

    def __init__(self, text: str, network: FeatureNetwork, context: Context) -> None:
        self.text, self.network, self.context = text, network, context

    def __call__(self, images: Any) -> NDArray[np.float64]:
        """Features ``(n, d)`` of images ``(n, C, H, W)``."""
        piece = self.context.piece
        if piece is None or images is not piece.images:
            return self.network(images)
        if self.text not in piece.features:
            piece.features[self.text] = self.network(images)
        features: NDArray[np.float64] = piece.features[self.text]
        return features

    @property
    def dim(self) -> int:
        """How many features an image has."""
        return self.network.dim

    def __getattr__(self, name: str) -> Any:
        """What else the network has, for a metric that knows it."""
        if name == "network":  # of a copy that is not made yet
            raise AttributeError(name)
        return getattr(self.network, name)


class Context:
    """What the metrics of one measurement share; whatever is costly is made once.

    Args:
        shape: ``(C, H, W)`` of the images.
        device: where feature networks run.
        reference: the real images: ``"digits"``, a folder, or a file, see :mod:`omsdpm.scoring.real_files`;
            ``None`` for none.
        space: the schedules' space.
        progress: told ``(images done, images)`` while the reference is computed.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        device: str = "cpu",
        reference: str | None = None,
        space: ScheduleSpace | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.shape = shape
        self.device = device
        self.reference = reference
        self.space = space
        self.progress = progress
        self.batch: Batch | None = None
        self.piece: Piece | None = None
        self._made: dict[Hashable, Any] = {}
        self._drawn: tuple[Hashable, Any] | None = None

    def features(self, text: str) -> FeatureNetwork:
        """A feature network by ``name[param=value,...]`` or ``module:function``.

        Raises:
            InputError: it cannot be made.
        """
        return SharedFeatures(text, self._network(text), self)

    def statistics(self, features: str) -> Statistics:
        """Mean and covariance of a feature network's features of the real images.

        Raises:
            InputError: there are no real images, or they cannot be used.
        """
        return self.once(("statistics", features), lambda: self._of_reference(Reference.statistics, features))

    def real_features(self, features: str) -> NDArray[np.float64]:
        """A feature network's features of the real images, ``(m, d)``.

        Raises:
            InputError: there are no real images, but only statistics, or they cannot be used.
        """
        return self.once(("features", features), lambda: self._of_reference(Reference.features, features))

    def same_noise(self, schedule: Schedules) -> torch.Tensor:
        """Images ``(b, C, H, W)`` of another schedule, from noise and labels of the batch that is being scored.

        Raises:
            InputError: nothing is being sampled.
        """
        if self.batch is None:
            raise InputError("images that nobody samples have no noise: score schedules, not images")
        key = (self.batch.key, schedule.tobytes())
        if self._drawn is None or self._drawn[0] != key:  # only the last, which all schedules of a batch ask for
            self._drawn = None
            self._drawn = (key, self.batch.sample(schedule))
        images: torch.Tensor = self._drawn[1]
        if self.piece is None:
            return images
        return images[self.piece.offset : self.piece.offset + len(self.piece.images)]

    @contextmanager
    def shared(self, images: torch.Tensor, offset: int) -> Iterator[None]:
        """Lets several metrics take in the same images, which are as they are meanwhile.

        Args:
            images: ``(b, C, H, W)``, all or a part of the batch that is being scored.
            offset: of the first of them in that batch.
        """
        self.piece = Piece(images, offset)
        try:
            yield
        finally:
            self.piece = None

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` returned the first time that this key was asked for."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def _network(self, text: str) -> FeatureNetwork:
        return self.once(("network", text), partial(make_features, text, device=self.device))

    def _of_reference(self, ask: Callable[..., Any], features: str) -> Any:
        if self.reference is None:
            raise InputError("the metric compares with real images: give a folder of them, or pytorch-fid's .npz")
        reference = Reference(self.reference, self.shape)
        return ask(reference, features_digest(features), lambda: self._network(features), self.progress)
