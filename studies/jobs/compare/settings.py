"""What a comparison of predictors is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from omsdpm.devices import DEVICES
from omsdpm.errors import InputError
from studies.jobs.settings import Settings, option
from studies.jobs.solvers import solver_names


class CompareSettings(Settings):
    """Fit predictors on few and many labels, and judge all by one protocol.

    For seed s, a predictor gets the first N schedules of a permutation of the train split,
    drawn from s, and nothing else: one that wants validation labels holds back some of
    these. Test and elite schedules are only predicted.

    predictors.csv gets a row for each benchmark, predictor, train size and seed as soon as
    it is known: Kendall's tau and Spearman's rho on test, tau on elite, precision among the
    best 1 and 5 % of test, regret of the schedule predicted best within each budget (over
    the whole space where all of it is measured, else over test and elite), seconds to fit,
    predictions per second, and how much of test the 50 and 90 % intervals hold.

    With --dataset the schedules are those of a file, ours or the release's. Where it has no
    splits train and test, each seed trains on a random half and is judged on the other.

    With --search it also says what a search on each predictor finds under each budget, really
    measured: the score of the schedule predicted best, and the best of ten. Ranking well is not
    finding good schedules. Where not all schedules are measured, some 40 are sampled for each fit.

    Rows that are there already are skipped, so a run that was stopped goes on where it was.
    Several runs may write to one folder at once.
    """

    words = ("predictor", "compare")

    benchmark: Any = option("digits-ddim", metavar="NAME", help="Whose schedules; see 'list'.")
    dataset: Path | None = option(
        None, metavar="FILE", help="Instead of a benchmark: Parquet, or a released .pth or folder of them."
    )
    solver: str | None = option(None, choices=solver_names, shown="told by their slots", help="Of released schedules.")
    members: int | None = option(None, ge=1, shown="the largest member that occurs", help="Of released schedules.")
    latency: Path | None = option(None, help="Latency table of the dataset's members, for families that use it.")
    predictors: tuple[Any, ...] = option(
        (), flags=("--predictor",), separator=",", metavar="NAME,...", shown="all",
        help="Predictors to compare, as 'gp,lstm[updates=800]'; see 'list'.",
    )  # fmt: skip
    train_sizes: tuple[int, ...] = option(
        (), separator=",", metavar="N,...", shown="50,100,200,400,800,1600, as far as there are so many",
        help="Schedules to fit on.",
    )  # fmt: skip
    seeds: int = option(5, ge=1, help="How many, from 0.")
    search: bool = option(False, flags=("--search",), help="Search on each predictor, and measure what is found.")
    device: str = option("auto", choices=lambda: DEVICES, help="Where what is found is sampled.")
    output: Path = option(help="Folder; what it has is continued.")

    def applies(self, name: str) -> bool:
        """A comparison is on a benchmark or on a dataset."""
        return name not in (ONLY_BENCHMARK if self.dataset is not None else ONLY_DATASET)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        for name in self.model_fields_set:
            if not self.applies(name) and self.dataset is not None:
                told = "give either" if name == "benchmark" else "a dataset has no budgets and no networks"
                raise InputError(f"{self.flag(name)} beside --dataset: {told}")
            if not self.applies(name) and getattr(self, name) is not None:
                raise InputError(f"{self.flag(name)} is of a dataset: give --dataset FILE too")
        return self


ONLY_BENCHMARK = frozenset(("benchmark", "search", "device"))
"""Fields that mean nothing with a dataset."""

ONLY_DATASET = frozenset(("dataset", "solver", "members", "latency"))
"""Fields that mean nothing with a benchmark."""
