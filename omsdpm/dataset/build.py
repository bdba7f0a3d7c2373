"""Building a dataset: draw a round, measure its shards on any executor, merge, next round."""

from __future__ import annotations

import json
import logging
import os
import threading
import warnings
import zlib
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from omsdpm.arrays import read_npy
from omsdpm.dataset.dataset import ScheduleDataset
from omsdpm.dataset.designs import Setting, draw, share_out
from omsdpm.dataset.recipe import Recipe, Round
from omsdpm.dataset.shards import Measured, Shard, claim, cut, is_whole, measure_shard, prepare, scores_of
from omsdpm.dataset.workfolder import clear_away, own_folder, put_away
from omsdpm.errors import InputError, InputWarning, unknown_name
from omsdpm.files import check_lockable, locked, replacing, writable_folder
from omsdpm.scoring.identity import check_measured, identity, identity_digest, remember_measured
from omsdpm.scoring.measurement import Measurement
from omsdpm.solvers import Schedules
from omsdpm.tables import read_json, read_table

Progress = Callable[[str, int, int], None]
"""Told ``(round, schedules measured, schedules)`` after every shard."""

RESTARTS = 5
"""How often a local pool that lost a worker is started again."""

CUT = "cut.json"
"""In a folder of shards: how they were cut."""

PATIENCE = 30.0
"""Seconds that a cluster may be without workers before that is said."""

POLL_SECONDS = 0.5
"""How often to look whether another process has finished the shards it claimed."""


WATCH_SECONDS = 1.0
"""How often a worker looks whether its parent lives."""


def end_with(parent: int) -> None:
    """Ends this process, a worker's, when its parent is gone: a killed one cannot tell it to.

    Args:
        parent: number of the process that started it.
    """
    if os.name == "nt":  # where a process keeps the number of its parent
        return

    def watch() -> None:
        while os.getppid() == parent:
            sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class MergedElsewhereError(Exception):
    """Another process has merged the shards that this one waited for, and put their folder away."""


@dataclass(frozen=True)
class Workers:
    """Where shards are measured.

    Attributes:
        executor: ``"joblib"`` for the cores of this machine, ``"dask"`` for a cluster.
        jobs: local processes; each uses ``threads`` threads.
        threads: of PyTorch in each process; ``None`` leaves PyTorch's choice.
        scheduler: address of the Dask scheduler.
        device: where each worker samples; ``"auto"`` is resolved by each worker for itself.
    """

    executor: str = "joblib"
    jobs: int = 1
    threads: int | None = 1
    scheduler: str | None = None
    device: str = "cpu"

    @contextmanager
    def open(self) -> Iterator[Pool]:
        """Yields a pool, for as many measurements as wanted.

        One local job runs in this process, which is also what a single GPU wants.

        Raises:
            InputError: an unknown executor, or a Dask cluster that does not answer.
        """
        if self.executor == "joblib" and self.jobs == 1:
            yield Pool(self, _InProcess, lambda: 1)
        elif self.executor == "joblib":
            from joblib.externals.loky import get_reusable_executor

            def pool() -> Any:
                return get_reusable_executor(
                    max_workers=self.jobs, timeout=None, initializer=end_with, initargs=(os.getpid(),)
                )

            try:
                yield Pool(self, pool, lambda: 2 * self.jobs)
            finally:
                pool().shutdown(wait=True, kill_workers=True)
        elif self.executor == "dask":
            with self._scheduler_watched(), self._dask_client() as client:
                # A worker that dies takes its shard with it; the scheduler gives it to another.
                executor = client.get_executor(pure=False)
                yield Pool(self, lambda: executor, lambda: 2 * sum(client.ncores().values()))
        else:
            raise unknown_name("executor", self.executor, ("joblib", "dask"))

    @contextmanager
    def _scheduler_watched(self) -> Iterator[None]:
        """Makes one line of the many that Dask has for a scheduler that is gone."""
        logger = logging.getLogger("distributed")
        before = logger.level
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        except (CancelledError, TimeoutError, ConnectionError, OSError) as error:
            ours = isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError)
            if ours:  # of a file
                raise
            raise InputError(
                f"the Dask scheduler {self.scheduler} was lost: measured shards are kept; start one, and give the "
                "same command again"
            ) from error
        finally:
            logger.setLevel(before)

    def _dask_client(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError("executor 'dask' needs Dask: pip install 'omsdpm[dask]'") from error
        if self.scheduler is None:
            raise InputError("executor 'dask' needs the address of a scheduler: give --scheduler ADDRESS")
        try:
            return Client(self.scheduler, timeout=20)
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {self.scheduler}: start one and give its address"
            ) from error


