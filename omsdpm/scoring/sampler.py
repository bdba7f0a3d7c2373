"""Many images of a few schedules, in batches whose images need not be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.errors import InputError
from omsdpm.guidance import conditioned, draw_labels, num_classes
from omsdpm.noise import Noise
from omsdpm.sampling import Count, sample_population
from omsdpm.solvers import Schedules, ScheduleSpace, compile_plan

if TYPE_CHECKING:
    import torch

    from omsdpm.fid import Statistics
    from omsdpm.scoring.features import FeatureNetwork
    from omsdpm.zoo import ModelZoo


@dataclass(frozen=True)
class Sampler:
    """A zoo, a solver, and the noise and labels that images start from.

    Attributes:
        zoo: the members.
        space: the schedules' space, which says the solver.
        spacing, eta: see :func:`omsdpm.solvers.compile_plan`.
        batch_size: images sampled at once.
        start: ``(N, C, H, W)`` fixed starting noise, of which the first images are taken;
            ``None`` draws it from the seed.
        label: for a zoo whose members take labels, the class of all images, or ``"random"``.

    Raises:
        InputError: a space for another number of members, noise of another shape than the
            zoo's images, or a label where none is taken or none where one is needed.

    Example:
        >>> sampler = Sampler(zoo, DDIMSpace(6, 100))
        >>> sampler.score(X, 5000, seed=1, network=network, reference=statistics)  # (n,)
    """

    zoo: ModelZoo
    space: ScheduleSpace
    spacing: str = "logSNR"
    eta: float = 0.0
    batch_size: int = 500
    start: torch.Tensor | None = None
    label: int | str | None = None

    def __post_init__(self) -> None:
        members, count = len(self.zoo.members), num_classes(self.zoo.members)
        if members != self.space.num_models:
            raise InputError(f"{self.space} for a zoo of {members} members: give the zoo's own number")
        if self.batch_size < 1:
            raise InputError(f"batch size {self.batch_size}: expected a positive number")
        if self.start is not None and tuple(self.start.shape[1:]) != self.zoo.shape:
            shape = ", ".join(map(str, self.zoo.shape))
            raise InputError(f"starting noise of shape {tuple(self.start.shape)}: expected (N, {shape})")
        if self.label is None and count is not None:
            raise InputError(f"zoo {self.zoo.name!r} takes labels: give a class, 0..{count - 1}, or 'random'")
        if self.label is not None:
            if count is None:
                raise InputError(f"label {self.label}: no member of zoo {self.zoo.name!r} takes labels")
            draw_labels(self.label, 1, count, 0)

    @cached_property
    def noise(self) -> Noise:
        """The solver's noise schedule."""
        return self.space.solver_noise(self.zoo.noise)

    def check(self, X: ArrayLike, images: int) -> Schedules:
        """The schedules ``(n, L)``, known to be ready for sampling.

        Raises:
            InputError: invalid schedules, less fixed noise than images, or an option that is not the solver's.
        """
        batch = self.space.check(np.asarray(X))
        if self.start is not None and len(self.start) < images:
            raise InputError(f"starting noise for {len(self.start)} images: {images} are asked for")
        compile_plan(batch[0], self.space, self.noise, self.spacing, eta=self.eta)
        return batch

    def batches(
        self, X: ArrayLike, images: int, seed: int, count: Count | None = None
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Yields ``(row, first, x_0)``: images ``first, first + 1, ...`` of a schedule, ``(b, C, H, W)``.

        All schedules start from the same noise, and of each batch every beginning that
        schedules share is evaluated once. The noise of an image does not depend on the batch
        size (what ``eta`` adds does), if an image has a multiple of 16 numbers.

        Args:
            X: ``(n, L)`` schedules.
            images: of each schedule.
            seed: of the starting noise, unless that is fixed, of drawn labels, and of what ``eta`` adds.
            count: filled with what was spent and saved.

        Raises:
            InputError: as :meth:`check`.
        """
        batch = self.check(X, images)
        labels = None
        if self.label is not None:
            classes = num_classes(self.zoo.members)
            assert classes is not None  # __post_init__ has seen to it
            labels = draw_labels(self.label, images, classes, seed)
        for number, (first, x_T) in enumerate(self._starts(images, seed)):
            members = self.zoo.denoisers
            if labels is not None:
                members = conditioned(members, labels[first : first + len(x_T)])
            walk = sample_population(
                members, batch, x_T, space=self.space, noise=self.noise, spacing=self.spacing,
                eta=self.eta, seed=seed + 1_000_000 * number, count=count,
            )  # fmt: skip
            for row, x_0 in walk:
                yield row, first, x_0

    def score(
        self,
        X: ArrayLike,
        images: int,
        *,
        seed: int,
        network: FeatureNetwork,
        reference: Statistics,
        keep: Callable[[int, int, torch.Tensor], object] | None = None,
        progress: Callable[[int, int], object] | None = None,
        count: Count | None = None,
    ) -> NDArray[np.float64]:
        """Fréchet distances to the reference, ``(n, L) -> (n,)``.

        Of the features only mean and covariance are kept, batch by batch.

        Args:
            X, images, seed, count: see :meth:`batches`.
            network: images to features.
            reference: statistics of the real images.
            keep: given what :meth:`batches` yields.
            progress: told ``(images done, images)``, those of all schedules together.

        Raises:
            InputError: as :meth:`check`, or fewer than two images.
        """
        from omsdpm.fid import Moments

        if images < 2:
            raise InputError(f"{images} images: a score needs at least 2")
        batch = self.check(X, images)
        moments = [Moments() for _ in batch]
        done = 0
        for row, first, x_0 in self.batches(batch, images, seed, count):
            moments[row].update(network(x_0))
            if keep is not None:
                keep(row, first, x_0)
            done += len(x_0)
            if progress is not None:
                progress(done, images * len(batch))
        return np.array([reference.distance(moment.statistics()) for moment in moments])

    def _starts(self, images: int, seed: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Number of the first image and starting noise of each batch, on the zoo's device."""
        import torch

        from omsdpm.seeds import torch_generator

        # Drawn on the CPU, one batch after the other from one stream, so that every device
        # and every batch size starts from the same.
        generator = torch_generator(seed)
        for first in range(0, images, self.batch_size):
            size = min(self.batch_size, images - first)
            if self.start is not None:
                drawn = self.start[first : first + size]
            else:
                drawn = torch.randn((size, *self.zoo.shape), generator=generator)
            yield first, drawn.to(self.zoo.device)


def read_noise(path: str | Path) -> torch.Tensor:
    """Starting noise ``(N, C, H, W)`` float32 from a ``.pth`` with a tensor, or a ``.npy``.

    Raises:
        InputError: not such a file, or numbers that are not finite.
    """
    import torch

    from omsdpm.released._pickle import load_pth

    path = Path(path)
    if path.suffix == ".npy":
        try:
            content = torch.from_numpy(np.load(path, allow_pickle=False))
        except (OSError, EOFError, ValueError, TypeError) as error:
            raise InputError(f"starting noise {path} is no .npy that can be read: {error}") from error
    else:
        content = load_pth(path)
    if not isinstance(content, torch.Tensor) or content.ndim != 4 or not content.is_floating_point():
        raise InputError(f"starting noise {path}: expected a tensor (N, C, H, W) of standard normal numbers")
    if not torch.isfinite(content).all():
        raise InputError(f"starting noise {path} holds NaN or infinity")
    return content.float()
