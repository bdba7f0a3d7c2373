"""A sample of ``python -m tests.kill``, and that its comparison sees what is lost, doubled and left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill.compare import content, difference
from tests.kill.suite import points

ROOT = Path(__file__).parents[2]


def test_kills_lose_nothing():
    """Kills of three commands in a process of their own, as forking one with threads is no good idea."""
    told = subprocess.run(
        [
            sys.executable, "-m", "tests.kill", "--kills", "2", "--command", "run", "--command", "sample --images",
            "--command", "predictor fit (over one)",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    *_, last = told.stdout.strip().splitlines()
    name, _, kills, went_on, *bad = last.split()
    assert (name, kills, went_on, bad) == ("all", "6", "6", ["0", "0", "0", "0"])


@pytest.fixture
def folders(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.csv").write_text("run,score,when\na,1,9\nb,2,9\n")
        (tmp_path / name / "r.json").write_text(json.dumps({"seconds": 1, "scores": [1, 2]}))
    return tmp_path / "one", tmp_path / "other"


def differs(folders):
    found = difference(*(content(folder) for folder in folders))
    return found.lost, found.doubled, found.other


def test_times_and_locks_are_no_difference(folders):
    (folders[0] / "rows.csv").write_text("run,score,when\na,1,10\nb,2,11\n")
    (folders[0] / "r.json").write_text(json.dumps({"seconds": 2, "scores": [1, 2]}))
    (folders[0] / ".run.lock").touch()
    assert differs(folders) == (0, 0, [])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("a,1,9\n", (1, 0, [])),
        ("a,1,9\nb,2,9\nb,2,10\n", (0, 1, [])),
        ("a,1,9\na,1,9\na,1,9\n", (1, 2, [])),
        ("a,1,9\nb,3,9\n", (1, 0, ["rows.csv"])),
    ],
)
def test_rows_are_counted(folders, rows, expected):
    (folders[0] / "rows.csv").write_text("run,score,when\n" + rows)
    assert differs(folders) == expected


def test_other_files_are_named(folders):
    (folders[0] / "r.json").write_text(json.dumps({"seconds": 1, "scores": [1, 3]}))
    (folders[0] / ".r-m01234567-99-abcdefgh.json").write_text("{")
    (folders[1] / "only.bin").write_bytes(b"x")
    (folders[0] / "empty").mkdir()
    assert differs(folders) == (0, 0, ["left: .r-m01234567-99-abcdefgh.json", "empty/", "only.bin", "r.json"])


def test_points_are_spread():
    assert list(points(3, 10)) == [1, 2, 3]
    assert list(points(100, 5)) == [1, 26, 50, 75, 100]
    assert list(points(9, 1)) == [9]
