"""A final population sampled for real: all with few images, the best with many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import replacing
from omsdpm.sampling import Count
from omsdpm.solvers import Schedules
from studies.records.environment import environment
from studies.records.progress import Reporter

if TYPE_CHECKING:
    from omsdpm.fid import Statistics
    from omsdpm.scoring.features import FeatureNetwork
    from omsdpm.scoring.sampler import Sampler

FORMAT = 1
"""Version of the JSON file."""


@dataclass(frozen=True)
class Rounds:
    """Images a schedule, images of the best (0 for no second round), and the first round's seed."""

    images: int
    final_images: int
    seed: int


@dataclass(frozen=True)
class Validated:
    """Scores of a population.

    Attributes:
        X: ``(n, L)`` as given.
        rounds: how they were scored.
        scores: ``(n,)`` of the first round.
        final: the best one's, from fresh noise; ``None`` without a second round.
        nfe: ``(n,)``.
        latency: ``(n,)`` ms by the zoo's table, ``None`` where it has none.
        evaluations, one_by_one: network evaluations of a batch that the first round took, and
            that it would have taken without shared beginnings.
    """

    X: Schedules
    rounds: Rounds
    scores: NDArray[np.float64]
    final: float | None
    nfe: NDArray[np.int64]
    latency: NDArray[np.float64] | None
    evaluations: int
    one_by_one: int

    @property
    def order(self) -> list[int]:
        """The rows, lowest score first."""
        rows: list[int] = np.argsort(self.scores, kind="stable").tolist()
        return rows

    @property
    def best(self) -> int:
        """The row of the lowest score."""
        return self.order[0]


def validate_population(
    sampler: Sampler,
    X: Schedules,
    rounds: Rounds,
    *,
    network: FeatureNetwork,
    reference: Statistics,
    reporter: Reporter,
) -> Validated:
    """Scores ``(n, L)`` schedules from common noise, and the best of them again from fresh noise.

    Raises:
        InputError: schedules that are not valid, or less fixed noise than images.
    """
    space, zoo, count = sampler.space, sampler.zoo, Count()
    with reporter.part(f"Sampling {len(X)} schedules, {rounds.images} images each") as step:
        scores = sampler.score(
            X, rounds.images, seed=rounds.seed, network=network, reference=reference, progress=step, count=count
        )
    final = None
    if rounds.final_images:
        best = X[[int(scores.argmin())]]
        with reporter.part(f"Sampling the best again, {rounds.final_images} images") as step:
            (final,) = sampler.score(
                best, rounds.final_images, seed=rounds.seed + 1, network=network, reference=reference, progress=step
            ).tolist()
    latency = None if zoo.latency_card is None else space.latency(X, zoo.latency)
    return Validated(X, rounds, scores, final, space.nfe(X), latency, count.evaluations, count.one_by_one)


def write_validation(result: Validated, metric: str, facts: Mapping[str, Any], device: str, path: Path) -> None:
    """Writes the scores as JSON: ``schedules`` in the population's order, and ``best``."""
    best = result.best
    rows = [
        {
            "row": row,
            "schedule": x.tolist(),
            "nfe": int(result.nfe[row]),
            "latency_ms": None if result.latency is None else float(result.latency[row]),
            "score": float(result.scores[row]),
        }
        for row, x in enumerate(result.X)
    ]
    table = {
        "format": FORMAT,
        "metric": metric,
        **facts,
        "images": result.rounds.images,
        "seed": result.rounds.seed,
        "schedules": rows,
        "best": {
            **rows[best],
            "images": result.rounds.final_images or result.rounds.images,
            "seed": result.rounds.seed + (result.final is not None),
            "score": float(result.scores[best]) if result.final is None else result.final,
        },
        "environment": environment(device),
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
