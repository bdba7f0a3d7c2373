"""The paper's LSTM and ranking loss, trained in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.spaces import DPMSolverSpace, ScheduleSpace
from predictors._base import Array, Predictor, Schedules
from predictors._calibration import RisingCurve
from predictors._network import PAPER, ScheduleNetwork, Sizes, TokenBatch, release_weights
from predictors._ranking import ranking_loss
from predictors._targets import TargetScale
from predictors._tokens import tokenize

CHUNK = 2048
"""Schedules scored at once; bounds memory, and larger is no faster."""

CHECKS = 20
"""How often validation schedules are looked at during training."""


class LSTMPredictor(Predictor):
    """The paper's LSTM over schedules with its ranking loss (arXiv:2306.08860), trained in seconds.

    The network is the paper's. Unlike its release, training takes a fixed number of
    updates with a cosine learning rate, forms all pairs of a batch from one score a
    schedule. What the network learns is order; its scores are mapped to the scale of the
    measured ones by a rising curve, which changes no rank.

    Args:
        space, noise, latency, random_state: see :class:`predictors.Predictor`; latency is not used.
        updates: Adam updates.
        batch_size: schedules an update.
        learning_rate: its largest value.
        threshold: pairs whose (log) scores are closer are not compared, in standard
            deviations of the training scores; the paper's 0.25 is in FID units of its data.
        slots: ``"all"`` walks over null slots too, as the release does; ``"active"`` leaves them
            out, which is several times faster and ranks worse: null slots tell the distance.
        device: where the network runs.
    """

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        updates: int = 1000,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        threshold: float = 0.02,
        slots: Literal["active", "all"] = "all",
        device: str = "cpu",
    ) -> None:
        super().__init__(space, noise, latency, random_state)
        self.updates = updates
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.threshold = threshold
        self.slots = slots
        self.device = device

    @classmethod
    def from_release(cls, state: Mapping[str, torch.Tensor], space: ScheduleSpace, noise: Noise | None = None) -> Self:
        """A fitted predictor with the weights of a checkpoint of the authors' release.

        Its predictions are the network's scores as they are, on no scale of FID. The network
        gets the sizes of the weights.

        Args:
            state: the state dict, the checkpoint's ``"predictor"``.
            space: the space of the schedules; a checkpoint does not tell their length.
            noise: for DPM-Solvers, the continuous schedule; ``None`` is ``LinearVP(0.1, 20)``.

        Raises:
            InputError: weights of another solver, of another number of members, or of another network.
        """
        predictor = cls(space=space, noise=noise, slots="all")
        predictor._begin(TargetScale.identity())
        predictor._set_network(release_weights(state))
        predictor.curve_ = RisingCurve.identity()
        return predictor

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        seed = self._seed()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network_ = self._new_network()
        self._train(self._batch(X), z, validation, np.random.default_rng(seed))
        held_out, measured = validation or (X, z)
        self.curve_ = RisingCurve.fit(self._raw(held_out), measured)

    def _train(
        self, batch: TokenBatch, z: Array, validation: tuple[Schedules, Array] | None, rng: np.random.Generator
    ) -> None:
        targets = torch.as_tensor(z, dtype=torch.float32, device=self.device)
        optimizer = torch.optim.Adam(self.network_.parameters())
        rates = self.learning_rate * _warm_cosine(self.updates)
        best, kept = -np.inf, self.network_.state_dict()
        for update, rows in enumerate(_batches(len(z), self.batch_size, self.updates, rng)):
            for group in optimizer.param_groups:
                group["lr"] = rates[update]
            scores = self.network_(batch, rows)
            loss = ranking_loss(scores, targets[rows.to(self.device)], threshold=self.threshold)
            if loss.requires_grad:  # a batch of equal scores teaches nothing
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if validation is not None and (update + 1) % max(1, self.updates // CHECKS) == 0:
                tau = stats.kendalltau(self._raw(validation[0]), validation[1]).statistic
                if tau > best:
                    best, kept = tau, {name: w.clone() for name, w in self.network_.state_dict().items()}
        if validation is not None:
            self.network_.load_state_dict(kept)

    def _score(self, X: Schedules) -> Array:
        return self.curve_(self._raw(X))

    def _raw(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``: the network's own scores."""
        with torch.no_grad():
            chunks = [self.network_(self._batch(X[i : i + CHUNK])) for i in range(0, len(X), CHUNK)]
        return torch.cat(chunks).cpu().numpy().astype(float)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        weights = {name: tensor.cpu().numpy() for name, tensor in self.network_.state_dict().items()}
        return {"raw": self.curve_.raw.tolist(), "z": self.curve_.z.tolist()}, weights

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        self._set_network({name: torch.from_numpy(array) for name, array in arrays.items()})
        self.curve_ = RisingCurve(np.array(values["raw"], dtype=float), np.array(values["z"], dtype=float))

    def _batch(self, X: Schedules) -> TokenBatch:
        if self.slots not in ("active", "all"):
            raise InputError(f"slots={self.slots!r}: expected 'active' or 'all'")
        return TokenBatch(tokenize(X, self._space, self._noise, self.slots == "active"), self.device)

    def _new_network(self, sizes: Sizes = PAPER) -> ScheduleNetwork:
        space = self._space
        return ScheduleNetwork(space.num_models, isinstance(space, DPMSolverSpace), sizes).to(self.device)

    def _set_network(self, state: Mapping[str, torch.Tensor]) -> None:
        """A network with these weights, and so of their sizes."""
        try:
            self.network_ = self._new_network(Sizes.of(state))
            self.network_.load_state_dict(state)
        # torch lists every name over many lines; without a tensor, or with one of another shape, it is no use to try
        except (RuntimeError, KeyError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"weights are not those of a predictor for {self._space}: {reason[:300]}") from error


def _batches(n: int, size: int, updates: int, rng: np.random.Generator) -> Any:
    """``updates`` batches of row numbers, every row once an epoch."""
    size = min(size, n)
    waiting = np.zeros(0, dtype=np.int64)
    for _ in range(updates):
        if len(waiting) < size:
            waiting = rng.permutation(n)
        yield torch.from_numpy(waiting[:size])
        waiting = waiting[size:]


def _warm_cosine(updates: int) -> Array:
    """``(updates,)``: rises over the first twentieth, then falls to zero as a cosine."""
    progress = (np.arange(updates) + 0.5) / updates
    return np.minimum(progress * 20, 0.5 * (1 + np.cos(np.pi * progress)))
