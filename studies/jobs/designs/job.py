"""What the labels of each design are worth: predictors fitted on equally costly parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError
from omsdpm.files import check_writable
from studies.jobs.designs.result import DesignRow, DesignsResult
from studies.jobs.designs.settings import DesignsSettings
from studies.jobs.naming import benchmark_of, check_predictor, predictor_of, text_of
from studies.ranking import HELD_OUT, MIN_RANKED, correlations
from studies.records.progress import SILENT, Reporter

if TYPE_CHECKING:
    from benchmarks import Benchmark


def designs(settings: DesignsSettings, reporter: Reporter = SILENT) -> DesignsResult:
    """Ranks the held-out splits by a predictor fitted on equally costly parts of each design.

    Raises:
        InputError: an unknown predictor, or a benchmark without training rounds or held-out splits.
    """
    if settings.output is not None:
        check_writable(settings.output)
    if isinstance(settings.predictor, str):
        check_predictor(settings.predictor)
    benchmark = benchmark_of(settings.benchmark)
    held_out = {split: benchmark.dataset.subset(split) for split in HELD_OUT}
    for split, part in held_out.items():
        if len(part) < MIN_RANKED:
            raise InputError(f"benchmark {benchmark.name} has no {split} split: nothing could be judged")
    families = training_rounds(benchmark)
    rows = []
    for design, rounds in families.items():
        taus: dict[str, list[float]] = {split: [] for split in held_out}
        with reporter.part(f"Fitting on {design}") as step:
            for seed in range(settings.seeds):
                chosen = equal_cost_rows(benchmark, rounds, settings.evaluations, seed)
                if len(chosen) < MIN_RANKED:
                    raise InputError(f"--evaluations {settings.evaluations}: too few for two schedules of {design}")
                part = benchmark.dataset[chosen]
                predictor = predictor_of(settings.predictor, benchmark, seed).fit(part.X, part.y)
                for split, judged in held_out.items():
                    tau = correlations(predictor, judged.X, judged.y).kendall_tau
                    assert tau is not None  # two schedules or more
                    taus[split].append(tau)
                step(seed + 1, settings.seeds)
        rows.append(DesignRow(design=design, schedules=len(part), test=tuple(taus["test"]), elite=tuple(taus["elite"])))
    result = DesignsResult(
        settings=settings, benchmark=benchmark.name, predictor=text_of(settings.predictor), rows=tuple(rows)
    )
    if settings.output is not None:
        result.write(settings.output)
    return result


def training_rounds(benchmark: Benchmark) -> dict[str, list[str]]:
    """The training rounds of each design, and all of them as a mixture.

    Raises:
        InputError: a benchmark without such rounds.
    """
    rounds = {
        entry["name"]: entry["design"] for entry in benchmark.table.get("round", []) if entry.get("split") == "train"
    }
    if not rounds:
        raise InputError(f"benchmark {benchmark.name} has no [[round]] for training: there are no designs to compare")
    by_design: dict[str, list[str]] = {}
    for name, design in rounds.items():
        by_design.setdefault(design, []).append(name)
    return {**by_design, "mixture": list(rounds)}


def equal_cost_rows(benchmark: Benchmark, rounds: list[str], evaluations: int, seed: int) -> NDArray[np.int64]:
    """Rows of some rounds that cost about ``evaluations``, the rounds in equal parts of the cost."""
    costs = benchmark.dataset.extra["rounds"]
    rng = np.random.default_rng(seed)
    rows = []
    for name in rounds:
        each = costs[name]["evaluations"] / costs[name]["schedules"]
        available = rng.permutation(np.flatnonzero(benchmark.dataset.design == name))
        rows.append(available[: round(evaluations / len(rounds) / each)])
    return np.concatenate(rows)
