"""What a run is asked to do, and the checks before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from omsdpm.devices import DEVICES, USUAL_RUNNING, usable_cpus
from omsdpm.errors import InputError
from omsdpm.latency import LatencyTable
from omsdpm.plugins import split_list
from omsdpm.seeds import LARGEST
from studies.jobs.running import RunningSettings
from studies.jobs.settings import option
from studies.jobs.solvers import solver_names
from studies.pessimist import KAPPA

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.dataset import ScheduleDataset
    from omsdpm.dataset.build import Workers
    from studies.jobs.study.settings import StudySettings

RACE_IMAGES = 250
"""Images of a schedule that wins a race, from each of the seeds that choose."""

LABELS = 100
"""Of an active search where nobody says it."""

ACTIVE_PREDICTOR = "gp"
"""What an active search is guided by where nobody says it."""

MIN_TRAIN = 2
"""Fewest schedules that can be ranked."""

BENCHMARK, SEARCH, VALIDATION, CHECKPOINT, WORKERS, RESULTS = (
    "Problem", "Search", "Validation", "Search without a benchmark", "Workers", "Results",
)  # fmt: skip
"""Topics of the options."""

EXECUTORS = ("joblib", "dask")
"""Who samples labels beside the process itself."""

EVALUATIONS = 10_000
"""Schedules that a search scores with the predictor where nobody says it, all budgets together."""

TOP = 10
"""Best predicted schedules under each budget that are sampled where nobody says it."""


class ReportedSettings(RunningSettings):
    """What jobs share that search on a predictor, race what it finds, and report who won."""

    optimizer: Any = option("nsga2", metavar="NAME", topic=SEARCH, help="How to search; see 'list'.")
    evaluations: int = option(
        EVALUATIONS,
        ge=1,
        topic=SEARCH,
        help="Schedules that the search may score with the predictor, all budgets together.",
    )
    kappa: float = option(
        KAPPA, topic=SEARCH, allow_inf_nan=False,
        help="Standard deviations that the search adds to predictions, where the predictor knows them.",
    )  # fmt: skip
    seed: int = option(0, ge=0, le=LARGEST, topic=SEARCH, help="Seed of fit and search.")
    top: int = option(
        TOP, ge=1, topic=VALIDATION,
        help="Best predicted schedules under each budget that are sampled and race for the win.",
    )  # fmt: skip
    race_images: int = option(
        RACE_IMAGES, ge=2, topic=VALIDATION, help="Images from each seed that the race chooses by."
    )
    seeds: int = option(
        5, ge=1, topic=VALIDATION, help="Seeds that winners and baselines are reported on; nothing is chosen by them."
    )
    first_seed: int = option(3001, ge=0, le=LARGEST, topic=VALIDATION, help="They count from here.")
    validate_images: int | None = option(
        None, ge=2, topic=VALIDATION, shown="as the stored baselines, 1000 at most",
        help="Images a seed for the report.",
    )  # fmt: skip
    latency_of: str | None = option(
        None, metavar="NAME", topic=SEARCH, shown="the zoo's latency.toml",
        help="Device whose latencies count, measured with 'zoo profile --name NAME'.",
    )  # fmt: skip
    device: str = option(
        "auto", choices=lambda: DEVICES, topic=VALIDATION,
        help="Where networks run; auto takes CUDA if there is one.",
    )  # fmt: skip
    executor: str | None = option(
        None, choices=lambda: EXECUTORS, repeats=False, topic=WORKERS, shown="this process",
        help="Where labels that the job measures are sampled: joblib, on processes of this machine, or dask, "
        "on a cluster.",
    )  # fmt: skip
    jobs: int | None = option(
        None, ge=1, repeats=False, topic=WORKERS, shown="one a core", help="Processes of joblib, of one thread each."
    )
    scheduler: str | None = option(
        None, metavar="ADDRESS", repeats=False, topic=WORKERS,
        help="Of the Dask scheduler, as tcp://host:8786. It and its workers must be trusted, and see the zoo.",
    )  # fmt: skip

    @property
    def workers(self) -> Workers | None:
        """Where labels are sampled; ``None`` for this process."""
        if self.executor is None:
            return None
        from omsdpm.dataset.build import Workers

        return Workers(self.executor, self.jobs or usable_cpus(), 1, self.scheduler, self.device)

    @model_validator(mode="after")
    def _workers_of_an_executor(self) -> Self:
        for name, executor in (("jobs", "joblib"), ("scheduler", "dask")):
            if getattr(self, name) is not None and self.executor != executor:
                raise InputError(f"{self.flag(name)} is of --executor {executor}: give that too")
        return self


class RunSettings(ReportedSettings):
    """Fit a predictor, search schedules on it, and sample the winners for real.

    With --predictor-checkpoint and --latency, only search: no benchmark is loaded and
    nothing is sampled. The final population is for 'validate'.

    With --active the search measures its own labels instead of taking the benchmark's, with
    --executor on several processes or a cluster.

    A predictor or an optimizer takes parameters in brackets: --predictor 'lstm[updates=800]'. Lists,
    as --optimizer nsga2,tpe, are a study, whose cells are run by --executor: see 'study'.
    """

    words = ("run",)

    benchmark: Any = option("digits-ddim", metavar="NAME", topic=BENCHMARK, help="The problem; see 'list'.")
    predictor: Any = option("lstm", metavar="NAME", topic=BENCHMARK, help="What the search is guided by; see 'list'.")
    train_size: int | None = option(
        None, topic=BENCHMARK, shown="the whole split", help="Schedules to fit the predictor on."
    )
    metric: str | None = option(
        None, topic=BENCHMARK, shown="the benchmark's",
        help="Parameters of the benchmark's metric, as 'fid[weights=PATH]'.",
    )  # fmt: skip
    active: bool = option(
        False, flags=("--active",), topic=BENCHMARK,
        help="Measure labels where they decide instead of taking the benchmark's; the usual predictor is then gp.",
    )  # fmt: skip
    labels: int | None = option(
        None, ge=2, topic=BENCHMARK, shown="100 with --active", help="Schedules that an active search measures."
    )
    budgets: tuple[float, ...] = option(
        (), flags=("--budget",), metavar="MS", topic=SEARCH, shown="the benchmark's",
        help="Latency budget in ms, repeatable.",
    )  # fmt: skip
    validated: bool = option(
        True, flags=("--no-validate",), topic=VALIDATION,
        help="Sample nothing: predictions only, no leaderboard rows.",
    )  # fmt: skip
    predictor_checkpoint: Path | None = option(
        None, topic=CHECKPOINT, help="A released predictor, or a folder of 'predictor fit'."
    )
    latency: Path | None = option(None, topic=CHECKPOINT, help="The members' latency table.")
    solver: str | None = option(
        None, choices=solver_names, topic=CHECKPOINT, shown="told by the checkpoint", help="The checkpoint's solver."
    )
    length: int | None = option(
        None, ge=1, topic=CHECKPOINT, shown="CIFAR-10's", help="Slots, for a released checkpoint."
    )
    predictor_config: Path | None = option(None, topic=CHECKPOINT, help="A released checkpoint's YAML.")
    output: Path | None = option(
        None, repeats=False, topic=RESULTS, shown="runs/<benchmark>-<optimizer>-<predictor>-<time>",
        help="Folder for the results; one of a stopped run is gone on with by the same command.",
    )  # fmt: skip
    leaderboard: Path = option(
        Path("leaderboard.csv"), file=True, repeats=False, topic=RESULTS,
        help="CSV that gets a row per budget and seed.",
    )  # fmt: skip

    @property
    def only_search(self) -> bool:
        """A search on a given predictor, without a benchmark."""
        return self.predictor_checkpoint is not None

    def applies(self, name: str) -> bool:
        """Options of the other source of the predictor mean nothing."""
        return name not in (ONLY_BENCHMARK if self.only_search else ONLY_CHECKPOINT)

    @model_validator(mode="before")
    @classmethod
    def _active_predictor(cls, given: Any) -> Any:
        """Few labels are what a Gaussian process is good at."""
        return {"predictor": ACTIVE_PREDICTOR, **given} if given.get("active") else given

    @property
    def spent(self) -> int:
        """Labels of an active search."""
        return LABELS if self.labels is None else self.labels

    def open_benchmark(self, folder: Path) -> Benchmark:
        """The problem.

        Args:
            folder: of the run, for those that have their problem there.

        Raises:
            InputError: unknown name, a folder that cannot be used, or another metric than its own.
        """
        from studies.jobs.naming import benchmark_of

        benchmark = benchmark_of(self.benchmark)
        if self.metric is not None:
            benchmark = benchmark.with_metric(self.metric)
        if self.running != USUAL_RUNNING:
            benchmark = benchmark.with_running(self.running)
        if self.latency_of is None:
            return benchmark
        if not hasattr(benchmark, "with_latency_of"):
            raise InputError(
                f"--latency-of {self.latency_of}: {benchmark.name} has no zoo's folder with tables of devices"
            )
        return benchmark.with_latency_of(self.latency_of)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.latency_of is not None and not self.budgets:
            raise InputError(
                f"--latency-of {self.latency_of} with the benchmark's own budgets, which are for another device: give "
                "--budget MS"
            )
        if self.labels is not None and not self.active:
            raise InputError("--labels is for a search that measures its own: give --active too, or --train-size")
        if self.executor is not None and not self.active and not _is_matrix(self) and not self.only_search:
            raise InputError(
                f"--executor {self.executor} samples the labels of --active, or runs the cells of lists of names: "
                "give one of those too, or leave it out"
            )
        if self.active and self.train_size is not None:
            raise InputError("--train-size takes labels of the benchmark, and --active measures its own: give either")
        for name in self.model_fields_set:
            if not self.applies(name) and self.only_search:
                raise InputError(
                    f"{self.flag(name)} with --predictor-checkpoint, which searches without a benchmark: give either"
                )
            if not self.applies(name) and getattr(self, name) is not None:
                raise InputError(
                    f"{self.flag(name)} is for a search without a benchmark: give --predictor-checkpoint too"
                )
        if self.only_search and self.latency is None:
            raise InputError("--predictor-checkpoint searches without a benchmark: give --latency FILE too")
        if self.only_search and not self.budgets:
            raise InputError("a search without a benchmark has no budgets of its own: give --budget MS")
        return self


ONLY_BENCHMARK = frozenset(
    (
        "benchmark",
        "predictor",
        "train_size",
        "active",
        "labels",
        "metric",
        "latency_of",
        "top",
        "race_images",
        "seeds",
        "first_seed",
        "validate_images",
        "validated",
        "device",
        "dtype",
        "channels_last",
        "compiled",
        "offload",
        "executor",
        "jobs",
        "scheduler",
        "leaderboard",
    )
)
"""Fields that mean nothing to a search without a benchmark."""

ONLY_CHECKPOINT = frozenset(("predictor_checkpoint", "latency", "solver", "length", "predictor_config"))
"""Fields that mean nothing with a benchmark."""


def resolve_budgets(
    budgets: Sequence[float], latency: Sequence[float], cheapest_schedule: str, hint: str = ""
) -> list[float]:
    """The budgets of a run, ms, rising and without repetition.

    Args:
        budgets: as given.
        latency: ms a member.
        cheapest_schedule: that schedule in words, for errors.
        hint: what to give instead, for errors.

    Raises:
        InputError: a budget that is no positive number, or below the cheapest schedule.
    """
    import numpy as np

    cheapest = LatencyTable.of(latency).cheapest  # every space has the schedules of a single evaluation
    for budget in budgets:
        if not np.isfinite(budget) or budget < cheapest:
            raise InputError(f"budget {budget:g} ms: {cheapest_schedule} takes {cheapest:.4g} ms{hint and '; '}{hint}")
    return sorted(set(budgets))


def training_data(benchmark: Benchmark, train_size: int | None, seed: int) -> ScheduleDataset:
    """The training split, or ``train_size`` schedules drawn from it.

    Raises:
        InputError: fewer than two, or more than there are.
    """
    import numpy as np

    train = benchmark.dataset.subset("train")
    if train_size is None:
        return train
    if not MIN_TRAIN <= train_size <= len(train):
        raise InputError(
            f"train size {train_size}: expected {MIN_TRAIN} to {len(train)}, the training split of {benchmark.name}"
        )
    rows = np.random.default_rng(seed).permutation(len(train))[:train_size]
    return train[np.sort(rows)]


def matrix_of(settings: RunSettings) -> StudySettings | None:
    """The study that lists of benchmarks, optimizers or predictors ask for, as ``"nsga2,tpe"``; ``None`` for one each.

    Each cell is then a run; ``--seeds`` says how many cells differ by their seed alone.

    Raises:
        InputError: a list that is none, or an option that a study does not have.
    """
    if settings.only_search or not _is_matrix(settings):
        return None
    asked: dict[str, Any] = {"validated": settings.validated, **_names(settings)}
    given = settings.model_fields_set
    for name in sorted(given - {*(name[:-1] for name in MATRIX), *SHARED_WITH_STUDIES}):
        raise InputError(
            f"{settings.flag(name)} with lists of names, which are a study: `omsdpm-bench study` says what it takes"
        )
    from studies.jobs.study.settings import StudySettings

    shared = {name: getattr(settings, name) for name in given & set(SHARED_WITH_STUDIES)}
    if (first := shared.pop("seed", None)) is not None:
        shared["first_seed"] = first
    if settings.executor == "joblib":
        shared["jobs"] = settings.jobs or usable_cpus()
    return StudySettings(**asked | shared)


MATRIX = ("benchmarks", "optimizers", "predictors")
"""Fields of a study whose singulars are fields of a run."""

SHARED_WITH_STUDIES = (
    "seeds", "seed", "budgets", "evaluations", "train_size", "kappa", "validated", "device", "executor", "jobs",
    "scheduler", "output",
)  # fmt: skip
"""Fields of a run that a study has as well, or under another name."""


def _names(settings: RunSettings) -> dict[str, tuple[Any, ...]]:
    """Benchmarks, optimizers and predictors, one or several of each."""
    values = {name: getattr(settings, name[:-1]) for name in MATRIX}
    return {name: tuple(split_list(value)) if isinstance(value, str) else (value,) for name, value in values.items()}


def _is_matrix(settings: RunSettings) -> bool:
    """Whether there are several of something."""
    return any(len(names) > 1 for names in _names(settings).values())
