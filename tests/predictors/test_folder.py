"""Saved predictors that are replaced: killed at any step, the old one or the new one is there."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from omsdpm import DDIMSpace
from predictors import load_predictor, make_predictor
from predictors.folder import exchange, recover

SPACE = DDIMSpace(3, 6)

KILLED = """
import os, signal, sys
from pathlib import Path
import predictors.folder as folder
from predictors import load_predictor

at, step, saved = int(sys.argv[2]), 0, sys.argv[3] == "exchanged"

def counted(real):
    def call(*given):
        global step
        step += 1
        if step == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given)
    return call

Path.rename = counted(Path.rename)
folder.exchange = counted(folder.exchange if saved else lambda one, other: False)
load_predictor(sys.argv[1] + "-new").save(sys.argv[1])
"""


@pytest.fixture
def saved(tmp_path):
    """The old predictor in ``p``, the new one in ``p-new``, and what each predicts."""
    X = np.unique(SPACE.random(40, np.random.default_rng(0)), axis=0)
    predicted = []
    for name, sign in (("p", 1), ("p-new", -1)):
        predictor = make_predictor("ridge", space=SPACE).fit(X, sign * X.sum(axis=1).astype(float))
        predictor.save(tmp_path / name)
        predicted.append(predictor.predict(X))
    return tmp_path, X, predicted


@pytest.mark.parametrize("way, steps", [("exchanged", 1), ("renamed", 3)])
def test_a_kill_at_any_step_leaves_one_complete_predictor(saved, way, steps):
    folder, X, (old, new) = saved
    for at in range(1, steps + 1):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(folder / "p"), str(at), way])
        assert killed.returncode == -signal.SIGKILL
        predicted = load_predictor(folder / "p").predict(X)
        assert any(np.array_equal(predicted, one) for one in (old, new))
        assert (folder / "p").is_dir()
    whole = subprocess.run([sys.executable, "-c", KILLED, str(folder / "p"), "0", way])
    assert whole.returncode == 0
    assert np.array_equal(load_predictor(folder / "p").predict(X), new)
    assert {path.name for path in folder.iterdir()} == {"p", "p-new"}  # what the killed ones left is swept


@pytest.mark.skipif(sys.platform != "linux", reason="a system call of Linux")
def test_two_folders_exchange_their_names_in_one_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert exchange(tmp_path / "a", tmp_path / "b")
    assert os.listdir(tmp_path / "a") == ["b"] and os.listdir(tmp_path / "b") == ["a"]
    assert not exchange(tmp_path / "a", tmp_path / "none")


def test_nothing_is_recovered_where_nothing_was_replaced(tmp_path):
    recover(tmp_path / "p")
    recover(tmp_path / "none" / "p")
    assert list(tmp_path.iterdir()) == []
