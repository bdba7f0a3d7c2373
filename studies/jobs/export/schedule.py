"""One schedule as every target reads it: what each evaluation is, in all units of the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omsdpm.errors import InputError
from omsdpm.noise import Noise
from omsdpm.pipelines.file import MemberEntry
from omsdpm.solvers import ScheduleSpace, SolverOptions
from omsdpm.solvers.options import end_level

APPLY = "--to json with omsdpm.pipelines.apply does"
"""What takes whatever a schedule is."""


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
        members: what is known of each, by number.
        folder: of their zoo, where one is known.
    """

    schedule: tuple[int, ...]
    space: ScheduleSpace
    options: SolverOptions
    evaluations: tuple[Evaluation, ...]
    noise: Noise
    members: Mapping[int, MemberEntry]
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
        """``sigma / alpha`` as k-diffusion has it, of flow matching its own ``sigma``; last 0, or that of ``t_end``."""
        _, sigma, lam = end_level(self.noise, self.options.t_end)
        end = sigma if self.is_flow else math.exp(-lam)
        return [e.sigma if self.is_flow else _ratio(e) for e in self.evaluations] + [end]

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
        return self.members[member].name if member in self.members else str(member)

    def check_ends_in_the_image(self, target: str) -> None:
        """Refuses a last time that a target cannot be told.

        Raises:
            InputError: there is one.
        """
        if self.options.t_end is not None:
            slot = self.evaluations[-1].slot
            raise InputError(
                f"{target} ends in the image: after slot {slot} this schedule ends at t_end = {self.options.t_end:g}; "
                f"{APPLY}"
            )

    def check_clips_nothing(self, target: str) -> None:
        """Refuses members that clip images, for targets that cannot.

        Raises:
            InputError: a member clips; names the first slot that calls it.
        """
        for e in self.evaluations:
            if e.member in self.members and (clip := self.members[e.member].clip) is not None:
                raise InputError(
                    f"{target} does not clip images: slot {e.slot} calls member {e.member}, which clips at {clip:g}; "
                    f"{APPLY}"
                )

    def calls(self) -> list[dict[str, Any]]:
        """Number and name of the member of each evaluation."""
        return [{"member": e.member, "name": self.name(e.member)} for e in self.evaluations]


def _ratio(e: Evaluation) -> float:
    if e.alpha == 0:
        raise InputError(f"slot {e.slot} is pure noise (alpha = 0), which has no sigma / alpha")
    return e.sigma / e.alpha
