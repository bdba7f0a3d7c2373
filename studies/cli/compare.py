"""``omsdpm-bench predictor compare``."""

from __future__ import annotations

from pathlib import Path

import click

from omsdpm.errors import InputError


@click.command()
@click.option("--benchmark", default="digits-ddim", show_default=True, help="Whose schedules; see 'list'.")
@click.option("--predictor", "names", metavar="NAME,...", help="Families to compare; see 'list'.  [default: all]")
@click.option(
    "--train-sizes",
    metavar="N,...",
    help="Schedules to fit on.  [default: 50,100,200,400,800,1600, as far as there are so many]",
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="How many, from 0.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder; what it has is continued.")
def compare(benchmark: str, names: str | None, train_sizes: str | None, seeds: int, output: Path) -> None:
    """Fit predictors on few and many labels, and judge all by one protocol.

    For seed s, a predictor gets the first N schedules of a permutation of the train split,
    drawn from s, and nothing else: one that wants validation labels holds back some of
    these. Test and elite schedules are only predicted.

    predictors.csv gets a row for each benchmark, predictor, train size and seed as soon as
    it is known: Kendall's tau and Spearman's rho on test, tau on elite, precision among the
    best 1 and 5 % of test, regret of the schedule predicted best within each budget (over
    the whole space where all of it is measured, else over test and elite), seconds to fit,
    predictions per second, and how much of test the 50 and 90 % intervals hold.

    Rows that are there already are skipped, so a run that was stopped goes on where it was.
    Several runs may write to one folder at once.
    """
    from studies.cli._console import Reporter, stdout
    from studies.jobs import compare as compare_predictors
    from studies.jobs import comparison_table

    comparison = compare_predictors(
        benchmark,
        output,
        Reporter(),
        predictors=_parts(names, "--predictor"),
        train_sizes=[_size(word) for word in _parts(train_sizes, "--train-sizes")],
        seeds=seeds,
    )
    stdout().print(comparison_table(comparison))
    click.echo(f"Comparison: {output}")


def _parts(text: str | None, option: str) -> list[str]:
    """``"a, b"`` as its parts; none if the option was not given."""
    if text is None:
        return []
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise InputError(f"{option} {text!r}: expected values with a comma between two, as in a,b")
    return parts


def _size(word: str) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise InputError(f"--train-sizes {word}: expected whole numbers with a comma between two") from error
