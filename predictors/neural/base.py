"""What the neural families share: small networks trained together, held-out rows, uncertainty."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions
from predictors.base import Array, Predictor, Schedules
from predictors.calibration import RisingCurve, normal_scale
from predictors.gaussian import VARIANCES
from predictors.steps import StepTokens, step_tokens

CHUNK = 1024
"""Schedules scored at once; more leave the processor's cache."""

HELD_BACK = 8
"""Each network does not see one in so many of the labels; they tell how wrong it is."""

FOLDS = 5
"""Parts of the held-out labels; the curve's errors on one are seen with a curve through the others."""

FEWEST = 24
"""Labels from which on some are held back."""

RATIO_SCALE = 0.25
"""Of the ratios on Gaussian data beside the steps: from few labels, louder ones were trusted too much."""

CLOSE = 0.02
"""Pairs whose standardized scores are closer are not compared."""

STEEPNESS = 4.0
"""Of the logistic loss; a difference of 1 / STEEPNESS between scores counts as certain."""

WARM_UP = 0.05
"""Part of the updates over which the learning rate rises."""


class StepBatch:
    """Step tokens as tensors on a device."""

    def __init__(self, tokens: StepTokens, device: torch.device | str) -> None:
        def tensor(array: object, dtype: torch.dtype) -> torch.Tensor:
            return torch.as_tensor(array, dtype=dtype, device=device)

        self.what, self.where = tensor(tokens.what, torch.float32), tensor(tokens.where, torch.float32)
        self.what_of, self.where_of = tensor(tokens.what_of, torch.long), tensor(tokens.where_of, torch.long)
        self.ratio = tensor(tokens.ratio, torch.float32)
        self.lengths = torch.as_tensor(tokens.lengths)  # on the CPU, where loops run

    def __len__(self) -> int:
        return len(self.lengths)


class Weights(torch.nn.Module):
    """The parameters of ``K`` networks of one shape, each tensor with a leading dimension of networks.

    A subclass maps a batch to raw scores. They are zeros until :meth:`draw`.
    """

    def __init__(self, networks: int) -> None:
        super().__init__()
        self.networks = networks
        self.bounds: dict[str, float] = {}

    def draw(self, generator: torch.Generator) -> Self:
        """Draws all parameters, in the order that they were declared in; returns itself.

        From a generator of its own, so that fits in several threads do not take each other's numbers.
        """
        with torch.no_grad():
            for name, bound in self.bounds.items():
                self.get_parameter(name).uniform_(-bound, bound, generator=generator)
        return self

    @abstractmethod
    def forward(self, batch: StepBatch, rows: torch.Tensor) -> torch.Tensor:
        """Raw scores ``(K, m)`` of the given rows ``(m,)``; higher is worse."""

    def linear(self, name: str, inputs: int, outputs: int, gain: float = 1.0) -> None:
        """A linear layer's weight ``(K, inputs, outputs)`` and bias, drawn as PyTorch draws them, ``gain`` times."""
        bound = gain * max(inputs, 1) ** -0.5
        self.uniform(f"{name}_weight", bound, inputs, outputs)
        self.uniform(f"{name}_bias", bound, 1, outputs)

    def uniform(self, name: str, bound: float, *shape: int) -> None:
        """A parameter ``(K, *shape)`` to be drawn uniformly within a bound."""
        self.register_parameter(name, torch.nn.Parameter(torch.zeros(self.networks, *shape)))
        self.bounds[name] = bound

    def apply_linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """``(m, inputs)`` for all networks or ``(K, m, inputs)`` to ``(K, m, outputs)``."""
        weight, bias = self.get_parameter(f"{name}_weight"), self.get_parameter(f"{name}_bias")
        return torch.baddbmm(bias, x.expand(self.networks, *x.shape[-2:]), weight)


class Head:
    """The layers from a pooled schedule, with what is known of it as a whole, to its raw score."""

    def __init__(self, weights: Weights, inputs: int, hidden: Sequence[int], gain: float = 1.0) -> None:
        widths = [inputs + 1 + len(VARIANCES), *hidden, 1]
        self.weights, self.depth = weights, len(widths) - 1
        for layer, (before, after) in enumerate(pairwise(widths)):
            weights.linear(f"head_{layer}", before, after, gain)

    def __call__(self, pooled: torch.Tensor, batch: StepBatch, rows: torch.Tensor) -> torch.Tensor:
        """``(K, m, inputs), (m,) -> (K, m)``."""
        count = batch.lengths[rows].float().log() - 2
        ratio = RATIO_SCALE * batch.ratio[rows.to(pooled.device)]
        whole = torch.cat([count[:, None].to(pooled.device), ratio], dim=1)
        x = torch.cat([pooled, whole.expand(len(pooled), *whole.shape)], dim=-1)
        for layer in range(self.depth):
            x = self.weights.apply_linear(f"head_{layer}", torch.relu(x) if layer else x)
        return x.squeeze(-1)


