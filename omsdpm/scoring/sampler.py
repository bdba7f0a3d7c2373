"""From schedules to images and scores: in batches, whose images need not be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from omsdpm.beside import Beside
from omsdpm.devices import to_device
from omsdpm.errors import InputError
from omsdpm.guidance import conditioned, draw_labels, num_classes
from omsdpm.noise import Noise
from omsdpm.sampling import Count, sample_population
from omsdpm.seeds import LARGEST
from omsdpm.solvers import USUAL, Schedules, ScheduleSpace, SolverOptions, compile_plans

if TYPE_CHECKING:
    import torch

    from omsdpm.prompts import Prompts
    from omsdpm.scoring.metrics import Context, OpenMetric
    from omsdpm.scoring.metrics.context import Batch
    from omsdpm.zoo import ModelZoo

BATCH_SIZE = 1000
"""Images sampled at once where nobody says it."""

Labels = int | str | tuple[int, ...]
"""The class of all images, ``"random"``, or classes that images have in turn."""


class Taking(Protocol):
    """What takes in the images of one schedule."""

    def update(self, images: torch.Tensor, first: int) -> None:
        """Takes in a batch; see :meth:`omsdpm.scoring.metrics.Metric.update`."""


Takes = TypeVar("Takes", bound=Taking)
Made = TypeVar("Made", bound=Taking, covariant=True)


class Openable(Protocol[Made]):
    """What is loaded once for many schedules: a metric, or several."""

    @property
    def context(self) -> Context:
        """What it may ask about."""

    def fresh(self) -> Made:
        """One that took nothing in yet."""


@dataclass(frozen=True)
class Start:
    """What the images of one batch start from.

    Attributes:
        number: of the batch, from 0.
        first: number of its first image.
        x_T: ``(b, C, H, W)`` noise.
        labels: ``(b,)`` classes, for a zoo whose members take them.
        prompts: ``b`` prompts, for a zoo whose members take them.
    """

    number: int
    first: int
    x_T: torch.Tensor  # noqa: N815
    labels: NDArray[np.int64] | None
    prompts: Prompts | None = None


@dataclass(frozen=True)
class Sampler:
    """The one way from schedules to images: a zoo, a solver, and the noise and labels that images start from.

    Attributes:
        zoo: the members.
        space: the schedules' space, which says the solver.
        options: how the solver runs.
        batch_size: images sampled at once.
        start: ``(N, C, H, W)`` fixed starting noise, of which the first images are taken;
            ``None`` draws it from the seed.
        labels: for a zoo whose members take labels: the class of all images, classes that they have in
            turn, or ``"random"``.
        prompts: for a zoo whose members take prompts: those that images have in turn.

    Raises:
        InputError: a space for another number of members, noise of another shape than the
            zoo's images, or labels or prompts where none are taken or none where some are needed.

    Example:
        >>> sampler = Sampler(zoo, DDIMSpace(6, 100), labels=(0, 1, 2))
        >>> sampler.score(X, 5000, seed=1, metric=metric)  # (n,)
    """

    zoo: ModelZoo
    space: ScheduleSpace
    options: SolverOptions = USUAL
    batch_size: int = BATCH_SIZE
    start: torch.Tensor | None = None
    labels: Labels | None = None
    prompts: Prompts | None = None

    def __post_init__(self) -> None:
        members, count = len(self.zoo.members), num_classes(self.zoo.members)
        if members != self.space.num_models:
            raise InputError(f"{self.space} for a zoo of {members} members: give the zoo's own number")
        if self.batch_size < 1:
            raise InputError(f"batch size {self.batch_size}: expected a positive number")
        if self.start is not None and tuple(self.start.shape[1:]) != self.zoo.shape:
            shape = ", ".join(map(str, self.zoo.shape))
            raise InputError(f"starting noise of shape {tuple(self.start.shape)}: expected (N, {shape})")
        if self.labels is None and count is not None:
            raise InputError(f"zoo {self.zoo.name!r} takes labels: give a class, 0..{count - 1}, or 'random'")
        if self.labels is not None:
            if count is None:
                raise InputError(f"labels {self.labels}: no member of zoo {self.zoo.name!r} takes labels")
            draw_labels(self.labels, 1, count, 0)
        if self.prompts is None and self.zoo.takes_prompts:
            raise InputError(f"zoo {self.zoo.name!r} takes prompts: give a text file of them, one a line")
        if self.prompts is not None and not self.zoo.takes_prompts:
            raise InputError(f"prompts for zoo {self.zoo.name!r}, none of whose members takes any")

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
        compile_plans(batch[:1], self.space, self.noise, self.options)
        return batch

    def starts(self, images: int, seed: int) -> Iterator[Start]:
        """What each batch starts from, on the zoo's device; see :meth:`stream`."""
        following = self.stream(images, seed)
        for first in range(0, images, self.batch_size):
            yield following(min(self.batch_size, images - first))

    def stream(self, images: int, seed: int) -> Callable[[int], Start]:
        """Gives what the next so many images start from, on the zoo's device, each time it is asked.

        Args:
            images: of each schedule.
            seed: of the noise, unless that is fixed, and of drawn labels.
        """
        import torch

        from omsdpm.seeds import torch_generator

        labels, classes = None, num_classes(self.zoo.members)
        if self.labels is not None and classes is not None:
            labels = draw_labels(self.labels, images, classes, seed)
        # Drawn on the CPU, one batch after the other from one stream, so that every device
        # and every batch size starts from the same.
        generator = torch_generator(seed)
        number = first = 0

        def following(size: int) -> Start:
            nonlocal number, first
            if self.start is not None:
                drawn = self.start[first : first + size]
            else:
                drawn = torch.randn((size, *self.zoo.shape), generator=generator)
            given = None if labels is None else labels[first : first + size]
            prompts = None
            if self.prompts is not None:
                prompts = self.prompts.rows(np.arange(first, first + size) % len(self.prompts))
            start = Start(number, first, to_device(drawn, self.zoo.device), given, prompts)
            number, first = number + 1, first + size
            return start

        return following

    def sample(
        self, X: ArrayLike, start: Start, seed: int, count: Count | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yields ``(row, images)`` of one batch, ``(b, C, H, W)``, every shared beginning evaluated once.

        Latents are decoded.

        Args:
            X: ``(n, L)`` schedules.
            start: of :meth:`starts`.
            seed: of what ``eta`` adds.
            count: filled with what was spent and saved.
        """
        members = self.zoo.denoisers
        if start.labels is not None or start.prompts is not None:
            members = conditioned(members, start.labels, prompts=start.prompts)
        sampled = sample_population(
            members, X, start.x_T, space=self.space, noise=self.noise, options=self.options,
            seed=(seed + 1_000_000 * start.number) % (LARGEST + 1), count=count,
        )  # fmt: skip
        return ((row, self.zoo.decode(x_0)) for row, x_0 in sampled)

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
        for start in self.starts(images, seed):
            for row, x_0 in self.sample(batch, start, seed, count):
                yield row, start.first, x_0

    def score(
        self,
        X: ArrayLike,
        images: int,
        *,
        seed: int,
        metric: OpenMetric,
        keep: Callable[[int, int, torch.Tensor], object] | None = None,
        progress: Callable[[int, int], object] | None = None,
        count: Count | None = None,
    ) -> NDArray[np.float64]:
        """Scores of schedules, lower is better: ``(n, L) -> (n,)``.

        The images go to the metric batch by batch and need not be kept, so that their number is
        bounded by patience and not by memory.

        Args:
            X, images, seed, count: see :meth:`batches`.
            metric: what the images are scored with.
            keep: given what :meth:`batches` yields.
            progress: told ``(images done, images)``, those of all schedules together.

        Raises:
            InputError: as :meth:`check`, fewer than two images, or what the metric refuses.
        """
        taken = self.taken(X, images, seed=seed, metric=metric, keep=keep, progress=progress, count=count)
        scores = {row: metric.score(taking) for row, taking in taken}
        return np.array([scores[row] for row in range(len(scores))], dtype=np.float64)

    def taken(
        self,
        X: ArrayLike,
        images: int,
        *,
        seed: int,
        metric: Openable[Takes],
        keep: Callable[[int, int, torch.Tensor], object] | None = None,
        progress: Callable[[int, int], object] | None = None,
        count: Count | None = None,
    ) -> Iterator[tuple[int, Takes]]:
        """Yields ``(row, what a fresh metric took in)`` as soon as all images of a schedule came in.

        Args:
            X, images, seed, keep, progress, count: see :meth:`score`.
            metric: an open metric, or several.

        Raises:
            InputError: as :meth:`score`.
        """
        if images < 2:
            raise InputError(f"{images} images: a score needs at least 2")
        batch = self.check(X, images)
        begun: dict[int, Takes] = {}
        done = 0
        working: Beside[int] = Beside(self.zoo.device, None if self._separable else False)
        with working.working() as beside:
            for start in self.starts(images, seed):
                last = start.first + len(start.x_T) == images
                with self.scored_from(metric, start, seed):
                    for row, x_0 in self.sample(batch, start, seed, count):
                        if row not in begun:
                            begun[row] = metric.fresh()
                        taken_in = beside.give(row, partial(begun[row].update, x_0, start.first), x_0)
                        if keep is not None:
                            keep(row, start.first, x_0)
                        done += len(x_0)
                        if progress is not None:
                            progress(done, images * len(batch))
                        for ready in taken_in if last else ():
                            yield ready, begun.pop(ready)  # what it took in may be large, and is let go of
                    for ready in beside.rest():
                        if last:
                            yield ready, begun.pop(ready)

    @property
    def _separable(self) -> bool:
        """Whether scoring may run beside sampling: a metric may sample too, by members without a memory."""
        return self.zoo.offload is None and not any(member.stateful for member in self.zoo.members)

    @contextmanager
    def scored_from(self, metric: Openable[Any], start: Start, seed: int) -> Iterator[None]:
        """Lets a metric ask for images of other schedules from the same noise and labels, meanwhile."""
        metric.context.batch = self._batch(start, seed)
        try:
            yield
        finally:
            metric.context.batch = None

    def _batch(self, start: Start, seed: int) -> Batch:
        from omsdpm.scoring.metrics.context import Batch

        fixed = None if self.start is None else id(self.start)
        prompts = None if self.prompts is None else id(self.prompts)
        key = (fixed, self.labels, prompts, self.options, self.space, seed, start.first, len(start.x_T))

        def sample(schedule: Schedules) -> torch.Tensor:
            ((_, x_0),) = self.sample(schedule[None], start, seed)
            return x_0

        return Batch(key, sample)


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
