"""Plots as SVG in a page: small enough to be read on a phone, each mark with what a tap on it tells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 36
"""Pixels, of which a phone has about as many."""

COLORS = ("#2166ac", "#d6604d", "#4d9221", "#8073ac", "#b35806", "#01665e", "#c51b7d", "#666666")


def color(number: int) -> str:
    """Of a run or a budget; they come again after eight."""
    return COLORS[number % len(COLORS)]


@dataclass(frozen=True)
class Tip:
    """What a mark tells: a title, lines of text, and a schedule ``(L,)`` that is drawn as a strip."""

    title: str
    lines: Sequence[str] = ()
    schedule: Sequence[int] = ()

    @property
    def attributes(self) -> str:
        """For an element that can be pointed at, tapped and reached by the keyboard."""
        table = {"title": self.title, "lines": list(self.lines), "schedule": [int(member) for member in self.schedule]}
        label = escape(", ".join([self.title, *self.lines]))
        return f'class="tip" tabindex="0" role="img" aria-label="{label}" data-tip="{escape(json.dumps(table))}"'


@dataclass(frozen=True)
class Point:
    """A mark at ``(x, y)``, with half the width of an interval around y; ``kind`` is its look."""

    x: float
    y: float
    tip: Tip
    color: str
    kind: str = "winner"
    margin: float = 0.0


@dataclass(frozen=True)
class Line:
    """Points joined by a line; ``steps`` keeps a value until the next."""

    x: Sequence[float]
    y: Sequence[float]
    color: str
    steps: bool = False


@dataclass(frozen=True)
class Plot:
    """Points and lines over two axes.

    Attributes:
        log_x: the x axis is logarithmic, and all of x above 0.
        shares: y goes from 0 to 1; else its axis is logarithmic where all is above 0 and spans a lot.
    """

    x_label: str
    y_label: str
    points: Sequence[Point] = ()
    lines: Sequence[Line] = ()
    rules: Sequence[float] = field(default_factory=tuple)
    """Values of x with a vertical line, as budgets."""
    log_x: bool = False
    shares: bool = False

    def svg(self) -> str:
        """The plot."""
        xs = [p.x for p in self.points] + [x for line in self.lines for x in line.x] + list(self.rules)
        ys = [y for p in self.points for y in (p.y - p.margin, p.y + p.margin)]
        ys += [y for line in self.lines for y in line.y]
        xs, ys = [x for x in xs if math.isfinite(x)], [y for y in ys if math.isfinite(y)]
        ys += [0.0, 1.0] if self.shares else []
        log = bool(ys) and min(ys) > 0 and max(ys) > 8 * min(ys)
        x_axis = Axis.over(xs, LEFT, WIDTH - RIGHT, self.log_x)
        y_axis = Axis.over(ys, HEIGHT - BOTTOM, TOP, log)
        parts = [*_frame(self, x_axis, y_axis)]
        for rule in self.rules:
            x = f"{x_axis.at(rule):.1f}"
            parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts += [_line(line, x_axis, y_axis) for line in self.lines]
        parts += [_mark(point, x_axis, y_axis) for point in self.points if math.isfinite(point.y)]
        label = escape(f"{self.y_label} by {self.x_label}")
        return (
            f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="group" aria-label="{label}">{"".join(parts)}</svg>'
        )


@dataclass(frozen=True)
class Axis:
    """Values from ``low`` to ``high`` on pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, log: bool) -> Axis:
        """All values with some air."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if log:
            air = (high / low) ** 0.06
            return cls(low / air, high * air, start, end, True)
        air = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(low - air, high + air, start, end, False)

    def at(self, value: float) -> float:
        """The pixel of a value."""
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values, about four."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
            values = [value for value in values if self.low <= value <= self.high]
            return values if len(values) < 7 else values[::3]
        rough = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(digit * unit for digit in (1, 2, 5, 10) if digit * unit >= rough)
        first = math.ceil(self.low / step)
        return [number * step for number in range(first, math.floor(self.high / step) + 1)]


def _frame(plot: Plot, x_axis: Axis, y_axis: Axis) -> Iterable[str]:
    bottom = HEIGHT - BOTTOM
    for value in y_axis.ticks():
        y = y_axis.at(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for value in x_axis.ticks():
        x = x_axis.at(value)
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(plot.x_label)}</text>'
    yield (
        f'<text transform="translate(11 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(plot.y_label)}</text>"
    )


def _line(line: Line, x_axis: Axis, y_axis: Axis) -> str:
    path, last = "", None
    for x, y in zip(line.x, line.y, strict=True):
        if math.isfinite(y):
            at = f"{x_axis.at(x):.1f}", f"{y_axis.at(y):.1f}"
            corner = f"H{at[0]}" if line.steps and last else ""
            path += f"{corner}{'L' if last else 'M'}{at[0]} {at[1]}"
            last = at
    return f'<path class="line" d="{path}" stroke="{line.color}"/>'


def _mark(point: Point, x_axis: Axis, y_axis: Axis) -> str:
    x, y = x_axis.at(point.x), y_axis.at(point.y)
    parts = []
    if point.margin and math.isfinite(point.margin):
        low = max(point.y - point.margin, y_axis.low)
        ends = f'y1="{y_axis.at(low):.1f}" y2="{y_axis.at(point.y + point.margin):.1f}"'
        parts.append(f'<line class="margin" x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{point.color}"/>')
    paint = f'stroke="{point.color}" fill="{"#fff" if point.kind == "baseline" else point.color}"'
    if point.kind == "predicted":
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" {paint} opacity="0.55"/>'
    elif point.kind == "baseline":
        shape = f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" stroke-width="1.6" {paint}/>'
    else:
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {paint}/>'
    touched = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{6 if point.kind == "predicted" else 11}" fill="transparent"/>'
    return f"<g {point.tip.attributes}>{''.join(parts)}{shape}{touched}</g>"


def forest(rows: Sequence[tuple[str, float, float | None, str, Tip]]) -> str:
    """Gains with intervals, a row each: label, gain and half its interval in percent, color, tip."""
    height, left = 24, 150
    total = height * len(rows) + 40
    ends = [value for _, gain, margin, _, _ in rows for value in (gain - (margin or 0), gain + (margin or 0))]
    axis = Axis.over([*ends, 0.0], left, WIDTH - RIGHT, False)
    bottom = total - 36
    parts = []
    for value in axis.ticks():
        x = f"{axis.at(value):.1f}"
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="4" y2="{bottom}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>')
    zero = f"{axis.at(0):.1f}"
    parts.append(f'<line class="zero" x1="{zero}" x2="{zero}" y1="4" y2="{bottom}"/>')
    for number, (label, gain, margin, paint, tip) in enumerate(rows):
        y = 4 + height * (number + 0.5)
        shown = label if len(label) <= 26 else label[:25] + "…"
        inside = f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{escape(shown)}</text>'
        if margin is not None:
            x1, x2 = f"{axis.at(gain - margin):.1f}", f"{axis.at(gain + margin):.1f}"
            inside += f'<line class="margin" x1="{x1}" x2="{x2}" y1="{y}" y2="{y}" stroke="{paint}"/>'
        inside += f'<circle cx="{axis.at(gain):.1f}" cy="{y}" r="4.5" fill="{paint}"/>'
        touched = f'<rect x="0" y="{y - height / 2}" width="{WIDTH}" height="{height}" fill="transparent"/>'
        parts.append(f"<g {tip.attributes}>{inside}{touched}</g>")
    middle = (left + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{total - 4}" text-anchor="middle">gain over the best baseline (%)</text>')
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {total}" role="group" aria-label="gains">{"".join(parts)}</svg>'


def strip(schedule: Sequence[int], members: int) -> str:
    """A schedule as a row of cells, image end first; the darker, the later the member."""
    return f'<span class="strip" aria-label="{escape(words(schedule))}">{"".join(_cells(schedule, members))}</span>'


def words(schedule: Sequence[int]) -> str:
    """A schedule as text."""
    return " ".join("·" if member == 0 else str(int(member)) for member in schedule)


def _cells(schedule: Sequence[int], members: int) -> Iterable[str]:
    for member in schedule:
        share = int(member) / max(members, 1)
        if member:
            dark = ' class="dark"' if share > 0.5 else ""
            yield f'<i{dark} style="background:hsl(212 62% {88 - 58 * share:.0f}%)">{int(member)}</i>'
        else:
            yield '<i class="skip"></i>'
