"""Benchmarks by name: entry points, or a folder with a ``benchmark.toml``."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.errors import unknown_name

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark

GROUP = "omsdpm.benchmarks"


def benchmark_names() -> list[str]:
    """Names of all installed benchmarks, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def load_benchmark(name: str) -> Benchmark:
    """A benchmark by its registered name, or from a folder that holds a ``benchmark.toml``.

    A registered value is a function without arguments that returns a
    :class:`~benchmarks.Benchmark`.

    Raises:
        InputError: unknown name, or a folder that cannot be used.

    Example:
        >>> benchmark = load_benchmark("digits-ddim")
        >>> benchmark.space
        DDIMSpace(num_models=6, length=25)
    """
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            benchmark: Benchmark = entry.load()()
            return benchmark
    if (Path(name) / "benchmark.toml").is_file():
        from benchmarks.problem import Benchmark

        return Benchmark.read(name)
    raise unknown_name("benchmark", name, benchmark_names())
