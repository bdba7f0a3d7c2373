"""Schedules with their measured scores, as a Parquet file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from omsdpm.dataset.parquet import read_parquet, slots_of, words_of
from omsdpm.errors import InputError
from omsdpm.files import reads, replacing
from omsdpm.solvers import Schedules, ScheduleSpace, space_from_table
from omsdpm.solvers.table import SpaceTable
from omsdpm.tables import read_table

if TYPE_CHECKING:
    import pandas

SPLITS = ("train", "validation", "test", "elite")
"""The parts of a dataset: ``test`` is a plain random design, ``elite`` are good schedules."""

METADATA = b"omsdpm"


@dataclass(frozen=True, eq=False)
class ScheduleDataset:
    """Measured schedules of one space.

    Attributes:
        space: the schedules' space.
        X: ``(n, L)`` schedules, int64.
        y: ``(n,)`` scores, float64; lower is better.
        split: ``(n,)`` one of :data:`SPLITS` or ``""`` for each row.
        design: ``(n,)`` the name of the design that drew each row, or ``""``.
        metric: what a score is: ``"fid"`` only for Inception features.

    Raises:
        InputError: lengths that disagree, an invalid schedule, or a score that is no number.

    Example:
        >>> dataset = ScheduleDataset.read("schedules.parquet")
        >>> train = dataset.subset("train")
        >>> train.X.shape, train.y.shape
        ((2000, 25), (2000,))
    """

    space: ScheduleSpace
    X: Schedules
    y: NDArray[np.float64]
    split: NDArray[np.str_] = None  # type: ignore[assignment]  # all "" until __post_init__
    design: NDArray[np.str_] = None  # type: ignore[assignment]
    metric: str = "fid"
    extra: dict[str, Any] = field(default_factory=dict)
    """JSON-able facts about the whole dataset that travel with the file."""

    def __post_init__(self) -> None:
        X = self.space.check(self.X) if len(self.X) else np.empty((0, self.space.length), dtype=np.int64)
        y = np.asarray(self.y, dtype=float)
        if y.shape != (len(X),):
            raise InputError(f"{len(X)} schedules but scores of shape {y.shape}: expected one score a schedule")
        if not np.isfinite(y).all():
            row = int((~np.isfinite(y)).argmax())
            raise InputError(f"row {row} has score {y[row]}: every score must be a finite number")
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", y)
        for name in ("split", "design"):
            labels = getattr(self, name)
            labels = np.full(len(X), "") if labels is None else np.asarray(labels, dtype=np.str_)
            if labels.shape != y.shape:
                raise InputError(f"{len(X)} schedules but {name} of shape {labels.shape}: expected one a schedule")
            object.__setattr__(self, name, labels)

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> ScheduleDataset:
        """The rows of an index array, a mask or a slice."""
        return ScheduleDataset(
            self.space, self.X[rows], self.y[rows], self.split[rows], self.design[rows], self.metric, self.extra
        )

    def subset(self, split: str) -> ScheduleDataset:
        """The rows of one split; empty where there are none.

        Raises:
            InputError: not a name of :data:`SPLITS`.
        """
        if split not in SPLITS:
            raise InputError(f"split {split!r}: choose one of {', '.join(SPLITS)}")
        return self[self.split == split]

    def to_pandas(self) -> pandas.DataFrame:
        """A table with a row a schedule: ``slot_0`` (image end), ..., ``score``, ``split``, ``design``.

        Example:
            >>> dataset.to_pandas().groupby("split").score.median()
        """
        import pandas

        slots = {f"slot_{i}": self.X[:, i] for i in range(self.space.length)}
        return pandas.DataFrame({**slots, "score": self.y, "split": self.split, "design": self.design})

    def write(self, path: str | Path) -> None:
        """Writes a Parquet file, atomically: one row a schedule, the space in its metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        facts = {
            **self.space.table(),
            "metric": self.metric,
            "extra": self.extra,
        }
        table = pa.table(
            {
                "schedule": pa.array(list(self.X.astype(np.int16)), type=pa.list_(pa.int16())),
                "score": pa.array(self.y),
                "split": pa.array(self.split.tolist(), type=pa.string()),
                "design": pa.array(self.design.tolist(), type=pa.string()),
            }
        ).replace_schema_metadata({METADATA: json.dumps(facts).encode()})
        with replacing(path) as temporary:
            pq.write_table(table, temporary, compression="zstd", use_dictionary=["split", "design"])

    @classmethod
    @reads("path")
    def read(cls, path: str | Path) -> ScheduleDataset:
        """Reads what :meth:`write` wrote.

        Raises:
            InputError: no Parquet file, a column or the metadata lacking, NaN scores, or
                a schedule that is not valid; the message names the file.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"dataset {path} does not exist: give a Parquet file")
        table = read_parquet(path, ("schedule", "score"), "dataset")
        facts = _facts(table.schema.metadata, path)
        names = set(table.column_names)
        try:
            space = space_from_table(SpaceTable(**{key: getattr(facts, key) for key in SpaceTable.model_fields}))
            labels = {name: words_of(table[name], name) for name in ("split", "design") if name in names}
            return cls(
                space=space,
                X=slots_of(table["schedule"], space.length),
                y=_scores(table["score"]),
                **{name: np.array(words, dtype=np.str_) for name, words in labels.items()},
                metric=facts.metric,
                extra=facts.extra,
            )
        except InputError as error:
            raise InputError(f"dataset {path}: {error}") from error


class Facts(SpaceTable):
    """What a file says of itself, beside its columns.

    Attributes:
        metric: what a score is.
        extra: facts that travel with it.
    """

    metric: str
    extra: dict[str, Any] = Field(default_factory=dict)


def _facts(metadata: dict[bytes, bytes] | None, path: Path) -> Facts:
    text = (metadata or {}).get(METADATA)
    try:
        said = json.loads(text or b"null", parse_constant=_no_number)
        if not isinstance(said, dict) or {"solver", "num_models", "length", "metric"} - set(said):
            raise ValueError("it lacks a key")
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"dataset {path} does not say its solver, number of members and length: "
            "write it with omsdpm, or import it with `omsdpm-bench dataset import`"
        ) from error
    return read_table(Facts, said, f"dataset {path}")


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _scores(column: Any) -> NDArray[np.float64]:
    import pyarrow as pa

    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise InputError(f"column 'score' holds {column.type}, expected numbers")
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=float)
