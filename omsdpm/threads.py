"""Threads that are not in each other's way: those of small linear algebra, and those that wait for work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

SMALL = 512
"""Rows of a matrix from which more threads are faster; PyTorch's own threads, who wait busily, are in the way."""


SPINS = "3000"
"""How often a thread of PyTorch looks whether there is work before it sleeps; 300,000 times where nobody says it."""

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
"""Variables of the environment by which a user may have said how threads wait."""


def wait_briefly() -> None:
    """Lets PyTorch's threads sleep soon, if it is not loaded yet and the user has not said how they wait.

    Beside two busy processes on two cores threads that wait busily take the time of those that work: the main job then
    takes 3.7 times as long as on a quiet machine, and 2.8 times so (``python -m benchmarks.speed.waiting``). Processes
    that are started later are told the same. Only GNU's OpenMP, which PyTorch has on Linux, knows of it.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS


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
    from threadpoolctl import ThreadpoolController

    import_module("scipy.linalg")  # which has a BLAS of its own
    return ThreadpoolController().select(user_api="blas")
