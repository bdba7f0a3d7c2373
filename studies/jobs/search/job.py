"""A search without a benchmark: a fitted predictor, a latency table and budgets, and nothing sampled."""

from __future__ import annotations

import datetime
import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.errors import InputError, unknown_name
from omsdpm.files import replacing
from omsdpm.released import load_predictor as load_released
from omsdpm.released import write_population, write_schedule
from omsdpm.solvers import DDIMSpace, DPMSolverSpace, ScheduleSpace, make_space
from omsdpm.zoo.opening import read_latency_table
from predictors import load_predictor
from studies import optimizer_names
from studies.jobs.run.result import compact, write_csv, write_pareto
from studies.jobs.run.search import Found, check_evaluations, search
from studies.records.environment import environment
from studies.records.folder import claim_folder
from studies.records.progress import Clock, Reporter

if TYPE_CHECKING:
    from predictors import Predictor

FORMAT = 1
"""Version of ``result.json`` of a search."""

POPULATION_FILE, SCHEDULE_FILE = "final_population{}.pth", "best_schedule{}.pth"
"""In the release's formats; ``{}`` is empty for one budget, else ``-<budget>``."""


@dataclass(frozen=True)
class SearchSettings:
    """All parameters of a search, as given; ``omsdpm-bench run --predictor-checkpoint`` has an option for each.

    Attributes:
        checkpoint: a released predictor's ``.pth``, or a folder of ``predictor fit``.
        latency: table of ms a member, see :func:`omsdpm.zoo.opening.read_latency_table`.
        budgets: ms, at least one.
        solver: checked against the predictor's; ``None`` takes that.
        length: slots; a released checkpoint does not tell, and ``None`` takes CIFAR-10's.
        config: the released predictor's configuration, checked against its weights.
        optimizer, evaluations, seed, output: see :class:`studies.jobs.Settings`.
    """

    checkpoint: Path
    latency: Path
    budgets: Sequence[float] = field(default=())
    solver: str | None = None
    length: int | None = None
    config: Path | None = None
    optimizer: str = "evolution"
    evaluations: int = 10_000
    seed: int = 0
    output: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        """The parameters as JSON takes them."""
        values = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        return {**values, "budgets": list(self.budgets)}

    def command(self) -> str:
        """The command line that repeats the search, in a folder of its own."""
        words = ["omsdpm-bench", "run", "--optimizer", self.optimizer]
        words += ["--predictor-checkpoint", str(self.checkpoint), "--latency", str(self.latency)]
        for option, value in (("solver", self.solver), ("length", self.length), ("predictor-config", self.config)):
            words += [] if value is None else [f"--{option}", str(value)]
        for budget in self.budgets:
            words += ["--budget", f"{budget:.12g}"]
        words += ["--evaluations", str(self.evaluations), "--seed", str(self.seed)]
        return shlex.join(words)


@dataclass(frozen=True)
class Target:
    """The space that is searched and its members' latencies, ms."""

    space: ScheduleSpace
    latency: list[float]


@dataclass(frozen=True)
class SearchRun:
    """What a search brought: ``found`` for ``budgets`` (ms, rising) on ``target``, and the files in ``folder``."""

    settings: SearchSettings
    folder: Path
    target: Target
    budgets: list[float]
    found: Found

    @property
    def winner_latency(self) -> list[float]:
        """Milliseconds of each budget's winner."""
        return [float(ms) for ms in self.target.space.latency(self.found.winners, self.target.latency)]

    @property
    def winner_nfe(self) -> list[int]:
        """Network evaluations of each budget's winner."""
        return [int(n) for n in self.target.space.nfe(self.found.winners)]

    def files(self, budget: float) -> tuple[Path, Path]:
        """The final population and the best schedule of a budget."""
        part = "" if len(self.budgets) == 1 else f"-{budget:.12g}"
        return self.folder / POPULATION_FILE.format(part), self.folder / SCHEDULE_FILE.format(part)


