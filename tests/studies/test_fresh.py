"""Schedules measured again: which count, and against what."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import load_benchmark
from omsdpm.errors import InputError
from studies.jobs import fresh


def test_only_schedules_that_nothing_is_trained_on_count():
    benchmark = load_benchmark("digits-ddim")
    X, first, again = fresh.measured_twice(benchmark)
    train = {tuple(row) for row in benchmark.dataset.subset("train").X}
    assert 50 < len(X) < len(benchmark.repeat) and not train & {tuple(row) for row in X}
    assert np.corrcoef(np.log(first), np.log(again))[0, 1] > 0.95 and not np.array_equal(first, again)


def test_parameters_follow_the_name():
    assert fresh.family("lstm:updates=50:networks=2") == ("lstm", {"updates": 50, "networks": 2})


def test_a_row_a_predictor(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fresh", "digits-ddim", "--predictor", "ridge,gbdt:trees=20", "--seeds", "1"])
    fresh.main()
    printed = capsys.readouterr().out
    assert "ridge" in printed and "gbdt:trees=20" in printed and "the first measurement" in printed


def test_a_benchmark_without_repeats_is_an_input_error(monkeypatch):
    benchmark = load_benchmark("digits-ddim")
    monkeypatch.setattr(type(benchmark), "repeat", None)
    with pytest.raises(InputError, match="no schedules that were measured again"):
        fresh.measured_twice(benchmark)
