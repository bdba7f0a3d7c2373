"""``omsdpm-bench study``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from studies.cli._settings import TopicCommand, click_options
from studies.jobs.study.settings import StudySettings


@click.command(cls=TopicCommand, help=StudySettings.__doc__)
@click_options(StudySettings)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def study(settings: StudySettings, file: Path | None) -> None:
    """Runs a study."""
    from studies.jobs.study.settings import study_of_file

    if file is not None:
        given: dict[str, Any] = {name: getattr(settings, name) for name in settings.model_fields_set}
        settings = study_of_file(file, given)
    run_study(settings)


def run_study(settings: StudySettings) -> None:
    """Runs a study and prints what beats what."""
    from rich.table import Table

    from studies.cli._console import Reporter, stdout
    from studies.jobs.study.job import study as study_job
    from studies.jobs.study.tables import ranks

    result = study_job(settings, Reporter())
    table = Table("compared", "optimizer", "predictor", "mean rank", "as good as the best")
    rows = ranks(result.rows)
    for row in rows:
        alike = "yes" if row["as_good_as_best"] else "no"
        table.add_row(row["group"], row["optimizer"], row["predictor"], f"{row['mean_rank']:.2f}", alike)
    if rows:
        stdout().print(table)
    click.echo(f"Study: {result.folder}: {len(result.rows)} rows, {len(result.failures)} failed")
