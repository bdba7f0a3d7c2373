"""What a search on a zoo is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from omsdpm.errors import InputError
from omsdpm.memory import MEASURE, members_within
from omsdpm.zoo.files import read_latency_card
from studies.jobs.conditions import ConditionSettings
from studies.jobs.run.settings import ACTIVE_PREDICTOR, LABELS, RESULTS, SEARCH, ReportedSettings
from studies.jobs.settings import option
from studies.jobs.solvers import solver_names

if TYPE_CHECKING:
    from benchmarks import Benchmark

PROBLEM = "Problem"
"""Topic of options."""

SHOWN = 5
"""Sets of members that a message names."""


class SearchSettings(ConditionSettings, ReportedSettings):
    """Find the best schedules of your own zoo under latency budgets, without a dataset built before.

    Some schedules are measured (--labels), each where it tells the most about all budgets at
    once; then what a search on a predictor finds, the best labels and baselines race, and
    winners are reported on seeds that nothing was chosen by. A search that was stopped goes on
    with the same command and --output; more --labels continue it.
    """

    words = ("search",)

    zoo: Path = option(topic=PROBLEM, help="Folder of the zoo, profiled with 'zoo profile'.")
    reference: str | None = option(
        None, metavar="PATH", topic=PROBLEM, shown="for fd-digits the digits",
        help="Real images that the metric compares with: a folder, which is resized to the zoo's images, "
        ".parquet or .npz; or statistics, .npz or .pth.",
    )  # fmt: skip
    budgets: tuple[float, ...] = option(
        (), flags=("--budget",), metavar="MS", topic=PROBLEM, help="Latency budget in ms, repeatable; one at least."
    )
    members: str | None = option(
        None, metavar="N,...", topic=PROBLEM, shown="all", help="Numbers of the zoo's members that take part, from 1."
    )
    max_memory: float | None = option(
        None, gt=0, metavar="MIB", topic=PROBLEM, shown="no limit",
        help="Memory of the device: members that do not fit into it take no part, by the zoo's table; "
        "with --offload each has to fit alone, without it all together.",
    )  # fmt: skip
    labels: int = option(LABELS, ge=2, topic=PROBLEM, help="Schedules that are measured.")
    label_images: int = option(
        500, ge=2, topic=PROBLEM, shown="500, or one a prompt for psnr and the like", help="Images of a label."
    )
    solver: str = option("ddim", choices=solver_names, topic=PROBLEM, help="The solver.")
    length: int = option(20, ge=1, topic=PROBLEM, help="Slots of a schedule.")
    timesteps: str | None = option(
        None, metavar="GRID", topic=PROBLEM, shown="the usual grid",
        help="Where slots lie, as 'trailing' or 'leading[offset=1]'; see docs/slots.md.",
    )  # fmt: skip
    spacing: str = option(
        "logSNR", choices=lambda: ("logSNR", "time_uniform"), topic=PROBLEM, help="Of the single-step DPM-Solvers."
    )
    metric: str | None = option(
        None, metavar="NAME", topic=PROBLEM, shown="fd-digits for gray images of 8x8, else fid",
        help="What images are scored with, as 'fid[weights=PATH]' or 'psnr[member=3]'; see list.",
    )  # fmt: skip
    predictor: Any = option(
        ACTIVE_PREDICTOR, metavar="NAME", topic=SEARCH, help="What tells where to measure; see 'list'."
    )
    estimate: bool = option(
        False,
        flags=("--estimate",),
        repeats=False,
        topic=RESULTS,
        help="Say what the search costs; sample nothing.",
    )
    output: Path | None = option(
        None, repeats=False, topic=RESULTS, shown="runs/<zoo>-<optimizer>-<predictor>-<time>",
        help="Folder for the results; one of a stopped search is gone on with.",
    )  # fmt: skip

    leaderboard: ClassVar[None] = None
    """What was measured on one's own zoo compares with nobody's."""

    validated: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _an_image_a_prompt(cls, given: Any) -> Any:
        """A metric that compares with a member's image of the same prompt needs no more images than prompts."""
        prompts, metric = given.get("prompts"), given.get("metric")
        if prompts is None or metric is None:
            return given
        from omsdpm.prompts import read_prompts
        from omsdpm.scoring.metrics.opening import takes_reference

        if takes_reference(metric):
            return given
        count = max(len(read_prompts(prompts)), 2)
        return {"label_images": count, "race_images": count, "validate_images": count, **given}

    @property
    def only_search(self) -> bool:
        """Without anything to sample: never."""
        return False

    @model_validator(mode="after")
    def _some_budget(self) -> Self:
        if not self.budgets:
            raise InputError("a search needs a latency budget: give --budget MS, perhaps several times")
        return self

    def _members(self) -> tuple[int, ...] | None:
        """The members that take part; ``None`` for all.

        Raises:
            InputError: a text that is no list of numbers, members that do not fit into the memory, or several ways
                to choose some that do.
        """
        chosen = None if self.members is None else _numbers(self.members)
        if self.max_memory is None:
            return chosen
        card = read_latency_card(self.zoo, name=self.latency_of)
        if card is None:
            raise InputError(f"--max-memory {self.max_memory:g}: zoo {self.zoo} has no table of it: {MEASURE}")
        fitting = members_within(card, self.max_memory, self.offload)
        if chosen is not None:
            if any(set(chosen) <= set(some) for some in fitting):
                return chosen
            shown = ",".join(map(str, chosen))
            raise InputError(f"--members {shown} take more than --max-memory {self.max_memory:g} MiB; {_ways(fitting)}")
        if len(fitting) > 1:
            raise InputError(
                f"--max-memory {self.max_memory:g}: not all members fit together; {_ways(fitting)}: choose by "
                "--members, or give --offload, by which one at a time is on the device"
            )
        return fitting[0]

    def open_benchmark(self, folder: Path) -> Benchmark:
        """The problem, whose dataset are the labels in ``folder``.

        Raises:
            InputError: no zoo, one that is not profiled, or a metric or reference that cannot be used.
        """
        from benchmarks import Benchmark
        from omsdpm.scoring.measurement import Measurement, usual_metric
        from omsdpm.scoring.metrics.opening import takes_reference, usual_reference
        from omsdpm.scoring.reference import DIGITS
        from omsdpm.zoo.files import ZooFile

        shape = ZooFile.read(self.zoo).image_shape(self.zoo)
        metric = self.metric or usual_metric(shape, self.reference)
        reference = self.reference or usual_reference(metric)
        if reference is None and takes_reference(metric):
            raise InputError(
                f"metric {metric!r} needs real images to compare with: give --reference, a folder or pytorch-fid's "
                ".npz, or --metric 'psnr[member=N]', which compares with a member"
            )
        measurement = Measurement(
            zoo=str(self.zoo),
            members=self._members(),
            solver=self.solver,
            length=self.length,
            spacing=self.spacing,
            timesteps=self.timesteps,
            metric=metric,
            images=self.label_images,
            seed=self.seed,
            latency_of=self.latency_of,
            **asdict(self.running),
            **self.for_measurement(),
            reference=DIGITS if reference is None else reference,  # a metric that compares with none leaves it alone
        )
        measurement.check()
        return Benchmark(
            name=self.zoo.resolve().name,
            summary=f"schedules of {self.zoo}",
            folder=folder,
            measurement=measurement,
            budgets=sorted(set(self.budgets)),
            validation_images=max(self.label_images, 1000),
            validation_seeds=tuple(seed for seed in (1001, 1002, 1003) if seed != self.seed),
        )


def _numbers(text: str) -> tuple[int, ...]:
    """Distinct numbers from 1, rising, as ``"1,2,5"``."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise InputError(f"--members {text}: expected numbers from 1, as 1,2,5")
    return tuple(numbers)


def _ways(fitting: Sequence[Sequence[int]]) -> str:
    shown = [",".join(map(str, some)) for some in fitting]
    more = f" and {len(shown) - SHOWN} other sets" if len(shown) > SHOWN else ""
    return f"{' or '.join(shown[:SHOWN])}{more} fit{'s' if len(fitting) == 1 and len(fitting[0]) == 1 else ''}"
