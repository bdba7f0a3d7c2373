"""The run: fit a predictor, search on it, sample the winners for real, write it all down."""

from benchmarks.runner._compare import compare
from benchmarks.runner._compare_table import comparison_table
from benchmarks.runner._comparison import Comparison
from benchmarks.runner._leaderboard import COLUMNS, Leaderboard
from benchmarks.runner._result import RunResult
from benchmarks.runner._run import run_benchmark
from benchmarks.runner._settings import Settings
from benchmarks.runner._standalone import SearchRun, SearchSettings, run_search
from benchmarks.runner._tables import search_table, tables
from benchmarks.runner._winners import Scored, Winner

__all__ = [
    "COLUMNS",
    "Comparison",
    "Leaderboard",
    "RunResult",
    "Scored",
    "SearchRun",
    "SearchSettings",
    "Settings",
    "Winner",
    "compare",
    "comparison_table",
    "run_benchmark",
    "run_search",
    "search_table",
    "tables",
]
