"""Appending to one leaderboard, also from several processes."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from omsdpm.errors import InputError
from studies.jobs.compare.result import ComparisonFile
from studies.records.appended import AppendedCSV
from studies.records.columns import Column, Columns
from studies.records.leaderboard import COLUMNS, Leaderboard

WRITER = """
import sys
from studies.records.leaderboard import COLUMNS, Leaderboard
board = Leaderboard(sys.argv[1])
for number in range(30):
    row = {**dict.fromkeys(COLUMNS.names, "x"), "benchmark": sys.argv[2], "run_seed": number}
    board.append([row, {**row, "validation_seed": "second"}])
"""


def row(**values):
    return {**dict.fromkeys(COLUMNS.names, ""), **values}


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
    assert tuple(written[0]) == COLUMNS.names


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
    with pytest.raises(InputError, match="row 2 has 2 cells, expected 24; mend it or give another --leaderboard"):
        board.rows()


def test_columns_are_the_files_own(tmp_path):
    table = AppendedCSV(tmp_path / "t.csv", ("a", "b"))
    table.append([{"a": 1, "b": "x"}])
    assert table.path.read_text() == "a,b\n1,x\n"
    with pytest.raises(InputError, match=r"has other columns than a table \(it lacks c\): name another file"):
        AppendedCSV(table.path, ("a", "c")).check()


def test_check_writes_nothing(tmp_path):
    Leaderboard(tmp_path / "board.csv").check()
    assert list(tmp_path.iterdir()) == []


# -- files of other versions ---------------------------------------------------------


def header_of(path):
    return path.read_text().splitlines()[0].split(",")


def test_an_older_file_is_read_and_appended_to(tmp_path):
    """Fewer columns, in another order: what is lacking is an empty cell."""
    path = tmp_path / "board.csv"
    old = [name for name in reversed(COLUMNS.names) if name not in ("best_baseline_mean", "device", "version")]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, old, lineterminator="\n")
        writer.writeheader()
        writer.writerow({**dict.fromkeys(old, "x"), "score": "1.5"})
    before = path.read_text()
    board = Leaderboard(path)
    board.check()
    assert path.read_text() == before
    (kept,) = board.rows()
    assert set(kept) == set(COLUMNS.names)
    assert (kept["score"], kept["metric"], kept["device"], kept["version"]) == ("1.5", "x", "", "")
    board.append([row(score=2, device="new", metric="fid")])
    assert header_of(path) == [*old, *(name for name in COLUMNS.names if name not in old)]
    first, second = board.rows()
    assert first == kept
    assert (second["score"], second["device"], second["metric"]) == ("2", "new", "fid")
    board.append([row(score=3)])
    assert [line["score"] for line in board.rows()] == ["1.5", "2", "3"]


def test_columns_of_a_newer_version_are_left_where_they_are(tmp_path):
    path = tmp_path / "board.csv"
    names = ["prompt", *COLUMNS.names[:5], "guidance", *COLUMNS.names[5:]]
    path.write_text(",".join(names) + "\n" + ",".join('"a, b"' if name == "prompt" else "1" for name in names) + "\n")
    before = path.read_text()
    board = Leaderboard(path)
    board.append([row(score=2, metric="fid")])
    assert path.read_text().startswith(before)
    first, second = board.rows()
    assert (first["prompt"], first["guidance"], first["score"]) == ("a, b", "1", "1")
    assert (second["prompt"], second["guidance"], second["score"], second["metric"]) == ("", "", "2", "fid")


def test_a_torn_row_of_an_older_file_stops_what_would_widen_it(tmp_path):
    path = tmp_path / "board.csv"
    old = [name for name in COLUMNS.names if name != "version"]
    path.write_text(",".join(old) + "\na,b\n")
    with pytest.raises(InputError, match="row 1 has 2 cells, expected 23; mend it"):
        Leaderboard(path).append([row(score=1)])
    assert path.read_text().endswith("\na,b\n")


def test_a_new_column_is_one_line():
    columns = Columns(*COLUMNS, Column("optimum", lambda entry: entry.score / 2, "number"))
    assert columns.names == (*COLUMNS.names, "optimum") and "optimum" in columns.numbers
    assert Columns(columns.columns[-1]).row(SimpleNamespace(score=3.0)) == {"optimum": 1.5}
    assert Columns(Column("nothing", lambda entry: None)).row(None) == {"nothing": ""}


def test_our_own_comparison_is_read_as_it_is():
    file = ComparisonFile(Path(__file__).parents[2] / "benchmarks" / "leaderboards")
    before = file.path.read_bytes()
    file.check()
    assert len(file.rows()) > 500 and {line["predictor"] for line in file.rows()} >= {"gp", "lstm", "lstm-paper"}
    ranks = file.of("digits-ddim", "3c210a331f14b2c9")
    assert float(ranks["lstm-paper", 50, 0]["kendall_tau"]) == 0.752657
    assert file.path.read_bytes() == before


TEXTS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=1", "''=1", "'", "it's", "-", "\t=1", "a=1", "0 3 0", ""]


def test_cells_are_no_formulas_and_are_read_back(tmp_path):
    """What a spreadsheet would run begins with none of its signs, and numbers stay as they are."""
    table = AppendedCSV(tmp_path / "t.csv", ("name", "score"))
    table.append({"name": text, "score": -1.5e-7} for text in TEXTS)
    table.append([{"name": "=again", "score": "+2"}])
    with open(table.path, encoding="utf-8", newline="") as file:
        cells = list(csv.reader(file))[1:]
    assert not any(name.startswith(("=", "+", "-", "@", "\t")) for name, _ in cells)
    assert [score for _, score in cells] == ["-1.5e-07"] * len(TEXTS) + ["+2"]
    assert [row["name"] for row in table.rows()] == [*TEXTS, "=again"]
