"""What judging a saved predictor is asked to do."""

from __future__ import annotations

from pathlib import Path

from studies.jobs.settings import Settings, option
from studies.jobs.solvers import solver_names


class EvaluateSettings(Settings):
    """Kendall's tau and Spearman's rho on the schedules of a dataset that the predictor was not fitted on."""

    words = ("predictor", "evaluate")

    dataset: Path = option(help="Parquet, or released .pth or folder.")
    predictor_folder: Path = option(help="What 'fit' saved, or a released .pth.")
    solver: str | None = option(None, choices=solver_names, shown="told by their slots", help="Of released schedules.")
    members: int | None = option(None, ge=1, shown="the predictor's", help="Of the zoo.")
    output: Path | None = option(None, file=True, help="JSON file for the result.")
