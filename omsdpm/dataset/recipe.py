"""The ``benchmark.toml`` of a folder: how its schedules are measured and which are drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from omsdpm.dataset.dataset import SPLITS
from omsdpm.dataset.designs import ALPHA, NULL
from omsdpm.errors import InputError, unknown_name
from omsdpm.names import PlainName, plain_name
from omsdpm.scoring.measurement import Measurement, MeasurementTable, check_moved
from omsdpm.seeds import Seed
from omsdpm.tables import read_table, read_toml

RECIPE_FILE = "benchmark.toml"
DATASET_FILE = "schedules.parquet"


def _name_or_none(name: str) -> str:
    return plain_name(name) if name else name


def _known_split(split: str) -> str:
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    return split


def _split_or_none(split: str) -> str:
    return _known_split(split) if split else split


def _probabilities(null: Any) -> Any:
    # Checked as a whole: of a union, pydantic says what is wrong with each alternative.
    pair = null if isinstance(null, list) else [null, null]
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in pair)
    if not (numbers and len(pair) == 2 and 0 <= pair[0] <= pair[1] < 1):
        raise ValueError(f"{null!r}, expected a number or a rising pair of numbers, from 0 to less than 1")
    return tuple(pair) if isinstance(null, list) else null  # strict validation wants a tuple


def _rising(window: tuple[float, float]) -> tuple[float, float]:
    if window[0] >= window[1]:
        raise ValueError(f"{list(window)}, expected two numbers that rise")
    return window


Count = Annotated[int, Field(gt=0, le=2**31 - 1)]
Budget = Annotated[float, Field(gt=0)]
Milliseconds = Annotated[float, Field(ge=0)]
Null = Annotated[float | tuple[float, float], BeforeValidator(_probabilities)]


class _Table(BaseModel):
    """A table of ``benchmark.toml``: no other keys, types as declared, finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _RoundTable(_Table):
    """What every ``[[round]]`` has; see :class:`Round`.

    Attributes:
        name: unique in the file; the rows' ``design`` in the dataset.
        design: how schedules are drawn.
        split: the rows' split: ``train``, ``validation``, ``test`` or ``elite``.
        splits: instead of ``split``: how many rows go to each of several splits.
    """

    name: PlainName
    split: Annotated[str, AfterValidator(_split_or_none)] = ""
    splits: dict[Annotated[str, AfterValidator(_known_split)], Count] = {}

    @model_validator(mode="after")
    def _one_way_to_split(self) -> _RoundTable:
        if self.split and self.splits:
            raise ValueError("split and splits, expected one of them")
        return self


class _Drawn(_RoundTable):
    """What rounds of a given number of schedules have.

    Attributes:
        n: number of schedules.
        window: least and greatest latency in ms.
    """

    n: Count
    window: Annotated[tuple[Milliseconds, Milliseconds], AfterValidator(_rising)] | None = None


class RandomRound(_Drawn):
    """Schedules of random members and nulls.

    Attributes:
        null: probability that a slot is null, or a range that it is drawn from.
        alpha: of the Dirichlet prior of members.
    """

    design: Literal["random"]
    null: Null = NULL
    alpha: Annotated[float, Field(gt=0)] = ALPHA


class StratifiedRound(RandomRound):
    """A round that spreads its schedules over latency."""

    design: Literal["stratified"]  # type: ignore[assignment]


class TreeRound(RandomRound):
    """Schedules that share their noise ends.

    Attributes:
        branches: schedules that share a noise end.
    """

    design: Literal["tree"]  # type: ignore[assignment]
    branches: Count = 6


class RefineRound(_Drawn):
    """Offspring of the best training schedules.

    Attributes:
        mutations: slots of an offspring that are changed, about.
    """

    design: Literal["refine"]
    mutations: Annotated[int, Field(ge=0, le=2**31 - 1)] = 2


class ExhaustiveRound(_RoundTable):
    """All schedules, so neither their number nor a window."""

    design: Literal["exhaustive"]


AnyRound = Annotated[
    RandomRound | StratifiedRound | TreeRound | RefineRound | ExhaustiveRound, Field(discriminator="design")
]
"""A ``[[round]]`` with the keys that its design takes."""


class ValidationTable(_Table):
    """``[validation]``: with which noise winners and baselines are validated.

    Attributes:
        images: a seed.
        seeds: of the noise, none of them the dataset's.
    """

    images: Annotated[int, Field(ge=2, le=2**31 - 1)] = 2000
    seeds: tuple[Seed, ...] = (1001, 1002, 1003)


class RepeatTable(_Table):
    """``[repeat]``: how many schedules are measured again, and from which noise.

    Attributes:
        n: number of schedules, drawn from the dataset.
        seed: of the noise.
    """

    n: Count
    seed: Seed


