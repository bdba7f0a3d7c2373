"""The reference: the predictor of OMS-DPM with the recipe of its release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.tables import read_table
from predictors.base import Array, Predictor, Schedules
from predictors.calibration import RisingCurve
from predictors.folder import expect
from predictors.learned import CurveLearned
from predictors.paper.network import PAPER, ScheduleNetwork, Sizes, TokenBatch, draw, release_weights
from predictors.paper.ranking import ranking_loss
from predictors.paper.tokens import tokenize
from predictors.targets import TargetScale

CHUNK = 512
"""Schedules scored at once; more leave the processor's cache."""

PAIRS = 2
"""Most pairs of an update, times the batch."""


class LSTMPaperPredictor(Predictor):
    """The paper's LSTM and training to the letter (arXiv:2306.08860 and its release), the reference to beat.

    Adam without decay or schedule for 1,000 epochs in batches of 512; in each batch up to
    1,024 pairs whose scores differ by more than a threshold, drawn without replacement, and a
    hinge loss of margin 1 on the difference of their predicted scores. No validation, no
    logarithm of the scores.

    Two things are not the release's. Its threshold of 0.25 is in units of FID on CIFAR-10; other
    data and metrics have other units, so here it is a fraction of the standard deviation of the
    training scores. And a batch is scored once for all of its pairs, not twice for each,
    which gives the same loss and gradient. What the network learns is order; predictions are its
    scores on a rising curve through the training scores, which changes no rank.

    Far from its labels it goes on as it has learned to, and does not know that it guesses: it has no standard
    deviation.

    Args:
        space, noise, latency, random_state, options: see :class:`predictors.Predictor`; latency is not used.
        epochs: passes over the training schedules.
        batch_size: schedules an update.
        learning_rate: Adam's.
        threshold: pairs that are closer are not compared, in standard deviations of the
            training scores: 0.25 where those spread by 50. A few huge scores make this spread large
            and leave few pairs; a smaller fraction helps then.
        device: where the network runs.
    """

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        epochs: int = 1000,
        batch_size: int = 512,
        learning_rate: float = 1e-3,
        threshold: float = 0.005,
        device: str = "cpu",
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(space, noise, latency, random_state, options)
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.threshold = threshold
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
        predictor = cls(space=space, noise=noise)
        predictor._begin(TargetScale.identity())
        predictor._set_network(release_weights(state))
        predictor.curve_ = RisingCurve.identity()
        return predictor

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        seed = self._seed()
        generator = torch.Generator().manual_seed(seed)
        self.network_ = self._new_network(generator=torch.Generator().manual_seed(seed))
        y = self.target_.inverse(z)
        targets = torch.as_tensor((y - y.mean()) / (y.std() or 1.0), device=self.device)
        batch = self._batch(X)
        optimizer = torch.optim.Adam(self.network_.parameters(), lr=self.learning_rate)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X), generator=generator).split(self.batch_size):
                loss = ranking_loss(
                    self.network_(batch, rows),
                    targets[rows.to(self.device)],
                    threshold=self.threshold,
                    max_pairs=PAIRS * self.batch_size,
                    generator=generator,
                )
                if loss.requires_grad:  # a batch of equal scores teaches nothing
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        self.curve_ = RisingCurve.fit(self._raw(X), z)

    def _score(self, X: Schedules) -> Array:
        return self.curve_(self._raw(X))

    def _raw(self, X: Schedules) -> Array:
        """``(n, L) -> (n,)``: the network's own scores."""
        with one_thread(), torch.no_grad():
            chunks = [self.network_(self._batch(X[i : i + CHUNK])) for i in range(0, len(X), CHUNK)]
        return torch.cat(chunks).cpu().numpy().astype(float)

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        weights = {name: tensor.cpu().numpy() for name, tensor in self.network_.state_dict().items()}
        return {"raw": self.curve_.raw.tolist(), "z": self.curve_.z.tolist()}, weights

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        learned = read_table(CurveLearned, values, "learned")
        expect(arrays, {name: (np.float32, array.shape) for name, array in arrays.items()})
        self._set_network({name: torch.from_numpy(array) for name, array in arrays.items()})
        self.curve_ = RisingCurve.checked(learned.raw, learned.z)

    def _batch(self, X: Schedules) -> TokenBatch:
        return TokenBatch(tokenize(self._batch_plan(X)), self.device)

    def _new_network(self, sizes: Sizes = PAPER, generator: torch.Generator | None = None) -> ScheduleNetwork:
        """A network whose weights are drawn from the generator, or still to be loaded."""
        space = self._space
        with torch.device("meta"):  # where drawing takes nothing from torch's global generator
            network = ScheduleNetwork(space.num_models, space.group_size > 1, sizes)
        network = network.to_empty(device="cpu")
        if generator is not None:
            draw(network, generator)
        return network.to(self.device)

    def _set_network(self, state: Mapping[str, torch.Tensor]) -> None:
        """A network with these weights, and so of their sizes."""
        try:
            self.network_ = self._new_network(Sizes.of(state))
            self.network_.load_state_dict(state)
        # torch lists every name over many lines; without a tensor, or with one of another shape, it is no use to try
        except (RuntimeError, KeyError, ValueError, IndexError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"weights are not those of a predictor for {self._space}: {reason[:300]}") from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Many small operations: several threads wait for each other, the longer the busier the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
