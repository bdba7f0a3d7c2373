"""What a study is asked to do: on the command line, or in a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from omsdpm.devices import DEVICES
from omsdpm.errors import InputError
from omsdpm.plugins import split_list
from omsdpm.seeds import LARGEST
from omsdpm.tables import read_table, read_toml
from studies.jobs.settings import Settings, option
from studies.pessimist import KAPPA

MATRIX, CELL, WORK = "Matrix", "Each cell", "Where it runs"
"""Topics of the options."""


class StudySettings(Settings):
    """Run every optimizer with every predictor on every benchmark with every seed, and say what beats what.

    The matrix is given by comma lists, or by FILE.toml. Each cell runs once and is kept as a
    file as soon as it is known: the same command goes on where it was stopped, and a larger
    matrix adds its cells. A cell that fails is a row with its reason; it counts as a loss.

    With --validate each cell is a 'run', which samples its winners for real.
    """

    words = ("study",)

    benchmarks: tuple[str, ...] = option(
        ("digits-tab",), flags=("--benchmark",), separator=",", metavar="NAME,...", topic=MATRIX,
        shown="digits-tab", help="Problems; see 'list'.",
    )  # fmt: skip
    optimizers: tuple[str, ...] = option(
        ("nsga2",), flags=("--optimizer",), separator=",", metavar="NAME,...", topic=MATRIX,
        shown="nsga2", help="As 'nsga2,tpe[batch=32]'; see 'list'.",
    )  # fmt: skip
    predictors: tuple[str, ...] = option(
        ("lstm",), flags=("--predictor",), separator=",", metavar="NAME,...", topic=MATRIX,
        shown="lstm", help="As 'gp,lstm[updates=800]', or 'oracle'; see 'list'.",
    )  # fmt: skip
    seeds: int = option(5, ge=1, topic=MATRIX, help="How many, from --first-seed.")
    first_seed: int = option(0, ge=0, le=LARGEST, topic=MATRIX, help="Seed of the first fit and search.")
    budgets: tuple[float, ...] = option(
        (), flags=("--budget",), metavar="MS", topic=CELL, shown="each benchmark's",
        help="Latency budget in ms, repeatable.",
    )  # fmt: skip
    evaluations: int = option(1000, ge=1, topic=CELL, help="Schedules that a search may score, all budgets together.")
    train_size: int | None = option(None, topic=CELL, shown="the whole split", help="Schedules to fit on.")
    kappa: float = option(
        KAPPA, topic=CELL, allow_inf_nan=False, help="Standard deviations that a search adds to predictions."
    )
    validated: bool = option(False, flags=("--validate",), topic=CELL, help="Sample the winners for real.")
    validate_seeds: int = option(5, ge=1, topic=CELL, help="Seeds that sampled winners are reported on.")
    device: str = option("auto", choices=lambda: DEVICES, topic=CELL, help="Where networks run.")
    targets: tuple[float, ...] = option(
        (0.1, 0.02, 0.005), flags=("--target",), metavar="REGRET", topic=CELL, shown="0.1, 0.02 and 0.005",
        help="Regret, in units of the score, that a search is timed to; repeatable.",
    )  # fmt: skip
    executor: str = option("joblib", choices=lambda: ("joblib", "dask"), topic=WORK, help="Where cells run.")
    jobs: int = option(1, ge=1, topic=WORK, help="Local processes.")
    scheduler: str | None = option(
        None, metavar="ADDRESS", topic=WORK,
        help="Of the Dask scheduler, as tcp://host:8786. It and its workers must be trusted.",
    )  # fmt: skip
    retry: bool = option(False, topic=WORK, repeats=False, help="Run cells that failed once more.")
    output: Path = option(Path("study"), topic=WORK, help="Folder; what it has is continued.")


Names = Annotated[str | tuple[str, ...], Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class StudyFile(BaseModel):
    """A study's TOML file: the options of :class:`StudySettings` by their names there.

    Attributes:
        benchmark: problems, a list or `"a,b"`; see `omsdpm-bench list`.
        optimizer: as `"nsga2,tpe[batch=32]"`, or a list.
        predictor: as `"gp,lstm[updates=800]"`, or a list; `oracle` too.
        seeds: how many, from `first_seed`.
        first_seed: seed of the first fit and search.
        budget: latency budgets in ms; those of each benchmark without it.
        evaluations: schedules that a search may score, all budgets together.
        train_size: schedules to fit on; the whole split without it.
        kappa: standard deviations that a search adds to predictions.
        validate: sample the winners for real.
        validate_seeds: seeds that sampled winners are reported on.
        target: regrets, in units of the score, that a search is timed to.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    benchmark: Names
    optimizer: Names
    predictor: Names
    seeds: Count = 5
    first_seed: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    budget: tuple[float, ...] = ()
    evaluations: Count = 1000
    train_size: Annotated[int, Field(ge=2, le=2**31 - 1)] | None = None
    kappa: float = KAPPA
    validate_: Annotated[bool, Field(alias="validate")] = False
    validate_seeds: Count = 5
    target: tuple[float, ...] = (0.1, 0.02, 0.005)


SETTING = {
    "benchmark": "benchmarks", "optimizer": "optimizers", "predictor": "predictors", "budget": "budgets",
    "target": "targets", "validate_": "validated",
}  # fmt: skip
"""Fields of the settings by those of the file that are called otherwise."""

ELSEWHERE = frozenset(("device", "executor", "jobs", "scheduler", "retry", "output"))
"""What a command line may say beside a file: where the study runs, not what it is."""


def study_of_file(path: Path, given: Mapping[str, Any] | None = None) -> StudySettings:
    """The settings in a TOML file, and what is given beside it.

    Args:
        path: of the file.
        given: fields in :data:`ELSEWHERE`. Without ``output``, results go beside the file, to a
            folder of its name.

    Raises:
        InputError: the file cannot be read, has an unknown key or a wrong value, or names a cell
            that there is not; or ``given`` has what the file says.
    """
    given = dict(given or {})
    for name in given:
        if name not in ELSEWHERE:
            raise InputError(f"{StudySettings.flag(name)} beside {path}, which says what the study is: write it there")
    table = read_table(StudyFile, read_toml(path, "name a TOML study file"), str(path))
    fields: dict[str, Any] = {SETTING.get(name, name): getattr(table, name) for name in table.model_fields_set}
    for key in ("benchmark", "optimizer", "predictor"):
        listed = getattr(table, key)
        parts = _split(listed, f"{path}: {key}") if isinstance(listed, str) else list(listed)
        for number, text in enumerate(parts, start=1):
            where = key if isinstance(listed, str) else f"{key}#{number}"
            try:
                check_name(key, text)
            except InputError as error:
                raise InputError(f"{path}: {where}: {error}") from error
        fields[SETTING[key]] = parts
    return StudySettings(**{"output": path.with_suffix("") if path.suffix else Path(f"{path}-study")} | fields | given)


def check_name(kind: str, text: str) -> None:
    """Raises :class:`InputError` for a benchmark, optimizer or predictor that there is not; builds the first two."""
    from studies.jobs.naming import benchmark_of, check_predictor, optimizer_of

    {"benchmark": benchmark_of, "optimizer": optimizer_of, "predictor": check_predictor}[kind](text)


def _split(text: str, where: str) -> list[str]:
    try:
        return split_list(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
