"""The page: sections made of runs. All that a user or a file says is escaped."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from studies.jobs.report.assets import SCRIPT, STYLE
from studies.jobs.report.plots import Line, Plot, Point, Tip, color, forest, strip
from studies.jobs.study.tables import ECDF_TARGETS

if TYPE_CHECKING:
    from studies.jobs.report.job import ShownRun
    from studies.jobs.report.study import Rank, ShownStudy
    from studies.jobs.run.winners import Scored, Winner

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""A browser that keeps it asks the network for nothing."""

VERDICT_COLORS = {"better": "#1b7837", "worse": "#b2182b", "inconclusive": "#5a6773"}


@dataclass(frozen=True)
class Row:
    """A winner of a run, with what the page calls the run."""

    number: int
    run: ShownRun
    winner: Winner

    @property
    def method(self) -> str:
        """``nsga2 on gp, 800 labels``; of a baseline that won, its own name, for no search found it."""
        result = self.run.result
        if self.winner.is_baseline and self.winner.measured is not None:
            return f"the baseline, {self.winner.measured.name}"
        labels = "" if result.source.train_size is None else f", {result.source.train_size} labels"
        return f"{result.optimizer} on {result.predictor}{labels}"


@dataclass(frozen=True)
class Cell:
    """A cell: its text, and what its column is sorted by; empty sorts last."""

    text: str
    key: float | str | None = None
    html: str = ""
    style: str = ""

    def td(self, number: bool) -> str:
        """The element."""
        key = self.text if self.key is None else self.key
        if isinstance(key, float):
            key = f"{key:.12g}" if math.isfinite(key) else ""
        names = " ".join(filter(None, ("number" if number else "", self.style)))
        style = f' class="{names}"' if names else ""
        return f'<td{style} data-sort="{escape(str(key))}">{self.html or escape(self.text)}</td>'


NOTHING = Cell("-", "")


def page(title: str, runs: Sequence[ShownRun], studies: Sequence[ShownStudy] = ()) -> str:
    """The whole document."""
    rows = [Row(number, run, winner) for number, run in enumerate(runs, start=1) for winner in run.result.winners]
    sections = {
        "ranks": ("Mean ranks", _ranks(studies)),
        "reached": ("Any-time curves", _reached(studies)),
        "leaderboard": ("Leaderboard", _leaderboard(rows)),
        "gains": ("Gains", _gains(rows)),
        "fronts": ("Latency and score", _fronts(runs)),
        "anytime": ("Best label so far", _anytime(runs)),
        "images": ("Images", _images(rows)),
        "repeat": ("How to repeat", (*_repeat(runs), *_repeat_studies(studies))),
    }
    made = {name: (heading, "".join(parts)) for name, (heading, parts) in sections.items()}
    shown = {name: (heading, text) for name, (heading, text) in made.items() if text}
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, (heading, _) in shown.items())
    body = "".join(
        f'<section id="{name}"><h2>{heading}</h2>{text}</section>' for name, (heading, text) in shown.items()
    )
    benchmarks = ", ".join(dict.fromkeys(_benchmark(run) for run in runs))
    parts = [f"{len(runs)} run{'s' * (len(runs) != 1)} on {benchmarks}"] if runs else []
    parts += [f"{len(studies)} stud{'y' if len(studies) == 1 else 'ies'}"] if studies else []
    about = f"{' and '.join(parts)}. Lower scores are better."
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><p>{escape(about)}</p><nav>{links}</nav></header>"
        f'<main>{body}</main><div id="tip" role="tooltip" hidden></div><script>{SCRIPT}</script></body></html>\n'
    )


def _benchmark(run: ShownRun) -> str:
    problem = run.result.problem
    return str(problem.get("name") or f"{problem['num_models']} members, {problem['solver']}")


def _by_benchmark(runs: Sequence[ShownRun]) -> Iterator[tuple[str, list[tuple[int, ShownRun]]]]:
    """Runs with their numbers by benchmark."""
    for name in dict.fromkeys(map(_benchmark, runs)):
        yield name, [(number, run) for number, run in enumerate(runs, start=1) if _benchmark(run) == name]


