"""What confirming a run is asked to do."""

from __future__ import annotations

from pathlib import Path

from omsdpm.devices import DEVICES
from omsdpm.seeds import LARGEST
from studies.jobs.settings import Settings, option

FIRST_SEED = 5001


class ConfirmSettings(Settings):
    """Compare the winners of a run with the best baselines, on seeds that nothing has seen.

    The seeds of a benchmark's own validation are fresh for one run. Whoever compares
    settings by their validated winners has used those seeds up; this draws others, the
    same for both sides, and compares seed by seed.
    """

    words = ("confirm",)

    run: Path = option(argument=True, metavar="RUN_FOLDER", help="What 'run' wrote.")
    seeds: int = option(6, ge=1, help="How many.")
    first_seed: int = option(
        FIRST_SEED, ge=0, le=LARGEST, help="They count from here; those that were used are left out."
    )
    device: str = option("auto", choices=lambda: DEVICES, help="Where networks run; auto takes CUDA if there is one.")
    output: Path | None = option(None, file=True, help="JSON file for the result.")
