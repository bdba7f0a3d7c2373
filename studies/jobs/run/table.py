"""The result as tables in a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from studies.jobs.run.result import RunResult
from studies.jobs.run.winners import Scored, Winner
from studies.jobs.search.job import SearchRun
from studies.ranking import Correlations, Ranking


def tables(result: RunResult) -> list[Table]:
    """Winners against baselines, then the winners' schedules."""
    return [_scores(result), _schedules(result)]


def search_table(run: SearchRun) -> Table:
    """The best predicted schedules of a search without a benchmark."""
    caption = (
        f"{run.found.evaluations} schedules scored by the predictor; nothing was sampled: a predicted score only "
        "ranks schedules."
    )
    table = Table(caption=caption, caption_justify="left")
    titles = ("budget\n(ms)", "latency\n(ms)", "NFE", "predicted\nscore", "population", "best schedule")
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number < 4 else "left", overflow="fold")
    rows = zip(run.budgets, run.winner_latency, run.winner_nfe, run.found.predicted, strict=True)
    for budget, ms, nfe, predicted in rows:
        population, best = run.files(budget)
        table.add_row(f"{budget:g}", f"{ms:.2f}", str(nfe), f"{predicted:.4f}", population.name, best.name)
    return table


def ranking_line(name: str, ranking: Ranking) -> str:
    """How well a predictor ranks held-out schedules, in one line."""
    parts = [f"{split} ({part['schedules']} schedules): {correlation_words(part)}" for split, part in ranking.items()]
    return f"{name} on held-out schedules: {'; '.join(parts) if parts else 'the benchmark has none'}"


def correlation_words(found: Correlations) -> str:
    """How well a predictor ranked some schedules, in words."""
    return f"Kendall tau {_three(found['kendall_tau'])}, Spearman {_three(found['spearman'])}"


def _scores(result: RunResult) -> Table:
    settings, metric = result.settings, result.metric
    title = f"{result.benchmark['name']}: {settings.optimizer} on {settings.predictor}"
    table = Table(title=title, title_justify="left", caption=_caption(result), caption_justify="left")
    table.add_column("budget\n(ms)", justify="right")
    table.add_column("frozen\nlatency (ms)", justify="right")
    if settings.validate:
        table.add_column("measured\nlatency (ms)", justify="right")
    table.add_column("NFE", justify="right")
    table.add_column("predicted\nscore", justify="right")
    if settings.validate:
        table.add_column(f"winner\n{metric}", justify="right")
    table.add_column(f"best single member\n{metric}", justify="right")
    table.add_column(f"best stitch\n{metric}", justify="right")
    if settings.validate:
        table.add_column("gain\n(%)", justify="right")
    for winner in result.winners:
        cells: list[str | Text] = [f"{winner.budget:g}", f"{winner.latency:.2f}"]
        if settings.validate:
            cells.append("-" if winner.measured_latency is None else f"{winner.measured_latency:.2f}")
        cells += [str(winner.nfe), f"{winner.predicted:.3f}"]
        if settings.validate:
            cells.append(Text(_mean_std(winner.measured), style="bold"))
        cells += [_baseline(winner, "single"), _baseline(winner, "stitch")]
        if settings.validate:
            cells.append(_gain(winner.gain))
        table.add_row(*cells)
    return table


def _caption(result: RunResult) -> str:
    how = result.protocol
    measured = f"{how.images} images x {len(how.seeds)} seeds"
    if not result.settings.validate:
        return f"Nothing was sampled: a predicted score only ranks schedules. Baselines: mean ± std of {measured}."
    if how.baselines_again:
        baselines = "; the baselines shown were sampled again with the same, their stored scores were made otherwise"
    else:
        baselines = ", winners and baselines from the same noise"
    return (
        f"{result.metric}: mean ± std of {measured}{baselines}. Lower is better. Measured on "
        f"{result.environment['device']}; the predicted score is the search's guide, no measurement."
    )


def _schedules(result: RunResult) -> Table:
    table = Table("budget (ms)", "winner's schedule, image end first (· skips a slot)")
    for winner in result.winners:
        glyphs = ["·" if member == 0 else str(member) for member in winner.schedule.tolist()]
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


def _three(value: float | int | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
