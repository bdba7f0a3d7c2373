"""One cell of a study: fit, search, look up or sample, all in the process that is given it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.errors import InputError, one_line
from omsdpm.names import file_name
from studies.jobs.naming import ORACLE, benchmark_of, optimizer_of, predictor_of
from studies.jobs.study.recorder import Log, Recorded

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from predictors import Predictor

POINTS = 40
"""Evaluations at which an any-time curve is kept, evenly spread on a logarithmic axis."""

PROBES = 64
"""Random schedules that a predictor must tell apart before anything is searched on it."""


@dataclass(frozen=True)
class Cell:
    """What a cell is; equal ones have equal results but for their seconds.

    Attributes:
        benchmark, optimizer, predictor: as ``name[param=value,...]``.
        data_hash: of the benchmark's data.
        seed: of fit and search.
        budgets: ms.
        evaluations, train_size, kappa: of the search, as ``run`` has them.
        validated: winners are sampled, on ``validate_seeds`` seeds.
    """

    benchmark: str
    optimizer: str
    predictor: str
    data_hash: str
    seed: int
    budgets: tuple[float, ...]
    evaluations: int
    train_size: int | None
    kappa: float
    validated: bool
    validate_seeds: int

    @property
    def file(self) -> str:
        """The name of its file."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
        words = f"{self.benchmark}-{self.optimizer}-{self.predictor}-{self.seed}"
        return file_name(f"{words[:120]}-{digest}.json")

    def __str__(self) -> str:
        return f"{self.optimizer} with {self.predictor} on {self.benchmark}, seed {self.seed}"


def measure_cell(cell: Cell, runs: str, device: str) -> dict[str, Any]:
    """Runs a cell; whatever goes wrong in it becomes the reason of its rows.

    Args:
        cell: which.
        runs: folder for the run folder of a validated cell.
        device: where networks run.

    Returns:
        JSON: ``cell``; ``rows``, one a budget, each with ``status`` and ``reason``; and the seconds.
    """
    outcome: dict[str, Any] = {"cell": asdict(cell), "rows": []}
    try:
        benchmark = benchmark_of(cell.benchmark)
        cheapest = float(min(benchmark.latency))
        met = [budget for budget in cell.budgets if budget >= cheapest]
        for budget in cell.budgets:
            if budget not in met:
                reason = f"no schedule meets {budget:g} ms: the cheapest of {benchmark.name} takes {cheapest:.4g} ms"
                outcome["rows"].append(failed(budget, reason))
        if met:
            outcome |= _searched(cell, benchmark, met, Path(runs), device, outcome["rows"])
    except Exception as error:  # one cell's, which stops no other
        words = one_line(error)
        reason = words if isinstance(error, InputError) else f"{type(error).__name__}: {words}"
        known = {row["budget"] for row in outcome["rows"]}
        outcome["rows"] += [failed(budget, reason) for budget in cell.budgets if budget not in known]
    outcome["rows"].sort(key=lambda row: row["budget"])
    return outcome


def failed(budget: float, reason: str) -> dict[str, Any]:
    """The row of a budget that has no result."""
    return {"budget": budget, "status": "failed", "reason": reason}


def _searched(
    cell: Cell, benchmark: Benchmark, budgets: list[float], runs: Path, device: str, before: list[dict[str, Any]]
) -> dict[str, Any]:
    from studies.jobs.run.search import PricedSpace, check_evaluations, search
    from studies.pessimist import Pessimist

    optimizer = optimizer_of(cell.optimizer)
    check_evaluations(optimizer, cell.optimizer, cell.evaluations, budgets)
    log, fit_seconds = Log(), None
    recorded = Recorded(optimizer, cell.optimizer, log)
    winners: dict[float, dict[str, Any]] = {}
    if cell.validated:
        winners, labels, fit_seconds = _run(cell, recorded, benchmark, budgets, runs, device)
    else:
        predictor, labels, fit_seconds = _fitted(cell)
        check_predictions(cell.predictor, predictor, benchmark)
        priced = PricedSpace(benchmark.space, benchmark.latency)
        search(
            recorded, priced, Pessimist(predictor, cell.kappa), budgets,
            evaluations=cell.evaluations, seed=cell.seed, progress=lambda done, total: None,
        )  # fmt: skip
    X, scores = np.concatenate(log.X), np.concatenate(log.scores)
    check_scores(cell.predictor, scores)
    latency, seconds = np.concatenate(log.latency), np.concatenate(log.seconds)
    measured = _lookup(benchmark, X)
    oracle = cell.predictor.partition("[")[0] == ORACLE
    rows = list(before)
    for budget in budgets:
        curve = any_time(scores, latency, seconds, measured, budget)
        last = curve[-1] if curve else None
        row: dict[str, Any] = {"budget": budget, "status": "ok", "reason": "", "curve": curve}
        if last is None:
            row = failed(budget, f"the search met no schedule within {budget:g} ms")
        else:
            chosen = X[last["row"]]
            row |= {"predicted": last["predicted"], "measured": last["measured"], "schedule": chosen.tolist()}
            if measured is not None:
                row["optimum"] = float(benchmark.optimum(budget).y[0])  # type: ignore[attr-defined]
            row |= winners.get(budget, {})
        rows.append(row)
    return {
        "rows": rows,
        "labels": len(X) if oracle else labels,
        "labels_are_evaluations": oracle,
        "evaluations": len(X),
        "hypervolume": None if measured is None else _hypervolume(benchmark, scores, latency, measured),
        "fit_seconds": fit_seconds,
        "search_seconds": log.total,
        "overhead_seconds": log.total - log.predicting,
    }


