"""How a schedule becomes a score: zoo, solver, noise, feature network and reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from omsdpm.devices import Running, resolve_device
from omsdpm.errors import InputError
from omsdpm.guidance import RANDOM
from omsdpm.latency import LatencyTable
from omsdpm.networks.guided import UNGUIDED, GuidedTable
from omsdpm.noise import Noise
from omsdpm.plugins import Named
from omsdpm.prompts import read_prompts
from omsdpm.sampling import Count
from omsdpm.scoring.metrics import Context, OpenMetric, score_name
from omsdpm.scoring.metrics.opening import check_images, check_metric, takes_reference, with_files_in
from omsdpm.scoring.reference import DIGITS, DIGITS_SHAPE, Progress, Reference
from omsdpm.scoring.sampler import BATCH_SIZE, Sampler
from omsdpm.seeds import Seed
from omsdpm.solvers import ScheduleSpace, SolverOptions, solver_class, space_on
from omsdpm.solvers.grids import parse_grid
from omsdpm.solvers.table import MEMBERS, SLOTS
from omsdpm.tables import read_table
from omsdpm.zoo.files import Shape, ZooFile, latency_path, read_latency_card, unknown_latency

if TYPE_CHECKING:
    import torch

    from omsdpm.zoo import ModelZoo

NO_GUIDANCE = (None, UNGUIDED)


@dataclass(frozen=True)
class Measurement:
    """What has to be the same for two scores to be comparable.

    Attributes:
        zoo: folder of the zoo.
        solver: one of :data:`omsdpm.solvers.solver_names`.
        length: slots of a schedule.
        members: numbers of the zoo's members that take part, from 1; ``None`` means all.
        spacing, eta, t_end: see :class:`omsdpm.solvers.SolverOptions`.
        timesteps: of the slots in the order of sampling, falling, whole or not, or the name of a grid
            (:mod:`omsdpm.solvers.grids`); ``None`` is the usual grid.
        metric: ``name[param=value,...]``, see :data:`omsdpm.scoring.metrics.METRICS`.
        reference: ``"digits"``, a folder of images, or a file of those or of statistics; metrics that compare with
            no real images leave it alone.
        images: images sampled for one score.
        seed: of the starting noise, which all schedules share.
        labels: for members that take them: the class of all images, classes that they have in turn, or ``"random"``.
        prompts: for members that take them: a text file with one a line, which images have in turn.
        negative_prompt: what guidance leads away from; ``None`` leaves it to the zoo's pipeline.
        guidance: scale of classifier-free guidance, for members that do not say their own; ``None`` for none.
        dtype: precision of the members, one of :data:`omsdpm.devices.DTYPES`; ``None`` is their own.
        channels_last, compiled, offload: see :class:`omsdpm.devices.Running`; scores depend on them by rounding alone.
        latency_of: name of the device whose latencies count, those of ``latency-NAME.toml`` in the zoo's folder;
            ``None`` is ``latency.toml``. Scores do not depend on it.
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
    eta: float = 0.0
    t_end: float | None = None
    timesteps: tuple[float, ...] | str | None = None
    labels: int | str | tuple[int, ...] | None = None
    prompts: str | None = None
    negative_prompt: str | None = None
    guidance: float | None = None
    dtype: str | None = None
    latency_of: str | None = field(default=None, compare=False)
    channels_last: bool = field(default=False, compare=False)
    compiled: bool = field(default=False, compare=False)
    offload: bool = field(default=False, compare=False)
    origin: str = field(default="", compare=False, repr=False)
    """The file that says all this, for errors."""

    def __post_init__(self) -> None:
        if self.images < 2:
            raise InputError(f"images={self.images}: a score needs at least 2")
        if isinstance(self.labels, list):
            object.__setattr__(self, "labels", tuple(self.labels))  # as measurements are compared and kept by value
        if self.labels is not None:
            _check_labels(self.labels)
        if self.negative_prompt is not None and self.prompts is None:
            raise InputError("negative_prompt without prompts: give a text file of prompts too")
        check_metric(self.metric)
        _ = self.running
        solver = solver_class(self.solver)
        solver.check_options(self.options)
        if isinstance(self.timesteps, str) and solver.takes_timesteps:
            parse_grid(self.timesteps)
        elif self.timesteps is not None:
            solver.make(1, self.length, timesteps=self.timesteps)  # refuses those that are none, before a zoo is read

    @property
    def running(self) -> Running:
        """Precision and layout of the members, and where they wait."""
        return Running(self.dtype, self.channels_last, self.compiled, self.offload)

    def with_running(self, running: Running) -> Measurement:
        """The same measurement by members that run otherwise; without a precision they keep theirs."""
        return replace(self, **{**asdict(running), "dtype": running.dtype or self.dtype})

    @property
    def options(self) -> SolverOptions:
        """How the solver runs."""
        return SolverOptions(self.spacing, self.eta, self.t_end)

    @cached_property
    def _zoo_file(self) -> ZooFile:
        try:
            return ZooFile.read(self.zoo)
        except InputError as error:
            raise InputError(f"{self._where}{error}") from error

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the zoo's members that take part, from 1."""
        existing = range(1, len(self._zoo_file.members) + 1)
        for number in self.members or ():
            if number not in existing:
                raise InputError(f"{self._where}member {number}: zoo {self.zoo} has members 1..{len(existing)}")
        return self.members or tuple(existing)

    @cached_property
    def space(self) -> ScheduleSpace:
        """The space of schedules."""
        noise, count = self._zoo_file.noise, len(self.numbers)
        try:
            return space_on(noise, self.solver, count, self.length, self.timesteps)
        except InputError as error:
            raise InputError(f"{self._where}{error}") from error

    @property
    def _where(self) -> str:
        return f"{self.origin}: " if self.origin else ""

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
        card = read_latency_card(self.zoo, name=self.latency_of)
        if card is None and self.latency_of is not None:
            raise unknown_latency(self.zoo, self.latency_of)
        if card is None:
            raise InputError(f"zoo {self.zoo} has no latency table: run `omsdpm-bench zoo profile` first")
        return card

    @property
    def latency_file(self) -> Path:
        """The table of latencies that counts."""
        return latency_path(self.zoo, self.latency_of)

    @property
    def latency(self) -> LatencyTable:
        """Frozen milliseconds that one evaluation of each member takes, and what else the zoo's table says of costs.

        Raises:
            InputError: not measured, or for another number of members.
        """
        ms, members = self.latency_card["ms"], len(self._zoo_file.members)
        if len(ms) != members:
            raise InputError(
                f"{self.latency_file} has {len(ms)} latencies for {members} members: "
                "measure anew with `omsdpm-bench zoo profile`"
            )
        self._check_guidance()
        return LatencyTable.from_card(self.latency_card, self.numbers)

    def _check_guidance(self) -> None:
        """Raises :class:`InputError` where evaluations were timed alone that are made twice here, or the reverse."""
        timed = self.latency_card.get("guidance")
        left_open = any(
            isinstance(member, GuidedTable) and member.guidance is None for member in self._zoo_file.members
        )
        if left_open and (timed in NO_GUIDANCE) != (self.guidance in NO_GUIDANCE):
            raise InputError(
                f"{self.latency_file} was measured with guidance {timed}, and schedules are sampled with "
                f"{self.guidance}, which takes another number of evaluations: measure anew with `omsdpm-bench zoo "
                f"profile{'' if self.guidance is None else f' --guidance {self.guidance:g}'}`"
            )

    def with_latency_of(self, name: str) -> Measurement:
        """The same measurement, where the latencies of another device count.

        Raises:
            InputError: the zoo has no table of that name, or one for other members.
        """
        other = replace(self, latency_of=name)
        _ = other.latency
        return other

    def with_noise(self, *, images: int, seed: int) -> Measurement:
        """The same measurement with other starting noise."""
        return replace(self, images=images, seed=seed)

    def read_prompts(self) -> tuple[str, ...] | None:
        """The prompts that images have in turn; ``None`` for a zoo that takes none.

        Raises:
            InputError: the file cannot be read, or holds none.
        """
        return None if self.prompts is None else read_prompts(self.prompts)

    @property
    def image_shape(self) -> Shape:
        """``(channels, [frames,] height, width)`` of the images that are scored."""
        return self._zoo_file.image_shape(self.zoo)

    @property
    def score_name(self) -> str:
        """What scores are called: the metric without names of files, and negated where higher is better."""
        return score_name(self.metric)

    def with_metric(self, text: str) -> Measurement:
        """The same measurement with other files for its metric, as ``"fid[weights=PATH]"``.

        Raises:
            InputError: another metric, or a parameter that it does not have.
        """
        check_metric(text)
        if score_name(text) != self.score_name:
            raise InputError(
                f"metric {text!r}: scores here are {self.score_name}, of which only parameters may change that name "
                f"files, as in fid[weights=PATH]; give {self.metric}, or leave it out"
            )
        return replace(self, metric=text)

    def check(self) -> None:
        """What can be said before any network is loaded.

        Raises:
            InputError: no zoo, or a reference that the metric cannot use.
        """
        self.read_prompts()
        shape = self.image_shape
        check_images(self.metric, shape)
        if takes_reference(self.metric):
            Reference(self.reference, shape).check()

    def open(self, device: str = "cpu") -> Meter:
        """Loads the zoo on a device, and what the metric needs when it is first asked for."""
        return Meter(self, device)


