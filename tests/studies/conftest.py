"""A benchmark small enough for tests: three analytic denoisers of Gaussian images, really sampled."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import Baseline, Validation
from omsdpm.dataset import ScheduleDataset
from omsdpm.noise import DiscreteVP
from omsdpm.solvers import USUAL, DDIMSpace, SolverOptions

MEAN, SPREAD = 0.3, 0.2
SHAPE = (1, 8, 8)


def analytic_denoiser(error: float) -> Callable[[Any, Any], Any]:
    """The exact noise prediction for images ``N(MEAN, SPREAD^2)``, with a mean wrong by ``error``."""
    noise = DiscreteVP.linear()

    def eps(x: Any, t: Any) -> Any:
        alpha_bar = float(noise.alpha_bar(int(t)))
        alpha, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        return sigma * (x - alpha * (MEAN + error)) / (alpha_bar * SPREAD**2 + sigma**2)

    return eps


@dataclass
class TinyContest:
    """Scores from the first so many images of all seeds together."""

    benchmark: TinyBenchmark
    X: np.ndarray
    images: int
    seeds: tuple[int, ...]

    def grow(self, rows: Any, images: int, progress: Any = None) -> np.ndarray:
        rows = np.asarray(rows)
        parts = [self.benchmark._scores(self.X[rows], self.images, seed)[1] for seed in self.seeds]
        sampled = np.concatenate(parts, axis=1)[:, :images]
        mean, spread = sampled.mean(axis=1), sampled.std(axis=1)
        if progress is not None:
            progress(len(rows) * images)
        return ((mean - MEAN) ** 2 + (spread - SPREAD) ** 2).sum(axis=(1, 2, 3))


@dataclass
class TinyBenchmark:
    """What the runner asks of a benchmark, made on the spot."""

    name: str = "tiny"
    summary: str = "three analytic denoisers"
    space: DDIMSpace = field(default_factory=lambda: DDIMSpace(3, 10))
    noise: DiscreteVP = field(default_factory=DiscreteVP.linear)
    spacing: str = "logSNR"
    options: SolverOptions = USUAL
    metric: str = "fd-pixels"
    latency: tuple[float, ...] = (1.0, 2.0, 4.0)
    budgets: tuple[float, ...] = (4.0, 8.0, 16.0)
    validation: tuple[int, tuple[int, ...]] = (96, (100, 101, 102))
    measurement: Any = field(default_factory=lambda: SimpleNamespace(images=48, seed=7, labels=None))
    data_hash: str = "0123abcd"
    repeat: None = None
    report: None = None
    exhaustive: bool = False
    latency_card: dict[str, Any] = field(
        default_factory=lambda: {"device": "imagined", "batch_size": 1, "date": "2026-01-01", "versions": {}}
    )
    validated: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """(schedules, images, seeds) of each call of :meth:`validate`."""
    raced: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """(schedules, images, seeds) of each call of :meth:`contest`."""

    @property
    def denoisers(self) -> list[Any]:
        return [analytic_denoiser(error) for error in (0.15, 0.05, 0.0)]

    @cached_property
    def dataset(self) -> ScheduleDataset:
        rng = np.random.default_rng(0)
        X = np.unique(self.space.random(160, rng, null=0.6), axis=0)
        X = X[rng.permutation(len(X))]
        split = np.array([("train", "train", "train", "validation", "test", "elite")[i % 6] for i in range(len(X))])
        return ScheduleDataset(self.space, X, self.evaluate(X), split, metric=self.metric)

    @cached_property
    def baselines(self) -> list[Baseline]:
        rows = []
        for steps in (1, 2, 4, 8):
            for small in (1, 2, 3):
                for large in range(small, 4):
                    schedule = np.zeros(10, dtype=np.int64)
                    slots = np.linspace(0, 9, steps).round().astype(int)
                    schedule[slots] = [large if i < (steps + 1) // 2 else small for i in range(steps)]
                    rows.append(("single" if small == large else "stitch", f"{small}-{large} x{steps}", schedule))
        X = np.array([schedule for _, _, schedule in rows])
        images, seeds = self.validation
        scores = np.stack([self._scores(X, images, seed)[0] for seed in seeds], axis=1)
        latency = self.space.latency(X, self.latency)
        return [
            Baseline(kind, name, schedule, float(ms), row)
            for (kind, name, schedule), ms, row in zip(rows, latency, scores, strict=True)
        ]

    def evaluate(self, X: np.ndarray, device: str = "cpu") -> np.ndarray:
        return self._scores(X, self.measurement.images, self.measurement.seed)[0]

    def stored_scores(self, X: np.ndarray) -> np.ndarray:
        known = {x.tobytes(): y for x, y in zip(self.dataset.X, self.dataset.y, strict=True)}
        return np.array([known.get(x.tobytes(), np.nan) for x in self.space.canonical(X)])

    def best_baseline(self, budget: float) -> Baseline | None:
        within = [baseline for baseline in self.baselines if baseline.latency <= budget]
        return min(within, key=lambda baseline: baseline.mean, default=None)

    def prepare(self, device: str = "cpu", progress: Any = None) -> None:
        """Nothing to load."""

    def check_comparable(self) -> None:
        """Its baselines are made by the code that validates."""

    def validate(
        self,
        X: np.ndarray,
        *,
        images: int,
        seeds: tuple[int, ...],
        device: str = "cpu",
        progress: Any = None,
        known: np.ndarray | None = None,
        scored: Any = None,
    ) -> Validation:
        self.validated.append((len(X), images, seeds))
        scores, grids = [], None
        for number, seed in enumerate(seeds, start=1):
            score, sampled = self._scores(X, images, seed)
            grids = sampled if grids is None else grids  # of the first seed
            scores.append(score)
            if scored is not None:
                scored(seed, score, grids[:, :64])
            if progress is not None:
                progress(number, len(seeds))
        assert grids is not None
        return Validation(np.stack(scores, axis=1), 1.5 * self.space.latency(X, self.latency), grids[:, :64])

    def contest(self, X: np.ndarray, *, images: int, seeds: tuple[int, ...], device: str = "cpu") -> TinyContest:
        self.raced.append((len(X), images, tuple(seeds)))
        return TinyContest(self, np.asarray(X), images, tuple(seeds))

    def _scores(self, X: np.ndarray, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Fréchet distance of the pixels' mean and spread, and the images ``(n, images, C, H, W)``."""
        import torch

        from omsdpm.sampling import sample_population

        x_T = torch.randn((images, *SHAPE), generator=torch.Generator().manual_seed(seed))
        sampled = np.empty((len(X), images, *SHAPE), dtype=np.float32)
        for row, x_0 in sample_population(self.denoisers, X, x_T, space=self.space, noise=self.noise):
            sampled[row] = x_0.numpy()
        mean, spread = sampled.mean(axis=1), sampled.std(axis=1)
        return ((mean - MEAN) ** 2 + (spread - SPREAD) ** 2).sum(axis=(1, 2, 3)), sampled


