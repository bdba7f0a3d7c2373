"""The tables and plots of a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omsdpm.files import replacing
from omsdpm.names import file_name
from studies.jobs.study.cell import Cell
from studies.jobs.study.diagram import diagram_file, write_diagram
from studies.jobs.study.statistics import expected_cost, mean_interval, mean_ranks
from studies.records.tables import compact, write_csv

Rows = list[dict[str, Any]]
"""A row a cell and budget."""

RUN_COLUMNS = (
    "benchmark", "data_hash", "optimizer", "predictor", "seed", "budget", "status", "reason", "basis", "score",
    "regret", "labels", "evaluations", "hypervolume", "fit_seconds", "search_seconds", "overhead_seconds", "schedule",
)  # fmt: skip

ECDF = "ecdf.csv"
"""Where the any-time curves are kept, for whoever draws them."""

ECDF_TARGETS = 30
"""Regrets of the any-time plot, evenly spread on a logarithmic axis."""


def rows_of(cells: Sequence[tuple[Cell, dict[str, Any]]]) -> Rows:
    """A row a cell and budget, with what was best in all of the study as the optimum where none is known.

    ``score`` is the measured score where there is one (``basis`` "measured"), else the predicted one.
    """
    rows: Rows = []
    for cell, outcome in cells:
        for part in outcome["rows"]:
            measured = part.get("measured")
            row = {
                "benchmark": cell.benchmark, "data_hash": cell.data_hash, "optimizer": cell.optimizer,
                "predictor": cell.predictor, "seed": cell.seed,
                "basis": "measured" if measured is not None else "predicted",
                "score": part.get("predicted") if measured is None else measured,
                "regret": None,
            }  # fmt: skip
            shared = ("labels", "labels_are_evaluations", "evaluations", "hypervolume", "fit_seconds",
                      "search_seconds", "overhead_seconds")  # fmt: skip
            rows.append(row | {name: outcome.get(name) for name in shared} | part)
    measured = [row for row in rows if row["status"] == "ok" and row["basis"] == "measured"]
    for some in _grouped(measured, "benchmark", "budget").values():
        best = min(row["score"] for row in some)
        for row in some:
            row["optimum"] = row.get("optimum", best)
            row["regret"] = row["score"] - row["optimum"]
    return rows


def write_tables(folder: Path, rows: Rows, targets: Sequence[float]) -> None:
    """Writes ``runs.csv``, ``anytime.csv``, ``ecdf.csv``, ``scores.csv``, ``ranks.csv``, ``targets.csv`` and the plots.

    These are any-time curves of each benchmark, and a critical-difference diagram of each group that is ranked.
    """
    shown = [row | {"schedule": compact(row.get("schedule", ()))} for row in rows]
    write_csv(folder / "runs.csv", RUN_COLUMNS, ([row.get(name) for name in RUN_COLUMNS] for row in shown))
    header: tuple[str, ...] = ("benchmark", "optimizer", "predictor", "seed", "budget", "labels", "evaluations",
                               "seconds", "predicted", "measured", "regret")  # fmt: skip
    write_csv(folder / "anytime.csv", header, ([point[name] for name in header] for point in points(rows)))
    header = ("benchmark", "optimizer", "predictor", "evaluations", "reached")
    write_csv(folder / ECDF, header, ([one[name] for name in header] for one in ecdf(rows)))
    header = ("benchmark", "budget", "optimizer", "predictor", "basis", "runs", "failures", "mean", "low", "high")
    write_csv(folder / "scores.csv", header, ([one[name] for name in header] for one in scores(rows)))
    header = ("group", "optimizer", "predictor", "mean_rank", "blocks", "critical_difference", "friedman_p",
              "as_good_as_best")  # fmt: skip
    ranked = ranks(rows)
    write_csv(folder / "ranks.csv", header, ([one[name] for name in header] for one in ranked))
    for (group,), some in _grouped(ranked, "group").items():
        _draw_ranks(str(group), some, folder / diagram_file(str(group)))
    header = ("benchmark", "budget", "optimizer", "predictor", "target", "runs", "reached", "expected_evaluations",
              "expected_labels")  # fmt: skip
    write_csv(folder / "targets.csv", header, ([one[name] for name in header] for one in costs(rows, targets)))
    for name in dict.fromkeys(row["benchmark"] for row in rows):
        write_plot([row for row in rows if row["benchmark"] == name], folder / file_name(f"anytime-{name}.png"))


def points(rows: Rows) -> Rows:
    """The any-time curves, a row a point; labels grow with evaluations where these are measurements."""
    table = []
    for row in rows:
        for point in row.get("curve", ()):
            known = point["measured"] is not None and "optimum" in row
            table.append(
                row
                | point
                | {
                    "labels": point["evaluations"] if row["labels_are_evaluations"] else row["labels"],
                    "regret": point["measured"] - row["optimum"] if known else None,
                }
            )
    return table


def scores(rows: Rows) -> Rows:
    """Mean score over seeds and its bootstrap interval, of each method under each budget; failures are counted."""
    table = []
    for key, some in _grouped(rows, "benchmark", "budget", "optimizer", "predictor").items():
        good = [row["score"] for row in some if row["status"] == "ok"]
        mean, low, high = mean_interval(good) if good else (None, None, None)
        table.append(
            dict(zip(("benchmark", "budget", "optimizer", "predictor"), key, strict=True))
            | {"basis": some[0]["basis"] if good else "", "runs": len(some), "failures": len(some) - len(good)}
            | {"mean": mean, "low": low, "high": high}
        )
    return table


def ranks(rows: Rows) -> Rows:
    """Mean ranks of the methods, best first.

    A block is a benchmark and a seed, whose budgets' ranks are averaged, for they share a search. A
    failure ranks last. A budget that nobody met is left out. Predicted scores are compared only
    between searches on the same predictor, as a group of their own.
    """
    from scipy.stats import rankdata

    table = []
    groups: dict[str, Rows] = {}
    measured = {name for name in (r["benchmark"] for r in rows) if _all_measured(rows, name)}
    for row in rows:
        groups.setdefault("measured" if row["benchmark"] in measured else f"on {row['predictor']}", []).append(row)
    for group, some in groups.items():
        methods = list(dict.fromkeys((row["optimizer"], row["predictor"]) for row in some))
        if len(methods) < 2:
            continue
        blocks = []
        for block in _grouped(some, "benchmark", "seed").values():
            per_budget = []
            for budget in _grouped(block, "budget").values():
                value = {(r["optimizer"], r["predictor"]): r["score"] for r in budget if r["status"] == "ok"}
                if value:
                    per_budget.append(rankdata([value.get(method, np.inf) for method in methods]))
            if per_budget:
                blocks.append(np.mean(per_budget, axis=0))
        if not blocks:
            continue
        result = mean_ranks(np.array(blocks))
        for at in np.argsort(result.mean, kind="stable"):
            table.append(
                {
                    "group": group, "optimizer": methods[at][0], "predictor": methods[at][1],
                    "mean_rank": float(result.mean[at]), "blocks": result.blocks,
                    "critical_difference": result.critical_difference, "friedman_p": result.p_value,
                    "as_good_as_best": bool(result.mean[at] - result.mean.min() <= result.critical_difference),
                }
            )  # fmt: skip
    return table


def costs(rows: Rows, targets: Sequence[float]) -> Rows:
    """Expected evaluations and labels until a search's schedule has a regret of a target at most."""
    table = []
    for key, some in _grouped(rows, "benchmark", "budget", "optimizer", "predictor").items():
        good = [row for row in some if row["regret"] is not None]
        if not good:
            continue
        for target in targets:
            evaluations, labels, reached = [], [], []
            for row in good:
                hit = _hit(row, target)
                spent = row["evaluations"] if hit is None else hit
                evaluations.append(spent)
                labels.append(spent if row["labels_are_evaluations"] else row["labels"])
                reached.append(hit is not None)
            table.append(
                dict(zip(("benchmark", "budget", "optimizer", "predictor"), key, strict=True))
                | {"target": target, "runs": len(some), "reached": sum(reached)}
                | {
                    "expected_evaluations": expected_cost(evaluations, reached),
                    "expected_labels": expected_cost(labels, reached),
                }
            )
    return table


