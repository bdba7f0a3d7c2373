"""Leaderboards of many runs as one, ranked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from omsdpm.files import check_writable
from studies.jobs.leaderboard.result import BoardEntry, LeaderboardResult, Method, Standing
from studies.jobs.leaderboard.rows import BoardRow, read_rows
from studies.jobs.leaderboard.settings import LeaderboardSettings
from studies.records.progress import SILENT, Reporter


def leaderboard(settings: LeaderboardSettings, reporter: Reporter = SILENT) -> LeaderboardResult:
    """Merges leaderboards, and ranks their entries.

    Raises:
        InputError: a file that is no leaderboard, or results that cannot be written; nothing is then.
    """
    rows = read_rows(settings.files)
    for path in (settings.csv, settings.markdown):
        if path is not None:
            check_writable(path)
    once = unique(rows)
    entries = ranked(marked(entries_of(once), installed_hashes(row.benchmark for row in once)))
    result = LeaderboardResult(
        settings=settings,
        rows=len(rows),
        duplicates=len(rows) - len(once),
        entries=tuple(entries),
        standings=tuple(standings(entries)),
    )
    if settings.csv is not None:
        result.write_csv(settings.csv)
    if settings.markdown is not None:
        result.write_markdown(settings.markdown)
    return result


def unique(rows: Iterable[BoardRow]) -> list[BoardRow]:
    """Rows that say the same of the same schedule once: of two files, or of a run that was repeated."""
    distinct: dict[object, BoardRow] = {}
    for row in rows:
        distinct.setdefault((_entry_of(row), row.validation_seed, str(row.score), row.baseline_score), row)
    return list(distinct.values())


def entries_of(rows: Iterable[BoardRow]) -> list[BoardEntry]:
    """Rows that differ by the validation seed alone as one entry.

    A second score for a seed that has one, as another version or machine may bring, is of an entry of its own.
    """
    groups: dict[object, list[BoardRow]] = defaultdict(list)
    times: Counter[object] = Counter()
    for row in rows:
        about = _entry_of(row)
        groups[about, times[about, row.validation_seed]].append(row)
        times[about, row.validation_seed] += 1
    entries = []
    for group in groups.values():
        group.sort(key=lambda row: row.validation_seed)
        first = group[0]
        baselines = tuple(row.baseline_score for row in group if row.baseline_score is not None)
        entries.append(
            BoardEntry(
                benchmark=first.benchmark,
                data_hash=first.data_hash,
                metric=first.metric,
                budget=first.budget,
                method=_method_of(first),
                run_seed=first.run_seed,
                when=first.when,
                schedule=first.schedule,
                latency=first.latency,
                images=first.images,
                seeds=tuple(row.validation_seed for row in group),
                scores=tuple(row.score for row in group),
                baseline=first.baseline,
                baseline_scores=baselines if len(baselines) == len(group) else None,
            )
        )
    return entries


def installed_hashes(names: Iterable[str]) -> dict[str, str]:
    """Data hashes of those benchmarks that are installed."""
    from benchmarks import benchmark_names, load_benchmark

    known = set(benchmark_names())
    return {name: load_benchmark(name).data_hash for name in set(names) & known}


def marked(entries: Iterable[BoardEntry], installed: dict[str, str]) -> list[BoardEntry]:
    """Entries, those marked whose data differ: from the installed benchmark's, else from most of the others'."""
    entries = list(entries)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        counts[entry.benchmark][entry.data_hash] += 1
    usual = {name: count.most_common(1)[0][0] for name, count in counts.items()} | installed
    return [entry.model_copy(update={"other_data": entry.data_hash != usual[entry.benchmark]}) for entry in entries]


def ranked(entries: Iterable[BoardEntry]) -> list[BoardEntry]:
    """Entries with ranks under each budget, among those of the same data; best first."""
    from scipy.stats import rankdata

    cells: dict[tuple[str, str, bool, float, str], list[BoardEntry]] = defaultdict(list)
    for entry in entries:
        cells[_cell(entry)].append(entry)
    ordered = []
    for key in sorted(cells):
        cell = cells[key]
        gains = [entry.gain for entry in cell if entry.gain is not None]
        by = "gain" if len(gains) == len(cell) else "score"
        ranks = rankdata([-gain for gain in gains] if by == "gain" else [entry.mean for entry in cell])
        pairs = zip(cell, ranks.tolist(), strict=True)
        placed = [entry.model_copy(update={"by": by, "rank": rank}) for entry, rank in pairs]
        ordered += sorted(placed, key=lambda entry: (entry.rank, entry.method.text, entry.run_seed, entry.when))
    return ordered


def standings(entries: Iterable[BoardEntry]) -> list[Standing]:
    """Methods by mean rank over all budgets of the benchmarks' own data."""
    entries = [entry for entry in entries if not entry.other_data]
    total = len({_cell(entry) for entry in entries})
    groups: dict[Method, list[BoardEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.method].append(entry)
    table = []
    for method, group in groups.items():
        verdicts = Counter(entry.verdict for entry in group)
        table.append(
            Standing(
                method=method,
                mean_rank=sum(entry.rank for entry in group) / len(group),
                cells=len({_cell(entry) for entry in group}),
                of=total,
                runs=len({(entry.run_seed, entry.when) for entry in group}),
                better=verdicts["better"],
                inconclusive=verdicts["inconclusive"],
                worse=verdicts["worse"],
            )
        )
    return sorted(table, key=lambda standing: (standing.mean_rank, standing.method.text))


def _cell(entry: BoardEntry) -> tuple[str, str, bool, float, str]:
    """What entries are ranked within; in the order of the tables."""
    return entry.benchmark, entry.metric, entry.other_data, entry.budget, entry.data_hash


def _method_of(row: BoardRow) -> Method:
    return Method(
        optimizer=row.optimizer,
        predictor=row.predictor,
        train_size=row.train_size,
        evaluations=row.evaluations,
        kappa=row.kappa,
    )


def _entry_of(row: BoardRow) -> object:
    """What a row is about, apart from the noise."""
    return (
        row.benchmark, row.data_hash, row.metric, row.budget, _method_of(row), row.run_seed, row.schedule, row.images,
        row.baseline,
    )  # fmt: skip
