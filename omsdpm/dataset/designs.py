"""Designs: which schedules to measure.

Random designs alone rarely look like good schedules. ``stratified`` covers the latencies
evenly, ``tree`` branches from shared beginnings, which cost one evaluation for all, and
``refine`` draws around the best that was measured. None of them asks a predictor, so the
labels favor none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omsdpm.dataset.dataset import SPLITS, ScheduleDataset
from omsdpm.errors import InputError, unknown_name
from omsdpm.solvers import Schedules, ScheduleSpace

NULL = (0.4, 0.85)
"""Range of null probabilities when a design varies them."""

ALPHA = 0.4
"""The paper's concentration of the Dirichlet prior."""

ATTEMPTS = 200
"""Batches of draws after which a design gives up finding schedules that are new."""


@dataclass(frozen=True)
class Setting:
    """What a design may look at.

    Attributes:
        space: the schedules' space.
        latency: ms a member.
        measured: what earlier rounds measured.
        window: least and greatest latency of a schedule, in ms; ``None`` for no bound.
        options: the design's own keys of the recipe.
    """

    space: ScheduleSpace
    latency: Sequence[float]
    measured: ScheduleDataset
    window: tuple[float, float] | None
    options: dict[str, float | tuple[float, float]]


Design = Callable[[Setting, int, np.random.Generator], Schedules]
"""Draws about ``n`` schedules; the caller drops what is not new and draws again."""


def draw(name: str, setting: Setting, n: int, rng: np.random.Generator, *, fewer: bool = False) -> Schedules:
    """Draws ``n`` new schedules ``(n, L)`` with a design of :data:`DESIGNS`.

    No two are the same, or the same as a measured one, in canonical form. ``exhaustive``
    ignores ``n``. With ``fewer`` there may be fewer than ``n``, where the window holds no more.

    Raises:
        InputError: unknown design, or one that finds too few new schedules.
    """
    if name not in DESIGNS:
        raise unknown_name("design", name, DESIGNS)
    space = setting.space
    if name == "exhaustive":
        return space.enumerate()
    seen = {row.tobytes() for row in space.canonical(setting.measured.X)} if len(setting.measured) else set()
    kept: list[np.ndarray] = []
    for _ in range(ATTEMPTS):
        candidates = space.canonical(DESIGNS[name](setting, max(n, 64), rng))
        if setting.window is not None:
            ms = space.latency(candidates, setting.latency)
            candidates = candidates[(ms >= setting.window[0]) & (ms <= setting.window[1])]
        for row in candidates:
            key = row.tobytes()
            if key not in seen and len(kept) < n:
                seen.add(key)
                kept.append(row)
        if len(kept) == n:
            return np.array(kept)
    if fewer:
        return np.array(kept, dtype=np.int64).reshape(-1, space.length)
    raise InputError(f"design {name!r} found {len(kept)} new schedules of {n}: ask for fewer, or widen its window")


def random_design(setting: Setting, n: int, rng: np.random.Generator) -> Schedules:
    """The paper's two forms, half each: uniform members, and members from a Dirichlet prior.

    ``null`` is a probability, or a range from which each schedule draws its own.
    """
    low, high = _range(setting.options.get("null", NULL))
    alpha = float(setting.options.get("alpha", ALPHA))  # type: ignore[arg-type]
    null = rng.uniform(low, high, size=n) if high > low else np.full(n, low)
    half = n // 2
    uniform = setting.space.random(n - half, rng, null=null[: n - half])
    skewed = setting.space.random(half, rng, null=null[n - half :], alpha=alpha)
    return rng.permutation(np.concatenate([uniform, skewed]))


def stratified_design(setting: Setting, n: int, rng: np.random.Generator) -> Schedules:
    """Random draws, thinned so that the latencies of the window are covered evenly."""
    pool = random_design(setting, 8 * n, rng)
    ms = setting.space.latency(pool, setting.latency)
    low, high = setting.window or (float(ms.min()), float(ms.max()))
    wanted = np.sort(rng.uniform(low, high, size=n))
    by_latency = np.argsort(ms, kind="stable")
    nearest = np.clip(np.searchsorted(ms[by_latency], wanted), 0, len(pool) - 1)
    return rng.permutation(pool[by_latency[np.unique(nearest)]])


