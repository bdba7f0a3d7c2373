"""The written-out LSTM recurrence against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from predictors._recurrence import Cells, recurrence, sigmoids_first

LENGTHS = [5, 5, 3, 1]
ALIVE = [4, 3, 3, 2, 2]


def test_the_gradient_is_that_of_the_values():
    torch.manual_seed(0)
    gates = torch.randn(2, sum(ALIVE), 12, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 3, 12, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g, w: recurrence(g, w, ALIVE), (gates, weight))


@pytest.mark.parametrize("networks", [1, 3])
def test_outputs_and_gradients_are_those_of_torch(networks):
    torch.manual_seed(1)
    rnns = [torch.nn.LSTM(3, 4).double() for _ in range(networks)]
    x = torch.randn(5, 4, 3, dtype=torch.double)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS))
    expected = torch.stack([pad_packed_sequence(rnn(packed)[0])[0] for rnn in rnns])  # (K, S, n, H)

    gates, weights = [], []
    for rnn in rnns:
        weight, bias = sigmoids_first(rnn.weight_ih_l0), sigmoids_first(rnn.bias_ih_l0 + rnn.bias_hh_l0)
        gates.append(packed.data @ weight.t() + bias)
        weights.append(sigmoids_first(rnn.weight_hh_l0).t())
    outputs = recurrence(torch.stack(gates), torch.stack(weights), ALIVE)
    start = 0
    for step, rows in enumerate(ALIVE):
        assert torch.allclose(outputs[:, start : start + rows], expected[:, step, :rows], atol=1e-12)
        start += rows

    parameters = [p for rnn in rnns for p in rnn.parameters()]
    ours = torch.autograd.grad(outputs.square().sum(), parameters)
    theirs = torch.autograd.grad(expected.square().sum(), parameters)  # padding is zero
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_walking_lightly_gives_the_same_outputs():
    torch.manual_seed(2)
    gates, weight = torch.randn(2, sum(ALIVE), 16), torch.randn(2, 4, 16)
    cells, start, outputs = Cells(weight), 0, []
    with torch.no_grad():
        for rows in ALIVE:
            outputs.append(cells.step(gates[:, start : start + rows])[-1])
            start += rows
        assert torch.equal(torch.cat(outputs, dim=1), recurrence(gates, weight, ALIVE))
