"""The critical-difference diagram (Demsar, 2006, figure 1): mean ranks on a line, bars over those that may be alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omsdpm.files import replacing
from omsdpm.names import file_name

AXIS = 4.0
"""Length of the line, in inches."""

ROW = 0.24
"""Height of a line of text, in inches."""

LETTER = 0.078
"""Width of a letter of a name, in inches."""

ROUNDING = 1e-9
"""Mean ranks are sums of fractions; two may miss the critical difference by this much."""

BAR, LINE = "#1c2733", "#8a949e"


def diagram_file(group: str) -> str:
    """The name of the picture of a group of ``ranks.csv``."""
    return file_name(f"ranks-{group}.png".replace(" ", "-"))


def cliques(ranks: Sequence[float], critical_difference: float) -> list[tuple[int, int]]:
    """The largest runs of methods of which no two differ, as places of their first and last.

    Args:
        ranks: ``(k,)`` mean ranks, rising.
        critical_difference: mean ranks farther apart differ.

    Example:
        >>> cliques([1.2, 1.9, 2.9, 4.0], 1.0)
        [(0, 1), (1, 2)]
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(at for at, other in enumerate(ranks) if other - rank <= critical_difference + ROUNDING)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def write_diagram(
    names: Sequence[str], ranks: Sequence[float], critical_difference: float, blocks: int, title: str, path: Path
) -> None:
    """Draws the methods on a line by their mean ranks, the best at the left; a PNG.

    Args:
        names: ``k`` methods, two at least, best first.
        ranks: ``(k,)`` their mean ranks, rising.
        critical_difference: by Nemenyi's test; drawn as a scale, and as bars over methods within it.
        blocks: that were ranked in.
        title: of the picture.
        path: the PNG.
    """
    from matplotlib.figure import Figure

    k, bars = len(names), cliques(ranks, critical_difference)
    half = (k + 1) // 2  # the better ones are named at the left
    top, under = 3.2, 0.45 * len(bars) + 0.7  # rows above the line, and between it and the first name
    rows = top + under + half + 0.1
    span = min(critical_difference, k - 1)
    beyond = "" if critical_difference <= k - 1 else ", more than all ranks span"
    words = f"critical difference {critical_difference:.2f}{beyond} ({blocks} blocks)"

    def at(rank: float) -> float:
        return (rank - 1) / (k - 1) * AXIS

    # Inches beside the line: for names and their ranks, and for the words after the scale.
    left_side = 0.6 + LETTER * max(map(len, names[:half]))
    right_side = max(0.6 + LETTER * max(map(len, names[half:])), at(1 + span) + LETTER * len(words) - AXIS)
    figure = Figure(figsize=(left_side + AXIS + right_side, ROW * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.set(xlim=(-left_side, AXIS + right_side), ylim=(rows - top, -top))  # inches by rows
    axes.plot([at(1), at(k)], [0, 0], color=BAR, linewidth=1.2)
    for tick in range(1, k + 1):
        axes.plot([at(tick), at(tick)], [0, -0.3], color=BAR, linewidth=1.2)
        axes.text(at(tick), -0.45, str(tick), ha="center", va="bottom", fontsize=9)
    axes.plot([at(1), at(1 + span)], [-1.75, -1.75], color=BAR, linewidth=1.2, marker="|", markersize=6)
    axes.text(at(1 + span) + 0.1, -1.75, words, va="center", fontsize=9)
    axes.text(0.1 - left_side, -2.75, title, va="center", fontsize=10.5)
    for number, (first, last) in enumerate(bars):
        y = 0.4 + 0.45 * number
        ends = [at(ranks[first]) - 0.04, at(ranks[last]) + 0.04]
        axes.plot(ends, [y, y], color=BAR, linewidth=3.2, solid_capstyle="butt")
    for place, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        left = place < half
        y = under + (place if left else k - 1 - place)
        end, beside = (-0.1, -0.15) if left else (AXIS + 0.1, AXIS + 0.15)
        axes.plot([at(rank), at(rank), end], [0, y, y], color=LINE, linewidth=0.9, zorder=0)
        text = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
        axes.text(beside, y, text, ha="right" if left else "left", va="center", fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