@pytest.fixture(scope="session")
def _tiny_made() -> TinyBenchmark:
    tiny = TinyBenchmark()
    assert len(tiny.dataset) and tiny.baselines  # made once for all tests
    return tiny


class Plugins:
    """Packages that a test installs: entry points and the modules that they name."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = patch

    def add(self, group: str, **things: Any) -> None:
        """Registers objects under names of a group, as a package of their own."""
        number = len(list(self.folder.glob("*.dist-info")))
        module, info = ModuleType(f"plugin{number}"), self.folder / f"plugin{number}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin{number}\nVersion: 1\n")
        lines = [f"[{group}]"]
        for at, (name, thing) in enumerate(things.items()):
            attribute = f"thing{at}" if "<" in thing.__qualname__ else thing.__qualname__
            setattr(module, attribute, thing)
            if isinstance(thing, type):
                self.patch.setattr(thing, "__module__", module.__name__)
            lines.append(f"{name} = {module.__name__}:{attribute}")
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        self.patch.setitem(sys.modules, module.__name__, module)
        self.patch.syspath_prepend(self.folder)


@pytest.fixture(scope="session")
def make_plugins() -> type[Plugins]:
    """For fixtures that live longer than a test."""
    return Plugins


@pytest.fixture
def plugins(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Installs what a test registers, for the length of the test."""
    return Plugins(tmp_path_factory.mktemp("plugins"), monkeypatch)


@pytest.fixture
def tiny(_tiny_made: TinyBenchmark, plugins: Plugins) -> TinyBenchmark:
    """The tiny benchmark, which is also registered as ``tiny``."""
    _tiny_made.validated.clear()
    _tiny_made.raced.clear()
    plugins.add("omsdpm.benchmarks", tiny=lambda: _tiny_made)
    return _tiny_made
