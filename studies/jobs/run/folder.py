"""The folder of a run: what it was asked, and what it has made so far, so that a killed run goes on.

``run.json`` is written first. Until the run is done ``kept/`` has the fitted predictor, what the search
found, the scores of the race and those of each seed of the report, each as soon as it is there. A run
that goes on takes them as they are, so that it ends as it would have without being killed.
"""

from __future__ import annotations

import datetime
import hashlib
import inspect
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.arrays import BROKEN
from omsdpm.errors import InputError
from omsdpm.files import is_temporary, locked, replacing, writable_folder, write_json
from omsdpm.tables import read_json
from studies.jobs.run.search import SearchOutcome
from studies.jobs.settings import PROGRAM, Settings
from studies.records.environment import PACKAGES, package_version
from studies.records.folder import new_folder
from studies.records.progress import Clock, Step

if TYPE_CHECKING:
    from benchmarks import Benchmark, Validation
    from omsdpm.solvers import Schedules
    from predictors import Predictor
    from studies.jobs.run.race import Contest
    from studies.jobs.run.result import RunResult
    from studies.jobs.run.settings import RunSettings
    from studies.jobs.search.settings import SearchSettings

FILE, KEPT, LOCK = "run.json", "kept", ".run.lock"

FORMAT = 1
"""Version of ``run.json``."""

ID_SIZE = 8
"""Bytes of a run's id."""