def run_search(settings: SearchSettings, reporter: Reporter) -> SearchRun:
    """Searches schedules on a fitted predictor and writes a run folder.

    All input is checked before anything is searched or written.

    Raises:
        InputError: something in ``settings`` cannot be used.
    """
    when = datetime.datetime.now().astimezone()
    if settings.optimizer not in optimizer_names():
        raise unknown_name("optimizer", settings.optimizer, optimizer_names())
    if not settings.budgets:
        raise InputError("a search without a benchmark has no budgets of its own: give --budget MS")
    clock = Clock(reporter)
    with clock.part("load", f"Loading {settings.checkpoint}"):
        predictor = _open_predictor(settings)
        space = predictor.space
        assert space is not None  # both loaders give fitted predictors
        target = Target(space, read_latency_table(settings.latency, space.num_models))
        budgets = _budgets(settings, target)
        check_evaluations(settings.optimizer, settings.evaluations, budgets)
    folder = claim_folder(settings.output, f"{space.solver}-{settings.optimizer}-{settings.checkpoint.stem}", when)
    with clock.part("search", f"Searching with {settings.optimizer}") as step:
        found = search(
            settings.optimizer, target, predictor, budgets,
            evaluations=settings.evaluations, seed=settings.seed, progress=step,
        )  # fmt: skip
    run = SearchRun(settings, folder, target, budgets, found)
    for budget, population, winner in zip(budgets, found.populations, found.winners, strict=True):
        whole, best = run.files(budget)
        write_population(whole, population, space)
        write_schedule(best, winner, space)
    write_pareto(found, folder / "pareto.csv")
    _write_winners(run, folder / "winners.csv")
    _write_json(run, when, clock.seconds, folder / "result.json")
    return run


def _open_predictor(settings: SearchSettings) -> Predictor:
    """The predictor, for the solver and length asked for."""
    path = settings.checkpoint
    if settings.solver is not None and settings.length is not None:
        make_space(settings.solver, 1, settings.length)  # a length that is not the solver's
    if not path.is_dir():
        if settings.solver is not None and settings.solver not in (DDIMSpace.solver, DPMSolverSpace.solver):
            raise InputError(
                f"--solver {settings.solver}: released predictors are for ddim or dpm-solver; "
                f"fit one with `omsdpm-bench predictor fit`"
            )
        released: Predictor = load_released(path, settings.config, solver=settings.solver, length=settings.length)
        return released
    if settings.config is not None:
        raise InputError(f"--predictor-config is for released checkpoints: {path} is a folder and tells all itself")
    predictor = load_predictor(path)
    space = predictor.space
    assert space is not None  # a saved predictor is fitted
    for option, wanted, own in (("solver", settings.solver, space.solver), ("length", settings.length, space.length)):
        if wanted not in (None, own):
            raise InputError(f"--{option} {wanted}: predictor {path} is for {space}; leave --{option} out")
    return predictor


def _budgets(settings: SearchSettings, target: Target) -> list[float]:
    cheapest = min(target.latency)
    for budget in settings.budgets:
        if not np.isfinite(budget) or budget < cheapest:
            raise InputError(
                f"budget {budget:g} ms: one step of the fastest member of {settings.latency} takes {cheapest:.4g} ms"
            )
    return sorted(set(settings.budgets))


def _write_winners(run: SearchRun, path: Path) -> None:
    header = ("budget_ms", "latency_frozen_ms", "nfe", "predicted_score", "schedule")
    found = run.found
    rows = zip(run.budgets, run.winner_latency, run.winner_nfe, found.predicted, found.winners, strict=True)
    write_csv(
        path, header, ([f"{budget:.8g}", f"{ms:.8g}", nfe, f"{y:.8g}", compact(x)] for budget, ms, nfe, y, x in rows)
    )


def _write_json(run: SearchRun, when: datetime.datetime, seconds: dict[str, float], path: Path) -> None:
    """``result.json``; written last, so that its presence means that all files are there."""
    found, space = run.found, run.target.space
    rows = zip(run.budgets, run.winner_latency, run.winner_nfe, found.predicted, found.winners, strict=True)
    table = {
        "format": FORMAT,
        "kind": "search",
        "when": when.isoformat(timespec="seconds"),
        "command": run.settings.command(),
        "settings": run.settings.as_dict(),
        "environment": environment("cpu"),
        "problem": {
            "solver": space.solver,
            "num_models": space.num_models,
            "length": space.length,
            "latency_ms": run.target.latency,
        },
        "predictor": {"path": str(run.settings.checkpoint), "sha256": _digest(run.settings.checkpoint)},
        "search": {"optimizer": run.settings.optimizer, "evaluations": found.evaluations},
        "budgets": run.budgets,
        "winners": [
            {
                "budget_ms": budget,
                "schedule": x.tolist(),
                "nfe": nfe,
                "latency_frozen_ms": ms,
                "predicted_score": float(y),
                "population": run.files(budget)[0].name,
                "best_schedule": run.files(budget)[1].name,
            }
            for budget, ms, nfe, y, x in rows
        ],
        "seconds": seconds,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the files of a folder in the order of their names."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(item for item in path.iterdir() if item.is_file()):
        digest.update(file.read_bytes())
    return digest.hexdigest()
