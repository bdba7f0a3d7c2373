"""What a run is asked to do, and the checks before anything is done."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.dataset import ScheduleDataset
from omsdpm.errors import InputError

if TYPE_CHECKING:
    from benchmarks import Benchmark

MIN_TRAIN = 2
"""Fewest schedules that can be ranked."""


@dataclass(frozen=True)
class Settings:
    """All parameters of a run, as given; ``omsdpm-bench run`` has an option for each.

    Attributes:
        benchmark, optimizer, predictor: registered names.
        budgets: latency budgets in ms; empty for the benchmark's own.
        evaluations: schedules that the search may score, all budgets together.
        seeds: how many seeds of fresh noise validate a winner.
        seed: of the fit, the choice of training schedules and the search.
        train_size: schedules to fit on, drawn from the training split; ``None`` for all.
        validate_images: images a seed; ``None`` for as many as the baselines had.
        device: where networks run, ``auto``, ``cpu`` or ``cuda``.
        inception_weights: file with the weights for ``fid``; ``None`` downloads them once.
        output: a new or empty folder; ``None`` for one below ``runs/``, named after the run.
        leaderboard: the CSV that gets a row a budget and seed.
        validate: sample the winners; without it no leaderboard row is written.
    """

    benchmark: str = "digits-ddim"
    optimizer: str = "nsga2"
    predictor: str = "lstm"
    budgets: Sequence[float] = field(default=())
    evaluations: int = 10_000
    seeds: int = 3
    seed: int = 0
    train_size: int | None = None
    validate_images: int | None = None
    device: str = "auto"
    inception_weights: Path | None = None
    output: Path | None = None
    leaderboard: Path = Path("leaderboard.csv")
    validate: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The parameters as JSON takes them."""
        values = {**asdict(self), "budgets": list(self.budgets), "leaderboard": str(self.leaderboard)}
        for key in ("output", "inception_weights"):
            values[key] = None if values[key] is None else str(values[key])
        return values

    def command(self) -> str:
        """The command line that repeats the run, in a folder of its own."""
        words = ["omsdpm-bench", "run", "--benchmark", self.benchmark]
        words += ["--optimizer", self.optimizer, "--predictor", self.predictor]
        for budget in self.budgets:
            words += ["--budget", f"{budget:.12g}"]
        words += ["--evaluations", str(self.evaluations), "--seeds", str(self.seeds), "--seed", str(self.seed)]
        if self.train_size is not None:
            words += ["--train-size", str(self.train_size)]
        if self.validate_images is not None:
            words += ["--validate-images", str(self.validate_images)]
        words += ["--device", self.device]
        if self.inception_weights is not None:
            words += ["--inception-weights", str(self.inception_weights)]
        if not self.validate:
            words.append("--no-validate")
        return shlex.join(words)


def resolve_budgets(benchmark: Benchmark, budgets: Sequence[float]) -> list[float]:
    """The budgets of a run, rising and without repetition.

    Raises:
        InputError: a budget that is no positive number, or below the cheapest schedule.
    """
    cheapest = min(benchmark.latency)  # every space has the schedules of a single evaluation
    for budget in budgets:
        if not np.isfinite(budget) or budget < cheapest:
            raise InputError(
                f"budget {budget:g} ms: the cheapest schedule of {benchmark.name} takes {cheapest:.4g} ms; "
                f"its own budgets are {', '.join(f'{own:g}' for own in benchmark.budgets)} ms"
            )
    return sorted(set(budgets or benchmark.budgets))


def training_data(benchmark: Benchmark, train_size: int | None, seed: int) -> ScheduleDataset:
    """The training split, or ``train_size`` schedules drawn from it.

    Raises:
        InputError: fewer than two, or more than there are.
    """
    train = benchmark.dataset.subset("train")
    if train_size is None:
        return train
    if not MIN_TRAIN <= train_size <= len(train):
        raise InputError(
            f"train size {train_size}: expected {MIN_TRAIN} to {len(train)}, the training split of {benchmark.name}"
        )
    rows = np.random.default_rng(seed).permutation(len(train))[:train_size]
    return train[np.sort(rows)]