@dataclass(frozen=True)
class Pool:
    """Open workers.

    Attributes:
        workers: what was opened.
        executor: gives one that works.
        room: how many tasks the workers that there are now want to have; a cluster may grow and shrink, and 0 says
            that it has no worker.
    """

    workers: Workers
    executor: Callable[[], Executor]
    room: Callable[[], int]

    @property
    def in_flight(self) -> int:
        """Tasks to keep submitted."""
        return max(1, self.room())

    def done(self, running: Collection[Future[Any]]) -> set[Future[Any]]:
        """Those that are done, waiting for at least one.

        Warns:
            InputWarning: nobody works on them: the cluster has had no worker for :data:`PATIENCE` seconds.
        """
        told = False
        while not (done := wait(running, timeout=PATIENCE, return_when=FIRST_COMPLETED).done):
            if not told and not self.room():
                told = True
                warnings.warn(
                    f"the Dask scheduler {self.workers.scheduler} has no workers: waits for some; start them with "
                    f"`dask worker {self.workers.scheduler}`",
                    InputWarning,
                    stacklevel=2,
                )
        return done


class _InProcess(Executor):
    """Runs what it is given at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def build_dataset(
    recipe: Recipe,
    workers: Workers,
    *,
    shard_size: int = 50,
    progress: Progress | None = None,
) -> ScheduleDataset:
    """Measures every round of a recipe that its dataset does not hold yet.

    May be killed at any moment and started again, also by several processes at once in
    the same folder: finished shards are kept, and a round joins the dataset when all of
    its shards are there.

    Args:
        recipe: the folder's recipe; the dataset is written beside it.
        workers: where shards are measured.
        shard_size: schedules a shard; what a killed worker costs.
        progress: told after every shard.

    Raises:
        InputError: the folder cannot be written, or holds a dataset of another measurement.
    """
    recipe.measurement.check()
    writable_folder(recipe.folder)
    clear_away(recipe.folder / "build")
    for name in ("merge.lock", "measured.lock"):
        check_lockable(recipe.folder / "build" / name)
    if recipe.dataset.exists():
        check_measured(recipe.folder, recipe.dataset.stem, identity(recipe.measurement))
    facts = _facts(recipe)
    there = _existing(recipe, facts).design
    for number, entry in enumerate(recipe.rounds):
        if entry.name in there:  # killed between its merge and the end of its shards
            put_away(_work(recipe, number))
    if all(entry.name in _existing(recipe, facts).design for entry in recipe.rounds):
        return _existing(recipe, facts)
    if workers.executor != "dask":  # whose workers are elsewhere
        tell_reference = None if progress is None else partial(progress, "reference")
        prepare(recipe.measurement, workers.device, workers.threads, tell_reference, keep=workers.jobs == 1)
    writable_folder(recipe.folder / "build")
    with workers.open() as pool:
        for number, entry in enumerate(recipe.rounds):
            dataset = _existing(recipe, facts)
            if entry.name in dataset.design:
                continue
            work = _work(recipe, number)
            own_folder(work)
            X = _drawn(recipe, entry, dataset, work)

            def tell(done: int, name: str = entry.name, n: int = len(X)) -> None:
                if progress is not None:
                    progress(name, done, n)

            def merged(name: str = entry.name) -> bool:
                return name in _existing(recipe, facts).design

            with suppress(MergedElsewhereError):
                measured = measure_sharded(recipe.measurement, X, work, pool, shard_size, tell, merged)
                _merge(recipe, entry, X, measured, work, facts)
            put_away(work)
            if entry.name not in _existing(recipe, facts).design:
                raise InputError(f"{work} vanished during the build: build again, and leave that folder alone")
    return _existing(recipe, facts)


def _work(recipe: Recipe, number: int) -> Path:
    """Where a round's shards are."""
    return recipe.folder / "build" / f"{number:02d}-{recipe.rounds[number].name}"


