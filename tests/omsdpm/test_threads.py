"""Small matrices are worked on by one thread."""

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from omsdpm.fid.frechet import frechet_distance
from omsdpm.threads import SMALL, one_thread


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
