"""What a report is asked to do."""

from __future__ import annotations

from pathlib import Path

from studies.jobs.settings import Settings, option


class ReportSettings(Settings):
    """Show runs and studies on one page that opens offline, also on a phone, and can be mailed.

    It has the winners against the best baselines as a table that sorts by click, gains with
    their intervals, measured and predicted schedules by latency, the best label so far where
    labels were measured one after another, images, and the command that repeats each run. Of a
    study it has the mean ranks with their critical difference, and its sampled runs.
    """

    words = ("report",)

    runs: tuple[Path, ...] = option(
        argument=True, metavar="RUN_FOLDER...", min_length=1, help="What 'run' or 'study' wrote, or folders of runs."
    )
    html: Path = option(file=True, help="The page.")
    title: str = option("Model schedules", help="Of the page.")
