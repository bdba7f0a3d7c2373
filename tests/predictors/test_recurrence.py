"""The written-out LSTM recurrence against torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from predictors.neural.prefixes import prefix_steps
from predictors.neural.recurrence import recurrence, sigmoids_first

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


@pytest.mark.parametrize(("rows", "steps"), [(4, 5), (1, 1), (3, 1), (1, 6)])
def test_without_gradients_rows_of_one_length_have_the_same_outputs(rows, steps):
    torch.manual_seed(2)
    gates = torch.randn(2, rows * steps, 12, dtype=torch.double)
    before, weight = gates.clone(), torch.randn(2, 3, 12, dtype=torch.double)
    with torch.no_grad():
        outputs = recurrence(gates, weight, [rows] * steps)
    expected = recurrence(gates.requires_grad_(), weight, [rows] * steps)
    assert torch.allclose(outputs, expected, atol=1e-12)
    assert torch.equal(gates, before)


def test_without_gradients_outputs_are_the_same():
    torch.manual_seed(2)
    gates, weight = torch.randn(2, sum(ALIVE), 16), torch.randn(2, 4, 16)
    expected, before = recurrence(gates, weight, ALIVE), gates.clone()
    with torch.no_grad():
        assert torch.equal(recurrence(gates, weight, ALIVE), expected)
    assert torch.equal(gates, before)


@pytest.mark.parametrize("seed", range(20))
def test_prefix_steps_walk_each_beginning_of_sorted_sequences_once(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 6, size=rng.integers(1, 30))
    sequences = sorted(tuple(rng.integers(1, 4, size=length).tolist()) for length in lengths)
    lengths = np.array([len(sequence) for sequence in sequences])
    codes = np.zeros((len(sequences), lengths.max()), dtype=np.int64)
    for row, sequence in enumerate(sequences):
        codes[row, : len(sequence)] = sequence

    walked: list[list[tuple[int, ...]]] = []  # of each step, the beginnings that its nodes stand for
    found = {}
    for number, step in enumerate(prefix_steps(codes, lengths)):
        before = walked[-1] if walked else [()]
        parents = step.parent
        if parents is None:
            parents = np.arange(len(step.row)) if number else np.zeros(len(step.row), dtype=int)
        walked.append([(*before[p], int(codes[r, number])) for p, r in zip(parents, step.row, strict=True)])
        found |= {int(row): walked[-1][node] for row, node in zip(step.ended, step.last, strict=True)}
    assert [found[row] for row in range(len(sequences))] == sequences
    beginnings = {sequence[:end] for sequence in sequences for end in range(1, len(sequence) + 1)}
    assert sorted(node for nodes in walked for node in nodes) == sorted(beginnings)


def test_prefix_steps_need_no_order_to_be_right():
    codes, lengths = np.array([[1, 2], [3, 0], [1, 2]]), np.array([2, 1, 2])
    first, second = prefix_steps(codes, lengths)
    assert first.row.tolist() == [0, 2, 1] and first.parent is None
    assert first.ended.tolist() == [1] and first.last.tolist() == [2]
    # Sequences that go on come first, so that their nodes need not be gathered.
    assert second.row.tolist() == [0, 2] and second.parent is None
    assert second.ended.tolist() == [0, 2] and second.last.tolist() == [0, 1]
