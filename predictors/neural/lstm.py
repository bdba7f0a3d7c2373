"""LSTMs over active steps, several trained as one and scored by lookup."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from predictors.neural.base import Head, NeuralPredictor, StepBatch, Weights
from predictors.neural.prefixes import sums_by_prefixes
from predictors.neural.recurrence import recurrence
from predictors.steps import StepTokens

CODE = 64
"""Width of the code of what a step does, and of that of where."""

HIDDEN = 64
"""Of an LSTM; half the paper's, at about a third of the work."""

HEAD = (200, 200, 200)

USUAL_STEPS = 8
"""Sums of outputs are divided by it, which makes them of the size that the head expects."""


class LSTMWeights(Weights):
    """Codes of steps, an LSTM over them, the sum of its outputs, a head.

    Steps are categorical, so an LSTM's input projection is a table over the distinct
    things done, and for DPM-Solvers another over the distinct places.
    """

    from_what: torch.Tensor
    from_where: torch.Tensor
    from_output: torch.Tensor
    gates_bias: torch.Tensor

    def __init__(self, networks: int, what: int, where: int) -> None:
        super().__init__(networks)
        self.places = where > 0
        self.linear("what", what, CODE)
        if self.places:
            self.linear("what_2", CODE, CODE)
            self.linear("where", where, CODE)
            self.linear("where_2", CODE, CODE)
            self.uniform("from_where", HIDDEN**-0.5, CODE, 4 * HIDDEN)
        self.uniform("from_what", HIDDEN**-0.5, CODE, 4 * HIDDEN)
        self.uniform("from_output", HIDDEN**-0.5, HIDDEN, 4 * HIDDEN)
        self.uniform("gates_bias", 2 * HIDDEN**-0.5, 1, 4 * HIDDEN)
        self.head = Head(self, HIDDEN, HEAD)

    def forward(self, batch: StepBatch, rows: torch.Tensor) -> torch.Tensor:
        """Raw scores ``(K, m)``: walks over the active steps, each row as far as it goes."""
        total = self._walk(batch, rows) if torch.is_grad_enabled() else self._walk_prefixes(batch, rows)
        return self.head(total / USUAL_STEPS, batch, rows)

    def _walk(self, batch: StepBatch, rows: torch.Tensor) -> torch.Tensor:
        """Sums of outputs ``(K, m, H)``."""
        lengths = batch.lengths[rows]
        order = torch.argsort(lengths, descending=True, stable=True)
        reached = lengths[order] > torch.arange(int(lengths.max()))[:, None]  # (S, m)
        alive = reached.sum(dim=1).tolist()
        device = batch.what_of.device
        step, row = reached.nonzero(as_tuple=True)  # (T,) packed
        row, step = order[row].to(device), step.to(device)
        at = rows.to(device)[row], step
        what, what_of = torch.unique(batch.what_of[at], return_inverse=True)
        where, where_of = torch.unique(batch.where_of[at], return_inverse=True)
        tables = self._gate_tables(batch.what[what], batch.where[where])
        outputs = recurrence(_gates(tables, what_of, where_of), self.from_output, alive)
        return outputs.new_zeros(self.networks, len(rows), HIDDEN).index_add(1, row, outputs)

    def _gate_tables(self, what: torch.Tensor, where: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The LSTM's input projections of what is done ``(K, U, 4 H)``, and of places ``(K, V, 4 H)``."""
        what = self.apply_linear("what", what)
        if not self.places:  # the code is of what is done where
            return torch.baddbmm(self.gates_bias, F.silu(what), self.from_what), None
        what = self.apply_linear("what_2", torch.sigmoid(what))
        where = self.apply_linear("where_2", F.silu(self.apply_linear("where", where)))
        return torch.baddbmm(self.gates_bias, what, self.from_what), torch.bmm(where, self.from_where)

    def _walk_prefixes(self, batch: StepBatch, rows: torch.Tensor) -> torch.Tensor:
        """Sums of outputs ``(K, m, H)`` without gradients; steps that schedules begin with alike are walked once."""
        what_of, where_of = (of[rows.to(of.device)] for of in (batch.what_of, batch.where_of))
        tables = self._gate_tables(batch.what, batch.where)
        return sums_by_prefixes(
            what_of * len(batch.where) + where_of,
            batch.lengths[rows],
            lambda row, step: _gates(tables, what_of[row, step], where_of[row, step]),
            self.from_output,
        )


def _gates(
    tables: tuple[torch.Tensor, torch.Tensor | None], what_of: torch.Tensor, where_of: torch.Tensor
) -> torch.Tensor:
    """``(K, t, 4 H)``: input projections of steps, looked up."""
    of_what, of_where = tables
    gates = of_what.index_select(1, what_of)
    return gates if of_where is None else gates + of_where.index_select(1, where_of)


class LSTMPredictor(NeuralPredictor):
    """LSTMs over active steps (member, place, width), several trained as one; ranks like the paper's in seconds.

    Against ``lstm-paper``: null slots are left out and each step says instead how far it
    goes; places are low waves of the noise axis and the time axis, which is smooth where few labels
    are; every schedule of a batch is compared with every other one; three small
    networks with a cosine learning rate take the place of a large one at a constant rate; and
    they are told what the solver gets wrong on Gaussian data, which is known without any label.
    There is no early stopping: at the end the rate is zero. Four times the updates on 2,100 labels rank
    other labels of the same noise better and measurements from fresh noise worse, and so choose worse winners.

    Far from its labels an LSTM goes on as it has learned to, and so does the last piece of the curve to measured
    scores; the networks then disagree, which the standard deviation says.

    Args:
        space, noise, latency, random_state, options: see :class:`predictors.Predictor`; latency is not used.
        networks: trained as one; the prediction is their mean.
        updates: of AdamW.
        batch_size: schedules an update, of which all pairs are compared.
        learning_rate: its largest value; it rises over the first twentieth of the updates and
            falls as a cosine.
        weight_decay: of AdamW.
        device: where the networks run.
    """

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        networks: int = 3,
        updates: int = 400,
        batch_size: int = 128,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-2,
        device: str = "cpu",
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(
            space, noise, latency, random_state,
            networks, updates, batch_size, learning_rate, weight_decay, device, options,
        )  # fmt: skip

    def _new_weights(self, tokens: StepTokens) -> LSTMWeights:
        return LSTMWeights(self.networks, tokens.what.shape[1], tokens.where.shape[1])
