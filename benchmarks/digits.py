"""The embedded benchmarks: scikit-learn's digits, six small U-Nets, all on two cores."""

from __future__ import annotations

from pathlib import Path

from benchmarks.problem import Benchmark

DATA = Path(__file__).parent / "data"


def ddim() -> Benchmark:
    """25 DDIM slots, six members on 8x8 digits: a large space, sampled on demand."""
    return Benchmark.read(DATA / "digits-ddim")


def tab() -> Benchmark:
    """6 DDIM slots, four members on 8x8 digits: all 15,624 schedules measured, so regret is exact."""
    return Benchmark.read(DATA / "digits-tab")


def dpm() -> Benchmark:
    """12 single-step DPM-Solvers (36 slots), six members on 8x8 digits: a large space with orders."""
    return Benchmark.read(DATA / "digits-dpm")
