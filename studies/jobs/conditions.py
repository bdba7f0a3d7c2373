"""What images are made of, for zoos whose members take labels or prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from omsdpm.errors import InputError
from studies.jobs.settings import Settings, option

if TYPE_CHECKING:
    from omsdpm.scoring.sampler import Labels
    from omsdpm.zoo import ModelZoo

CONDITIONS = "Conditions"
"""Topic of the options."""


class ConditionSettings(Settings):
    """Labels or prompts, and guidance by them."""

    label: str | None = option(
        None, metavar="CLASS", topic=CONDITIONS,
        help="For members that take labels: a class from 0, several in turn as 0,1,2, or 'random'.",
    )  # fmt: skip
    prompts: Path | None = option(
        None, topic=CONDITIONS,
        help="For members that take prompts: a text file with one a line, which images have in turn.",
    )  # fmt: skip
    negative_prompt: str | None = option(
        None, metavar="TEXT", topic=CONDITIONS, shown="the pipeline's own choice", help="What guidance leads away from."
    )
    guidance: float | None = option(
        None, ge=0, le=1000, metavar="SCALE", topic=CONDITIONS, shown="none",
        help="Of classifier-free guidance, for members that do not say their own.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _prompts_for_the_negative_one(self) -> Self:
        if self.negative_prompt is not None and self.prompts is None:
            raise InputError("--negative-prompt without --prompts: give a text file of prompts too")
        return self

    @property
    def given_conditions(self) -> list[str]:
        """The options that were given, with their values."""
        named = {"--label": self.label, "--prompts": self.prompts, "--negative-prompt": self.negative_prompt,
                 "--guidance": self.guidance}  # fmt: skip
        return [f"{name} {value}" for name, value in named.items() if value is not None]

    def for_measurement(self) -> dict[str, Any]:
        """The same as arguments of a :class:`~omsdpm.scoring.measurement.Measurement`."""
        from omsdpm.guidance import parse_labels

        return {
            "labels": None if self.label is None else parse_labels(self.label),
            "prompts": None if self.prompts is None else str(self.prompts),
            "negative_prompt": self.negative_prompt,
            "guidance": self.guidance,
        }

    def for_sampler(self, zoo: ModelZoo) -> tuple[ModelZoo, dict[str, Any]]:
        """The zoo as it is guided, and arguments of a :class:`~omsdpm.scoring.sampler.Sampler`.

        Raises:
            InputError: a file of prompts that holds none, or something that the zoo does not take.
        """
        from omsdpm.prompts import read_prompts

        labels: Labels | None = self.label
        prompts = None if self.prompts is None else zoo.encode(read_prompts(self.prompts), self.negative_prompt)
        return zoo.guided(self.guidance), {"labels": labels, "prompts": prompts}