class NeuralPredictor(Predictor):
    """Several small networks over active steps, trained as one on the order of pairs.

    Networks start differently, and each does not see its own eighth of the labels. The
    prediction is their mean. Labels that a network did not see map its scores to the measured
    scale, and calibrate the standard deviation, which grows with the networks' disagreement;
    validation labels, if given, do this instead, and then every network sees all others.

    A family implements :meth:`_new_weights` and gives the parameters' defaults.
    """

    has_std: ClassVar[bool] = True

    def __init__(
        self,
        space: ScheduleSpace | None = None,
        noise: Noise | None = None,
        latency: Sequence[float] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        networks: int = 4,
        updates: int = 400,
        batch_size: int = 128,
        learning_rate: float = 1e-2,
        weight_decay: float = 1e-2,
        device: str = "cpu",
        options: SolverOptions | None = None,
    ) -> None:
        super().__init__(space, noise, latency, random_state, options)
        self.networks = networks
        self.updates = updates
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.device = device

    @abstractmethod
    def _new_weights(self, tokens: StepTokens) -> Weights:
        """Untrained networks for tokens with features of these widths."""

    # -- learning --------------------------------------------------------------------

    def _learn(self, X: Schedules, z: Array, validation: tuple[Schedules, Array] | None) -> None:
        seed = self._seed()
        rng = np.random.default_rng(seed)
        tokens = step_tokens(self._batch_plan(X))
        self.weights_ = self._new_weights(tokens).draw(torch.Generator().manual_seed(seed)).to(self.device)
        hold_back = validation is None and len(X) >= FEWEST
        seen = _seen(len(X), self.networks, rng) if hold_back else np.ones((self.networks, len(X)), dtype=bool)
        self._train(StepBatch(tokens, self.device), z, seen, rng)
        self.centers_ = np.zeros(self.networks)
        raw = self._raw(X)
        self.centers_ = (raw * seen).sum(axis=1) / seen.sum(axis=1)
        if validation is not None:
            self._calibrate(self._raw(validation[0]), validation[1])
        elif hold_back:
            unseen = ~seen & (~seen).any(axis=0)
            held_out = unseen.any(axis=0)
            # The mean of the networks that have not seen a label; mostly that is one.
            alone = ((raw - self.centers_[:, None]) * unseen).sum(axis=0)[held_out] / unseen.sum(axis=0)[held_out]
            self._calibrate(raw[:, held_out] - self.centers_[:, None], z[held_out], alone)
        else:
            self._calibrate(raw - self.centers_[:, None], z)

    def _train(self, batch: StepBatch, z: Array, seen: NDArray[np.bool_], rng: np.random.Generator) -> None:
        targets = torch.as_tensor(z, dtype=torch.float32, device=self.device)
        visible = torch.as_tensor(seen, dtype=torch.float32, device=self.device)
        optimizer = torch.optim.AdamW(
            self.weights_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        rates = self.learning_rate * warm_cosine(self.updates)
        for rate, rows in zip(rates, batches(len(z), self.batch_size, self.updates, rng), strict=True):
            optimizer.param_groups[0]["lr"] = rate
            there = rows.to(self.device)
            loss = pairwise_logistic(self.weights_(batch, rows), targets[there], visible[:, there])
            if loss.requires_grad:  # a batch of equal scores teaches nothing
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def _calibrate(self, raw: Array, z: Array, alone: Array | None = None) -> None:
        """The curve to measured scores and the scale of errors, from raw scores ``(K, n)`` of labels ``(n,)``."""
        mean = raw.mean(axis=0) if alone is None else alone
        self.curve_ = RisingCurve.fit(mean, z)
        # The curve goes through its own points, most where they are few, so errors are those of others' curves.
        fold, held_out = np.arange(len(z)) % FOLDS, np.zeros(len(z))
        for f in range(FOLDS):
            curve = RisingCurve.fit(mean[fold != f], z[fold != f]) if len(z) >= 2 * FOLDS else self.curve_
            held_out[fold == f] = curve(mean[fold == f])
        residual = z - held_out
        spread = self.curve_(raw).std(axis=0)
        self.floor_ = max(normal_scale(residual), 1e-3)
        self.scale_ = 1.0
        self.scale_ = normal_scale(residual / np.hypot(self.floor_, spread)) or 1.0

    # -- scoring ---------------------------------------------------------------------

    def _score(self, X: Schedules) -> Array:
        return self.curve_(self._raw(X).mean(axis=0))

    def _score_std(self, X: Schedules) -> Array:
        spread = self.curve_(self._raw(X)).std(axis=0)
        return self.scale_ * np.hypot(self.floor_, spread)

    def _score_and_std(self, X: Schedules) -> tuple[Array, Array]:
        raw = self._raw(X)
        return self.curve_(raw.mean(axis=0)), self.scale_ * np.hypot(self.floor_, self.curve_(raw).std(axis=0))

    def _raw(self, X: Schedules) -> Array:
        """``(n, L) -> (K, n)``: the networks' own scores, centered on the training schedules."""
        chunks = []
        with torch.no_grad():
            for start in range(0, len(X), CHUNK):
                batch = StepBatch(step_tokens(self._batch_plan(X[start : start + CHUNK])), self.device)
                chunks.append(self.weights_(batch, torch.arange(len(batch))))
        return torch.cat(chunks, dim=1).cpu().numpy().astype(float) - self.centers_[:, None]

    # -- files -----------------------------------------------------------------------

    def _state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        values = {
            "raw": self.curve_.raw.tolist(),
            "z": self.curve_.z.tolist(),
            "centers": self.centers_.tolist(),
            "floor": self.floor_,
            "scale": self.scale_,
        }
        return values, {name: tensor.cpu().numpy() for name, tensor in self.weights_.state_dict().items()}

    def _restore(self, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        one = np.ones((1, self._space.length), dtype=np.int64)
        self.weights_ = self._new_weights(step_tokens(self._batch_plan(self._space.canonical(one))))
        try:
            self.weights_.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"weights are not those of a predictor for {self._space}: {reason[:300]}") from error
        self.weights_.to(self.device)
        self.curve_ = RisingCurve(np.array(values["raw"], dtype=float), np.array(values["z"], dtype=float))
        self.centers_ = np.array(values["centers"], dtype=float)
        self.floor_, self.scale_ = float(values["floor"]), float(values["scale"])


def pairwise_logistic(scores: torch.Tensor, targets: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    """``mean(log(1 + exp(-a sign(y_i - y_j) (s_i - s_j))))`` of pairs that differ, summed over networks.

    Args:
        scores: ``(K, m)``.
        targets: ``(m,)``.
        visible: ``(K, m)``, 1 where a network may see a label and else 0.

    Returns:
        The scalar loss; 0 without gradient where no pair differs.
    """
    difference = targets[:, None] - targets
    counts = (difference > CLOSE) * (visible[:, :, None] * visible[:, None, :])
    pairs = counts.sum(dim=(1, 2))
    if not pairs.any():
        return scores.new_zeros(())
    losses = F.softplus(-STEEPNESS * (scores[:, :, None] - scores[:, None, :]))
    return ((losses * counts).sum(dim=(1, 2)) / pairs.clamp(min=1)).sum()


def batches(n: int, size: int, updates: int, rng: np.random.Generator) -> Iterator[torch.Tensor]:
    """``updates`` batches of row numbers, every row once an epoch."""
    size = min(size, n)
    waiting = np.zeros(0, dtype=np.int64)
    for _ in range(updates):
        if len(waiting) < size:
            waiting = rng.permutation(n)
        yield torch.from_numpy(waiting[:size])
        waiting = waiting[size:]


def warm_cosine(updates: int) -> Array:
    """``(updates,)``: rises over the first twentieth, then falls to zero as a cosine."""
    progress = (np.arange(updates) + 0.5) / updates
    return np.minimum(progress / WARM_UP, 0.5 * (1 + np.cos(np.pi * progress)))


def _seen(n: int, networks: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """``(K, n)``: which labels each network sees; what it does not is its own eighth, as far as there are."""
    part = rng.permutation(np.arange(n) % HELD_BACK)
    return part != np.arange(networks)[:, None] % HELD_BACK
