"""The result as tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from studies.jobs.run.result import RunResult
from studies.jobs.run.winners import SEARCH, Scored, Winner


def tables(result: RunResult) -> list[Table]:
    """Winners against baselines, then their schedules; of a search without a benchmark its winners."""
    return [_search(result)] if result.settings.only_search else [_scores(result), _schedules(result)]


def _search(result: RunResult) -> Table:
    """The best predicted schedules of a search without a benchmark."""
    caption = (
        f"{result.outcome.evaluations} schedules scored by the predictor; nothing was sampled: a predicted score only "
        "ranks schedules."
    )
    table = Table(caption=caption, caption_justify="left")
    titles = ("budget\n(ms)", "latency\n(ms)", "NFE", "predicted\nscore", "population", "best schedule")
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number < 4 else "left", overflow="fold")
    for winner in result.winners:
        numbers = f"{winner.budget:g}", f"{winner.latency:.2f}", str(winner.nfe), f"{winner.predicted:.4f}"
        files = result.population_file(winner.budget), result.schedule_file(winner.budget)
        table.add_row(*numbers, *(file.name for file in files))
    return table


def _scores(result: RunResult) -> Table:
    settings, metric = result.settings, result.metric_name
    title = f"{result.problem['name']}: {result.optimizer} on {result.predictor}"
    table = Table(title=title, title_justify="left", caption=_caption(result), caption_justify="left")
    for heading in ("budget\n(ms)", "latency\n(ms)"):
        table.add_column(heading, justify="right")
    if settings.validated:
        table.add_column("here\n(ms)", justify="right")
    for heading in ("NFE", "predicted\nscore"):
        table.add_column(heading, justify="right")
    if settings.validated:
        table.add_column("from")
        table.add_column(f"winner\n{metric}", justify="right")
    table.add_column(f"best baseline\n{metric}", justify="right")
    if settings.validated:
        table.add_column("gain (%),\n95 % interval", justify="right")
        table.add_column("")
    for winner in result.winners:
        cells: list[str | Text] = [f"{winner.budget:g}", f"{winner.latency:.2f}"]
        if settings.validated:
            cells.append("-" if winner.measured_latency is None else f"{winner.measured_latency:.2f}")
        cells += [str(winner.nfe), f"{winner.predicted:.3f}"]
        if settings.validated:
            cells += [winner.source, Text(_mean_std(winner.measured), style="bold")]
        cells.append(_mean_std(winner.baseline))
        if settings.validated:
            cells += _gain(winner)
        table.add_row(*cells)
    return table


def _caption(result: RunResult) -> str:
    plan = result.validation
    if plan is None or not result.settings.validated:
        return "Nothing was sampled: a predicted score only ranks schedules. Baselines: mean ± std of stored scores."
    seeds = f"seeds {plan.seeds[0]} to {plan.seeds[-1]}" if len(plan.seeds) > 1 else f"seed {plan.seeds[0]}"
    chosen = f"{plan.race_images} images x seeds {', '.join(map(str, plan.race_seeds))}"
    judged = [winner for winner in result.winners if winner.own is not None and winner.source != SEARCH]
    own = "".join(
        f" Under {winner.budget:g} ms {'the baseline' if winner.is_baseline else 'a training schedule'} won; the "
        f"search's own best has {winner.own.mean:.3f}."
        for winner in judged
        if winner.own is not None
    )
    return (
        f"{result.metric_name}: mean ± std of {plan.images} images x {len(plan.seeds)} seeds ({seeds}), by which "
        f"nothing was chosen; winners were chosen by {chosen}. Lower is better; gains are paired differences. Measured "
        f"on {result.environment['device']}. The predicted score is the search's guide, no measurement.{own}"
    )


def _schedules(result: RunResult) -> Table:
    caption = (
        f"Best baselines of the {SHOWN_KINDS} best strategies and of single members, by stored scores, which compare "
        "with each other only. Labels: schedules that are measured to come to it."
    )
    table = Table(
        "budget (ms)", "", "name", "labels", "stored", "schedule, image end first (· skips a slot)",
        caption=caption, caption_justify="left",
    )  # fmt: skip
    for winner in result.winners:
        who = "winner" if winner.measured else "best predicted"
        table.add_row(f"{winner.budget:g}", who, "", "", "", _glyphs(winner.schedule))
        shown = _shown_kinds(winner)
        if winner.baseline is not None and winner.baseline.schedule not in [one.schedule for one in shown]:
            table.add_row(*_baseline_cells(winner.baseline, ""))
        for one in shown:
            table.add_row(*_baseline_cells(one, f"{one.mean:.3f}"))
    return table


SHOWN_KINDS = 3
"""Strategies that a budget's baselines are shown of; the result has all."""


def _shown_kinds(winner: Winner) -> list[Scored]:
    best = sorted(winner.kinds.values(), key=lambda one: one.mean)
    alone = [one for one in best[SHOWN_KINDS:] if one.source == "single"]
    return best[:SHOWN_KINDS] + alone


def _baseline_cells(one: Scored, stored: str) -> list[str | Text]:
    labels = "" if one.labels is None else f"{one.labels:,}"
    return ["", one.source, Text(one.name), labels, stored, _glyphs(one.schedule)]


def _glyphs(schedule: Sequence[int]) -> str:
    glyphs = ["·" if member == 0 else str(member) for member in schedule]
    wide = max(len(glyph) for glyph in glyphs) > 1
    return (" " if wide else "").join(glyphs)


def _mean_std(scored: Scored | None) -> str:
    return "-" if scored is None else f"{scored.mean:.3f} ± {scored.std:.3f}"


def _gain(winner: Winner) -> list[str | Text]:
    """The gain with half its interval, and what it says."""
    paired = winner.paired
    if paired is None or paired.gain is None:
        return ["-", "-"]
    style = {"better": "green", "worse": "red"}.get(paired.verdict, "")
    if winner.verdict != paired.verdict:  # it is the baseline, or samples the same
        return [Text("0.0"), Text(str(winner.verdict))]
    margin = "" if paired.gain_margin is None else f" ± {paired.gain_margin:.1f}"
    return [Text(f"{paired.gain:+.1f}{margin}", style=style), Text(paired.verdict, style=style)]
