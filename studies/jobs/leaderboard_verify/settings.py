"""What verifying a leaderboard is asked to do."""

from __future__ import annotations

from pathlib import Path

from omsdpm.devices import DEVICES
from omsdpm.seeds import LARGEST
from studies.jobs.settings import Settings, option


class VerifySettings(Settings):
    """Sample a random part of a leaderboard's schedules again, and say which rows hold.

    A schedule is sampled by the benchmark's own code, with the row's images from the noise
    of the row's seed. A row holds if its score is the same and its schedule is within its
    budget. Exit code 1 says that one does not.
    """

    words = ("leaderboard", "verify")

    file: Path = option(argument=True, metavar="FILE", help="Leaderboard, as CSV.")
    rows: int = option(5, ge=1, help="How many are drawn.")
    seed: int = option(0, ge=0, le=LARGEST, help="By which they are drawn.")
    tolerance: float = option(
        1e-4, ge=0, allow_inf_nan=False, help="Largest difference of equal scores, relative to the row's."
    )
    device: str = option("auto", choices=lambda: DEVICES, help="Where networks run; auto takes CUDA if there is one.")
    output: Path | None = option(None, file=True, repeats=False, help="JSON file for the result.")
