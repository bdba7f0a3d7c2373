"""The result as tables in a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from studies.jobs.run.result import RunResult
from studies.jobs.run.winners import Scored, Winner, kinds_of


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
    table.add_column("budget\n(ms)", justify="right")
    table.add_column("frozen\nlatency (ms)", justify="right")
    if settings.validated:
        table.add_column("measured\nlatency (ms)", justify="right")
    table.add_column("NFE", justify="right")
    table.add_column("predicted\nscore", justify="right")
    if settings.validated:
        table.add_column(f"winner\n{metric}", justify="right")
    kinds = kinds_of(kind for winner in result.winners for kind in winner.baselines)
    for kind in kinds:
        table.add_column(f"best {'single member' if kind == 'single' else kind}\n{metric}", justify="right")
    if settings.validated:
        table.add_column("gain\n(%)", justify="right")
    for winner in result.winners:
        cells: list[str | Text] = [f"{winner.budget:g}", f"{winner.latency:.2f}"]
        if settings.validated:
            cells.append("-" if winner.measured_latency is None else f"{winner.measured_latency:.2f}")
        cells += [str(winner.nfe), f"{winner.predicted:.3f}"]
        if settings.validated:
            cells.append(Text(_mean_std(winner.measured), style="bold"))
        cells += [_baseline(winner, kind) for kind in kinds]
        if settings.validated:
            cells.append(_gain(winner.gain))
        table.add_row(*cells)
    return table


def _caption(result: RunResult) -> str:
    plan = result.validation
    assert plan is not None  # there is a benchmark
    measured = f"{plan.images} images x {len(plan.seeds)} seeds"
    if not result.settings.validated:
        return f"Nothing was sampled: a predicted score only ranks schedules. Baselines: mean ± std of {measured}."
    if plan.baselines_again:
        baselines = "; the baselines shown were sampled again with the same, their stored scores were made otherwise"
    else:
        baselines = ", winners and baselines from the same noise"
    return (
        f"{result.metric_name}: mean ± std of {measured}{baselines}. Lower is better. Measured on "
        f"{result.environment['device']}; the predicted score is the search's guide, no measurement."
    )


def _schedules(result: RunResult) -> Table:
    table = Table("budget (ms)", "winner's schedule, image end first (· skips a slot)")
    for winner in result.winners:
        glyphs = ["·" if member == 0 else str(member) for member in winner.schedule]
        wide = max(len(glyph) for glyph in glyphs) > 1
        table.add_row(f"{winner.budget:g}", (" " if wide else "").join(glyphs))
    return table


def _baseline(winner: Winner, kind: str) -> str:
    scored = winner.baselines.get(kind)
    return "-" if scored is None else f"{_mean_std(scored)}\n{scored.name}"


def _mean_std(scored: Scored | None) -> str:
    return "-" if scored is None else f"{scored.mean:.3f} ± {scored.std:.3f}"


def _gain(gain: float | None) -> Text:
    if gain is None:
        return Text("-")
    return Text(f"{gain:+.1f}", style="green" if gain > 0 else "red")
