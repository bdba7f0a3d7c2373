"""A schedule in a file, with all that its plan depends on: what ``omsdpm-bench export --to json`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation

from omsdpm.errors import InputError
from omsdpm.networks.base import MemberTable
from omsdpm.noise import Noise, make_noise
from omsdpm.solvers import Plan, ScheduleSpace, SolverOptions, compile_plans, space_from_table
from omsdpm.solvers.table import SpaceTable
from omsdpm.tables import read_json, read_table

FORMAT: Literal["omsdpm-schedule-1"] = "omsdpm-schedule-1"

EXPORT = "write one with `omsdpm-bench export RUN --budget MS --to json --output FILE`"


def _noise(given: Any) -> Any:
    return given if isinstance(given, Noise) else make_noise(given)


class Table(BaseModel):
    """A table of the file: no other keys, types as declared, finite numbers."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, arbitrary_types_allowed=True
    )


class OptionsTable(Table):
    """How the solver runs, see :class:`omsdpm.solvers.SolverOptions`."""

    spacing: str = "logSNR"
    eta: float = 0.0
    t_end: float | None = None

    @property
    def options(self) -> SolverOptions:
        """The same for solvers."""
        return SolverOptions(self.spacing, self.eta, self.t_end)


class MemberEntry(Table):
    """A member of the zoo.

    Attributes:
        number: by which the schedule names it, from 1.
        name: for people.
        prediction_type: what its network predicts.
        clip, use_clipped_model_output: how it clips images, see :class:`omsdpm.zoo.Member`.
    """

    number: Annotated[int, Field(ge=1)]
    name: str
    prediction_type: str
    clip: float | None = None
    use_clipped_model_output: bool = True

    @classmethod
    def of(cls, number: int, member: MemberTable) -> Self:
        """What is said of a member of a zoo's file."""
        said = {key: getattr(member, key) for key in ("prediction_type", "clip", "use_clipped_model_output")}
        return cls(number=number, name=member.name, **said)


class ZooEntry(Table):
    """The zoo whose members the schedule names.

    Attributes:
        folder: where it was; ``None`` where nobody said.
        members: all of them, or those that took part.
    """

    folder: str | None = None
    members: tuple[MemberEntry, ...] = ()


class EvaluationEntry(Table):
    """One network evaluation, in the order of sampling, for readers that do not compile the schedule.

    Attributes:
        slot: of the schedule, 0 at the image.
        member: its number, from 1.
        name: the member's.
        order: of the solver's step that it belongs to; ``None`` for a solver that does not say.
    """

    slot: int
    member: int
    name: str
    order: int | None = None


class ScheduleFile(Table):
    """A schedule and what it takes to sample with it again.

    Attributes:
        format: of the file, with its version.
        schedule: ``(L,)`` members, 0 = null, index 0 = image end.
        space: solver, length, members and timesteps of the slots.
        options: how the solver runs.
        noise: the table of the noise schedule that the members were trained with.
        zoo: their zoo.
        timesteps: model input of each evaluation, falling.
        sigmas: of each evaluation, and 0 at the end.
        sigma_is: ``"flow"``, or ``"sigma/alpha"`` as k-diffusion has it.
        evaluations: which member each evaluation calls.
    """

    format: Literal["omsdpm-schedule-1"] = FORMAT
    schedule: tuple[int, ...]
    space: SpaceTable
    options: OptionsTable = OptionsTable()
    noise: Annotated[SkipValidation[Noise], BeforeValidator(_noise)]
    zoo: ZooEntry = ZooEntry()
    timesteps: tuple[float, ...] = ()
    sigmas: tuple[float, ...] = ()
    sigma_is: Literal["flow", "sigma/alpha"] = "sigma/alpha"
    evaluations: tuple[EvaluationEntry, ...] = ()

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Reads a file.

        Raises:
            InputError: it cannot be read, is no such file, or its schedule is not valid in its space.
        """
        content = read_json(path, EXPORT)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            said = content.get("format") if isinstance(content, dict) else None
            raise InputError(f"{path} says format {said!r}, expected {FORMAT!r}; {EXPORT}")
        file = read_table(cls, content, str(path))
        try:
            file.plan()
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return file

    @property
    def schedule_space(self) -> ScheduleSpace:
        """The space that the schedule is of."""
        return space_from_table(self.space)

    def plan(self) -> Plan:
        """The schedule compiled.

        Raises:
            InputError: it is not valid in its space, or the options are not the solver's.
        """
        space = self.schedule_space
        X = space.check([list(self.schedule)])
        (plan,) = compile_plans(X, space, space.solver_noise(self.noise), self.options.options)
        return plan

    def table(self) -> dict[str, Any]:
        """What :meth:`read` reads, as JSON takes it."""
        return {**self.model_dump(mode="json", exclude={"noise", "space"}), "space": self.space.model_dump(
            mode="json", exclude_defaults=True), "noise": self.noise.table()}  # fmt: skip