def reached_by(rows: Rows, targets: NDArray[np.float64], stops: NDArray[np.int64]) -> NDArray[np.float64]:
    """Part of the pairs of run and target that are reached after each of ``(s,)`` evaluations; failures reach none."""
    hits = [hit for row in rows for target in targets if (hit := _hit(row, target)) is not None]
    return np.array([sum(hit <= stop for hit in hits) for stop in stops]) / max(1, len(rows) * len(targets))


def ecdf(rows: Rows) -> Rows:
    """:func:`reached_by` of each method on each benchmark where regret is known, a row a number of evaluations."""
    table = []
    for (name,), some in _grouped(rows, "benchmark").items():
        regrets = [p["regret"] for p in points(some) if p["regret"] is not None and p["regret"] > 0]
        if not regrets:
            continue
        targets = np.geomspace(max(regrets), min(1e-3, max(regrets) / 10), ECDF_TARGETS)
        last = max(row["evaluations"] for row in some if row.get("evaluations"))
        stops = np.unique(np.geomspace(1, last, 200).round().astype(np.int64))
        for (optimizer, predictor), own in _grouped(some, "optimizer", "predictor").items():
            method = {"benchmark": name, "optimizer": optimizer, "predictor": predictor}
            parts = zip(stops.tolist(), reached_by(own, targets, stops).tolist(), strict=True)
            table += [method | {"evaluations": stop, "reached": part} for stop, part in parts]
    return table


