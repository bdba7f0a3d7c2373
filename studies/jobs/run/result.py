"""What a run brought, and the files of its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from omsdpm.errors import InputError
from omsdpm.files import write_json
from omsdpm.plugins import Named
from studies.jobs.naming import text_of
from studies.jobs.run.search import SearchOutcome
from studies.jobs.run.settings import RunSettings
from studies.jobs.run.winners import Scored, ValidationPlan, Winner
from studies.ranking import Correlations, Ranking
from studies.records.leaderboard import Entry
from studies.records.result import check_written, damaged, read_table
from studies.records.tables import compact, spread, write_csv

if TYPE_CHECKING:
    from studies.jobs.search.settings import SearchSettings

FORMAT = 3
"""Version of ``result.json``; a reader of another version must refuse it."""

FILE = "result.json"

UNITS = {
    "budget": "budget_ms",
    "latency": "latency_frozen_ms",
    "measured_latency": "latency_measured_ms",
    "predicted": "predicted_score",
}
"""What a winner's numbers are called in JSON, where nothing else says their unit."""

SCORED = ("measured", "own", "baseline")
"""Parts of a winner that are schedules with scores."""

POPULATION, SCHEDULE = "final_population{}.pth", "best_schedule{}.pth"
"""Of a search without a benchmark, as the release names them; ``{}`` is empty for one budget, else ``-<budget>``."""


@dataclass(frozen=True, eq=False)
class RunResult:
    """Everything that a run brought.

    Attributes:
        settings: the parameters as given.
        folder: the run folder.
        leaderboard: the CSV that got rows, ``None`` if nothing was validated.
        problem: solver, members, slots and frozen latencies; of a benchmark also name, data
            hash and metric.
        source: of the predictor: its text, train size and ranking on held-out splits; or the path and
            digest of the given one.
        budgets: ms, rising.
        outcome: what the search brought.
        winners: one a budget.
        validation: how they were scored; the stored baselines' way without validation, ``None``
            without a benchmark.
        environment: versions, platform, device.
        seconds: time of each part.
        when: start of the run, ISO 8601 with time zone.
        run_id: tells runs apart by all that their results depend on; empty for those of earlier versions.
    """

    settings: RunSettings | SearchSettings
    folder: Path
    leaderboard: Path | None
    problem: dict[str, Any]
    source: Source
    budgets: list[float]
    outcome: SearchOutcome
    winners: list[Winner]
    validation: ValidationPlan | None
    environment: dict[str, Any]
    seconds: dict[str, float]
    when: str
    run_id: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunResult) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]

    @property
    def metric(self) -> str:
        """What the validated scores are, such as ``fd-digits``; empty where there is no benchmark."""
        return str(self.problem.get("metric", ""))

    @property
    def metric_name(self) -> str:
        """The metric without its parameters, for titles."""
        return Named.parse(self.metric).name

    @property
    def optimizer(self) -> str:
        """The optimizer with its parameters, as ``nsga2[population=100]``."""
        return text_of(self.settings.optimizer)

    @property
    def predictor(self) -> str:
        """The predictor with its parameters, as ``lstm[updates=800]``; a given one's path."""
        return self.source.predictor

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON takes it."""
        outcome, plan = self.outcome, self.validation
        front = zip(outcome.front_latency, outcome.front_scores, outcome.front, strict=True)
        return {
            "format": FORMAT,
            "kind": self.settings.words[0],
            "run": self.run_id,
            "when": self.when,
            "command": self.settings.command(),
            "settings": self.settings.as_dict(),
            "environment": self.environment,
            "leaderboard": None if self.leaderboard is None else str(self.leaderboard),
            ("problem" if self.settings.only_search else "benchmark"): self.problem,
            "predictor": self.source.as_dict(),
            "search": {"optimizer": self.optimizer, "evaluations": outcome.evaluations},
            "validation": None
            if plan is None
            else {"validated": self.settings.validated, **plan.model_dump(mode="json")},
            "budgets": self.budgets,
            "winners": [{**_winner(winner), **self._files(winner)} for winner in self.winners],
            "front": [
                {"latency_frozen_ms": float(ms), "predicted_score": float(score), "schedule": compact(x)}
                for ms, score, x in front
            ],
            "populations": [[compact(x) for x in population] for population in outcome.populations],
            "seconds": self.seconds,
        }

    def write(self) -> None:
        """``result.json``; written after the other files, so that its presence means that all are there."""
        write_json(self.folder / FILE, self.as_dict())

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """The result of the run that wrote ``folder``.

        Raises:
            InputError: no such result, a damaged one, or one of another format.
        """
        path = Path(folder) / FILE
        table = read_table(path, ("run", "search"), (FORMAT,))
        try:
            plan = table["validation"]
            settings = _settings_of(table)
            result = cls(
                settings=settings,
                folder=Path(folder),
                leaderboard=None if table["leaderboard"] is None else Path(table["leaderboard"]),
                problem=table["problem" if settings.only_search else "benchmark"],
                source=Source.from_dict(table["predictor"]),
                budgets=table["budgets"],
                outcome=_read_outcome(table),
                winners=[_read_winner(winner) for winner in table["winners"]],
                validation=None
                if plan is None
                else ValidationPlan(**{key: value for key, value in plan.items() if key != "validated"}),
                environment=table["environment"],
                seconds=table["seconds"],
                when=table["when"],
                run_id=table.get("run", ""),
            )
            check_written(path, table, result.as_dict())
            return result
        except InputError as error:
            raise InputError(f"{path} is damaged: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise damaged(path, error) from error

    def population_file(self, budget: float) -> Path:
        """The best schedules within a budget, in the release's format."""
        return self.folder / (
            POPULATION.format(self._part(budget)) if self.settings.only_search else f"population-{budget:.12g}.pth"
        )

    def schedule_file(self, budget: float) -> Path:
        """The best schedule of a search without a benchmark, in the release's format."""
        return self.folder / SCHEDULE.format(self._part(budget))

    def _part(self, budget: float) -> str:
        return "" if len(self.budgets) == 1 else f"-{budget:.12g}"

    def _files(self, winner: Winner) -> dict[str, str]:
        files = {"population": self.population_file(winner.budget).name}
        if self.settings.only_search:
            files["best_schedule"] = self.schedule_file(winner.budget).name
        return files

    def leaderboard_entries(self) -> Iterator[Entry]:
        """One per budget and seed of the report; none where nothing was validated."""
        for winner in self.winners:
            if winner.own is not None and self.validation is not None:
                theirs = [None] * len(winner.own.scores) if winner.baseline is None else winner.baseline.scores
                for seed, score, baseline in zip(self.validation.seeds, winner.own.scores, theirs, strict=True):
                    yield Entry(self, winner, winner.own, seed, score, baseline)


