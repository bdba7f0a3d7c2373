"""Several metrics of the same images in one pass, each with a standard error."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from omsdpm.errors import InputError
from omsdpm.scoring.metrics.base import KnowsError
from omsdpm.scoring.metrics.jackknife import block_edges, jackknife
from omsdpm.scoring.metrics.opening import OpenMetric

if TYPE_CHECKING:
    import torch

    from omsdpm.scoring.metrics.base import Metric
    from omsdpm.scoring.metrics.context import Context


@dataclass(frozen=True)
class Score:
    """A metric's value of the images of one schedule.

    Attributes:
        metric: with its parameters, after a ``-`` where values are negated.
        value: so that lower is better.
        error: standard error over draws of the images; ``None`` where there are too few to tell.
    """

    metric: str
    value: float
    error: float | None


class OpenMetrics:
    """Metrics with their networks and reference loaded, for the images of many schedules.

    The features of a network are computed once a batch, whichever of the metrics ask for them.

    Args:
        texts: ``name[param=value,...]`` each.
        context: what they may ask about.
        images: of each schedule, which are put into blocks for the standard errors.

    Raises:
        InputError: as :class:`omsdpm.scoring.metrics.OpenMetric`, none, or one that is given twice.

    Example:
        >>> metrics = OpenMetrics(["fd-digits", "kid[features=digits]"], context, images=1000)
        >>> scores = {row: metrics.score(taken) for row, taken in sampler.taken(X, 1000, seed=1, metric=metrics)}
    """

    def __init__(self, texts: Sequence[str], context: Context, images: int) -> None:
        if not texts:
            raise InputError("no metric: give one, or several with commas between them")
        for at, text in enumerate(texts):
            if text in texts[:at]:
                raise InputError(f"metric {text!r} is given twice")
        self.context = context
        self.metrics = tuple(OpenMetric(text, context) for text in texts)
        self.edges = block_edges(images)

    def of(self, images: int) -> OpenMetrics:
        """The same metrics for another number of images."""
        other = copy(self)
        other.edges = block_edges(images)
        return other

    @property
    def signed(self) -> tuple[str, ...]:
        """What scores are, see :attr:`omsdpm.scoring.metrics.OpenMetric.signed`."""
        return tuple(metric.signed for metric in self.metrics)

    def fresh(self) -> Taken:
        """All of them, having taken nothing in yet."""
        return Taken(tuple(InBlocks(metric.fresh, self.edges) for metric in self.metrics), self.edges, self.context)

    def score(self, taken: Taken) -> tuple[Score, ...]:
        """The metrics' values and standard errors.

        Raises:
            InputError: too few images, or a value that is no finite number.
        """
        return tuple(
            Score(metric.signed, metric.score(blocks.whole()), blocks.error())
            for metric, blocks in zip(self.metrics, taken.metrics, strict=True)
        )


class Taken:
    """What the metrics took in of the images of one schedule.

    Args:
        metrics: of one kind each.
        edges: where blocks of images begin, and the last ends.
        context: shares features and images of the same noise among them.
    """

    def __init__(self, metrics: tuple[InBlocks, ...], edges: Sequence[int], context: Context | None) -> None:
        self.metrics, self.edges, self.context = metrics, edges, context

    def update(self, images: torch.Tensor, first: int) -> None:
        """Takes in a batch; see :meth:`omsdpm.scoring.metrics.Metric.update`."""
        assert self.context is not None, "what came from another process takes in no images"
        last = first + len(images)
        cuts = [first, *(edge for edge in self.edges if first < edge < last), last]
        for begin, end in pairwise(cuts):
            piece = images[begin - first : end - first]
            with self.context.shared(piece, begin - first):
                for metric in self.metrics:
                    metric.update(piece, begin)

    def merge(self, other: Taken) -> None:
        """Takes in what another one took in, perhaps in another process."""
        for metric, more in zip(self.metrics, other.metrics, strict=True):
            metric.merge(more)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "context": None}


class InBlocks:
    """A metric of the images of one schedule; of each block apart, where it does not know its error itself.

    Args:
        fresh: makes one that took nothing in.
        edges: where blocks of images begin, and the last ends.
    """

    def __init__(self, fresh: Callable[[], Metric], edges: Sequence[int]) -> None:
        self.fresh, self.edges = fresh, edges
        first = fresh()
        self.blocks = [first] if isinstance(first, KnowsError) else [first, *(fresh() for _ in edges[2:])]

    def update(self, images: torch.Tensor, first: int) -> None:
        """Takes in images of one block."""
        block = min(bisect_right(self.edges, first), len(self.blocks)) - 1
        self.blocks[block].update(images, first)

    def merge(self, other: InBlocks) -> None:
        """Takes in what another one took in."""
        for block, more in zip(self.blocks, other.blocks, strict=True):
            block.merge(more)

    def whole(self) -> Metric:
        """The metric of all images."""
        return self.blocks[0] if len(self.blocks) == 1 else self._merged(self.blocks)

    def error(self) -> float | None:
        """Its own, or the delete-one-block jackknife; ``None`` where it has no value of so few images."""
        if isinstance(own := self.blocks[0], KnowsError):
            return own.error()
        after: list[Metric] = [self.fresh()]  # after[b]: all blocks behind the b-th from the end
        for block in self.blocks[:0:-1]:
            after.append(self._merged([after[-1], block]))
        before, without = self.fresh(), []
        try:
            for block in self.blocks:
                without.append(float(self._merged([before, after.pop()]).value()))
                before.merge(block)
        except InputError:
            return None
        return jackknife(without)

    def _merged(self, parts: Sequence[Metric]) -> Metric:
        whole = self.fresh()
        for part in parts:
            whole.merge(part)
        return whole

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "fresh": None}