class Meter:
    """A measurement with its networks loaded: a sampler, a metric, and how many images from which noise.

    Raises:
        InputError: the zoo or its labels cannot be used.
    """

    def __init__(self, measurement: Measurement, device: str = "cpu") -> None:
        from omsdpm.zoo import ModelZoo

        self.measurement = measurement
        self.device = resolve_device(device)
        zoo = ModelZoo.load(measurement.zoo, self.device, running=measurement.running).subset(measurement.numbers)
        self.zoo: ModelZoo = zoo.guided(measurement.guidance)
        prompts = measurement.read_prompts()
        self.sampler = Sampler(
            self.zoo, measurement.space, measurement.options, batch_size=BATCH_SIZE, labels=measurement.labels,
            prompts=None if prompts is None else self.zoo.encode(prompts, measurement.negative_prompt),
        )  # fmt: skip

    @cached_property
    def metric(self) -> OpenMetric:
        """What images are scored with.

        Raises:
            InputError: the metric, its network or its reference cannot be used.
        """
        return self._open_metric()

    def prepare(self, progress: Progress | None = None) -> None:
        """Loads the metric now, and computes what it needs of the real images where that is not kept yet.

        Args:
            progress: told ``(images done, images)`` of the real ones.

        Raises:
            InputError: as :attr:`metric`.
        """
        if "metric" not in vars(self):
            self.metric = self._open_metric(progress)

    def _open_metric(self, progress: Progress | None = None) -> OpenMetric:
        m = self.measurement
        return OpenMetric(m.metric, Context(self.zoo.image_shape, self.device, m.reference, m.space, progress))

    def with_noise(self, *, images: int, seed: int) -> Meter:
        """A meter that starts from other noise, with the same networks and reference."""
        other = copy(self)
        other.metric = self.metric  # loaded once for both
        other.measurement = self.measurement.with_noise(images=images, seed=seed)
        return other

    def sample(
        self, X: ArrayLike, *, images: int | None = None, seed: int | None = None, count: Count | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yields ``(row, x_0)``, ``x_0 (images, C, H, W)``, from common noise, in any order."""
        m = self.measurement
        images = m.images if images is None else images
        whole = replace(self.sampler, batch_size=images)
        for row, _, x_0 in whole.batches(X, images, m.seed if seed is None else seed, count):
            yield row, x_0

    def measure(
        self,
        X: ArrayLike,
        *,
        count: Count | None = None,
        progress: Callable[[int, int], object] | None = None,
        keep: Callable[[int, int, torch.Tensor], object] | None = None,
    ) -> NDArray[np.float64]:
        """Samples and scores a population: ``(n, L) -> (n,)``; see :meth:`omsdpm.scoring.sampler.Sampler.score`."""
        m = self.measurement
        return self.sampler.score(
            X, m.images, seed=m.seed, metric=self.metric, count=count, progress=progress, keep=keep
        )


def usual_metric(shape: Shape, reference: str | None = None) -> str:
    """What images ``(C, H, W)`` are scored with where nobody says it.

    ``fd-digits`` for gray images of 8x8, which are taken for digits, unless other real images
    are given; else ``fid``, whose statistics everybody has.
    """
    return "fd-digits" if reference is None and shape == DIGITS_SHAPE else "fid"


def _check_labels(labels: int | str | tuple[int, ...]) -> None:
    given = labels if isinstance(labels, tuple) else (labels,)
    if labels != RANDOM and not (given and all(type(label) is int and label >= 0 for label in given)):
        shown = list(labels) if isinstance(labels, tuple) else labels
        raise InputError(f"labels = {shown!r}: expected a class from 0, a list of classes, or {RANDOM!r}")


Member = Annotated[int, Field(ge=1, le=MEMBERS)]
Class = Annotated[int, Field(ge=0, le=2**31 - 1)]


class MeasurementTable(BaseModel):
    """``[measurement]``: how a schedule becomes a score.

    Attributes:
        zoo: folder of the zoo; relative paths are relative to the file's folder.
        solver: name of a solver, see `omsdpm-bench list`.
        length: slots of a schedule.
        members: numbers of the zoo's members that take part, from 1; all without it.
        spacing: how a solver that places its steps itself spreads them.
        metric: `name[param=value,...]`, see `omsdpm-bench list`.
        reference: `digits`, a folder of real images, or a `.parquet`, `.npz` or `.pth` of images or statistics.
        images: that are sampled for one score.
        seed: of the starting noise, which all schedules share.
        eta: fresh noise that is added a step, from 0 (deterministic) to 1 (ancestral); DDIM only.
        t_end: the last time, for DDIM and DPM-Solver.
        timesteps: of the slots in the order of sampling, falling, or a grid such as `trailing` or
            `leading[offset=1]`; the usual grid without it.
        labels: for members that take them: a class, classes that images have in turn, or `random`.
        prompts: for members that take them: a text file with one a line, which images have in turn.
        negative_prompt: what guidance leads away from; the pipeline's own choice without it.
        guidance: scale of classifier-free guidance, for members that do not say their own.
        dtype: precision of the members, `float32`, `float16` or `bfloat16`; their own without it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    zoo: Annotated[str, Field(min_length=1)]
    solver: Annotated[str, Field(min_length=1)]
    length: Annotated[int, Field(ge=1, le=SLOTS)]
    members: Annotated[tuple[Member, ...], Field(min_length=1)] | None = None
    spacing: str = "logSNR"
    metric: str = "fd-digits"
    reference: str = DIGITS
    images: Annotated[int, Field(ge=2, le=2**31 - 1)] = 1000
    seed: Seed = 0
    eta: Annotated[float, Field(ge=0)] = 0.0
    t_end: Annotated[float, Field(gt=0)] | None = None
    timesteps: Annotated[tuple[float, ...], Field(min_length=1)] | str | None = None
    labels: Class | Literal["random"] | Annotated[tuple[Class, ...], Field(min_length=1)] | None = None
    prompts: Annotated[str, Field(min_length=1)] | None = None
    negative_prompt: str | None = None
    guidance: Annotated[float, Field(ge=0, le=1000)] | None = None
    dtype: Literal["float32", "float16", "bfloat16"] | None = None

    def measurement(self, base: Path, origin: str = "") -> Measurement:
        """What it describes; relative paths are relative to ``base``, and ``origin`` is the file, for errors.

        Raises:
            InputError: an unknown solver or metric, or what these refuse.
        """
        given = {key: getattr(self, key) for key in self.model_fields_set}
        given["zoo"] = str((base / self.zoo).resolve())
        if self.reference != DIGITS:
            given["reference"] = str((base / self.reference).resolve())
        if self.prompts is not None:
            given["prompts"] = str((base / self.prompts).resolve())
        if "metric" in given:
            given["metric"] = with_files_in(self.metric, base)
        return Measurement(**given, origin=origin)


def measurement_from_table(table: Mapping[str, Any], base: Path) -> Measurement:
    """A measurement from its TOML table; relative paths are relative to ``base``.

    Raises:
        InputError: a key that is unknown, lacking or of a wrong value.
    """
    check_moved(table, "[measurement]")
    return read_table(MeasurementTable, table, "[measurement]").measurement(base)


def check_moved(table: Any, where: str) -> None:
    """Raises :class:`InputError` for a key of earlier versions, and says where it went."""
    if isinstance(table, Mapping) and "inception_weights" in table:
        metric = str(Named("fid", {"weights": str(table["inception_weights"])}))
        raise InputError(
            f"{where}: inception_weights is a parameter of the metric now: write metric = {json.dumps(metric)}"
        )
