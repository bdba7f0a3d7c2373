"""Winners of a run against the best baselines, on seeds that nothing has seen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from omsdpm.devices import resolve_device
from omsdpm.errors import InputError
from omsdpm.files import check_writable
from omsdpm.seeds import after
from studies.jobs.confirm.result import ConfirmResult, Duel
from studies.jobs.confirm.settings import ConfirmSettings
from studies.jobs.run.result import RunResult
from studies.records.progress import SILENT, Reporter


def _from(seed: int) -> Iterator[int]:
    """A seed and those after it."""
    while True:
        yield seed
        seed = after(seed)


def confirm(settings: ConfirmSettings, reporter: Reporter = SILENT) -> ConfirmResult:
    """Samples a run's winners and the best baseline under each budget from the same fresh noise.

    Raises:
        InputError: no result of a run, or of a search without a benchmark.
    """
    if settings.output is not None:
        check_writable(settings.output)
    run = RunResult.read(settings.run)
    if run.validation is None:
        raise InputError(f"{settings.run} is a search without a benchmark: there is nothing to sample it with")
    device = resolve_device(settings.device)
    benchmark = run.settings.open_benchmark(run.folder)
    if benchmark.data_hash != run.problem["data_hash"]:
        reporter.note(f"{benchmark.name} has other data than the run had: its baselines are those of today")
    images, stored = benchmark.validation
    used = {benchmark.measurement.seed, *stored, *run.validation.seeds}
    seeds = tuple(islice((seed for seed in _from(settings.first_seed) if seed not in used), settings.seeds))
    pairs = [(winner, winner.baseline) for winner in run.winners if winner.baseline is not None]
    if not pairs:
        raise InputError(f"{benchmark.name} has no baseline within a budget of {settings.run}: nothing to compare with")
    X = np.array([winner.schedule for winner, _ in pairs] + [baseline.schedule for _, baseline in pairs])
    with reporter.part(f"Sampling {len(X)} schedules, {images} images x {len(seeds)} seeds") as step:
        scores = benchmark.validate(X, images=images, seeds=seeds, device=device, progress=step).scores
    result = ConfirmResult(
        settings=settings,
        benchmark=benchmark.name,
        metric=benchmark.metric,
        images=images,
        seeds=seeds,
        duels=tuple(
            Duel(
                budget=winner.budget,
                baseline=baseline.name,
                winner_scores=tuple(ours.tolist()),
                baseline_scores=tuple(theirs.tolist()),
            )
            for (winner, baseline), ours, theirs in zip(pairs, scores[: len(pairs)], scores[len(pairs) :], strict=True)
        ),
    )
    if settings.output is not None:
        result.write(settings.output)
    return result
