"""What is done beside sampling: in order, once, and with the errors that it raises."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from omsdpm.beside import WAITING, Beside
from omsdpm.devices import to_device, to_host
from omsdpm.scoring import sampler as sampling
from omsdpm.scoring.measurement import Measurement

IMAGES = torch.zeros(1)


def test_pieces_come_back_in_order_and_few_wait():
    done, keys = [], []

    def work(number):
        time.sleep(0.01)
        done.append((number, threading.current_thread() is threading.main_thread()))

    with Beside("cpu", apart=True).working() as beside:
        for number in range(5):
            keys += beside.give(number, lambda number=number: work(number), IMAGES)
            assert len(keys) >= number + 1 - WAITING
        keys += beside.rest()
    assert keys == list(range(5)) and done == [(number, False) for number in range(5)]


def test_on_a_cpu_a_piece_is_done_at_once():
    done = []
    with Beside("cpu").working() as beside:
        assert beside.give("a", lambda: done.append(threading.current_thread()), IMAGES) == ["a"]
        assert done == [threading.main_thread()] and list(beside.rest()) == []


def test_what_a_piece_raises_is_raised():
    def fails():
        raise ValueError("no features")

    with pytest.raises(ValueError, match="no features"), Beside("cpu", apart=True).working() as beside:
        beside.give(1, fails, IMAGES)
        list(beside.rest())
    with pytest.raises(KeyError), Beside("cpu", apart=True).working() as beside:
        beside.give(1, fails, IMAGES)
        raise KeyError("of the caller")


@pytest.mark.parametrize("metric", ["fd-digits", "psnr[member=3]"])
def test_scores_beside_sampling_are_those_one_after_the_other(tiny_zoo, metric, monkeypatch):
    X = np.array([[1, 0, 2, 3], [1, 0, 2, 2], [3, 0, 0, 1]])
    meter = Measurement(zoo=str(tiny_zoo), solver="ddim", length=4, images=24, metric=metric).open()
    from dataclasses import replace

    small = replace(meter.sampler, batch_size=10)  # three batches
    expected = small.score(X, 24, seed=1, metric=meter.metric)
    threads = set()

    class Apart(Beside):
        def __init__(self, device, apart=None):
            super().__init__(device, apart=True if apart is None else apart)

        def _on_stream(self, work, images, there):
            threads.add(threading.current_thread())
            super()._on_stream(work, images, there)

    monkeypatch.setattr(sampling, "Beside", Apart)
    kept = []
    scores = small.score(X, 24, seed=1, metric=meter.metric, keep=lambda row, first, x_0: kept.append((row, first)))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert threads and threading.main_thread() not in threads
    assert sorted(kept) == [(row, first) for row in range(3) for first in (0, 10, 20)]
    rows = [row for row, _ in small.taken(X, 24, seed=1, metric=meter.metric)]
    assert sorted(rows) == [0, 1, 2]


def test_members_with_a_memory_are_not_sampled_from_two_threads(tiny_zoo):
    meter = Measurement(zoo=str(tiny_zoo), solver="ddim", length=4, images=8).open()
    assert meter.sampler._separable
    meter.zoo.members[1].network.stateful = True
    assert not meter.sampler._separable


def test_copies_between_devices_keep_values():
    x = torch.randn(3, 4)
    assert torch.equal(to_host(to_device(x, "cpu")), x)


@pytest.mark.cuda
def test_on_a_gpu_scores_are_those_of_the_cpu(tiny_zoo):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    X = np.array([[1, 0, 2, 3], [1, 0, 2, 2], [3, 0, 0, 1]])
    measurement = Measurement(zoo=str(tiny_zoo), solver="ddim", length=4, images=64)
    on_gpu, on_cpu = (measurement.open(device).measure(X) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-3)
    x = torch.randn(3, 4)
    there = to_host(to_device(x, "cuda"))
    assert there.is_pinned() and torch.equal(there, x)