def write_plot(rows: Rows, path: Path) -> None:
    """The any-time ECDF of each method; where nothing is measured during a search, the mean predicted score."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    methods = _grouped(rows, "optimizer", "predictor")
    if reached := ecdf(rows):
        for (optimizer, predictor), some in _grouped(reached, "optimizer", "predictor").items():
            x, y = zip(*((one["evaluations"], one["reached"]) for one in some), strict=True)
            axes.step(x, y, where="post", label=f"{optimizer}, {predictor}")
        axes.set(ylabel=f"part of runs x {ECDF_TARGETS} regret targets reached", ylim=(0, 1.02))
    else:
        for (optimizer, predictor), some in methods.items():
            for number, row in enumerate(r for r in some if r.get("curve")):
                x, y = zip(*((p["evaluations"], p["predicted"]) for p in row["curve"]), strict=True)
                label = f"{optimizer}, {predictor}" if number == 0 else None
                axes.step(
                    x, y, where="post", alpha=0.6, label=label, color=f"C{list(methods).index((optimizer, predictor))}"
                )
        axes.set(ylabel="best predicted score under each budget")
    axes.set(xlabel="evaluations", xscale="log", title=rows[0]["benchmark"])
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _draw_ranks(group: str, ranked: Rows, path: Path) -> None:
    """The diagram of one group of :func:`ranks`; methods are named by what they differ in."""
    differ = [name for name in ("optimizer", "predictor") if len({row[name] for row in ranked}) > 1]
    first = ranked[0]
    p_value = first["friedman_p"]
    test = "" if p_value is None else f"; Friedman's p = {p_value:.2g}"
    write_diagram(
        [" on ".join(row[name] for name in differ) for row in ranked],
        [row["mean_rank"] for row in ranked],
        first["critical_difference"],
        first["blocks"],
        f"Mean ranks, {group}{test}",
        path,
    )


def _hit(row: dict[str, Any], target: float) -> int | None:
    """Evaluations until a regret of at most ``target``; of a sampled winner, all of the search's."""
    if row["status"] != "ok" or row["regret"] is None:
        return None
    curve = [p for p in row["curve"] if p["measured"] is not None]
    if not curve:
        return int(row["evaluations"]) if row["regret"] <= target else None
    return next((int(p["evaluations"]) for p in curve if p["measured"] - row["optimum"] <= target), None)


def _all_measured(rows: Rows, benchmark: str) -> bool:
    good = [row for row in rows if row["benchmark"] == benchmark and row["status"] == "ok"]
    return all(row["basis"] == "measured" for row in good)


def _grouped(rows: Rows, *names: str) -> dict[tuple[Any, ...], Rows]:
    groups: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return groups
