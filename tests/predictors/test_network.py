"""Networks of other sizes than the paper's, against torch's own LSTM."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from omsdpm import DDIMSpace, DPMSolverSpace, InputError
from omsdpm.released import load_predictor
from predictors import load_predictor as load_saved
from predictors.paper.lstm_paper import LSTMPaperPredictor
from predictors.paper.network import PAPER, ScheduleNetwork, Sizes, TokenBatch
from predictors.paper.tokens import tokenize

ODD = Sizes(
    member=5, time_input=12, time_hidden=7, time=9, solver=(6, 11, 4), order=3, hidden=8, layers=2, head=(10, 13)
)
SPACES = [DDIMSpace(3, 10), DPMSolverSpace(3, 4)]


def plainly(network, X, predictor):
    """The network slot by slot with ``nn.LSTM``, as the release describes it."""
    space = predictor.space
    tokens = tokenize(space.batch_plan(space.canonical(X), predictor._noise))
    rnn = network.ms_encoder["rnn"]
    scores = []
    for row in range(len(X)):
        inputs = []
        for token, time in zip(tokens.token[row], tokens.time[row], strict=True):
            members = torch.as_tensor(tokens.vocabulary[token])
            part = network.model_embedder["embedder"](members).flatten()
            if network.solver_groups:
                for number, layer in enumerate(network.solver_encoder.values()):
                    part = layer(part if number == 0 else torch.sigmoid(part))
                part = torch.cat([part, network.order_embedder((members > 0).sum())])
            embedded = torch.zeros(ODD.time)
            if time < len(tokens.timesteps):
                half = ODD.time_input // 2
                frequencies = torch.exp(-math.log(10000) * torch.arange(half) / (half - 1))
                angles = float(tokens.timesteps[time]) * frequencies
                hidden = network.timestep_encoder["fc1"](torch.cat([angles.sin(), angles.cos()]))
                embedded = network.timestep_encoder["fc2"](hidden * torch.sigmoid(hidden))
            inputs.append(torch.cat([part, embedded]))
        outputs, _ = rnn(torch.stack(inputs)[:, None])
        mean = F.normalize(outputs[:, 0], dim=1).mean(dim=0)
        scores.append(network.regression_head["MLP"](F.normalize(mean, dim=0)).item())
    return scores


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.solver)
def test_a_checkpoint_of_other_sizes_scores_as_its_network(space, tmp_path):
    torch.manual_seed(0)
    state = ScheduleNetwork(3, isinstance(space, DPMSolverSpace), ODD).state_dict()
    last = "regression_head.MLP.2."
    released = state | {  # the release stores the last layer twice
        f"regression_head.layer.{part}": state[f"{last}{part}"] for part in ("weight", "bias")
    }
    torch.save({"predictor": released}, tmp_path / "checkpoint.pth")
    predictor = load_predictor(tmp_path / "checkpoint.pth", length=space.length)
    assert predictor.network_.sizes == (ODD if isinstance(space, DPMSolverSpace) else Sizes(
        5, 12, 7, 9, PAPER.solver, PAPER.order, 8, 2, (10, 13)))  # fmt: skip
    X = space.random(5, np.random.default_rng(0), null=0.5)
    with torch.no_grad():
        expected = plainly(predictor.network_, X, predictor)
    np.testing.assert_allclose(predictor.predict(X), expected, rtol=0, atol=1e-6)
    predictor.save(tmp_path / "saved")
    assert np.array_equal(load_saved(tmp_path / "saved").predict(X), predictor.predict(X))


def test_the_papers_sizes_are_those_of_a_new_network():
    for grouped in (False, True):
        assert Sizes.of(ScheduleNetwork(6, grouped).state_dict()) == PAPER
    assert isinstance(ScheduleNetwork(6, False).ms_encoder["rnn"], nn.LSTM)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.solver)
def test_without_gradients_scores_are_the_same(space):
    torch.manual_seed(1)
    network = ScheduleNetwork(3, isinstance(space, DPMSolverSpace))
    X = space.canonical(space.random(60, np.random.default_rng(2), null=0.6))
    batch = TokenBatch(tokenize(space.batch_plan(X, LSTMPaperPredictor(space=space)._noise)), "cpu")
    with_gradients = network(batch).detach()
    with torch.no_grad():
        torch.testing.assert_close(network(batch), with_gradients, rtol=0, atol=1e-6)
        rows = torch.tensor([7, 3])
        torch.testing.assert_close(network(batch, rows), with_gradients[rows], rtol=0, atol=1e-6)


def test_incomplete_weights_are_told():
    state = ScheduleNetwork(3, False, ODD).state_dict()
    del state["timestep_encoder.fc2.weight"]
    with pytest.raises(InputError, match="weights are not those of a predictor"):
        LSTMPaperPredictor.from_release(state, SPACES[0])
