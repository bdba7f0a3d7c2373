"""Benchmarks by name: entry points, or a folder with a ``benchmark.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omsdpm.errors import InputError
from omsdpm.names import plain_name
from omsdpm.plugins import Registry

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark

BENCHMARKS = Registry("benchmark", "omsdpm.benchmarks")

NEEDS = ("name", "space", "latency", "budgets", "evaluate", "validate")
"""What a registered function's benchmark must have; its data are read when they are asked for."""


def benchmark_names() -> list[str]:
    """Names of all installed benchmarks, sorted; imports none of them."""
    return BENCHMARKS.names()


def load_benchmark(name: str) -> Benchmark:
    """A benchmark by its registered name, or from a folder that holds a ``benchmark.toml``.

    A registered value is a function that returns a :class:`~benchmarks.Benchmark`; what it takes
    is given in brackets, ``name[param=value,...]``.

    Raises:
        InputError: unknown name, a plug-in that breaks the contract, or a folder that cannot be used.

    Example:
        >>> benchmark = load_benchmark("digits-ddim")
        >>> benchmark.space
        DDIMSpace(num_models=6, length=25)
    """
    registered = name.partition("[")[0].strip() in benchmark_names()
    if not registered and (Path(name) / "benchmark.toml").is_file():
        from benchmarks.problem import Benchmark

        return Benchmark.read(name)
    benchmark: Benchmark = BENCHMARKS.make(name)
    lacking = [need for need in NEEDS if not hasattr(benchmark, need)]
    if lacking:
        raise InputError(f"benchmark {name!r} made a {type(benchmark).__name__}, which lacks {', '.join(lacking)}")
    try:
        plain_name(benchmark.name)  # files are named after it
    except ValueError as error:
        raise InputError(f"benchmark {name!r} made one whose name is {error}") from error
    return benchmark
