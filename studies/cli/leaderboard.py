"""``omsdpm-bench leaderboard``: ranking what many runs appended, and sampling it again."""

from __future__ import annotations

import click

from studies.cli._lazy import LazyGroup
from studies.cli._settings import TopicCommand, click_options
from studies.jobs.leaderboard.settings import LeaderboardSettings
from studies.jobs.leaderboard_verify.settings import VerifySettings

COMMANDS = {"rank": "studies.cli.leaderboard:rank", "verify": "studies.cli.leaderboard:verify"}


class RankByDefault(LazyGroup):
    """A group where ``rank`` need not be said: what names no command is a file or an option of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with the word that was left out."""
        if args and args[0] not in {*self.lazy, *self.get_help_option_names(ctx)}:
            args = ["rank", *args]
        return super().parse_args(ctx, args)


@click.group(cls=RankByDefault, lazy=COMMANDS)
def leaderboard() -> None:
    """Rank the leaderboards of runs ('leaderboard FILE...' is 'leaderboard rank FILE...'), and check their rows."""


@click.command(cls=TopicCommand, help=LeaderboardSettings.__doc__)
@click_options(LeaderboardSettings)
def rank(settings: LeaderboardSettings) -> None:
    """Ranks leaderboards."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.leaderboard.job import leaderboard as leaderboard_job
    from studies.jobs.leaderboard.table import leaderboard_tables

    reporter, console = Reporter(), stdout()
    result = leaderboard_job(settings, reporter)
    for table in leaderboard_tables(result):
        console.print(table)
    left = f"; {result.duplicates} that say the same count once" if result.duplicates else ""
    reporter.note(f"{result.rows} rows, {len(result.entries)} entries{left}")


@click.command(cls=TopicCommand, help=VerifySettings.__doc__)
@click_options(VerifySettings)
@click.pass_context
def verify(ctx: click.Context, settings: VerifySettings) -> None:
    """Verifies a leaderboard."""
    from studies.cli._console import Reporter, stdout
    from studies.jobs.leaderboard_verify.job import verify as verify_job
    from studies.jobs.leaderboard_verify.table import verify_line, verify_table

    reporter = Reporter()
    result = verify_job(settings, reporter)
    stdout().print(verify_table(result))
    reporter.note(verify_line(result))
    if not result.holds:
        ctx.exit(1)
