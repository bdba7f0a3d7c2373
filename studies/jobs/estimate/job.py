"""Counting what building a dataset costs, before it is started."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.designs import Setting, draw
from omsdpm.dataset.estimate import Estimate, total
from omsdpm.dataset.estimate import estimate as count
from omsdpm.dataset.recipe import Recipe
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.zoo.files import card_facts
from studies.jobs.estimate.result import EstimateResult, RoundCost
from studies.jobs.estimate.settings import EstimateSettings
from studies.records.progress import SILENT, Reporter

SAMPLE = 2000
"""Schedules of a larger round that are drawn and counted; the rest is in proportion."""


def estimate(settings: EstimateSettings, reporter: Reporter = SILENT) -> EstimateResult:
    """Network evaluations and time of the rounds that a folder's ``benchmark.toml`` asks for; samples nothing.

    Raises:
        InputError: the folder cannot be used, has no rounds, or a zoo that was never profiled.
    """
    recipe = Recipe.read(settings.folder)
    if settings.output is not None:
        check_writable(settings.output)
    if not recipe.rounds:
        raise InputError(f"{settings.folder}/benchmark.toml has no [[round]]: there is nothing to estimate")
    m = recipe.measurement
    empty = ScheduleDataset(m.space, np.empty((0, m.length), dtype=np.int64), np.empty(0))
    costs: dict[str, Estimate] = {}
    with reporter.part("Counting") as step:
        for done, entry in enumerate(recipe.rounds, start=1):
            design = "stratified" if entry.design == "refine" else entry.design
            n = m.space.cardinality if design == "exhaustive" else entry.n
            setting = Setting(m.space, m.latency, empty, entry.window, entry.options)
            X = draw(design, setting, min(n, SAMPLE), np.random.default_rng(settings.seed))
            cost = count(X, m, settings.shard_size)
            costs[entry.name] = cost if len(X) == n else cost.scaled(n)
            step(done, len(recipe.rounds))
    if settings.schedules is not None:
        planned = sum(cost.schedules for cost in costs.values())
        costs = {
            name: cost.scaled(round(cost.schedules * settings.schedules / planned)) for name, cost in costs.items()
        }
    everything, card = total(costs.values()), m.latency_card
    result = EstimateResult(
        settings=settings,
        rounds=tuple(RoundCost(name=name, **asdict(cost)) for name, cost in costs.items()),
        total=RoundCost(name="all", **asdict(everything)),
        images=m.images,
        device=card_facts(card)[1],
        threads=str(card.get("threads", "?")),
        devices=None if settings.deadline is None else everything.devices(3600 * settings.deadline),
    )
    if settings.output is not None:
        result.write(settings.output)
    return result
