"""A benchmark: a space, latencies, budgets, measured schedules, and the means to measure more."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.stored import BASELINES_FILE, Baseline, read_baselines
from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.recipe import DATASET_FILE, RECIPE_FILE, BenchmarkTable, measurement_of, parse_recipe, recipe_toml
from omsdpm.devices import Running
from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.names import plain_name
from omsdpm.noise import Noise
from omsdpm.scoring.identity import check_measured, identity
from omsdpm.scoring.measurement import Measurement, Meter
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.files import card_batch_size

if TYPE_CHECKING:
    from benchmarks.choices import Choice
    from benchmarks.report import ReportScores
    from omsdpm.scoring.growing import GrowingScores
    from predictors import Predictor

REPEAT_FILE = "repeat.parquet"
GRID = 64
"""Images of a validated schedule that are kept for a look."""

FEWEST_SHOWN = 4
KEPT_NUMBERS = 2**22
"""Fewer are kept of large images, so that there are no more numbers than these; but at least the fewest."""


@dataclass(frozen=True)
class Validation:
    """What sampling with fresh noise said of ``n`` schedules.

    Attributes:
        scores: ``(n, s)``, one a seed.
        latency_ms: ``(n,)`` sums of the members' latencies measured on this device.
        images: ``(n, 64, C, H, W)`` samples of the first seed, in ``[-1, 1]``.
    """

    scores: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    images: NDArray[np.float32]


@dataclass(frozen=True)
class Benchmark:
    """A problem that optimizers and predictors are compared on.

    Attributes:
        name, summary: its name, and what it is in one line.
        folder: where its files are.
        measurement: how a schedule becomes a score.
        budgets: latency budgets, ms, rising.
        validation_images, validation_seeds: with which winners and baselines are validated.

    Example:
        >>> benchmark = load_benchmark("digits-ddim")
        >>> train = benchmark.dataset.subset("train")
        >>> scores = benchmark.evaluate(train.X[:2])
    """

    name: str
    summary: str
    folder: Path
    measurement: Measurement
    budgets: list[float]
    validation_images: int = 2000
    validation_seeds: tuple[int, ...] = (1001, 1002, 1003)
    table: dict[str, Any] = field(default_factory=dict, repr=False)
    """All of ``benchmark.toml`` as it is written, for :attr:`data_hash`."""

    def __post_init__(self) -> None:
        try:
            plain_name(self.name)  # files are named after it
        except ValueError as error:
            raise InputError(f"benchmark name {error}") from error
        if self.measurement.seed in self.validation_seeds:
            raise InputError(f"validation seed {self.measurement.seed} is the dataset's noise: use another")

    @classmethod
    def read(cls, folder: str | Path) -> Benchmark:
        """Reads a folder's ``benchmark.toml``.

        Raises:
            InputError: it cannot be read, has a key that is unknown, lacking or of a wrong value, or
                validates with the dataset's own noise.
        """
        folder = Path(folder)
        table = recipe_toml(folder)
        file = parse_recipe(BenchmarkTable, table, folder)
        measurement = measurement_of(file, folder)
        try:
            return _class_of(file, cls)(
                name=file.name,
                summary=file.summary,
                folder=folder,
                measurement=measurement,
                budgets=sorted(file.budgets),
                validation_images=file.validation.images,
                validation_seeds=file.validation.seeds,
                table=table,
            )
        except InputError as error:
            raise InputError(f"{folder / RECIPE_FILE}: {error}") from error

    def with_metric(self, text: str) -> Benchmark:
        """The same benchmark with other files for its metric, as ``"fid[weights=PATH]"``.

        Raises:
            InputError: another metric, or a parameter that it does not have.
        """
        return replace(self, measurement=self.measurement.with_metric(text))

    def with_latency_of(self, name: str) -> Benchmark:
        """The same benchmark, where the latencies of another device count: ``latency-NAME.toml`` of its zoo.

        Raises:
            InputError: the zoo has no table of that name, or one for other members.
        """
        return replace(self, measurement=self.measurement.with_latency_of(name))

    def with_running(self, running: Running) -> Benchmark:
        """The same benchmark by members that run otherwise; another precision is another measurement."""
        return replace(self, measurement=self.measurement.with_running(running))

    # -- the problem -----------------------------------------------------------------

    @property
    def space(self) -> ScheduleSpace:
        """The space of schedules."""
        return self.measurement.space

    @property
    def noise(self) -> Noise:
        """The solver's noise schedule."""
        return self.measurement.noise

    @property
    def options(self) -> SolverOptions:
        """How the solver runs."""
        return self.measurement.options

    @property
    def spacing(self) -> str:
        """How the solver spreads its steps, where it places them itself."""
        return self.options.spacing

    @property
    def metric(self) -> str:
        """What a score is called, as ``"fd-digits"``, ``"fid"``, or ``"-psnr[member=6]"`` for one that is negated."""
        return self.measurement.score_name

    @property
    def latency_card(self) -> dict[str, Any]:
        """How the frozen latencies were measured: device, batch size, date, versions."""
        return self.measurement.latency_card

    @property
    def latency(self) -> LatencyTable:
        """Frozen milliseconds a member, measured once and dated, and what else a schedule costs; for budgets."""
        return self.measurement.latency

    def predictor(self, text: str, random_state: int = 0, **parameters: Any) -> Predictor:
        """An unfitted predictor that knows all of the problem but its scores.

        Args:
            text: ``name`` or ``name[param=value,...]``.
            random_state: all of its randomness.
            **parameters: more of the family's parameters.

        Raises:
            InputError: unknown name, a plug-in that breaks the contract, or a parameter that the
                family does not have, that is given twice, or that the benchmark settles.

        Example:
            >>> train = benchmark.dataset.subset("train")
            >>> benchmark.predictor("gbdt[trees=50]").fit(train.X, train.y)
        """
        from predictors.registry import predictor_for

        return predictor_for(self, text, random_state, **parameters)

    # -- the data --------------------------------------------------------------------

    @cached_property
    def dataset(self) -> ScheduleDataset:
        """The measured schedules with their splits."""
        path = self.folder / DATASET_FILE
        if not path.exists():
            raise InputError(
                f"benchmark {self.name} was never built, {path} is not there: "
                f"measure its schedules with `omsdpm-bench dataset build {self.folder}`"
            )
        return ScheduleDataset.read(path)

    @property
    def exhaustive(self) -> bool:
        """Every schedule of the space is measured."""
        return len(self.dataset) == self.space.cardinality

    def stored_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """``(n, L) -> (n,)``: the dataset's scores of schedules, NaN for those that it does not hold.

        Raises:
            InputError: an invalid schedule.
        """
        scores = np.append(self.dataset.y, np.nan)
        keys = (row.tobytes() for row in self.space.canonical(self.space.check(np.asarray(X))))
        return scores[[self._row_of.get(key, -1) for key in keys]]

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        """Rows of the dataset by canonical form."""
        return {row.tobytes(): i for i, row in enumerate(self.space.canonical(self.dataset.X))}

    @cached_property
    def baselines(self) -> list[Baseline]:
        """Schedules without search of the whole space, validated when the benchmark was built; empty if never.

        Everything that the usual strategies propose, and what every other one chose by its labels.
        """
        from benchmarks.choices import with_choices

        path = self.folder / BASELINES_FILE
        stored = read_baselines(path, self.space, self.latency) if path.exists() else []
        return with_choices(stored, self.choices, self.space, self.latency)

    @cached_property
    def choices(self) -> list[Choice]:
        """What each strategy chose under each budget by its labels, as the benchmark was built; empty if never."""
        from benchmarks.choices import CHOICES_FILE, read_choices

        path = self.folder / CHOICES_FILE
        return read_choices(path, self.space) if path.exists() else []

    def best_baseline(self, budget: float) -> Baseline | None:
        """The baseline of the best validated mean within a latency budget (ms); ``None`` where there is none."""
        within = [baseline for baseline in self.baselines if baseline.latency <= budget]
        return min(within, key=lambda baseline: baseline.mean, default=None)

    @cached_property
    def report(self) -> ReportScores | None:
        """Scores of the best baselines on the noise that winners are reported on; ``None`` if never built."""
        from benchmarks.report import REPORT_FILE, read_report

        path = self.folder / REPORT_FILE
        return read_report(path, self.space) if path.exists() else None

    @cached_property
    def repeat(self) -> ScheduleDataset | None:
        """Some of the dataset's schedules, measured again from independent noise; ``None`` if never."""
        path = self.folder / REPEAT_FILE
        return ScheduleDataset.read(path) if path.exists() else None

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of the benchmark's files, 16 digits: equal where results are comparable.

        What strategies chose is no part of it, so that a new strategy leaves what was measured comparable: a
        result says itself which baseline it was compared with.
        """
        facts = {key: value for key, value in self.table.items() if key not in ("summary", "notes", "strategies")}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        for name in (DATASET_FILE, BASELINES_FILE, REPEAT_FILE):
            path = self.folder / name
            if path.exists():
                digest.update(path.read_bytes())
        digest.update(repr(self.latency).encode())
        return digest.hexdigest()[:16]

    @property
    def validation(self) -> tuple[int, tuple[int, ...]]:
        """Images a seed, and the seeds, that the baselines were validated with."""
        return self.validation_images, self.validation_seeds

    # -- measuring -------------------------------------------------------------------

    def zoo(self, device: str = "cpu") -> ModelZoo:
        """The members of the space, loaded."""
        m = self.measurement
        return ModelZoo.load(m.zoo, device, running=m.running).subset(m.numbers)

    def prepare(self, device: str = "cpu", progress: Callable[[int, int], object] | None = None) -> Meter:
        """Computes what the metric needs of the real images, which is kept on disk, and finds what cannot be loaded.

        Args:
            device: where to sample.
            progress: called with ``(images done, images)`` of the real ones.

        Returns:
            What measures; as long as somebody holds it, nothing of the zoo is read again.

        Raises:
            InputError: the zoo, the metric or its reference cannot be used.
        """
        meter = self.measurement.open(device)
        meter.prepare(progress)
        return meter

    def evaluate(
        self, X: ArrayLike, device: str = "cpu", progress: Callable[[int, int], object] | None = None
    ) -> NDArray[np.float64]:
        """Samples from the dataset's own noise and scores: ``(n, L) -> (n,)``.

        Raises:
            InputError: an invalid schedule.
        """
        return self.measurement.open(device).measure(X, progress=progress)

    def validate(
        self,
        X: ArrayLike,
        *,
        images: int | None = None,
        seeds: Sequence[int] | None = None,
        device: str = "cpu",
        progress: Callable[[int, int], object] | None = None,
        known: NDArray[np.float64] | None = None,
        scored: Callable[[int, NDArray[np.float64], NDArray[np.float32]], object] | None = None,
    ) -> Validation:
        """Samples with fresh noise, never the dataset's, and scores.

        Args:
            X: ``(n, L)`` schedules.
            images: a seed; ``None`` as the baselines had.
            seeds: of the noise; ``None`` as the baselines had.
            device: where to sample.
            progress: called with ``(images done, images)``.
            known: ``(n, s)`` scores that need no sampling, NaN for those that do; :attr:`report` has some.
            scored: given each seed, its scores ``(n,)`` and the images that are kept, as soon as they are there.

        Raises:
            InputError: an invalid schedule, the dataset's own seed, or baselines of other members.
        """
        from omsdpm.zoo.profile import measure_latency

        batch = self.space.check(np.asarray(X))
        images = self.validation_images if images is None else images
        seeds = self.validation_seeds if seeds is None else tuple(seeds)
        if self.measurement.seed in seeds:
            raise InputError(f"validation seed {self.measurement.seed} is the dataset's noise: use another")
        self.check_comparable()
        loaded = self.measurement.open(device)
        scores = np.full((len(batch), len(seeds)), np.nan) if known is None else np.array(known, dtype=float)
        lacking = np.isnan(scores)
        shape = loaded.zoo.image_shape
        grids = np.zeros((len(batch), min(_shown(shape), images), *shape), dtype=np.float32)
        known_rows = np.flatnonzero(~lacking[:, 0])
        if len(known_rows):  # the same images as if all had been sampled
            for row, x_0 in loaded.sample(batch[known_rows], images=grids.shape[1], seed=seeds[0]):
                grids[known_rows[row]] = x_0.float().cpu().numpy()
        done, total = 0, int(lacking.sum()) * images
        for i, seed in enumerate(seeds):
            rows = np.flatnonzero(lacking[:, i])
            if not len(rows):
                continue
            meter = loaded.with_noise(images=images, seed=seed)

            def keep(row: int, first: int, x_0: Any, rows: NDArray[np.int64] = rows) -> None:
                kept = grids[rows[row], first : first + len(x_0)]
                if len(kept):
                    kept[:] = x_0[: len(kept)].float().cpu().numpy()

            def step(now: int, _: int, before: int = done) -> None:
                if progress is not None:
                    progress(before + now, total)

            scores[rows, i] = meter.measure(batch[rows], progress=step, keep=keep if i == 0 else None)
            done += len(rows) * images
            if scored is not None:
                scored(seed, scores[:, i], grids)
        size = card_batch_size(self.latency_card)
        measured = measure_latency(loaded.zoo, batch_size=size, repeats=5, warmup=2)
        return Validation(scores, self.space.latency(batch, measured), grids)

    def contest(self, X: ArrayLike, *, images: int, seeds: Sequence[int], device: str = "cpu") -> GrowingScores:
        """Schedules ``(n, L)`` whose scores can be had from more and more images of fresh noise.

        Args:
            X, device: as for :meth:`validate`.
            images: from the noise of each seed, at most.
            seeds: of the noise.

        Raises:
            InputError: an invalid schedule, or the dataset's own seed.
        """
        from omsdpm.scoring.growing import GrowingScores

        if self.measurement.seed in seeds:
            raise InputError(f"validation seed {self.measurement.seed} is the dataset's noise: use another")
        meter = self.measurement.open(device)
        return GrowingScores(meter.sampler, meter.metric, X, images=images, seeds=seeds)

    def check_comparable(self) -> None:
        """Raises :class:`InputError` if fresh scores could not stand beside those of the stored baselines.

        They were measured with other members, solver or reference, or do not say with which.
        """
        if (self.folder / BASELINES_FILE).exists():
            stored = Path(BASELINES_FILE).stem
            check_measured(self.folder, stored, identity(self.measurement), noise=False)


def _shown(shape: Sequence[int]) -> int:
    """Images of a schedule that are kept to be shown: fewer where they are large."""
    return max(FEWEST_SHOWN, min(GRID, KEPT_NUMBERS // math.prod(shape)))


def _class_of(file: BenchmarkTable, default: type[Benchmark]) -> type[Benchmark]:
    """A file that says ``tabular = true`` is a benchmark that looks scores up."""
    if not file.tabular:
        return default
    from benchmarks.tabular import TabularBenchmark

    return TabularBenchmark
