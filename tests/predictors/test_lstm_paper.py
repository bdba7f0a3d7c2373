"""The paper's network: agreement with the release, and its fast arrangement."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from omsdpm.errors import InputError
from omsdpm.solvers import DDIMSpace, DPMSolverSpace
from predictors.paper.lstm_paper import LSTMPaperPredictor
from predictors.paper.ranking import ranking_loss

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
RELEASED = {"ddim": DDIMSpace(6, 100), "dpm_solver": DPMSolverSpace(6, 30)}


def released_state(kind):
    return torch.load(GOLDEN / f"predictor_{kind}.pth", weights_only=True)["predictor"]


@pytest.mark.parametrize("kind", RELEASED)
def test_released_checkpoints_give_their_golden_scores(kind):
    golden = json.loads((GOLDEN / f"predictor_{kind}.json").read_text())
    predictor = LSTMPaperPredictor.from_release(released_state(kind), RELEASED[kind])
    error = predictor.predict(golden["schedules"]) - golden["scores"]
    assert np.abs(error).max() < 1e-5  # the scores themselves differ by 3e-4


@pytest.mark.parametrize("kind", RELEASED)
def test_a_released_predictor_is_saved_and_loaded(kind, tmp_path):
    predictor = LSTMPaperPredictor.from_release(released_state(kind), RELEASED[kind])
    X = RELEASED[kind].random(8, np.random.default_rng(0))
    predictor.save(tmp_path / "p")
    assert np.array_equal(LSTMPaperPredictor.load(tmp_path / "p").predict(X), predictor.predict(X))


@pytest.mark.parametrize("space", [DDIMSpace(5, 100), DPMSolverSpace(6, 30)])
def test_weights_of_another_network_are_an_input_error(space):
    with pytest.raises(InputError, match="weights are not those of"):
        LSTMPaperPredictor.from_release(released_state("ddim"), space)


def test_only_pairs_beyond_the_threshold_teach():
    """With a threshold above every difference the network stays as it was drawn."""
    space = DDIMSpace(3, 12)
    X, y = space.random(50, np.random.default_rng(0), null=0.7), np.linspace(1.0, 2.0, 50)
    drawn, untaught, taught = (
        LSTMPaperPredictor(space, epochs=epochs, threshold=threshold).fit(X, y).network_.state_dict()
        for epochs, threshold in ((0, 0.005), (2, 10.0), (2, 0.005))
    )
    assert all(torch.equal(drawn[name], untaught[name]) for name in drawn)
    assert not torch.equal(drawn["ms_encoder.rnn.weight_hh_l0"], taught["ms_encoder.rnn.weight_hh_l0"])


def test_ranking_loss_counts_pairs_beyond_the_threshold():
    scores = torch.tensor([0.0, 0.5, 3.0], requires_grad=True)
    targets = torch.tensor([1.0, 1.1, 0.0])
    # (0, 1) is too close; the other two are ordered wrongly by 3 and 2.5.
    loss = ranking_loss(scores, targets, threshold=0.25)
    assert loss.item() == pytest.approx((4.0 + 3.5) / 2)
    one = ranking_loss(scores, targets, threshold=0.25, max_pairs=1, generator=torch.Generator().manual_seed(0))
    assert one.item() in (4.0, 3.5)
    assert not ranking_loss(scores, torch.ones(3), threshold=0.25).requires_grad


def test_prediction_runs_on_one_thread_and_leaves_the_setting_alone(monkeypatch):
    space = RELEASED["dpm_solver"]
    predictor = LSTMPaperPredictor.from_release(released_state("dpm_solver"), space)
    used = []
    forward = predictor.network_.forward
    monkeypatch.setattr(
        predictor.network_, "forward", lambda *args: used.append(torch.get_num_threads()) or forward(*args)
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        predictor.predict(space.random(4, np.random.default_rng(0)))
        assert used == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
