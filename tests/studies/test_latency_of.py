"""``--latency-of NAME``: budgets of another device, in ``run`` and ``search``."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import Benchmark
from omsdpm import InputError
from omsdpm.zoo.files import write_latency_card
from studies.jobs.run.settings import RunSettings
from studies.jobs.search.settings import SearchSettings

RECIPE = """
name = "own"
summary = "three small networks"
budgets = [3.0, 6.0]
strategies = []
[measurement]
zoo = "zoo"
solver = "ddim"
length = 4
images = 8
"""


@pytest.fixture
def folder(tiny_zoo, tmp_path):
    shutil.copytree(tiny_zoo, tmp_path / "zoo")
    write_latency_card(tmp_path / "zoo", {"ms": [0.1, 0.2, 0.3], "switch_ms": 0.5}, "h100")
    (tmp_path / "benchmark.toml").write_text(RECIPE)
    return tmp_path


def test_another_devices_latencies_count(folder):
    benchmark = Benchmark.read(folder)
    settings = RunSettings(benchmark=str(folder), latency_of="h100", budgets=(1.0,))
    other = settings.open_benchmark(folder)
    assert benchmark.latency == [1.0, 2.0, 4.0] and other.latency == [0.1, 0.2, 0.3]
    assert other.space.latency([[1, 2, 0, 0]], other.latency) == pytest.approx([0.8])
    assert other.data_hash != benchmark.data_hash  # rows of a leaderboard are not compared across devices
    assert other.measurement == benchmark.measurement  # scores do not depend on it
    assert "--latency-of h100" in settings.command()


def test_a_search_takes_them_too(folder):
    settings = SearchSettings(zoo=folder / "zoo", budgets=(1.0,), latency_of="h100")
    assert settings.open_benchmark(folder).latency.switch == 0.5


def test_what_cannot_be_used_is_told(folder):
    with pytest.raises(InputError, match=r"own budgets, which are for another device: give --budget"):
        RunSettings(benchmark=str(folder), latency_of="h100")
    with pytest.raises(InputError, match=r"latencies of 'tpu': zoo .* has those of h100"):
        RunSettings(benchmark=str(folder), latency_of="tpu", budgets=(1.0,)).open_benchmark(folder)
    with pytest.raises(InputError, match=r"latencies of 'tpu'"):
        SearchSettings(zoo=folder / "zoo", budgets=(1.0,), latency_of="tpu").open_benchmark(folder).latency  # noqa: B018