COLUMNS: dict[str, tuple[bool, Callable[[Row], Cell]]] = {
    "benchmark": (False, lambda row: Cell(_benchmark(row.run))),
    "budget (ms)": (True, lambda row: Cell(f"{row.winner.budget:g}", row.winner.budget)),
    "optimizer": (False, lambda row: Cell(row.run.result.optimizer)),
    "predictor": (False, lambda row: Cell(row.run.result.predictor)),
    "labels": (True, lambda row: _number(row.run.result.source.train_size, "g")),
    "score": (True, lambda row: _scored(row.winner.measured)),
    "best baseline": (True, lambda row: _scored(row.winner.baseline)),
    "gain (%), 95 %": (True, lambda row: _gain(row.winner)),
    "verdict": (False, lambda row: _verdict(row.winner)),
    "from": (False, lambda row: Cell(row.winner.source)),
    "predicted": (True, lambda row: _number(row.winner.predicted, ".3f")),
    "latency (ms)": (True, lambda row: _number(row.winner.latency, ".1f")),
    "NFE": (True, lambda row: _number(row.winner.nfe, "g")),
    "seed": (True, lambda row: _number(row.run.result.settings.seed, "g")),
    "schedule": (False, lambda row: _schedule(row)),
    "run": (True, lambda row: _link(row.number)),
}


def _ranks(studies: Sequence[ShownStudy]) -> Iterator[str]:
    for study in studies:
        for group, ranked in study.ranks.items():
            caption = f"{study.folder.name}: {group}"
            shown = "" if (png := study.diagrams.get(group)) is None else _png(png, f"mean ranks, {caption}")
            yield (
                f'<figure><figcaption>{escape(caption)}</figcaption><div class="wide">{shown}'
                f"{_rank_table(ranked)}</div></figure>"
            )
    if any(study.ranks for study in studies):
        yield (
            '<p class="note">1 is best, over blocks of a benchmark and a seed. Methods under one bar, or within the '
            "critical difference of each other, may be alike (Nemenyi&#x27;s test at 5 %).</p>"
        )


def _rank_table(ranked: Sequence[Rank]) -> str:
    lines = "".join(
        f'<tr><td class="number">{rank.mean_rank:.2f}</td><td>{escape(rank.optimizer)}</td>'
        f"<td>{escape(rank.predictor)}</td><td>{'yes' if rank.as_good_as_best else ''}</td></tr>"
        for rank in ranked
    )
    return (
        '<table><thead><tr><th class="number">mean rank</th><th>optimizer</th><th>predictor</th>'
        f"<th>may be as good as the best</th></tr></thead><tbody>{lines}</tbody></table>"
    )