@dataclass(eq=False)
class RunFolder:
    """A folder that one run writes to, known to be its own.

    Attributes:
        path: where it is.
        run_id: tells runs apart by all that their results depend on: settings, data and versions.
        when: start of the run, ISO 8601 with time zone.
        seconds: of the parts that were done before, by key.
        begun: the folder had this run already.
    """

    path: Path
    run_id: str
    when: str
    seconds: dict[str, float] = field(default_factory=dict)
    begun: bool = False

    def words(self, *, done: bool) -> str:
        """What a user is told at the start."""
        if done:
            return f"{self.path} has this run's results: nothing is made again"
        goes_on = f"goes on with `{PROGRAM} run --resume {self.path}`"
        return f"{'Going on in' if self.begun else 'Run folder:'} {self.path}; a run that is stopped {goes_on}"

    # -- the parts -------------------------------------------------------------------

    @property
    def kept(self) -> Path:
        """What is there until the run is done."""
        return self.path / KEPT

    @contextmanager
    def part(self, clock: Clock, key: str, title: str) -> Iterator[Step]:
        """One part of the run, as :meth:`Clock.part`; counts the seconds that it took before."""
        with clock.part(key, title) as step:
            yield step
        clock.seconds[key] = round(clock.seconds[key] + self.seconds.get(key, 0.0), 3)
        write_json(self.kept / "seconds.json", clock.seconds)

    def predictor(self, make: Callable[[], Predictor]) -> Predictor:
        """The fitted predictor: the one that is kept, else the one made, which is kept if its family can be."""
        from predictors import Predictor as Family
        from predictors import load_predictor

        path = self.kept / "predictor"
        with suppress(InputError):
            return load_predictor(path)
        made = make()
        if not isinstance(made, Family):  # a benchmark's own measurement
            return made
        try:
            made.save(path)
            # Read back, as one that goes on does: a family may round what it writes.
            return load_predictor(path)
        except (InputError, NotImplementedError):  # of a class that nobody registered, or that cannot be saved
            return made

    def outcome(self, make: Callable[[], SearchOutcome], *, again: bool = False) -> SearchOutcome:
        """What the search found; ``again`` searches anyway, for who watches it."""
        path = self.kept / "search.npz"
        arrays = None if again else _read_arrays(path)
        if arrays is not None:
            with suppress(KeyError, ValueError):
                ends = np.cumsum(arrays.pop("sizes"))[:-1]
                populations = np.split(arrays.pop("populations"), ends)
                return SearchOutcome(populations=populations, evaluations=int(arrays.pop("evaluations")), **arrays)
        made = make()
        _write_arrays(
            path,
            front=made.front,
            front_scores=made.front_scores,
            front_latency=made.front_latency,
            winners=made.winners,
            predicted=made.predicted,
            populations=np.concatenate(made.populations),
            sizes=np.array([len(population) for population in made.populations]),
            evaluations=np.array(made.evaluations),
        )
        return made

    def contest(self, X: Schedules, make: Callable[[], Contest]) -> Contest:
        """Candidates ``(n, L)`` of a race whose rounds are kept."""
        return KeptContest(self.kept / "race.json", _digest(X), make)

    def validated(
        self,
        benchmark: Benchmark,
        X: Schedules,
        *,
        images: int,
        seeds: Sequence[int],
        device: str,
        progress: Callable[[int, int], object],
        known: NDArray[np.float64] | None = None,
    ) -> Validation:
        """As :meth:`benchmarks.Benchmark.validate`; each seed's scores are kept as soon as they are there."""
        from benchmarks import Validation

        wanted = _digest(X)
        parts = {seed: part for seed in seeds if (part := self._seed(seed, wanted)) is not None}
        missing = [seed for seed in seeds if seed not in parts]
        if not missing and not any("latency" in part for part in parts.values()):
            missing = [seeds[-1]]  # killed while latencies were measured
        first = seeds[0]

        def scored(seed: int, scores: NDArray[np.float64], grids: NDArray[np.float32], latency: Any = None) -> None:
            # Images are of the first seed, as they would have been; latencies are measured last.
            more = {"images": grids} if seed == first else {}
            more |= {} if latency is None else {"latency": latency}
            parts[seed] = {"scores": np.array(scores), **more}
            _write_arrays(self.kept / f"seed-{seed}.npz", about=np.array(wanted), scores=scores, **more)

        def step(done: int, total: int) -> None:
            before = len(seeds) - len(missing)
            whole = total * len(seeds) // max(1, len(missing))
            progress(whole * before // len(seeds) + done, whole)

        last = missing[-1] if missing else None
        if missing:
            each = {"scored": scored} if "scored" in inspect.signature(benchmark.validate).parameters else {}
            columns = [list(seeds).index(seed) for seed in missing]
            sampled = benchmark.validate(
                X, images=images, seeds=tuple(missing), device=device, progress=step,
                known=None if known is None else known[:, columns], **each,
            )  # fmt: skip
            for number, seed in enumerate(missing):
                if seed not in parts or seed == last:
                    latency = sampled.latency_ms if seed == last else None
                    scored(seed, sampled.scores[:, number], sampled.images, latency)
        timed = [part["latency"] for part in parts.values() if "latency" in part]
        scores = np.stack([parts[seed]["scores"] for seed in seeds], axis=1)
        return Validation(scores, timed[-1], parts[first]["images"])

    def _seed(self, seed: int, wanted: str) -> dict[str, NDArray[Any]] | None:
        arrays = _read_arrays(self.kept / f"seed-{seed}.npz")
        return arrays if arrays is not None and str(arrays.get("about")) == wanted and "scores" in arrays else None

    def done(self) -> None:
        """Removes what was kept to go on with."""
        shutil.rmtree(self.kept, ignore_errors=True)


class KeptContest:
    """A race's contest that remembers its rounds; it is only opened where a round was not there yet.

    Rows of a later round are then sampled from their first image, as what was seen of them is not kept;
    they get the same scores.
    """

    def __init__(self, path: Path, about: str, make: Callable[[], Contest]) -> None:
        self.path = path
        self.about = about
        self._make = make
        self._contest: Contest | None = None
        self._rounds: list[dict[str, Any]] = []
        self._at = 0
        table = _read_json(path)
        if isinstance(table, dict) and table.get("about") == about:
            self._rounds = table["rounds"]

    def grow(
        self, rows: Sequence[int], images: int, progress: Callable[[int], object] | None = None
    ) -> NDArray[np.float64]:
        """Scores of those rows that go on; see :class:`studies.jobs.run.race.Contest`."""
        rows, at = [int(row) for row in rows], self._at
        self._at += 1
        if at < len(self._rounds):
            if (self._rounds[at]["rows"], self._rounds[at]["images"]) == (rows, images):
                return np.array(self._rounds[at]["scores"], dtype=float)
            del self._rounds[at:]
        if self._contest is None:
            self._contest = self._make()
        scores = self._contest.grow(rows, images, progress)
        self._rounds.append({"rows": rows, "images": int(images), "scores": [float(score) for score in scores]})
        if all(np.isfinite(entry["scores"]).all() for entry in self._rounds):  # strict JSON has no other numbers
            write_json(self.path, {"about": self.about, "rounds": self._rounds})
        return scores


# -- opening ---------------------------------------------------------------------------


@contextmanager
def open_run(
    settings: Settings,
    facts: Mapping[str, str],
    output: Path | None,
    name: str,
    when: datetime.datetime,
    *,
    grows: str = "",
    labels: str = "",
) -> Iterator[RunFolder]:
    """The folder of a run, held for this process alone: a new one, or that of the same run, which goes on.

    Args:
        settings: of the run.
        facts: what its results depend on beside them, as data and device.
        output: the folder; ``None`` for a new one below ``runs/``, with the run's name and time.
        name: of the run.
        when: now.
        grows: a setting that may be larger than it was: then the folder becomes that of the larger run.
        labels: a file whose presence makes a folder without ``run.json`` one that may be gone on with.

    Raises:
        InputError: the folder holds something else or another run, a run is writing to it, or it cannot
            be written.
    """
    given = asked(settings, facts)
    if output is None:
        folder = new_folder(name, when)
    else:
        folder = Path(output)
        with suppress(OSError):  # no folder yet, or none that can be read: the next line says it better
            if not (folder / FILE).is_file() and _strange(folder, labels):
                raise InputError(f"output folder {folder} holds files already: name a new or empty folder")
        writable_folder(folder)
    with locked(folder / LOCK, timeout=0) as held:
        if not held:
            raise InputError(f"a run is writing to {folder}: wait for it, or name another --output")
        begun = read_run(folder) if (folder / FILE).is_file() else None
        run_id, start = id_of(given), when.isoformat(timespec="seconds")
        if begun is not None and begun["run"] == run_id:
            with _resumable(folder):
                yield RunFolder(folder, run_id, str(begun["when"]), _seconds(folder), begun=True)
            return
        if begun is not None:
            _check_same(folder, begun["asked"], given, settings, grows)
        run = RunFolder(folder, run_id, start)
        run.done()
        table = {"format": FORMAT, "kind": settings.words[0], "run": run_id, "when": start}
        board = getattr(settings, "leaderboard", None)
        table |= {"command": settings.command(), "settings": settings.as_dict(), "asked": given}
        table |= {"leaderboard": None if board is None else str(Path(board).absolute())}
        write_json(folder / FILE, table)
        with _resumable(folder):
            yield run


@contextmanager
def _resumable(folder: Path) -> Iterator[None]:
    """Who stops a run is told what goes on with it."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(f"{PROGRAM} run --resume {folder}")
        raise


def settings_of(folder: Path) -> RunSettings | SearchSettings:
    """What the run in a folder was asked, to go on with it there.

    Raises:
        InputError: no run there, or one that this version cannot go on with.
    """
    from studies.jobs.run.settings import RunSettings
    from studies.jobs.search.settings import SearchSettings

    table = read_run(folder)
    values = {**table["settings"], "output": folder}
    if table["kind"] == "search":
        return SearchSettings.from_dict(values)
    if table.get("leaderboard") is not None:
        values["leaderboard"] = table["leaderboard"]
    return RunSettings.from_dict(values)


def asked(settings: Settings, facts: Mapping[str, str]) -> dict[str, Any]:
    """All that a run's results depend on: settings but for where results go, data, versions."""
    options = settings.options()
    given = {name: value for name, value in settings.as_dict().items() if options[name].repeats}
    versions = {name: package_version(name) for name in PACKAGES}
    return {"kind": settings.words[0], "settings": given, "facts": dict(facts), "versions": versions}


def data_facts(benchmark: Benchmark, device: str, *, stored: bool = True) -> dict[str, str]:
    """What a run on a benchmark depends on beside its settings: data, networks and reference, device.

    Args:
        benchmark: the problem.
        device: where it samples.
        stored: its measured schedules count, which a search makes itself.

    Raises:
        InputError: a file of the zoo or the reference cannot be read.
    """
    from omsdpm.devices import device_name
    from omsdpm.latency import LatencyTable
    from omsdpm.scoring.identity import identity_digest
    from omsdpm.scoring.measurement import Measurement

    measurement = benchmark.measurement
    measured = {"measurement": identity_digest(measurement)} if isinstance(measurement, Measurement) else {}
    table = LatencyTable.of(benchmark.latency)
    latency = ", ".join([*(f"{ms:g}" for ms in table), *(f"{name} {ms:g}" for name, ms in table.terms().items())])
    data = {"data": benchmark.data_hash} if stored else {}
    return {**data, **measured, "latencies": latency, "device": device_name(device)}


def finished(folder: RunFolder, settings: RunSettings | SearchSettings) -> RunResult | None:
    """The result that the folder has of this run; ``None`` where it is not done."""
    from studies.jobs.run.result import FILE as RESULT
    from studies.jobs.run.result import RunResult

    table = _read_json(folder.path / RESULT)
    if not isinstance(table, dict) or table.get("run") != folder.run_id:
        return None
    return replace(RunResult.read(folder.path), settings=settings)


def id_of(given: Mapping[str, Any]) -> str:
    """A run's id."""
    text = json.dumps(given, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=ID_SIZE).hexdigest()


def read_run(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says.

    Raises:
        InputError: none there, a damaged one, or one of a newer version.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(f"no run in {folder}: it has no {FILE}")
    table = read_json(path, "name another --output")
    if not isinstance(table, dict) or not isinstance(table.get("format"), int):
        raise InputError(f"{path} is damaged: it says no format; name another --output")
    if table["format"] != FORMAT:
        raise InputError(f"{path} has format {table['format']}, this version reads {FORMAT}: update omsdpm")
    lacking = [key for key in ("kind", "run", "when", "settings", "asked") if key not in table]
    if lacking or not isinstance(table["asked"], dict) or not isinstance(table["settings"], dict):
        raise InputError(f"{path} is damaged: it lacks {', '.join(lacking) or 'a table'}; name another --output")
    return table


def _check_same(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], settings: Settings, grows: str
) -> None:
    """Raises :class:`InputError` that names what differs, unless a run only grew."""
    differ = _differences(before, now)
    if set(differ) == {("settings", grows)}:
        was, wanted = differ["settings", grows]
        if was is not None and wanted is not None and wanted > was:
            return
    words = []
    for (part, name), (was, wanted) in differ.items():
        known = part == "settings" and name in settings.options()
        called = settings.flag(name) if known else f"version of {name}" if part == "versions" else name
        words.append(f"{called} was {_said(was)}, is {_said(wanted)}")
    raise InputError(
        f"output folder {folder} is of another run ({'; '.join(words)}): name another --output, "
        f"or go on with `{PROGRAM} run --resume {folder}`"
    )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Any, Any]]:
    pairs: dict[tuple[str, str], tuple[Any, Any]] = {}
    if before.get("kind") != now["kind"]:
        return {("", "the command"): (before.get("kind"), now["kind"])}
    for part in ("settings", "facts", "versions"):
        kept = before.get(part)
        was = kept if isinstance(kept, dict) else {}
        for name in [*now[part], *(name for name in was if name not in now[part])]:
            one, other = was.get(name), now[part].get(name)
            if json.dumps(one) != json.dumps(other):
                pairs[part, name] = one, other
    return pairs


def _said(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _strange(folder: Path, labels: str) -> bool:
    """Whether a folder without ``run.json`` holds what no run may write beside."""
    if not folder.is_dir() or (labels and (folder / labels).is_file()):
        return False
    return any(item.name != LOCK and not is_temporary(item.name) for item in folder.iterdir())


def _seconds(folder: Path) -> dict[str, float]:
    table = _read_json(folder / KEPT / "seconds.json")
    return {key: float(value) for key, value in table.items()} if isinstance(table, dict) else {}


# -- files -----------------------------------------------------------------------------


def _digest(X: Schedules) -> str:
    rows = np.ascontiguousarray(X, dtype="<i8")
    return hashlib.blake2b(repr(rows.shape).encode() + rows.tobytes(), digest_size=16).hexdigest()


def _read_json(path: Path) -> Any:
    """A file's content; ``None`` where there is none that can be read."""
    try:
        return read_json(path, "")
    except InputError:
        return None


def _read_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """An archive's arrays; ``None`` where there is none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (*BROKEN, AttributeError):  # a single array is no archive
        return None


def _write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
