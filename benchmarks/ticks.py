"""Ticks of logarithmic axes that people can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def plain_log_ticks(axis: Any, digits: Sequence[float] = (1, 2, 5)) -> None:
    """Ticks of a matplotlib log axis at these digits times powers of ten, written as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=digits))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
