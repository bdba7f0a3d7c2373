"""The network of OMS-DPM's predictor (Liu et al., 2023, Sec. 4.2 and App. B).

Parameters have the names of the authors' release, so its checkpoints load. The
arithmetic is the same but arranged for speed: the LSTM's input projection is a table
over the few distinct tokens and timesteps, and slots that schedules begin with alike are
walked once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from predictors.neural.prefixes import sums_by_prefixes
from predictors.neural.recurrence import recurrence, sigmoids_first
from predictors.paper.tokens import Tokens

SAME = {"regression_head.layer.": "regression_head.MLP.3."}
"""The release stores the last layer under two names."""


@dataclass(frozen=True)
class Sizes:
    """Widths of the network's parts; the defaults are the paper's.

    Attributes:
        member: of the embedding of a member.
        time_input: sines and cosines of a timestep.
        time_hidden, time: of the two layers behind them.
        solver: of the layers over a DPM-Solver group's members.
        order: of the embedding of a solver's order.
        hidden: of the LSTM, with ``layers`` of them.
        head: of the hidden layers of the head.
    """

    member: int = 32
    time_input: int = 128
    time_hidden: int = 64
    time: int = 64
    solver: tuple[int, ...] = (64, 64)
    order: int = 16
    hidden: int = 128
    layers: int = 1
    head: tuple[int, ...] = (200, 200, 200)

    @classmethod
    def of(cls, state: Mapping[str, torch.Tensor]) -> Sizes:
        """The sizes of the network that has these weights.

        Raises:
            KeyError: a tensor is missing; ValueError or IndexError: one has another number of dimensions.
        """
        grouped = any(name.startswith("solver_encoder.") for name in state)
        (time_hidden, time_input) = state["timestep_encoder.fc1.weight"].shape
        return cls(
            member=state["model_embedder.embedder.weight"].shape[1],
            time_input=time_input,
            time_hidden=time_hidden,
            time=state["timestep_encoder.fc2.weight"].shape[0],
            solver=_widths(state, "solver_encoder.solver_encoder_fc_{}.weight") if grouped else cls.solver,
            order=state["order_embedder.weight"].shape[1] if grouped else cls.order,
            hidden=state["ms_encoder.rnn.weight_hh_l0"].shape[1],
            layers=sum(name.startswith("ms_encoder.rnn.weight_hh_l") for name in state),
            head=_widths(state, "regression_head.MLP.{}.0.weight"),
        )


PAPER = Sizes()

FEW = 128
"""Rows whose common beginnings are not looked for: a step takes as long as its calls, however few its rows."""


class TokenBatch:
    """Tokens as tensors on a device."""

    def __init__(self, tokens: Tokens, device: torch.device | str) -> None:
        def tensor(array: object, dtype: torch.dtype = torch.long) -> torch.Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        self.vocabulary = tensor(tokens.vocabulary)  # (U, G)
        self.timesteps = tensor(tokens.timesteps, torch.float32)  # (V,)
        self.token, self.time = tensor(tokens.token), tensor(tokens.time)  # (n, S)

    def __len__(self) -> int:
        return len(self.token)


class ScheduleNetwork(nn.Module):
    """Tokens to one score a schedule; higher is worse.

    Args:
        num_models: members ``M`` of the zoo.
        solver_groups: tokens are DPM-Solver groups of three slots.
        sizes: widths of the parts.
    """

    def __init__(self, num_models: int, solver_groups: bool, sizes: Sizes = PAPER) -> None:
        super().__init__()
        self.solver_groups = solver_groups
        self.sizes = sizes
        self.model_embedder = nn.ModuleDict({"embedder": nn.Embedding(num_models + 1, sizes.member)})
        self.timestep_encoder = nn.ModuleDict(
            {
                "fc1": nn.Linear(sizes.time_input, sizes.time_hidden),
                "fc2": nn.Linear(sizes.time_hidden, sizes.time),
            }
        )
        widths = (sizes.hidden, *sizes.head)
        hidden = [nn.Sequential(nn.Linear(*pair), nn.ReLU()) for pair in pairwise(widths)]
        self.regression_head = nn.ModuleDict({"MLP": nn.Sequential(*hidden, nn.Linear(widths[-1], 1))})
        token_size = sizes.member
        if solver_groups:
            layers = [nn.Linear(*pair) for pair in pairwise((3 * sizes.member, *sizes.solver))]
            self.solver_encoder = nn.ModuleDict(
                {f"solver_encoder_fc_{number}": layer for number, layer in enumerate(layers)}
            )
            self.order_embedder = nn.Embedding(4, sizes.order)
            token_size = (3 * sizes.member, *sizes.solver)[-1] + sizes.order
        self.ms_encoder = nn.ModuleDict({"rnn": nn.LSTM(token_size + sizes.time, sizes.hidden, sizes.layers)})

    def forward(self, batch: TokenBatch, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Scores ``(m,)`` of the given rows ``(m,)`` of ``batch``, or of all of them."""
        token, time = (batch.token, batch.time) if rows is None else (batch.token[rows], batch.time[rows])
        tables = self._gate_tables(batch)
        if torch.is_grad_enabled() or self.sizes.layers > 1 or len(token) <= FEW:
            encoded = F.normalize(self._walk(token, time, tables), dim=2).sum(dim=0)
        else:
            encoded = self._walk_prefixes(token, time, tables)
        return self.regression_head["MLP"](F.normalize(encoded, dim=1)).squeeze(1)  # sums have the direction of means

    def _walk(self, token: torch.Tensor, time: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """The last layer's outputs ``(S, m, H)``."""
        m, steps = token.shape
        gates = self._gates(token.t().flatten(), time.t().flatten(), tables)
        (outputs,) = recurrence(gates[None], self._output_weight(0)[None], [m] * steps)
        for layer in range(1, self.sizes.layers):
            bias = self._rnn("bias_ih", layer) + self._rnn("bias_hh", layer)
            gates = F.linear(outputs, sigmoids_first(self._rnn("weight_ih", layer)), sigmoids_first(bias))
            (outputs,) = recurrence(gates[None], self._output_weight(layer)[None], [m] * steps)
        return outputs.view(steps, m, -1)

    def _walk_prefixes(
        self, token: torch.Tensor, time: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """Sums of one layer's normalized outputs ``(m, H)`` without gradients; what rows begin with is walked once."""
        (sums,) = sums_by_prefixes(
            token * len(tables[1]) + time,
            torch.full((len(token),), token.shape[1]),
            lambda row, step: self._gates(token[row, step], time[row, step], tables)[None],
            self._output_weight(0)[None],
            partial(F.normalize, dim=2),
        )
        return sums

    def _gates(
        self, token: torch.Tensor, time: torch.Tensor, tables: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        """``(T,), (T,) -> (T, 4 H)``: the first layer's input projections, looked up."""
        of_token, of_time = tables
        return F.embedding(token, of_token) + F.embedding(time, of_time)

    def _output_weight(self, layer: int) -> torch.Tensor:
        """``(H, 4 H)`` from the last output to the gates."""
        return sigmoids_first(self._rnn("weight_hh", layer)).t()

    def _rnn(self, name: str, layer: int) -> torch.Tensor:
        return self.ms_encoder.get_parameter(f"rnn.{name}_l{layer}")

    def _gate_tables(self, batch: TokenBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """The LSTM's input projections of tokens ``(U, 4 H)`` and of timesteps ``(V + 1, 4 H)``."""
        weight = sigmoids_first(self._rnn("weight_ih", 0))
        bias = sigmoids_first(self._rnn("bias_ih", 0) + self._rnn("bias_hh", 0))
        embedded = self.model_embedder["embedder"](batch.vocabulary).flatten(1)  # (U, G * 32)
        if self.solver_groups:
            orders = (batch.vocabulary > 0).sum(dim=1)
            for number, layer in enumerate(self.solver_encoder.values()):
                embedded = layer(torch.sigmoid(embedded) if number else embedded)
            embedded = torch.cat([embedded, self.order_embedder(orders)], dim=1)
        split = embedded.shape[1]
        token_gates = F.linear(embedded, weight[:, :split], bias)
        hidden = self.timestep_encoder["fc1"](sinusoids(batch.timesteps, self.sizes.time_input))
        times = self.timestep_encoder["fc2"](F.silu(hidden))
        time_gates = F.linear(times, weight[:, split:])
        return token_gates, F.pad(time_gates, (0, 0, 0, 1))  # a row of zeros for no timestep


def draw(network: ScheduleNetwork, generator: torch.Generator) -> None:
    """Draws the weights as PyTorch's layers do by themselves, but from a generator of the caller's.

    Several fits in threads would take each other's numbers from the global one.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif isinstance(layer, nn.LSTM):
            bound = layer.hidden_size**-0.5
            for weight in layer.parameters():
                nn.init.uniform_(weight, -bound, bound, generator=generator)


def sinusoids(timesteps: torch.Tensor, size: int = PAPER.time_input) -> torch.Tensor:
    """``(V,) -> (V, size)``: sines, then cosines, of ``size / 2`` frequencies from 1 down to 1e-4."""
    half = size // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, device=timesteps.device) / (half - 1))
    angles = timesteps[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def release_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A released state dict without the second names of tensors that have two."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(tuple(SAME))}


def _widths(state: Mapping[str, torch.Tensor], name: str) -> tuple[int, ...]:
    """Output widths of the layers ``name`` 0, 1, ... as far as they go."""
    widths: list[int] = []
    while (key := name.format(len(widths))) in state:
        widths.append(state[key].shape[0])
    return tuple(widths)
