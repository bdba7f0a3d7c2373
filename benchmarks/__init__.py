"""Named problems and their embedded data: spaces, latencies, budgets, measured schedules, baselines."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.problem import Benchmark, Validation
    from benchmarks.registry import benchmark_names, load_benchmark
    from benchmarks.stored import Baseline
    from benchmarks.tabular import TabularBenchmark

_PUBLIC = {
    "Baseline": "benchmarks.stored",
    "Benchmark": "benchmarks.problem",
    "TabularBenchmark": "benchmarks.tabular",
    "Validation": "benchmarks.problem",
    "benchmark_names": "benchmarks.registry",
    "load_benchmark": "benchmarks.registry",
}

__all__ = ["Baseline", "Benchmark", "TabularBenchmark", "Validation", "benchmark_names", "load_benchmark"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
