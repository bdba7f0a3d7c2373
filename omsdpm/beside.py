"""Work beside sampling: features and moments of one batch of images while the device samples the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

WAITING = 1
"""Pieces of work that may wait while another is sampled: each holds its images."""


class Beside(Generic[T]):
    """Takes pieces of work and gives their keys back in the same order, each once it is done.

    On CUDA they are done in a thread of their own, on a stream of its own; elsewhere, where that would only take
    turns with what samples, at once.

    Args:
        device: of the images.
        apart: whether in a thread; ``None`` as the device says.

    Example:
        >>> with Beside("cuda").working() as beside:
        ...     for row, images in sampled:
        ...         print(beside.give(row, partial(metric.update, images), images))
        ...     print(list(beside.rest()))
    """

    def __init__(self, device: str, apart: bool | None = None) -> None:
        self.device = device
        self.apart = device.startswith("cuda") if apart is None else apart
        self._pool: ThreadPoolExecutor | None = None
        self._pending: deque[tuple[T, Future[Any]]] = deque()
        self._stream: Any = None

    @contextmanager
    def working(self) -> Iterator[Beside[T]]:
        """Keeps the thread as long as it is needed; what it still does when something is raised is waited for."""
        if not self.apart:
            yield self
            return
        with ThreadPoolExecutor(max_workers=1) as self._pool:
            try:
                yield self
            finally:
                self._pending.clear()

    def give(self, key: T, work: Callable[[], object], images: torch.Tensor) -> list[T]:
        """Has a piece done; gives the keys of earlier ones that are done, or its own where nothing waits.

        Args:
            key: given back when it is done.
            work: with the images.
            images: that it works with, as they come from the device.

        Raises:
            whatever earlier work raised.
        """
        if self._pool is None:
            work()
            return [key]
        self._pending.append((key, self._pool.submit(self._on_stream, work, images, self._now())))
        return [self._finished() for _ in range(len(self._pending) - WAITING)]

    def rest(self) -> Iterator[T]:
        """Waits for what is not done yet; yields its keys."""
        while self._pending:
            yield self._finished()

    def _finished(self) -> T:
        key, work = self._pending.popleft()
        work.result()
        return key

    def _now(self) -> Any:
        """A mark on the stream that samples: the images are there when it is reached."""
        if not self.device.startswith("cuda"):
            return None
        import torch

        return torch.cuda.current_stream(self.device).record_event()

    def _on_stream(self, work: Callable[[], object], images: torch.Tensor, there: Any) -> None:
        if there is None:
            work()
            return
        import torch

        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(there)
            images.record_stream(self._stream)  # whose memory is not given to others before
            work()
            self._stream.synchronize()
