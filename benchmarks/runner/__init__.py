"""The run: fit a predictor, search on it, sample the winners for real, write it all down."""

from benchmarks.runner._leaderboard import COLUMNS, Leaderboard
from benchmarks.runner._result import RunResult
from benchmarks.runner._run import run_benchmark
from benchmarks.runner._settings import Settings
from benchmarks.runner._standalone import SearchRun, SearchSettings, run_search
from benchmarks.runner._tables import search_table, tables
from benchmarks.runner._winners import Scored, Winner

__all__ = [
    "COLUMNS",
    "Leaderboard",
    "RunResult",
    "Scored",
    "SearchRun",
    "SearchSettings",
    "Settings",
    "Winner",
    "run_benchmark",
    "run_search",
    "search_table",
    "tables",
]
