"""Appending to one leaderboard, also from several processes."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from omsdpm.errors import InputError
from studies.records.appended import AppendedCSV
from studies.records.leaderboard import COLUMNS, Leaderboard

WRITER = """
import sys
from studies.records.leaderboard import COLUMNS, Leaderboard
board = Leaderboard(sys.argv[1])
for number in range(30):
    row = {**dict.fromkeys(COLUMNS, "x"), "benchmark": sys.argv[2], "run_seed": number}
    board.append([row, {**row, "validation_seed": "second"}])
"""


def row(**values):
    return {**dict.fromkeys(COLUMNS, ""), **values}


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_header_once_and_rows_in_order(tmp_path):
    board = Leaderboard(tmp_path / "below" / "board.csv")
    board.append([row(score=1)])
    board.append([row(score=2), row(score=3, device='a "quoted", name')])
    written = read(board.path)
    assert [line["score"] for line in written] == ["1", "2", "3"]
    assert written[2]["device"] == 'a "quoted", name'
    assert tuple(written[0]) == COLUMNS


def test_two_processes_lose_no_row(tmp_path):
    path = tmp_path / "board.csv"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("first", "second")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    written = read(path)
    assert len(written) == 120
    for name in ("first", "second"):
        assert [int(line["run_seed"]) for line in written if line["benchmark"] == name] == [
            number for number in range(30) for _ in range(2)
        ]


def test_other_columns_are_refused_and_kept(tmp_path):
    path = tmp_path / "board.csv"
    path.write_text("name,score\nsomebody,1\n")
    board = Leaderboard(path)
    with pytest.raises(InputError, match="other columns"):
        board.check()
    with pytest.raises(InputError, match="other columns"):
        board.append([row(score=1)])
    assert path.read_text() == "name,score\nsomebody,1\n"


def test_binary_file_is_refused(tmp_path):
    path = tmp_path / "board.csv"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="cannot read leaderboard"):
        Leaderboard(path).check()


def test_missing_last_newline_joins_no_rows(tmp_path):
    board = Leaderboard(tmp_path / "board.csv")
    board.append([row(score=1)])
    board.path.write_text(board.path.read_text().rstrip("\n"))
    board.append([row(score=2)])
    assert [line["score"] for line in read(board.path)] == ["1", "2"]


def test_failed_write_leaves_the_old_file(tmp_path):
    board = Leaderboard(tmp_path / "board.csv")
    board.append([row(score=1)])
    before = board.path.read_bytes()
    with pytest.raises(ValueError, match="unexpected"):
        board.append([row(score=2), row(unexpected=3)])
    assert board.path.read_bytes() == before


def test_rows_are_read_back_as_text(tmp_path):
    board = Leaderboard(tmp_path / "board.csv")
    assert board.rows() == []
    board.append([row(score=1, device='a "quoted", name'), row(score=2.5)])
    assert board.rows() == [row(score="1", device='a "quoted", name'), row(score="2.5")]


def test_a_torn_row_is_told_by_number(tmp_path):
    board = Leaderboard(tmp_path / "board.csv")
    board.append([row(score=1)])
    with board.path.open("a") as file:
        file.write("2026-01-01,tiny\n")
    with pytest.raises(InputError, match="row 2 has 2 cells, expected 20; mend it or give another --leaderboard"):
        board.rows()


def test_columns_are_the_files_own(tmp_path):
    table = AppendedCSV(tmp_path / "t.csv", ("a", "b"))
    table.append([{"a": 1, "b": "x"}])
    assert table.path.read_text() == "a,b\n1,x\n"
    with pytest.raises(InputError, match="has other columns than this version writes: name another file"):
        AppendedCSV(table.path, ("a", "c")).check()


def test_check_writes_nothing(tmp_path):
    Leaderboard(tmp_path / "board.csv").check()
    assert list(tmp_path.iterdir()) == []
