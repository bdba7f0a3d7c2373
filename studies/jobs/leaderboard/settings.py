"""What ranking leaderboards is asked to do."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import model_validator

from omsdpm.errors import InputError
from studies.jobs.settings import Settings, option


class LeaderboardSettings(Settings):
    """Merge leaderboards of 'run', and rank their entries under each benchmark's budgets.

    An entry is one run's best schedule under one budget. Entries are ranked by their gain
    over the best baseline, paired over the validation seeds, with a 95 % interval; where an
    entry lacks the baseline's scores, all under that budget are ranked by mean score. An
    entry of other data than the installed benchmark's is marked, and ranked apart.

    Rows that are in several files count once.
    """

    words = ("leaderboard", "rank")

    files: tuple[Path, ...] = option(argument=True, metavar="FILE...", min_length=1, help="Leaderboards, as CSV.")
    csv: Path | None = option(None, file=True, repeats=False, help="CSV for the ranks.")
    markdown: Path | None = option(None, file=True, repeats=False, help="Markdown for the ranks.")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        """No file of results takes the place of another."""
        given = {path.resolve() for path in self.files}
        for flag, path in (("--csv", self.csv), ("--markdown", self.markdown)):
            if path is not None and path.resolve() in given:
                raise InputError(f"{flag} {path} is a leaderboard that is read: name another file")
        if self.csv is not None and self.markdown is not None and self.csv.resolve() == self.markdown.resolve():
            raise InputError(f"--csv and --markdown are both {self.csv}: name two files")
        return self
