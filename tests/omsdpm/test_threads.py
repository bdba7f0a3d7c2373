"""Small matrices are worked on by one thread."""

import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from omsdpm.fid.frechet import frechet_distance
from omsdpm.threads import SMALL, SPINS, WAITING, one_thread, wait_briefly


def threads():
    return {library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers}


def test_small_matrices_are_worked_on_by_one_thread_and_others_are_left_alone():
    before = threads()
    with one_thread(SMALL - 1):
        assert threads() == {1}
    with one_thread(SMALL):
        assert threads() == before
    with pytest.raises(ZeroDivisionError), one_thread(4):
        _ = 1 / 0
    assert threads() == before


def test_a_distance_of_few_features_is_worked_on_by_one_thread(monkeypatch):
    seen = []
    from omsdpm.fid import frechet

    own = frechet._eigenvalues
    monkeypatch.setattr(frechet, "_eigenvalues", lambda *given: seen.append(threads()) or own(*given))
    mean, spread = np.zeros(8), np.diag(np.arange(1.0, 9.0))
    assert frechet_distance(mean, spread, mean + 1, spread) == pytest.approx(8.0)
    assert seen == [{1}]


def test_threads_wait_briefly_unless_the_user_says_how(monkeypatch):
    for name in WAITING:
        monkeypatch.delenv(name, raising=False)
    wait_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == SPINS
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    wait_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_briefly()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_the_command_says_it_before_torch_is_loaded():
    script = "import sys, os, studies.cli; print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", SPINS]
