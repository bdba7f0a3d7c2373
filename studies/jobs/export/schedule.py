"""One schedule as every target reads it: what each evaluation is, in all units of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.solvers import ScheduleSpace, SolverOptions


@dataclass(frozen=True)
class Evaluation:
    """One network evaluation.

    Attributes:
        slot: of the schedule, 0 at the image.
        member: its number, from 1.
        timestep: what the network gets.
        alpha, sigma: of the state that it sees.
        order: of the step that it belongs to; ``None`` for a solver that does not say.
    """

    slot: int
    member: int
    timestep: float
    alpha: float
    sigma: float
    order: int | None


@dataclass(frozen=True)
class Exported:
    """A schedule to export.

    Attributes:
        schedule: ``(L,)``.
        space: that it is of.
        options: how the solver runs.
        evaluations: in the order of sampling.
        noise: that the members were trained with.
        members: name and prediction type of each, by number.
        folder: of their zoo, where one is known.
    """

    schedule: tuple[int, ...]
    space: ScheduleSpace
    options: SolverOptions
    evaluations: tuple[Evaluation, ...]
    noise: Noise
    members: Mapping[int, tuple[str, str]]
    folder: str | None = None

    @property
    def solver(self) -> str:
        """The solver's name."""
        return self.space.solver

    @property
    def is_flow(self) -> bool:
        """Whether the noise is flow matching, ``alpha + sigma = 1``."""
        return self.noise.kind == "flow"

    @property
    def timesteps(self) -> list[float | int]:
        """Model inputs, falling; whole numbers without a point."""
        return [int(e.timestep) if e.timestep == int(e.timestep) else e.timestep for e in self.evaluations]

    @property
    def sigmas(self) -> list[float]:
        """``sigma / alpha`` as k-diffusion has it, of flow matching its own ``sigma``; 0 at the end."""
        return [e.sigma if self.is_flow else _ratio(e) for e in self.evaluations] + [0.0]

    @property
    def switches(self) -> list[int]:
        """Numbers of the evaluations, from 0, that call another member than the one before."""
        calls = [e.member for e in self.evaluations]
        return [at for at in range(1, len(calls)) if calls[at] != calls[at - 1]]

    def one_switch(self, target: str) -> int:
        """The evaluation at which the first member gives way to the second.

        Raises:
            InputError: no switch, or more than one; names the slot.
        """
        if not self.switches:
            raise InputError(f"{target} takes two members in turn: this schedule calls member "
                             f"{self.evaluations[0].member} alone, from slot {self.evaluations[0].slot}")  # fmt: skip
        if len(self.switches) > 1:
            at = self.evaluations[self.switches[1]]
            raise InputError(f"{target} takes one switch of members: slot {at.slot} switches again, to {at.member}")
        return self.switches[0]

    def name(self, member: int) -> str:
        """A member's name; its number where no zoo is known."""
        return self.members.get(member, (str(member), ""))[0]

    def calls(self) -> list[dict[str, Any]]:
        """Number and name of the member of each evaluation."""
        return [{"member": e.member, "name": self.name(e.member)} for e in self.evaluations]


def _ratio(e: Evaluation) -> float:
    if e.alpha == 0:
        raise InputError(f"slot {e.slot} is pure noise (alpha = 0), which has no sigma / alpha")
    return e.sigma / e.alpha
