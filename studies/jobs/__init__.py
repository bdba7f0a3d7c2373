"""Jobs: functions from settings to a result that is written and read back."""

from studies.jobs.compare.job import compare
from studies.jobs.compare.result import Comparison
from studies.jobs.compare.table import comparison_table
from studies.jobs.run.job import run_benchmark
from studies.jobs.run.result import RunResult
from studies.jobs.run.settings import Settings
from studies.jobs.run.table import search_table, tables
from studies.jobs.run.winners import Scored, Winner
from studies.jobs.search.job import SearchRun, SearchSettings, run_search

__all__ = [
    "Comparison",
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