def _reached(studies: Sequence[ShownStudy]) -> Iterator[str]:
    figures = []
    for study in studies:
        for benchmark, methods in study.curves.items():
            lines, points, keys = [], [], []
            for at, ((optimizer, predictor), curve) in enumerate(methods.items()):
                x, y = [one.evaluations for one in curve], [one.reached for one in curve]
                lines.append(Line(x, y, color(at), steps=True))
                name = f"{optimizer}, {predictor}"
                for one in curve[:: max(len(curve) // 8, 1)]:
                    tip = Tip(name, [f"{one.reached:.0%} of targets after {one.evaluations} evaluations"])
                    points.append(Point(one.evaluations, one.reached, tip, color(at), "predicted"))
                keys.append(f'<span><b style="background:{color(at)}"></b>{escape(name)}</span>')
            svg = Plot("evaluations", "part of targets reached", points, lines, log_x=True, shares=True).svg()
            caption = f"{study.folder.name}: {benchmark}"
            figures.append(_figure(caption, f'{svg}<div class="key note">{"".join(keys)}</div>'))
    if figures:
        yield (
            f'<p class="note">Part of the pairs of a run and one of {ECDF_TARGETS} targets of regret that are reached '
            "after so many evaluations: higher and sooner is better. Point at a mark or tap it.</p>"
        )
        yield f'<div class="plots">{"".join(figures)}</div>'


def _leaderboard(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    heads = "".join(
        f'<th scope="col"{" class=number" if number else ""}><button type="button">{escape(name)}</button></th>'
        for name, (number, _) in COLUMNS.items()
    )
    lines = "".join(
        "<tr>" + "".join(make(row).td(number) for number, make in COLUMNS.values()) + "</tr>" for row in rows
    )
    yield (
        '<p class="note">A click on a heading sorts. Scores are means over validation seeds by which nothing was '
        "chosen; a gain is the paired difference to the best baseline under the same budget. The number of a run leads "
        "to its command.</p>"
    )
    yield (
        f'<div class="wide"><table class="sortable"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _number(value: float | None, spec: str) -> Cell:
    return NOTHING if value is None else Cell(f"{value:{spec}}", float(value))


def _scored(scored: Scored | None) -> Cell:
    return NOTHING if scored is None else Cell(f"{scored.mean:.3f} ± {scored.std:.3f}", scored.mean)


def _gain(winner: Winner) -> Cell:
    gain = winner.gain
    return NOTHING if gain is None else Cell(_gain_text(winner), gain)


def _gain_text(winner: Winner) -> str:
    paired = winner.paired
    if paired is None or paired.gain is None:
        return "-"
    return f"{paired.gain:+.1f}" + ("" if paired.gain_margin is None else f" ± {paired.gain_margin:.1f}")


def _verdict(winner: Winner) -> Cell:
    paired = winner.paired
    return NOTHING if paired is None else Cell(str(winner.verdict), style=paired.verdict)


def _schedule(row: Row) -> Cell:
    schedule = row.winner.schedule
    text = " ".join(map(str, schedule))
    return Cell(text, html=strip(schedule, row.run.result.problem["num_models"]))


def _link(number: int) -> Cell:
    return Cell(str(number), float(number), html=f'<a href="#run-{number}">{number}</a>')


def _tip(row: Row) -> Tip:
    winner = row.winner
    lines = [f"budget {winner.budget:g} ms, takes {winner.latency:.1f} ms, {winner.nfe} evaluations"]
    if winner.measured is not None:
        lines.append(f"score {winner.measured.mean:.3f} ± {winner.measured.std:.3f}, from {winner.source}")
    if winner.baseline is not None:
        lines.append(f"{winner.baseline.name}: {winner.baseline.mean:.3f}")
    if winner.paired is not None:
        lines.append(f"gain {_gain_text(winner)} %, {winner.verdict}")
    return Tip(f"Run {row.number}: {row.method}", lines, winner.schedule)


def _gains(rows: Sequence[Row]) -> Iterator[str]:
    figures = []
    for name in dict.fromkeys(_benchmark(row.run) for row in rows):
        lines = []
        for row in sorted((row for row in rows if _benchmark(row.run) == name), key=lambda row: row.winner.budget):
            paired = row.winner.paired
            if paired is not None and paired.gain is not None and math.isfinite(paired.gain):
                label = f"{row.winner.budget:g} ms, run {row.number}: {row.run.result.predictor}"
                paint = VERDICT_COLORS[paired.verdict]
                lines.append((label, paired.gain, paired.gain_margin, paint, _tip(row)))
        if lines:
            figures.append(_figure(name, forest(lines)))
    if figures:
        yield (
            '<p class="note">With 95 % intervals. Green is better than the best baseline, red is worse, gray is '
            "inconclusive. Point at a mark or tap it.</p>"
        )
        yield f'<div class="plots">{"".join(figures)}</div>'


def _figure(caption: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>"


def _fronts(runs: Sequence[ShownRun]) -> Iterator[str]:
    if not runs:
        return
    figures = []
    for name, group in _by_benchmark(runs):
        points: list[Point] = []
        for at, (number, run) in enumerate(group):
            points += _predicted(number, run, color(at))
        for at, (number, run) in enumerate(group):
            points += _measured(number, run, color(at))
        metric = next((run.result.metric_name for _, run in group if run.result.metric), "predicted score")
        budgets = sorted({budget for _, run in group for budget in run.result.budgets})
        keys = "".join(
            f'<span><b style="background:{color(at)}"></b>run {number}: {escape(run.result.predictor)}</span>'
            for at, (number, run) in enumerate(group)
        )
        svg = Plot("latency (ms)", metric, points, rules=budgets).svg()
        figures.append(_figure(name, f'{svg}<div class="key note">{keys}</div>'))
    yield (
        '<p class="note key"><span><b style="background:#5a6773"></b>winner, mean ± std</span>'
        '<span><b class="open"></b>best baseline</span><span><b class="small"></b>predicted front</span> '
        "Dashed lines are budgets. Point at a mark or tap it for its schedule, image end first.</p>"
    )
    yield f'<div class="plots">{"".join(figures)}</div>'


def _predicted(number: int, run: ShownRun, paint: str) -> Iterator[Point]:
    outcome = run.result.outcome
    for ms, score, schedule in zip(outcome.front_latency, outcome.front_scores, outcome.front, strict=True):
        tip = Tip(f"Run {number}, predicted", [f"{ms:.1f} ms, predicted score {score:.3f}"], schedule.tolist())
        yield Point(float(ms), float(score), tip, paint, "predicted")


def _measured(number: int, run: ShownRun, paint: str) -> Iterator[Point]:
    for winner in run.result.winners:
        if winner.baseline is not None:
            best = winner.baseline
            lines = [f"best baseline under {winner.budget:g} ms, takes {best.latency:.1f} ms", f"score {best.mean:.3f}"]
            tip = Tip(best.name, lines, best.schedule)
            yield Point(best.latency, best.mean, tip, paint, "baseline", best.std)
        if winner.measured is not None:
            ours = winner.measured
            yield Point(winner.latency, ours.mean, _tip(Row(number, run, winner)), paint, "winner", ours.std)


def _anytime(runs: Sequence[ShownRun]) -> Iterator[str]:
    figures = []
    for number, run in enumerate(runs, start=1):
        lines, points = [], []
        for at, (budget, curve) in enumerate(run.anytime.items()):
            counts = list(range(1, len(curve) + 1))
            lines.append(Line(counts, curve, color(at), steps=True))
            last = None
            for count, best in zip(counts, curve, strict=True):
                if best != last and math.isfinite(best):
                    tip = Tip(f"{budget:g} ms after {count} labels", [f"best label {best:.3f}"])
                    points.append(Point(count, best, tip, color(at), "predicted"))
                last = best
        if lines:
            keys = "".join(
                f'<span><b style="background:{color(at)}"></b>{budget:g} ms</span>'
                for at, budget in enumerate(run.anytime)
            )
            svg = Plot("labels", "best score so far", points, lines).svg()
            caption = f"Run {number}: {_benchmark(run)}, {run.result.predictor}"
            figures.append(_figure(caption, f'{svg}<div class="key note">{keys}</div>'))
    if figures:
        yield '<p class="note">Labels in the order in which they were measured, the best under each budget.</p>'
        yield f'<div class="plots">{"".join(figures)}</div>'


def _images(rows: Sequence[Row]) -> Iterator[str]:
    pairs = []
    for row in rows:
        name = f"samples-{row.winner.budget:.12g}"
        ours, theirs = row.run.images.get(f"{name}.png"), row.run.images.get(f"{name}-baseline.png")
        if ours is not None:
            heading = f"<h3>{escape(_benchmark(row.run))}, {row.winner.budget:g} ms (run {row.number})</h3>"
            members = row.run.result.problem["num_models"]
            left = _picture(ours, "winner", row.method, row.winner.measured, members)
            baseline = row.winner.baseline
            label = "no baseline within the budget" if baseline is None else baseline.name
            right = _picture(theirs, "best baseline", label, baseline, members)
            pairs.append(f'<div class="pair">{heading}{left}{right}</div>')
    if pairs:
        yield f'<div class="pairs">{"".join(pairs)}</div>'


def _picture(png: bytes | None, role: str, label: str, scored: Scored | None, members: int) -> str:
    if png is None:
        shown = '<div class="none">The run folder has no images of it.</div>'
    else:
        shown = _png(png, f"images of the {role}, {label}")
    score = "" if scored is None else f", {scored.mean:.3f}<br>{strip(scored.schedule, members)}"
    return f"<figure>{shown}<figcaption>{role}: {escape(label)}{score}</figcaption></figure>"


def _png(png: bytes, alt: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def _repeat(runs: Sequence[ShownRun]) -> Iterator[str]:
    for number, run in enumerate(runs, start=1):
        result = run.result
        facts = {
            "started": result.when,
            "data": result.problem.get("data_hash", "-"),
            "device": result.environment.get("device", "-"),
            "versions": ", ".join(f"{name} {text}" for name, text in result.environment.get("versions", {}).items()),
            "seconds": ", ".join(f"{part} {seconds:.1f}" for part, seconds in result.seconds.items()),
        }
        notes = "".join(f"<p class=note>{name}: {escape(str(value))}</p>" for name, value in facts.items())
        heading = escape(f"Run {number}: {_benchmark(run)}, {result.optimizer} on {result.predictor}")
        yield (
            f'<details id="run-{number}"><summary>{heading}</summary>'
            f"<pre><code>{escape(result.settings.command())}</code></pre>{notes}</details>"
        )


def _repeat_studies(studies: Sequence[ShownStudy]) -> Iterator[str]:
    for study in studies:
        yield (
            f"<details><summary>{escape(f'Study {study.folder.name}')}</summary>"
            f"<pre><code>{escape(study.command)}</code></pre></details>"
        )