@lru_cache(maxsize=2)
def _fit(
    benchmark: str, predictor: str, train_size: int | None, seed: int, data_hash: str
) -> tuple[Predictor, int, float]:
    from studies.jobs.run.settings import training_data
    from studies.ranking import fit

    problem = benchmark_of(benchmark)
    train = training_data(problem, train_size, seed)
    start = time.perf_counter()
    fitted = fit(predictor_of(predictor, problem, seed), problem, train)
    return fitted, len(train), time.perf_counter() - start


def _fitted(cell: Cell) -> tuple[Predictor, int, float]:
    """Predictor, labels and seconds; cells that differ in the optimizer alone share a fit."""
    return _fit(cell.benchmark, cell.predictor, cell.train_size, cell.seed, cell.data_hash)


def check_predictions(name: str, predictor: Any, benchmark: Benchmark) -> None:
    """Raises :class:`InputError` for a predictor that gives NaN, or the same number for all."""
    if name.partition("[")[0] == ORACLE:
        return  # each of its answers is paid for
    space = benchmark.space
    X = np.unique(space.canonical(space.random(PROBES, np.random.default_rng(0))), axis=0)
    scores = np.asarray(predictor.predict(X), dtype=float)
    if scores.shape != (len(X),):
        raise InputError(f"predictor {name} gave scores of shape {scores.shape} for {len(X)} schedules: expected (n,)")
    check_scores(name, scores)


def check_scores(name: str, scores: NDArray[np.float64]) -> None:
    """Raises :class:`InputError` for scores ``(n,)`` of distinct schedules that are no numbers, or all the same."""
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise InputError(f"predictor {name} gave NaN or infinity for {bad} of {len(scores)} schedules")
    if len(scores) > 1 and (scores == scores[0]).all():
        raise InputError(f"predictor {name} gave {scores[0]:g} for all of {len(scores)} schedules: it guides no search")


def _lookup(benchmark: Benchmark, X: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Measured scores ``(n,)`` where all of a benchmark is measured."""
    from benchmarks.tabular import TabularBenchmark

    return benchmark.evaluate(X) if isinstance(benchmark, TabularBenchmark) and benchmark.exhaustive else None


def any_time(
    scores: NDArray[np.float64],
    latency: NDArray[np.float64],
    seconds: NDArray[np.float64],
    measured: NDArray[np.float64] | None,
    budget: float,
) -> list[dict[str, Any]]:
    """What a user would have who stopped the search after so many evaluations.

    That is the schedule predicted best within the budget so far; of equally predicted the first.

    Args:
        scores, latency, seconds: ``(e,)`` predicted scores, ms, and seconds of search, in order.
        measured: ``(e,)`` measured scores, where they are known.
        budget: ms.

    Returns:
        At most about :data:`POINTS` points from the first schedule that fits, the last after all of
        the ``e`` evaluations: ``evaluations``, ``seconds``, ``row`` of the schedule, ``predicted``, ``measured``.
    """
    feasible = np.where(latency <= budget, scores, np.inf)
    if not np.isfinite(feasible).any():
        return []
    best = np.minimum.accumulate(feasible)
    fresh = np.append(True, best[1:] < best[:-1])
    holder = np.maximum.accumulate(np.where(fresh, np.arange(len(best)), 0))
    first = int(np.flatnonzero(np.isfinite(best))[0])
    stops = np.unique(np.geomspace(1, len(scores), POINTS).round().astype(int))
    stops = np.unique(np.concatenate([[first + 1], stops[stops > first], [len(scores)]]))
    return [
        {
            "evaluations": int(stop),
            "seconds": float(seconds[stop - 1]),
            "row": int(holder[stop - 1]),
            "predicted": float(best[stop - 1]),
            "measured": None if measured is None else float(measured[holder[stop - 1]]),
        }
        for stop in stops
    ]


def _hypervolume(
    benchmark: Any,
    scores: NDArray[np.float64],
    latency: NDArray[np.float64],
    measured: NDArray[np.float64],
) -> float:
    """Of the predicted front's measured scores, as a part of the whole space's."""
    from omsdpm.pareto import nondominated
    from studies.metrics import volume

    kept = nondominated(scores, latency)
    return volume(benchmark, measured[kept], latency[kept])


def _run(
    cell: Cell, optimizer: Recorded, benchmark: Benchmark, budgets: list[float], runs: Path, device: str
) -> tuple[dict[float, dict[str, Any]], int, float]:
    """What ``run`` measured of the search's own best by budget, the labels it was fitted on, and seconds to fit."""
    from studies.jobs.run.job import run
    from studies.jobs.run.settings import RunSettings

    folder = runs / cell.file.removesuffix(".json")  # of a cell that was killed it is gone on with
    result = run(
        RunSettings(
            benchmark=benchmark, optimizer=optimizer, predictor=cell.predictor, train_size=cell.train_size,
            budgets=tuple(budgets), evaluations=cell.evaluations, kappa=cell.kappa, seed=cell.seed,
            seeds=cell.validate_seeds, device=device, output=folder, leaderboard=folder.parent / "leaderboard.csv",
        )
    )  # fmt: skip
    by_budget: dict[float, dict[str, Any]] = {}
    for winner in result.winners:
        scored = winner.own or winner.measured  # the search's own candidates alone judge it
        assert scored is not None  # a validated run measures
        by_budget[winner.budget] = {
            "measured": float(np.mean(scored.scores)),
            "schedule": [int(member) for member in scored.schedule],
            "run": folder.name,
        }
    assert result.source.train_size is not None  # of a benchmark
    return by_budget, result.source.train_size, float(result.seconds["fit"])
