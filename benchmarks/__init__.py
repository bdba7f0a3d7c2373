"""Named problems with embedded data, the runner, and the command ``omsdpm-bench``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks._benchmark import Baseline, Benchmark, Validation
    from benchmarks._registry import benchmark_names, load_benchmark
    from benchmarks._tabular import TabularBenchmark

_PUBLIC = {
    "Baseline": "benchmarks._benchmark",
    "Benchmark": "benchmarks._benchmark",
    "TabularBenchmark": "benchmarks._tabular",
    "Validation": "benchmarks._benchmark",
    "benchmark_names": "benchmarks._registry",
    "load_benchmark": "benchmarks._registry",
}

__all__ = ["Baseline", "Benchmark", "TabularBenchmark", "Validation", "benchmark_names", "load_benchmark"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