def tree_design(setting: Setting, n: int, rng: np.random.Generator) -> Schedules:
    """``branches`` schedules from each of several trunks: same noise end, image end drawn anew.

    How a branch leaves its trunk is the solver's to say (:meth:`~omsdpm.solvers.ScheduleSpace.branch`).
    """
    space = setting.space
    branches = int(setting.options.get("branches", 6))  # type: ignore[arg-type]
    trunks = stratified_design(setting, -(-n // branches), rng)
    children = np.repeat(trunks, branches, axis=0)
    fresh = random_design(setting, len(children), rng)
    return space.branch(children, fresh, rng)


def refine_design(setting: Setting, n: int, rng: np.random.Generator) -> Schedules:
    """Offspring of the best measured schedules of each latency stratum.

    A child takes its image end from one parent and its noise end from another of like
    latency, then up to ``mutations`` slots are redrawn or an active slot moves by one.
    """
    if not len(setting.measured):
        raise InputError("design 'refine' needs measured schedules: put a random round before it")
    space = setting.space
    parents = elite_rows(setting, strata=16, share=0.04)
    X = setting.measured.X[parents]
    ms = space.latency(X, setting.latency)
    order = np.argsort(ms, kind="stable")
    X = X[order]
    first = rng.integers(len(X), size=n)
    second = np.clip(first + rng.integers(-3, 4, size=n), 0, len(X) - 1)
    cut = rng.integers(0, space.length + 1, size=n)
    children = np.where(np.arange(space.length)[None, :] < cut[:, None], X[first], X[second])
    mutations = int(setting.options.get("mutations", 2))  # type: ignore[arg-type]
    for _ in range(mutations):
        children = _mutate(space, children, rng)
    return space.repair(children, rng)


def elite_rows(setting: Setting, strata: int, share: float) -> np.ndarray:
    """Rows of the best ``share`` (at least two) of the measured schedules in each latency stratum."""
    ms = setting.space.latency(setting.measured.X, setting.latency)
    inside = np.arange(len(ms))
    if setting.window is not None:
        inside = inside[(ms >= setting.window[0]) & (ms <= setting.window[1])]
    if not len(inside):
        raise InputError(f"no measured schedule has a latency in {setting.window}: widen the window")
    rows = []
    for stratum in np.array_split(inside[np.argsort(ms[inside], kind="stable")], strata):
        best = stratum[np.argsort(setting.measured.y[stratum], kind="stable")]
        rows.append(best[: max(2, round(share * len(stratum)))])
    return np.concatenate(rows)


def share_out(
    splits: dict[str, int], y: NDArray[np.float64], latency: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.str_]:
    """Splits for the rows of an exhaustive round, ``(n,)``; rows that no split took get ``""``.

    ``elite`` rows are the best of 16 latency strata among what the others left; those are
    drawn at random from everything, so that ``test`` stays a plain random design.

    Raises:
        InputError: more rows asked for than there are.
    """
    if sum(splits.values()) > len(y):
        raise InputError(f"splits {splits} take {sum(splits.values())} rows of {len(y)}: ask for fewer")
    labels = np.full(len(y), "", dtype=np.array(SPLITS).dtype)
    order = rng.permutation(len(y))
    for name, n in splits.items():
        if name != "elite":
            labels[order[:n]] = name
            order = order[n:]
    strata = np.array_split(order[np.argsort(latency[order], kind="stable")], 16)
    shares = np.array_split(np.arange(splits.get("elite", 0)), 16)
    for stratum, share in zip(strata, shares, strict=True):
        labels[stratum[np.argsort(y[stratum], kind="stable")][: len(share)]] = "elite"
    return labels


def _mutate(space: ScheduleSpace, X: Schedules, rng: np.random.Generator) -> Schedules:
    """Per row one of: redraw a slot among all members and null; move an active slot by one; nothing."""
    X = X.copy()
    rows = np.arange(len(X))
    kind = rng.integers(3, size=len(X))
    slot = rng.integers(space.length, size=len(X))
    redrawn = rng.integers(space.num_models + 1, size=len(X))
    change = kind == 0
    X[rows[change], slot[change]] = redrawn[change]
    neighbor = np.clip(slot + rng.choice([-1, 1], size=len(X)), 0, space.length - 1)
    swap = kind == 1
    here, there = X[rows, slot].copy(), X[rows, neighbor].copy()
    X[rows[swap], slot[swap]] = there[swap]
    X[rows[swap], neighbor[swap]] = here[swap]
    return X


def _range(value: float | tuple[float, float]) -> tuple[float, float]:
    low, high = value if isinstance(value, (tuple, list)) else (value, value)
    return float(low), float(high)


def _exhaustive(setting: Setting, n: int, rng: np.random.Generator) -> Schedules:
    return setting.space.enumerate()


DESIGNS: dict[str, Design] = {
    "random": random_design,
    "stratified": stratified_design,
    "tree": tree_design,
    "refine": refine_design,
    "exhaustive": _exhaustive,
}
"""Designs by the name that a recipe gives them."""