def _facts(recipe: Recipe) -> dict[str, object]:
    """What must not change between rounds."""
    m = recipe.measurement
    return {"images": m.images, "seed": m.seed, "spacing": m.spacing, "members": list(m.numbers)}


def _existing(recipe: Recipe, facts: dict[str, object]) -> ScheduleDataset:
    m = recipe.measurement
    if not recipe.dataset.exists():
        empty = np.empty((0, m.length), dtype=np.int64)
        return ScheduleDataset(m.space, empty, np.empty(0), metric=m.score_name, extra={**facts, "rounds": {}})
    dataset = ScheduleDataset.read(recipe.dataset)
    recorded = {key: dataset.extra.get(key) for key in facts}
    if recorded != facts or dataset.space != m.space or dataset.metric != m.score_name:
        raise InputError(
            f"{recipe.dataset} was measured otherwise ({dataset.metric}, {dataset.space}, {recorded}): "
            "move it away, or give the recipe its measurement"
        )
    return dataset


def _drawn(recipe: Recipe, entry: Round, dataset: ScheduleDataset, work: Path) -> np.ndarray:
    """The round's schedules: drawn once, and kept so that a resumed build has the same."""
    path = work / "drawn.npy"
    X = _kept_draw(path, recipe, entry)
    if X is None:
        # Only train rows may guide what is drawn next: test and elite stay unseen.
        guide = dataset.subset("train") if len(dataset) else dataset
        setting = Setting(recipe.measurement.space, recipe.measurement.latency, guide, entry.window, entry.options)
        rng = _rng(recipe, entry)
        X = draw(entry.design, setting, entry.n, rng)
        if len(dataset) and entry.design != "exhaustive":
            X = _unmeasured(X, dataset, entry, setting, rng)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, X.astype(np.int16))
    return X.astype(np.int64)


def _kept_draw(path: Path, recipe: Recipe, entry: Round) -> np.ndarray | None:
    """The schedules that a killed build drew; ``None`` where there are none, or a machine that stopped emptied them."""
    try:
        return _read_drawn(path, recipe, entry) if path.exists() else None
    except InputError:  # drawn anew they are the same, from the round's own seed
        return None


def _read_drawn(path: Path, recipe: Recipe, entry: Round) -> np.ndarray:
    """The schedules ``(n, L)`` that were drawn.

    Raises:
        InputError: the file is damaged, or has what is no schedule of the round.
    """
    space = recipe.measurement.space
    count = min(space.cardinality, path.stat().st_size) if entry.design == "exhaustive" else entry.n
    X = read_npy(path, "drawn schedules", 2 * count * space.length)
    if X.dtype != np.int16 or X.shape != (count, space.length):
        raise InputError(f"drawn schedules {path} are {X.dtype} {X.shape}, expected int16 {(count, space.length)}")
    try:
        return space.check(X)
    except InputError as error:
        raise InputError(f"drawn schedules {path}: {error}") from error


def _rng(recipe: Recipe, entry: Round) -> np.random.Generator:
    """The round's own stream, whatever other rounds there are."""
    return np.random.default_rng([recipe.seed, zlib.crc32(entry.name.encode())])


def _unmeasured(
    X: np.ndarray, dataset: ScheduleDataset, entry: Round, setting: Setting, rng: np.random.Generator
) -> np.ndarray:
    """``X`` without what other splits hold already, filled up to the round's number."""
    seen = {row.tobytes() for row in dataset.space.canonical(dataset.X)}
    while True:
        fresh = np.array([row for row in X if row.tobytes() not in seen], dtype=np.int64).reshape(-1, X.shape[1])
        if len(fresh) == entry.n:
            return fresh
        more = draw(entry.design, setting, entry.n, rng)
        known = seen | {row.tobytes() for row in fresh}
        extra = [row for row in more if row.tobytes() not in known][: entry.n - len(fresh)]
        X = np.concatenate([fresh, np.array(extra, dtype=np.int64).reshape(-1, X.shape[1])])


