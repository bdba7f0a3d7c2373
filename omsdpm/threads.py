"""Linear algebra on one thread, where matrices are so small that waking others takes longer than the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

SMALL = 512
"""Rows of a matrix from which more threads are faster; PyTorch's own threads, who wait busily, are in the way."""


@contextmanager
def one_thread(rows: int) -> Iterator[None]:
    """Holds BLAS to one thread for matrices of fewer than :data:`SMALL` rows; leaves it alone for larger ones."""
    if rows >= SMALL:
        yield
        return
    with _blas().limit(limits=1):
        yield


@cache
def _blas() -> Any:
    """The BLAS libraries that NumPy and SciPy have loaded; looking for them takes milliseconds."""
    import scipy.linalg  # noqa: F401  # loads its own
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