@dataclass(frozen=True)
class Source:
    """Where the predictor is from.

    Attributes:
        predictor: ``name[param=value,...]``, or the path of a given one.
        train_size: schedules that it was fitted on; ``None`` for a given one.
        ranking: its correlations on held-out splits.
        sha256: of a given one's files.
    """

    predictor: str
    train_size: int | None = None
    ranking: Ranking | None = None
    sha256: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        if self.ranking is None:
            return {"path": self.predictor, "sha256": self.sha256}
        ranking = {split: correlations.model_dump(mode="json") for split, correlations in self.ranking.items()}
        return {"name": self.predictor, "train_size": self.train_size, "ranking": ranking}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` wrote."""
        if "path" in table:
            return cls(table["path"], sha256=table["sha256"])
        ranking = {split: Correlations(**correlations) for split, correlations in table["ranking"].items()}
        return cls(table["name"], table["train_size"], ranking)


def _settings_of(table: Mapping[str, Any]) -> RunSettings | SearchSettings:
    if table["kind"] == "run":
        return RunSettings.from_dict(table["settings"])
    from studies.jobs.search.settings import SearchSettings

    return SearchSettings.from_dict(table["settings"])


def write_pareto(outcome: SearchOutcome, path: Path) -> None:
    """``pareto.csv``: the nondominated schedules of latency and predicted score."""
    nfe = np.count_nonzero(outcome.front, axis=1)
    rows = zip(outcome.front_latency, nfe, outcome.front_scores, outcome.front, strict=True)
    header = ("latency_frozen_ms", "nfe", "predicted_score", "schedule")
    write_csv(path, header, ((f"{ms:.6g}", n, f"{score:.8g}", compact(row)) for ms, n, score, row in rows))


def write_winners(result: RunResult, path: Path) -> None:
    """``winners.csv``: one row a budget; the metric's columns are empty without validation."""
    metric = result.metric_name
    header = ["budget_ms", "latency_frozen_ms", "latency_measured_ms", "nfe", "predicted_score", "source"]
    header += [f"{metric}_mean", f"{metric}_std", "own_name", f"own_{metric}_mean"]
    header += ["baseline", "baseline_kind", "baseline_labels", "baseline_latency_frozen_ms"]
    header += [f"baseline_{metric}_mean", f"baseline_{metric}_std"]
    header += ["gain_percent", "gain_margin", "verdict", "schedule"]
    rows = []
    for winner in result.winners:
        own, baseline, paired = winner.own, winner.baseline, winner.paired
        row = [_text(winner.budget), _text(winner.latency), _text(winner.measured_latency), winner.nfe]
        row += [_text(winner.predicted), winner.source, *_mean_std(winner.measured)]
        row += ["", ""] if own is None else [own.name, _text(own.mean)]
        row += _baseline_cells(baseline)
        row += _mean_std(baseline)
        row += ["", "", ""] if paired is None else [_text(paired.gain), _text(paired.gain_margin), paired.verdict]
        rows.append([*row, compact(winner.schedule)])
    write_csv(path, header, rows)


def _baseline_cells(baseline: Scored | None) -> list[str]:
    if baseline is None:
        return [""] * 4
    labels = "" if baseline.labels is None else str(baseline.labels)
    return [baseline.name, baseline.source, labels, _text(baseline.latency)]


def write_predicted_winners(result: RunResult, path: Path) -> None:
    """``winners.csv`` of a search without a benchmark: one row a budget."""
    header = ("budget_ms", "latency_frozen_ms", "nfe", "predicted_score", "schedule")
    rows = (
        (_text(winner.budget), _text(winner.latency), winner.nfe, _text(winner.predicted), compact(winner.schedule))
        for winner in result.winners
    )
    write_csv(path, header, rows)


def _winner(winner: Winner) -> dict[str, Any]:
    """A winner as JSON, and what follows from it, for those who read JSON."""
    paired = winner.paired
    table = {UNITS.get(name, name): value for name, value in winner.model_dump(mode="json").items()}
    table["source"] = winner.source
    for name in SCORED:
        scored: Scored | None = getattr(winner, name)
        if scored is not None:
            table[name] |= {"mean": scored.mean, "std": scored.std}
    table["gain"] = None if paired is None else {
        "percent": paired.gain, "margin": paired.gain_margin, "won": paired.won, "verdict": paired.verdict,
    }  # fmt: skip
    return table


def _read_winner(table: Mapping[str, Any]) -> Winner:
    """What :func:`_winner` wrote; means and gains are computed anew."""
    values = {name: table[UNITS.get(name, name)] for name in Winner.model_fields}
    for name in SCORED:
        if values[name] is not None:
            values[name] = _read_scored(values[name])
    values["kinds"] = {kind: _read_scored(scored) for kind, scored in values["kinds"].items()}
    return Winner(**values)


def _read_scored(table: Mapping[str, Any]) -> Scored:
    return Scored(**{key: table[key] for key in Scored.model_fields if key in table or key != "labels"})  # a newer key


def _read_outcome(table: Mapping[str, Any]) -> SearchOutcome:
    front, winners = table["front"], table["winners"]
    return SearchOutcome(
        front=np.array([spread(point["schedule"]) for point in front], dtype=np.int64),
        front_scores=np.array([point["predicted_score"] for point in front], dtype=float),
        front_latency=np.array([point["latency_frozen_ms"] for point in front], dtype=float),
        winners=np.array([winner["schedule"] for winner in winners], dtype=np.int64),
        predicted=np.array([winner["predicted_score"] for winner in winners], dtype=float),
        populations=[
            np.array([spread(text) for text in population], dtype=np.int64) for population in table["populations"]
        ],
        evaluations=table["search"]["evaluations"],
    )


def _mean_std(scored: Scored | None) -> list[str]:
    return ["", ""] if scored is None else [_text(scored.mean), _text(scored.std)]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