def measure_sharded(
    measurement: Measurement,
    X: Schedules,
    folder: Path,
    pool: Pool,
    shard_size: int = 50,
    progress: Callable[[int], None] = lambda done: None,
    merged: Callable[[], bool] = lambda: False,
) -> list[Measured]:
    """Measures ``X`` in shards whose files are kept in ``folder``; returns when all are there.

    Other processes may do the same with the same arguments at the same time: each shard
    is measured by whoever claims it first.

    Args:
        measurement: how.
        X: ``(n, L)`` schedules.
        folder: of the shards' files; those that are there are not measured again.
        pool: open workers.
        shard_size: schedules a shard; shards that are there already keep the size they were cut to.
        progress: told the number of schedules measured.
        merged: whether what these shards are for is there already; asked once the folder is.

    Raises:
        BrokenExecutor: the local pool lost its workers ``RESTARTS`` times without end.
        InputError: the folder holds shards of other schedules or of another measurement.
        MergedElsewhereError: the folder is gone, or nothing has to be measured.
    """
    shards = cut(X, measurement, shard_size)
    facts = _cut_facts(measurement, X)  # takes its time, in which others may merge
    folder.mkdir(parents=True, exist_ok=True)
    # Another process that merged before now has put its folder away, and this one is new and empty;
    # one that merges from now on takes this one along, which is noticed.
    if merged():
        raise MergedElsewhereError
    kept = _kept_size(facts, folder, shard_size)
    if merged():  # between the question and the lock, which made the folder anew
        for path in (folder / CUT, (folder / CUT).with_suffix(".lock")):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
        raise MergedElsewhereError
    if kept != shard_size:
        shards = cut(X, measurement, kept)
    measuring = _Measuring(measurement, shards, folder, pool, progress)
    try:
        while True:
            measuring.run()
            if not (broken := measuring.broken()):
                return [Measured.read(shard.path(folder), shard) for shard in measuring.shards]
            for path in broken:  # of a machine that stopped: measured again
                path.unlink(missing_ok=True)
    except FileNotFoundError as error:
        if folder.exists():
            raise
        raise MergedElsewhereError from error


def _cut_facts(measurement: Measurement, X: Schedules) -> dict[str, object]:
    """What must be the same for shards to be gone on with."""
    return {
        "schedules": zlib.crc32(np.ascontiguousarray(X, dtype=np.int64).tobytes()),
        "images": measurement.images,
        "seed": measurement.seed,
        "metric": measurement.score_name,
        "measured": identity_digest(measurement),
    }


def _kept_size(facts: dict[str, object], folder: Path, size: int) -> int:
    """The shard size that the folder was begun with: shards are known by number, so a resumed build cuts alike."""
    path = folder / CUT
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            with replacing(path) as temporary:
                temporary.write_text(json.dumps({**facts, "shard_size": size}))
        begun = read_table(CutTable, read_json(path, f"remove {folder} to start anew"), str(path)).model_dump()
    kept: int = begun.pop("shard_size")
    if begun != facts:
        raise InputError(f"{folder} holds shards of other schedules or another measurement: remove it to start anew")
    return kept


