"""Sums of what each step contributes: the fastest network to fit and to score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from predictors.neural.base import Head, NeuralPredictor, StepBatch, Weights
from predictors.steps import StepTokens

HIDDEN = 64
"""Width of the layer from a step's features."""

CONTRIBUTION = 64
"""Numbers that a step contributes."""

HEAD = (128, 128)

GAIN = 2.0
"""Of the initial weights: contributions have to differ between places from the start."""

USUAL_STEPS = 10
"""Sums are divided by it, which makes them of the size that the head expects."""


class DeepSetsWeights(Weights):
    """``score = head(sum over steps of contribution(step))`` (Zaheer et al., 2017, arXiv:1703.06114)."""

    def __init__(self, networks: int, what: int, where: int) -> None:
        super().__init__(networks)
        self.linear("what", what, HIDDEN, GAIN)
        self.linear("where", where, HIDDEN, GAIN)
        self.linear("contribution", HIDDEN, CONTRIBUTION, GAIN)
        self.head = Head(self, CONTRIBUTION, HEAD, GAIN)

    def forward(self, batch: StepBatch, rows: torch.Tensor) -> torch.Tensor:
        """Raw scores ``(K, m)``: the contributions of distinct steps are looked up and added."""
        lengths = batch.lengths[rows]
        device = batch.what_of.device
        active = torch.arange(int(lengths.max())) < lengths[:, None]  # (m, S)
        row, step = (index.to(device) for index in active.nonzero(as_tuple=True))  # (T,)
        at = rows.to(device)[row], step
        pair = batch.what_of[at] * len(batch.where) + batch.where_of[at]
        distinct, which = torch.unique(pair, return_inverse=True)
        what = self.apply_linear("what", batch.what[distinct // len(batch.where)])
        where = self.apply_linear("where", batch.where[distinct % len(batch.where)])
        contributions = self.apply_linear("contribution", F.silu(what + where))  # (K, D, C)
        table = contributions.transpose(0, 1).flatten(1)  # (D, K C)
        pooled = F.embedding_bag(which, table, (lengths.cumsum(0) - lengths).to(device), mode="sum")
        pooled = pooled.view(len(rows), self.networks, CONTRIBUTION).transpose(0, 1)
        return self.head(pooled / USUAL_STEPS, batch, rows)


class DeepSetsPredictor(NeuralPredictor):
    """Deep sets: a learned contribution of every active step (member, place, width), summed, then a small network.

    That the errors of steps add up is nearly how sampling works, so it needs no order of
    steps and few updates; and since steps are categorical, scoring adds up rows of a table.
    It is the fastest network here to fit and to score; ``lstm`` ranks DPM-Solver schedules better
    from few labels.

    Far from its labels contributions add up beyond all sums that were seen, and the last piece of the curve to
    measured scores goes on; the networks' disagreement, which the standard deviation says, grows less than the error.

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
        networks: int = 4,
        updates: int = 600,
        batch_size: int = 128,
        learning_rate: float = 2e-2,
        weight_decay: float = 1e-2,
        device: str = "cpu",
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(
            space, noise, latency, random_state,
            networks, updates, batch_size, learning_rate, weight_decay, device, options,
        )  # fmt: skip

    def _new_weights(self, tokens: StepTokens) -> DeepSetsWeights:
        return DeepSetsWeights(self.networks, tokens.what.shape[1], tokens.where.shape[1])
