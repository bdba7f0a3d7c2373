"""How a schedule becomes a score: zoo, solver, noise, feature network and reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from omsdpm.errors import InputError, unknown_name
from omsdpm.noise import Noise
from omsdpm.plugins import Named
from omsdpm.sampling import Count, sample_population
from omsdpm.solvers import ScheduleSpace, SolverOptions, solver_class, space_on
from omsdpm.zoo.files import ZooFile, read_latency_card

if TYPE_CHECKING:
    import torch

    from omsdpm.fid import Statistics
    from omsdpm.scoring.features import FeatureNetwork
    from omsdpm.zoo import ModelZoo

DIGITS = "digits"
"""The name of the embedded reference images, scikit-learn's digits."""

DIGITS_SHAPE = (1, 8, 8)
"""Of the digits' images."""

_KINDS: dict[str, type | tuple[type, ...]] = {
    "zoo": str,
    "solver": str,
    "length": int,
    "members": list,
    "reference": str,
    "images": int,
    "seed": int,
    "spacing": str,
    "metric": str,
    "eta": (int, float),
    "t_end": (int, float),
    "timesteps": list,
}
"""The types that a measurement's TOML table has to keep."""

BATCH_SIZE = 1000
"""Images sampled at once; more are sampled in parts of this size."""


@dataclass(frozen=True)
class Measurement:
    """What has to be the same for two scores to be comparable.

    Attributes:
        zoo: folder of the zoo.
        solver: one of :data:`omsdpm.solvers.solver_names`.
        length: slots of a schedule.
        members: numbers of the zoo's members that take part, from 1; ``None`` means all.
        spacing, eta, t_end: see :class:`omsdpm.solvers.SolverOptions`.
        timesteps: of the slots in the order of sampling, falling, whole or not; ``None`` is the usual grid.
        metric: ``"fd-digits"`` or ``"fid"``, which names the feature network.
        reference: ``"digits"``, a folder of images, or pytorch-fid's ``.npz``.
        images: images sampled for one score.
        seed: of the starting noise, which all schedules share.
        inception_weights: file with the weights for ``"fid"``; ``None`` downloads them.
    """

    zoo: str
    solver: str
    length: int
    members: tuple[int, ...] | None = None
    spacing: str = "logSNR"
    metric: str = "fd-digits"
    reference: str = DIGITS
    images: int = 1000
    seed: int = 0
    inception_weights: str | None = None
    eta: float = 0.0
    t_end: float | None = None
    timesteps: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.images < 2:
            raise InputError(f"images={self.images}: a score needs at least 2")
        solver = solver_class(self.solver)
        solver.check_options(self.options)
        if self.timesteps is not None:
            solver.make(1, self.length, timesteps=self.timesteps)  # refuses those that are none, before a zoo is read

    @property
    def options(self) -> SolverOptions:
        """How the solver runs."""
        return SolverOptions(self.spacing, self.eta, self.t_end)

    @cached_property
    def _zoo_file(self) -> ZooFile:
        return ZooFile.read(self.zoo)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the zoo's members that take part, from 1."""
        existing = range(1, len(self._zoo_file.members) + 1)
        for number in self.members or ():
            if number not in existing:
                raise InputError(f"member {number}: zoo {self.zoo} has members 1..{len(existing)}")
        return self.members or tuple(existing)

    @cached_property
    def space(self) -> ScheduleSpace:
        """The space of schedules."""
        noise = self._zoo_file.noise
        return space_on(noise, self.solver, len(self.numbers), self.length, self.timesteps)

    @cached_property
    def noise(self) -> Noise:
        """The zoo's betas; for DPM-Solvers the continuous schedule that they discretize."""
        return self.space.solver_noise(self._zoo_file.noise)

    @cached_property
    def latency_card(self) -> dict[str, Any]:
        """How the zoo's latencies were measured: device, batch size, date, versions.

        Raises:
            InputError: they were not.
        """
        card = read_latency_card(self.zoo)
        if card is None:
            raise InputError(f"zoo {self.zoo} has no latency table: run `omsdpm-bench zoo profile` first")
        return card

    @property
    def latency(self) -> list[float]:
        """Frozen milliseconds that one evaluation of each member takes.

        Raises:
            InputError: not measured, or for another number of members.
        """
        ms, members = self.latency_card["ms"], len(self._zoo_file.members)
        if len(ms) != members:
            raise InputError(
                f"{self.zoo}/latency.toml has {len(ms)} latencies for {members} members: "
                "measure anew with `omsdpm-bench zoo profile`"
            )
        return [float(ms[number - 1]) for number in self.numbers]

    def with_noise(self, *, images: int, seed: int) -> Measurement:
        """The same measurement with other starting noise."""
        return replace(self, images=images, seed=seed)

    def with_metric(self, text: str) -> Measurement:
        """The same measurement with other parameters of its metric, as ``"fid[weights=PATH]"``.

        Raises:
            InputError: another metric, or a parameter that it does not have.
        """
        name, weights = parse_metric(text)
        if name != self.metric:
            raise InputError(
                f"metric {text!r}: scores here are {self.metric}, of which only parameters may change; "
                f"give {self.metric}[...], or leave it out"
            )
        return replace(self, inception_weights=weights)

    def open(self, device: str = "cpu") -> Meter:
        """Loads the zoo and the feature network on a device."""
        return Meter(self, device)


