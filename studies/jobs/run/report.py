"""From a fitted predictor to winners: search, race, report, write."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from omsdpm.devices import resolve_device
from omsdpm.latency import LatencyTable
from omsdpm.released import write_population
from studies.jobs.naming import optimizer_of, short_name, text_of
from studies.jobs.run.plot import write_plot
from studies.jobs.run.result import RunResult, Source, write_pareto, write_winners
from studies.jobs.run.search import PricedSpace, SearchOutcome, check_evaluations, search, side_by_side
from studies.jobs.run.winners import LABELS, choose, fields_of, predicted_only, validate, validation_plan
from studies.pessimist import Pessimist
from studies.records.environment import environment
from studies.records.grid import write_grid

if TYPE_CHECKING:
    from benchmarks import Benchmark
    from omsdpm.dataset import ScheduleDataset
    from omsdpm.scoring.measurement import Meter
    from omsdpm.solvers import ScheduleSpace
    from predictors import Predictor
    from studies import Optimizer
    from studies.jobs.run.folder import RunFolder
    from studies.jobs.run.settings import RunSettings
    from studies.jobs.run.winners import ValidationPlan
    from studies.jobs.search.settings import SearchSettings
    from studies.ranking import Ranking
    from studies.records.leaderboard import Leaderboard
    from studies.records.progress import Clock, Reporter, Step


@dataclass(eq=False)
class Begun:
    """A job whose input was checked.

    Raises:
        InputError: an optimizer, predictor or device that there is not, or too few evaluations.
    """

    settings: RunSettings | SearchSettings
    benchmark: Benchmark
    budgets: list[float]
    reporter: Reporter
    clock: Clock
    when: datetime.datetime
    optimizer: Optimizer = field(init=False)
    device: str = field(init=False)
    plan: ValidationPlan = field(init=False)
    meter: Meter | None = field(init=False, default=None)
    """Held, so that the zoo is read once."""

    def __post_init__(self) -> None:
        settings = self.settings
        self.optimizer = optimizer_of(settings.optimizer)
        self.device = resolve_device(settings.device)
        check_evaluations(self.optimizer, text_of(settings.optimizer), settings.evaluations, self.budgets)
        self.plan = validation_plan(
            self.benchmark, settings.validate_images, settings.seeds, settings.first_seed, settings.race_images
        )

    def prepare(self) -> None:
        """Loads what will sample, and computes what the metric needs of the real images, before anything is fitted."""
        with self.clock.part("prepare", "Loading networks and real images") as step:
            self.meter = self.benchmark.prepare(self.device, step)

    @property
    def predictor_name(self) -> str:
        """The predictor with its parameters."""
        return text_of(self.settings.predictor)

    @property
    def name(self) -> str:
        """Of the job, for its folder."""
        return "-".join((self.benchmark.name, short_name(self.settings.optimizer), short_name(self.settings.predictor)))

    @property
    def priced(self) -> PricedSpace:
        """The schedules to choose from."""
        return PricedSpace(self.benchmark.space, self.benchmark.latency)


def report(
    begun: Begun,
    run: RunFolder,
    predictor: Predictor,
    train: ScheduleDataset,
    ranks: Ranking,
    *,
    validated: bool,
    board: Leaderboard | None = None,
    labels: int = LABELS,
) -> RunResult:
    """Searches on a fitted predictor, samples who wins, and writes the run folder.

    Args:
        begun: the job.
        run: its folder, which takes the files.
        predictor: fitted.
        train: what it was fitted on.
        ranks: its correlations on held-out schedules.
        validated: whether anything is sampled.
        board: that will get rows.
        labels: best measured schedules of ``train`` that race under each budget.
    """
    settings, benchmark, budgets, clock, plan = begun.settings, begun.benchmark, begun.budgets, begun.clock, begun.plan
    folder = run.path
    scorer = Pessimist(predictor, settings.kappa)
    with run.part(clock, "search", f"Searching with {text_of(settings.optimizer)}") as step:
        outcome = run.outcome(lambda: search_twice(begun, scorer, step), again=begun.optimizer.watched)
    images: dict[str, Any] = {}
    if validated:
        fields = fields_of(benchmark, outcome, budgets, train, settings.top, labels)
        with run.part(clock, "race", f"Racing {settings.top} candidates under each budget") as step:
            chosen = choose(benchmark, fields, plan, device=begun.device, progress=step, run=run)
        with run.part(clock, "validate", f"Sampling winners, {plan.images} images x {len(plan.seeds)} seeds") as step:
            sampled = validate(
                benchmark, fields, chosen, budgets, plan, scorer.predict, device=begun.device, progress=step, run=run
            )
        winners = sampled.winners
        for winner, ours, theirs in zip(winners, sampled.images, sampled.baseline_images, strict=True):
            name = f"samples-{winner.budget:.12g}"
            images |= {f"{name}.png": ours} | ({} if theirs is None else {f"{name}-baseline.png": theirs})
    else:
        winners = predicted_only(benchmark, outcome, budgets)
    result = RunResult(
        settings=settings,
        folder=folder,
        leaderboard=None if board is None else board.path,
        problem=benchmark_facts(benchmark),
        source=Source(begun.predictor_name, len(train), ranks),
        budgets=budgets,
        outcome=outcome,
        winners=winners,
        validation=plan,
        environment=environment(begun.device),
        seconds=clock.seconds,
        when=run.when,
        run_id=run.run_id,
    )
    with clock.part("write", "Writing results"):
        write_pareto(outcome, folder / "pareto.csv")
        write_winners(result, folder / "winners.csv")
        for budget, population in zip(budgets, outcome.populations, strict=True):
            write_population(result.population_file(budget), population, benchmark.space)
        for name, batch in images.items():  # none without validation
            write_grid(batch, folder / name)
        write_plot(result, benchmark, scorer, folder / "plot.png")
    result.write()
    return result


def search_twice(begun: Begun, scorer: Pessimist, step: Step) -> SearchOutcome:
    """The pessimist's search, and for who knows its uncertainty half of the evaluations at its word.

    A pessimist is seldom far off and misses what is better than is known; who takes a prediction at its word
    finds that, or is fooled. A few images tell which, so both have candidates in the race.
    """
    settings = begun.settings
    searches = [scorer]
    if scorer.unsure:
        searches.append(Pessimist(scorer.predictor, 0.0))
    share = max(settings.evaluations // len(searches), len(begun.budgets))
    outcomes = []
    for at, one in enumerate(searches):

        def advance(done: int, _: int, before: int = at * share) -> None:
            step(before + done, share * len(searches))

        outcomes.append(
            search(
                begun.optimizer, begun.priced, one, begun.budgets,
                evaluations=share, seed=settings.seed, progress=advance,
            )
        )  # fmt: skip
    return outcomes[0] if len(outcomes) == 1 else side_by_side(*outcomes)


def space_facts(space: ScheduleSpace) -> dict[str, Any]:
    """What a result says of the schedules; the timesteps of slots that have some are model inputs, falling."""
    facts: dict[str, Any] = {"solver": space.solver, "num_models": space.num_models, "length": space.length}
    if space.takes_timesteps and hasattr(space, "timesteps"):
        facts["timesteps"] = np.asarray(space.timesteps)[::-1].tolist()
    return facts


def zoo_facts(measurement: Any) -> dict[str, Any]:
    """What a result says of the zoo that winners were found on, and the noise schedule that it was trained with."""
    from omsdpm.pipelines.file import MemberEntry
    from omsdpm.zoo.files import ZooFile

    if getattr(measurement, "zoo", None) is None:  # a problem that was made otherwise than of a zoo
        return {}
    file = ZooFile.read(measurement.zoo)
    members = [
        MemberEntry.of(number, file.members[number - 1]).model_dump(exclude_defaults=True)
        for number in measurement.numbers
    ]
    return {
        "zoo": {"name": file.name, "folder": str(measurement.zoo), "members": members},
        "noise": file.noise.table(),
        "eta": measurement.eta,
        **{key: getattr(measurement, key) for key in CONDITIONED if getattr(measurement, key, None) is not None},
    }


CONDITIONED = ("dtype", "t_end", "guidance", "prompts", "negative_prompt")
"""What a measurement says of sampling, where it says it at all."""


def benchmark_facts(benchmark: Benchmark) -> dict[str, Any]:
    """What a result says of its problem."""
    return {
        "name": benchmark.name,
        "data_hash": benchmark.data_hash,
        "metric": benchmark.metric,
        "spacing": benchmark.spacing,
        **space_facts(benchmark.space),
        **LatencyTable.of(benchmark.latency).facts(),
        **zoo_facts(benchmark.measurement),
    }
