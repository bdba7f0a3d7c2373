"""The network of OMS-DPM's predictor (Liu et al., 2023, Sec. 4.2 and App. B).

Parameters have the names of the authors' release, so its checkpoints load. The
arithmetic is the same but arranged for speed: the LSTM's input projection is a table
over the few distinct tokens and timesteps, and rows leave the batch when their
schedule ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from predictors._tokens import Tokens

MEMBER = 32
TIME_INPUT, TIME = 128, 64
SOLVER, ORDER = 64, 16
HIDDEN = 128
HEAD = 200

SAME = {"regression_head.layer.": "regression_head.MLP.3."}
"""The release stores the last layer under two names."""


class TokenBatch:
    """Tokens as tensors on a device, with rows in the order of falling length."""

    def __init__(self, tokens: Tokens, device: torch.device | str) -> None:
        def tensor(array: object, dtype: torch.dtype = torch.long) -> torch.Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        self.vocabulary = tensor(tokens.vocabulary)  # (U, G)
        self.timesteps = tensor(tokens.timesteps, torch.float32)  # (V,)
        self.token, self.time = tensor(tokens.token), tensor(tokens.time)  # (n, S)
        self.lengths = torch.as_tensor(tokens.lengths)  # on the CPU, where the loop runs

    def __len__(self) -> int:
        return len(self.lengths)


class ScheduleNetwork(nn.Module):
    """Tokens to one score a schedule; higher is worse.

    Args:
        num_models: members ``M`` of the zoo.
        solver_groups: tokens are DPM-Solver groups of three slots.
    """

    def __init__(self, num_models: int, solver_groups: bool) -> None:
        super().__init__()
        self.solver_groups = solver_groups
        self.model_embedder = nn.ModuleDict({"embedder": nn.Embedding(num_models + 1, MEMBER)})
        self.timestep_encoder = nn.ModuleDict({"fc1": nn.Linear(TIME_INPUT, TIME), "fc2": nn.Linear(TIME, TIME)})
        hidden = [nn.Sequential(nn.Linear(size, HEAD), nn.ReLU()) for size in (HIDDEN, HEAD, HEAD)]
        self.regression_head = nn.ModuleDict({"MLP": nn.Sequential(*hidden, nn.Linear(HEAD, 1))})
        token_size = MEMBER
        if solver_groups:
            layers = {"fc_0": nn.Linear(3 * MEMBER, SOLVER), "fc_1": nn.Linear(SOLVER, SOLVER)}
            self.solver_encoder = nn.ModuleDict({f"solver_encoder_{name}": layer for name, layer in layers.items()})
            self.order_embedder = nn.Embedding(4, ORDER)
            token_size = SOLVER + ORDER
        self.ms_encoder = nn.ModuleDict({"rnn": nn.LSTM(token_size + TIME, HIDDEN)})

    def forward(self, batch: TokenBatch, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Scores ``(m,)`` of the given rows ``(m,)`` of ``batch``, or of all of them."""
        lengths = batch.lengths if rows is None else batch.lengths[rows]
        order = torch.argsort(lengths, descending=True, stable=True)
        rows = order if rows is None else rows[order]
        lengths = lengths[order]
        device = batch.token.device
        token, time = batch.token[rows.to(device)], batch.time[rows.to(device)]
        encoded = self._walk(token, time, lengths, *self._gate_tables(batch))
        scores = self.regression_head["MLP"](F.normalize(encoded, dim=1)).squeeze(1)
        return torch.empty_like(scores).index_copy(0, order.to(device), scores)

    def _walk(
        self,
        token: torch.Tensor,
        time: torch.Tensor,
        lengths: torch.Tensor,
        token_gates: torch.Tensor,
        time_gates: torch.Tensor,
    ) -> torch.Tensor:
        """The LSTM; sums of its normalized outputs ``(m, H)``, which have the mean's direction."""
        weight = self.ms_encoder.get_parameter("rnn.weight_hh_l0").t()
        steps = int(lengths[0])
        walking = (lengths[:, None] > torch.arange(steps)).sum(dim=0).tolist()  # (S,) rows that reach each token
        m = len(lengths)
        h = c = total = torch.zeros(m, HIDDEN, device=token.device)
        ended: list[torch.Tensor] = []
        for step, alive in enumerate(walking):
            if alive < m:
                ended.append(total[alive:])
                h, c, total, m = h[:alive], c[:alive], total[:alive], alive
            gates = F.embedding(token[:m, step], token_gates) + F.embedding(time[:m, step], time_gates)
            if step:
                gates = gates + h @ weight
            i, f, g, o = gates.chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            total = total + F.normalize(h, dim=1)
        return torch.cat([total, *reversed(ended)])

    def _gate_tables(self, batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The LSTM's input projections of tokens ``(U, 4 H)`` and of timesteps ``(V + 1, 4 H)``."""
        weight = self.ms_encoder.get_parameter("rnn.weight_ih_l0")
        bias = self.ms_encoder.get_parameter("rnn.bias_ih_l0") + self.ms_encoder.get_parameter("rnn.bias_hh_l0")
        embedded = self.model_embedder["embedder"](batch.vocabulary).flatten(1)  # (U, G * 32)
        if self.solver_groups:
            first, second = self.solver_encoder.values()
            orders = (batch.vocabulary > 0).sum(dim=1)
            embedded = torch.cat([second(torch.sigmoid(first(embedded))), self.order_embedder(orders)], dim=1)
        split = embedded.shape[1]
        token_gates = F.linear(embedded, weight[:, :split], bias)
        hidden = self.timestep_encoder["fc1"](sinusoids(batch.timesteps))
        times = self.timestep_encoder["fc2"](F.silu(hidden))
        time_gates = F.linear(times, weight[:, split:])
        return token_gates, F.pad(time_gates, (0, 0, 0, 1))  # a row of zeros for no timestep


def sinusoids(timesteps: torch.Tensor) -> torch.Tensor:
    """``(V,) -> (V, 128)``: sines, then cosines, of 64 frequencies from 1 down to 1e-4."""
    half = TIME_INPUT // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=timesteps.device) / (half - 1))
    angles = timesteps[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def release_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A released state dict without the second names of tensors that have two."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(tuple(SAME))}