class Meter:
    """A measurement with its networks loaded.

    Raises:
        InputError: the zoo, the reference or the feature weights cannot be used.
    """

    def __init__(self, measurement: Measurement, device: str = "cpu") -> None:
        from omsdpm.devices import resolve_device
        from omsdpm.zoo import ModelZoo

        self.measurement = measurement
        self.device = resolve_device(device)
        self.zoo: ModelZoo = ModelZoo.load(measurement.zoo, self.device).subset(measurement.numbers)

    @cached_property
    def network(self) -> FeatureNetwork:
        """The feature network; its name is the metric's."""
        from omsdpm.scoring.features import make_feature_network

        weights = self.measurement.inception_weights
        return make_feature_network(self.measurement.metric, device=self.device, inception_weights=weights)

    @cached_property
    def reference(self) -> Statistics:
        """Statistics of the real images."""
        return load_reference(self.measurement.reference, self.network, self.zoo.shape)

    def with_noise(self, *, images: int, seed: int) -> Meter:
        """A meter that starts from other noise, with the same networks and reference."""
        self.reference  # noqa: B018  # loaded once for both
        other = copy(self)
        other.measurement = self.measurement.with_noise(images=images, seed=seed)
        return other

    def sample(
        self, X: ArrayLike, *, images: int | None = None, seed: int | None = None, count: Count | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yields ``(row, x_0)``, ``x_0 (images, C, H, W)``, from common noise, in any order."""
        m = self.measurement
        x_T = self.zoo.starting_noise(m.images if images is None else images, m.seed if seed is None else seed)
        return self._sample_from(X, x_T, count)

    def _sample_from(self, X: ArrayLike, x_T: torch.Tensor, count: Count | None) -> Iterator[tuple[int, torch.Tensor]]:
        m = self.measurement
        return sample_population(
            self.zoo.denoisers, X, x_T, space=m.space, noise=m.noise, options=m.options, seed=m.seed, count=count
        )

    def score(self, images: torch.Tensor) -> float:
        """The Fréchet distance of images ``(n, C, H, W)`` to the reference."""
        from omsdpm.fid import Statistics

        return self.reference.distance(Statistics.of(self.network(images)))

    def measure(
        self,
        X: ArrayLike,
        *,
        count: Count | None = None,
        progress: Callable[[int], object] | None = None,
        keep: Callable[[int, torch.Tensor], object] | None = None,
    ) -> np.ndarray:
        """Samples and scores a population: ``(n, L) -> (n,)``.

        The starting noise is sampled in parts of ``BATCH_SIZE`` images. Where there are several,
        only the moments of the features are kept between them, so that the number of
        images is bounded by patience and not by memory.

        Args:
            X: schedules.
            count: filled with the network evaluations spent and saved.
            progress: told the number of schedules sampled so far, parts counted.
            keep: given each row and its first images, for a look at them.
        """
        from omsdpm.fid import Moments

        batch = self.measurement.space.check(np.asarray(X))
        x_T = self.zoo.starting_noise(self.measurement.images, self.measurement.seed)
        parts = x_T.split(BATCH_SIZE)
        scores = np.full(len(batch), np.nan)
        moments = [Moments() for _ in batch] if len(parts) > 1 else []
        done = 0
        for i, part in enumerate(parts):
            for row, x_0 in self._sample_from(batch, part, count):
                if keep is not None and i == 0:
                    keep(row, x_0)
                if moments:
                    moments[row].update(self.network(x_0))
                else:
                    scores[row] = self.score(x_0)
                done += 1
                if progress is not None:
                    progress(done)
        for row, moment in enumerate(moments):
            scores[row] = self.reference.distance(moment.statistics())
        return scores


def parse_metric(text: str) -> tuple[str, str | None]:
    """A metric's name and the file with Inception's weights, from ``"fid[weights=PATH]"``.

    Raises:
        InputError: a parameter that the metric does not have.
    """
    named = Named.parse(text)
    known = ["weights"] if named.name == "fid" else []
    for parameter in named.parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of metric {named.name!r}", parameter, known)
    weights = named.parameters.get("weights")
    return named.name, None if weights is None else str(weights)


def usual_metric(shape: tuple[int, int, int], reference: str | None = None) -> str:
    """What images ``(C, H, W)`` are scored with where nobody says it.

    ``fd-digits`` for gray images of 8x8, which are taken for digits, unless other real images
    are given; else ``fid``, whose statistics everybody has.
    """
    return "fd-digits" if reference is None and shape == DIGITS_SHAPE else "fid"


def load_reference(reference: str, network: FeatureNetwork, shape: tuple[int, int, int]) -> Statistics:
    """Statistics of the digits, of a folder of images, or from an ``.npz``.

    Raises:
        InputError: no such file or folder, or one that cannot be used with this network.
    """
    from omsdpm.fid import Statistics
    from omsdpm.scoring.reference import digits_statistics, folder_statistics

    if reference == DIGITS:
        return digits_statistics(network)
    if Path(reference).is_dir():
        return folder_statistics(network, reference, size=shape[1], channels=shape[0])
    statistics = Statistics.read(reference)
    if statistics.dim != network.dim:
        raise InputError(f"reference {reference} has {statistics.dim} features: {network.name} has {network.dim}")
    return statistics


def _words(kinds: type | tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def measurement_from_table(table: dict[str, Any], base: Path) -> Measurement:
    """A measurement from its TOML table; relative paths are relative to ``base``.

    Raises:
        InputError: a key that is unknown or lacking.
    """
    known = {name for name in Measurement.__dataclass_fields__}
    for key in table:
        if key not in known:
            raise InputError(f"[measurement] has the unknown key {key!r}; known are {', '.join(sorted(known))}")
    for key in ("zoo", "solver", "length"):
        if key not in table:
            raise InputError(f"[measurement] lacks the key {key!r}")
    for key, kinds in _KINDS.items():
        if key in table and (not isinstance(table[key], kinds) or isinstance(table[key], bool)):
            raise InputError(f"[measurement] has {key} = {table[key]!r}: expected {_words(kinds)}")
    given = dict(table)
    given["zoo"] = str((base / given["zoo"]).resolve())
    for key in ("members", "timesteps"):
        if given.get(key) is not None:
            given[key] = tuple(given[key])
    if given.get("reference", DIGITS) != DIGITS:
        given["reference"] = str((base / given["reference"]).resolve())
    if given.get("inception_weights") is not None:
        given["inception_weights"] = str((base / given["inception_weights"]).resolve())
    return Measurement(**given)
