"""A sample of ``python -m tests.fuzz``: other inputs than those of the long runs, from their own seed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.driver import BAD, Report, run, shares
from tests.fuzz.kinds import KINDS
from tests.fuzz.mutations import damaged
from tests.fuzz.schema import number, rows, table, whole

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def report() -> Report:
    return run(300, seed=12)


@pytest.mark.parametrize("kind", list(KINDS))
def test_malformed_files_are_refused_in_a_line_or_accepted_rightly(report, kind):
    bad = [fault for fault in report.faults if fault[0] == kind and fault[2] in BAD]
    assert not bad, "\n\n".join(f"{number} {outcome}: {what}\n{detail}" for _, number, outcome, what, detail in bad)
    counts = report.counts[kind]
    assert sum(counts.values()) >= 15 and counts["refused"] >= 5  # damage is damage


def test_the_table_counts_all(report):
    last = report.table().splitlines()[-1].split()
    assert last[0] == "all" and int(last[1].replace(",", "")) == report.tried >= 300


def test_shares_give_each_kind_its_part():
    counts = shares(6000)
    assert set(counts) == set(KINDS) and 6000 <= sum(counts.values()) <= 6000 + len(KINDS)
    assert shares(50, "YAML") == {"YAML": 50}


def test_the_same_seed_damages_alike():
    raw = bytes(range(256)) * 4
    one, other = (damaged(raw, np.random.default_rng(5)) for _ in range(2))
    assert one == other != damaged(raw, np.random.default_rng(6))


def test_judges_are_strict():
    rule = table({"n": whole(1)}, {"window": rows(number(0), 2, 2)})
    assert rule({"n": 1}) and rule({"n": 1, "window": [0, 2.5]})
    for wrong in ({}, {"n": True}, {"n": 1.0}, {"n": 0}, {"n": 1, "window": [10]}, {"n": 1, "m": 2}, {"n": 10**30}):
        assert not rule(wrong)
    assert not rule({"n": 1, "window": [0, float("inf")]})


def test_the_command_tells_its_kinds():
    out = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "--inputs" in out and "saved predictors" in out