class RecipeTable(_Table):
    """All of a ``benchmark.toml``.

    Attributes:
        name: of the benchmark; files are named after it.
        summary: what it is, in one line.
        notes: Markdown for the card: why these designs.
        seed: of the drawing of schedules.
        budgets: latency budgets in ms.
        strategies: whose choices are baselines beside single members and stitches, as ``"ays"`` or
            ``"anneal[labels=50]"``; all that are installed without it. ``dataset estimate`` says what that costs.
        tabular: all schedules are measured, so that scores are looked up.
        measurement: how a schedule becomes a score.
        validation: with which noise winners and baselines are validated.
        repeat: schedules that are measured again; none without it.
        rounds: ``[[round]]``, the schedules of the dataset in the order that they are drawn in.
    """

    name: Annotated[str, AfterValidator(_name_or_none)] = ""
    summary: str = ""
    notes: str = ""
    seed: Seed = 0
    budgets: tuple[Budget, ...] = ()
    strategies: tuple[str, ...] | None = None
    tabular: bool = False
    measurement: MeasurementTable
    validation: ValidationTable = ValidationTable()
    repeat: RepeatTable | None = None
    rounds: tuple[AnyRound, ...] = Field((), alias="round")

    @field_validator("rounds")
    @classmethod
    def _names_differ(cls, rounds: tuple[AnyRound, ...]) -> tuple[AnyRound, ...]:
        names = [entry.name for entry in rounds]
        if len(set(names)) < len(names):
            raise ValueError("two rounds have one name; every [[round]] needs its own")
        return rounds


class BenchmarkTable(RecipeTable):
    """The file of a benchmark, which a recipe with budgets is."""

    name: PlainName
    summary: str
    budgets: tuple[Budget, ...]


File = TypeVar("File", bound=RecipeTable)


@dataclass(frozen=True)
class Round:
    """Schedules drawn together, by one design, for one split.

    Attributes:
        name: unique in the recipe; becomes the rows' ``design`` in the dataset.
        design: one of :data:`omsdpm.dataset.designs.DESIGNS`.
        n: number of schedules; 0 for ``exhaustive``, which draws all.
        split: the rows' split, or ``""``.
        splits: instead of ``split``: rows for each of several splits, see
            :func:`omsdpm.dataset.designs.share_out`.
        window: least and greatest latency in ms, or ``None``.
        options: the design's own keys.
    """

    name: str
    design: str
    n: int = 0
    split: str = ""
    splits: dict[str, int] = field(default_factory=dict)
    window: tuple[float, float] | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A measurement and the rounds of its dataset."""

    folder: Path
    measurement: Measurement
    rounds: tuple[Round, ...]
    seed: int = 0

    @property
    def dataset(self) -> Path:
        """Where the dataset is, or will be."""
        return self.folder / DATASET_FILE

    @classmethod
    def read(cls, folder: str | Path) -> Recipe:
        """Reads the ``benchmark.toml`` of a folder.

        Raises:
            InputError: no such file, broken TOML, or a key that is unknown, lacking or of a wrong value.
        """
        folder = Path(folder)
        table = recipe_toml(folder)
        # The baselines come after the dataset: what they lack should be said before hours of measuring.
        file = parse_recipe(BenchmarkTable if "budgets" in table else RecipeTable, table, folder)
        return cls(folder, measurement_of(file, folder), tuple(_round(entry) for entry in file.rounds), file.seed)


def recipe_toml(folder: Path) -> dict[str, Any]:
    """The ``benchmark.toml`` of a folder as it is.

    Raises:
        InputError: it cannot be read, or is not TOML.
    """
    return read_toml(folder / RECIPE_FILE, "a benchmark is a folder with that file")


def parse_recipe(model: type[File], table: dict[str, Any], folder: Path) -> File:
    """The model of what :func:`recipe_toml` read.

    Raises:
        InputError: a key that is unknown, lacking or of a wrong value.
    """
    where = str(folder / RECIPE_FILE)
    check_moved(table.get("measurement"), f"{where}: measurement")
    return read_table(model, table, where)


def measurement_of(file: RecipeTable, folder: Path) -> Measurement:
    """What ``[measurement]`` of a folder's file describes.

    Raises:
        InputError: a key that is unknown, lacking or of a wrong value.
    """
    try:
        return file.measurement.measurement(folder, str(folder / RECIPE_FILE))
    except (TypeError, ValueError) as error:  # InputError is a ValueError
        raise InputError(f"{folder / RECIPE_FILE}: {error}") from error


def _round(entry: AnyRound) -> Round:
    given = {key: getattr(entry, key) for key in entry.model_fields_set}
    return Round(**{key: given.pop(key) for key in Round.__dataclass_fields__ if key in given}, options=given)
