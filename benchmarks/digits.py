"""The embedded benchmarks: scikit-learn's digits, six small U-Nets, all on two cores."""

from __future__ import annotations

from pathlib import Path

from benchmarks._benchmark import Benchmark

DATA = Path(__file__).parent / "data"


def ddim() -> Benchmark:
    """25 DDIM slots, six members on 8x8 digits: a large space, sampled on demand."""
    return Benchmark.read(DATA / "digits-ddim")