class CutTable(BaseModel):
    """What ``cut.json`` says: what the shards are of, and their size."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schedules: int
    images: int
    seed: int
    metric: str
    measured: str
    shard_size: Annotated[int, Field(ge=1)]


@dataclass
class _Measuring:
    """Sees to it that every shard has its file, whoever measures it."""

    measurement: Measurement
    shards: list[Shard]
    work: Path
    pool: Pool
    progress: Callable[[int], None]

    def run(self) -> None:
        """Returns when all shards are measured."""
        restarts = 0
        while missing := self._report():
            self._look_for_folder()
            try:
                claimed = self._measure_unclaimed(missing, self.pool.executor())
            except BrokenExecutor:
                restarts += 1
                if restarts > RESTARTS:
                    raise
                continue
            if not claimed:
                sleep(POLL_SECONDS)  # others hold what is missing

    def broken(self) -> list[Path]:
        """Files of shards that cannot be read."""
        paths = [shard.path(self.work) for shard in self.shards]
        return [path for path, shard in zip(paths, self.shards, strict=True) if not is_whole(path, shard)]

    def _look_for_folder(self) -> None:
        """Shards are missing with the folder when somebody else has merged them: nothing is left to measure."""
        if not self.work.exists():
            raise MergedElsewhereError

    def _look_for_cut(self) -> None:
        """A lock makes the folder that it is in: one without the cut was put away just before."""
        if not (self.work / CUT).exists():
            for lock in self.work.glob("*.lock"):
                lock.unlink(missing_ok=True)
            with suppress(OSError):
                self.work.rmdir()
            raise MergedElsewhereError

    def _report(self) -> list[Shard]:
        """Tells the progress; returns the shards without a file."""
        missing = [shard for shard in self.shards if not shard.path(self.work).exists()]
        self.progress(sum(len(shard.rows) for shard in self.shards) - sum(len(shard.rows) for shard in missing))
        return missing

    def _measure_unclaimed(self, missing: list[Shard], executor: Executor) -> int:
        """Measures those missing shards that nobody else has claimed; returns how many."""
        claimed = 0
        running: dict[Future[Measured], tuple[Shard, ExitStack]] = {}
        with ExitStack() as claims:
            for shard in missing:
                self._look_for_folder()
                held = claims.enter_context(ExitStack())
                # Who had the claim before may have finished the shard since we looked.
                if not held.enter_context(claim(shard.path(self.work))) or shard.path(self.work).exists():
                    held.close()
                    continue
                self._look_for_cut()
                claimed += 1
                args = (self.measurement, shard, self.pool.workers.device, self.pool.workers.threads)
                running[executor.submit(measure_shard, *args)] = shard, held
                if len(running) >= self.pool.in_flight:
                    self._collect(running)
            while running:
                self._collect(running)
        return claimed

    def _collect(self, running: dict[Future[Measured], tuple[Shard, ExitStack]]) -> None:
        """Writes the shards that are done, waiting for at least one."""
        for future in self.pool.done(running):
            shard, held = running.pop(future)
            future.result().write(shard.path(self.work))
            held.close()
            self._report()


def _merge(
    recipe: Recipe, entry: Round, X: Schedules, measured: list[Measured], work: Path, facts: dict[str, object]
) -> None:
    """Appends the round to the dataset, and clears its shards."""
    with locked(recipe.folder / "build" / "merge.lock"):
        before = _existing(recipe, facts)
        if entry.name not in before.design:
            y = scores_of(measured)
            split = np.full(len(X), entry.split)
            if entry.splits:
                latency = before.space.latency(X, recipe.measurement.latency)
                split = share_out(entry.splits, y, latency, _rng(recipe, entry))
            cost = {
                "schedules": len(X),
                "evaluations": sum(part.evaluations for part in measured),
                "one_by_one": sum(part.one_by_one for part in measured),
                "seconds": round(sum(part.seconds for part in measured), 1),
            }
            after = ScheduleDataset(
                before.space,
                np.concatenate([before.X, X]),
                np.concatenate([before.y, y]),
                np.concatenate([before.split, split]),
                np.concatenate([before.design, np.full(len(X), entry.name)]),
                before.metric,
                {**before.extra, "rounds": {**before.extra["rounds"], entry.name: cost}},
            )
            # Taken anew: the zoo's files may have changed since the build began.
            now = identity(recipe.measurement)
            if recipe.dataset.exists():
                check_measured(recipe.folder, recipe.dataset.stem, now)
            else:
                remember_measured(recipe.folder, recipe.dataset.stem, now)
            after.write(recipe.dataset)
        put_away(work)
