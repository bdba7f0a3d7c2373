"""The ``benchmark.toml`` of a folder: how its schedules are measured and which are drawn."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omsdpm.dataset.dataset import SPLITS
from omsdpm.dataset.designs import DESIGNS
from omsdpm.errors import InputError, unknown_name
from omsdpm.scoring.measurement import Measurement, measurement_from_table

RECIPE_FILE = "benchmark.toml"
DATASET_FILE = "schedules.parquet"


@dataclass(frozen=True)
class Round:
    """Schedules drawn together, by one design, for one split.

    Attributes:
        name: unique in the recipe; becomes the rows' ``design`` in the dataset.
        design: one of :data:`omsdpm.dataset.designs.DESIGNS`.
        n: number of schedules; ``exhaustive`` ignores it.
        split: the rows' split, or ``""``.
        splits: instead of ``split``: rows for each of several splits, see
            :func:`omsdpm.dataset.designs.share_out`.
        window: least and greatest latency in ms, or ``None``.
        options: the design's own keys.
    """

    name: str
    design: str
    n: int
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
            InputError: no such file, broken TOML, an unknown design or split, two rounds of one name.
        """
        folder = Path(folder)
        table = read_toml(folder / RECIPE_FILE)
        try:
            measurement = measurement_from_table(table.get("measurement", {}), folder)
            rounds = tuple(_round(entry) for entry in table.get("round", []))
        except (TypeError, ValueError) as error:  # InputError is a ValueError
            raise InputError(f"{folder / RECIPE_FILE}: {error}") from error
        names = [r.name for r in rounds]
        if len(set(names)) < len(names):
            raise InputError(f"{folder / RECIPE_FILE}: two rounds have one name; every [[round]] needs its own")
        return cls(folder, measurement, rounds, int(table.get("seed", 0)))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file.

    Raises:
        InputError: it cannot be read or parsed.
    """
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; a benchmark is a folder with that file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}") from error


def _round(entry: dict[str, Any]) -> Round:
    entry = dict(entry)
    try:
        name, design = str(entry.pop("name")), str(entry.pop("design"))
    except KeyError as error:
        raise InputError(f"a [[round]] lacks the key {error}") from error
    if design not in DESIGNS:
        raise unknown_name("design", design, DESIGNS)
    split = str(entry.pop("split", ""))
    splits = {str(key): int(value) for key, value in entry.pop("splits", {}).items()}
    for given in (split, *splits):
        if given and given not in SPLITS:
            raise unknown_name("split", given, SPLITS)
    n = int(entry.pop("n", 0))
    if n < 1 and design != "exhaustive":
        raise InputError(f"round {name!r} draws n={n} schedules: expected a positive number")
    window = entry.pop("window", None)
    bounds = None if window is None else (float(window[0]), float(window[1]))
    return Round(name, design, n, split, splits, bounds, entry)
