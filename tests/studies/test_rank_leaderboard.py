"""Leaderboards of many runs as one: ranks with known values, files that others changed, rows sampled again."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import ttest_rel

from omsdpm.errors import InputError, InputWarning
from studies.cli import main
from studies.jobs.leaderboard import LeaderboardResult, LeaderboardSettings, leaderboard
from studies.jobs.leaderboard_verify import VerifyResult, VerifySettings, verify
from studies.records.leaderboard import COLUMNS, Leaderboard

SCORES = {"good": (1.0, 1.2, 1.1), "even": (2.0, 1.9, 2.2), "bad": (3.0, 3.1, 2.8)}
BASELINE = (2.1, 2.0, 2.05)


def row(predictor="good", seed=0, score=1.0, baseline=2.0, **more):
    return {
        **dict.fromkeys(COLUMNS.names, ""),
        "when": "2026-11-25T10:00:00+00:00", "benchmark": "made-up", "data_hash": "abcd", "optimizer": "nsga2",
        "predictor": predictor, "train_size": 100, "evaluations": 50, "run_seed": 0, "budget_ms": "8",
        "schedule": "0 1 0 2", "validation_seed": 100 + seed, "images": 96, "metric": "fd", "score": score,
        "baseline_score": baseline, "baseline": "member 1", "kappa": "1",
    } | more  # fmt: skip


def rows_of(predictor, **more):
    return [
        row(predictor, seed, score, theirs, **more)
        for seed, (score, theirs) in enumerate(zip(SCORES[predictor], BASELINE, strict=True))
    ]


ALL = [one for predictor in ("bad", "good", "even") for one in rows_of(predictor)]


def write(path, rows):
    Leaderboard(path).append(rows)
    return path


def ranked(*paths, **more):
    return leaderboard(LeaderboardSettings(files=paths, **more))


def ranks(result):
    return [(entry.method.predictor, entry.rank) for entry in result.entries]


@pytest.fixture
def board(tmp_path):
    return write(tmp_path / "board.csv", ALL)


# -- ranks ---------------------------------------------------------------------------


def test_entries_are_ranked_by_paired_gain_with_its_interval(board):
    result = ranked(board)
    assert ranks(result) == [("good", 1), ("even", 2), ("bad", 3)]
    assert [entry.verdict for entry in result.entries] == ["better", "inconclusive", "worse"]
    best = result.entries[0]
    assert best.by == "gain" and best.gain == pytest.approx(100 * (2.05 - 1.1) / 2.05)
    low, high = ttest_rel(BASELINE, SCORES["good"]).confidence_interval(0.95)
    assert best.gain_margin == pytest.approx(100 * (high - low) / 2 / 2.05)
    assert best.seeds == (100, 101, 102) and best.method.text == "nsga2 on good, 100 labels"


def test_without_baselines_entries_are_ranked_by_score(tmp_path):
    lacking = [one | {"baseline_score": ""} if one["predictor"] == "good" else one for one in ALL]
    result = ranked(write(tmp_path / "b.csv", lacking))
    assert {entry.by for entry in result.entries} == {"score"}
    assert [entry.mean for entry in result.entries] == sorted(np.mean(scores) for scores in SCORES.values())
    assert result.entries[0].verdict == "" and result.entries[0].paired is None


def test_methods_have_the_mean_of_their_ranks_over_budgets(tmp_path):
    second = [
        one | {"budget_ms": "16", "score": -one["score"], "baseline_score": -one["baseline_score"]} for one in ALL
    ]
    result = ranked(write(tmp_path / "b.csv", [*ALL, *second[:3], *second[6:]]))
    found = {one.method.predictor: (one.mean_rank, one.cells, one.of) for one in result.standings}
    assert found == {"good": (1, 1, 2), "even": (2, 2, 2), "bad": (2, 2, 2)}
    assert [one.method.predictor for one in result.standings] == ["good", "bad", "even"]
    bad = result.standings[1]
    assert (bad.better, bad.inconclusive, bad.worse, bad.runs) == (1, 0, 1, 1)


def test_equal_entries_share_their_rank_and_run_seeds_are_entries(tmp_path):
    result = ranked(write(tmp_path / "b.csv", [*rows_of("good"), *rows_of("good", run_seed=1), *rows_of("bad")]))
    assert ranks(result) == [("good", 1.5), ("good", 1.5), ("bad", 3)]
    assert [one.runs for one in result.standings] == [2, 1]


def test_rows_that_say_the_same_count_once(board, tmp_path):
    """In one file twice, in two files, and of a run that was repeated later."""
    again = write(tmp_path / "again.csv", [*ALL, *(one | {"when": "2026-11-26", "device": "other"} for one in ALL)])
    result = ranked(board, again, board)
    assert (result.rows, result.duplicates) == (36, 27)
    assert result.entries == ranked(board).entries


def test_another_score_for_the_same_seed_is_another_entry(tmp_path):
    result = ranked(write(tmp_path / "b.csv", [*rows_of("good"), row("good", 1, 1.3, 2.0)]))
    assert [entry.seeds for entry in result.entries] == [(100, 101, 102), (101,)]
    assert result.entries[1].verdict == "inconclusive" and result.entries[1].gain_margin is None


def test_a_score_that_is_no_number_is_last(tmp_path):
    result = ranked(write(tmp_path / "b.csv", [row("diverged", 0, "nan", 2.0), *ALL]))
    assert ranks(result)[-1] == ("diverged", 4) and result.entries[0].by == "score"


def test_entries_of_other_data_than_the_others_are_marked_and_ranked_apart(tmp_path):
    other = rows_of("good", data_hash="ffff", run_seed=7)
    result = ranked(write(tmp_path / "b.csv", [*other, *ALL]))
    assert [(entry.other_data, entry.rank) for entry in result.entries] == [
        (False, 1),
        (False, 2),
        (False, 3),
        (True, 1),
    ]
    assert sum(one.better for one in result.standings) == 1  # the marked one is in no standing


def test_entries_of_other_data_than_the_installed_benchmarks_are_marked(tmp_path, tiny):
    rows = [*rows_of("good", benchmark="tiny"), *rows_of("even", benchmark="tiny")]
    rows += rows_of("bad", benchmark="tiny", data_hash=tiny.data_hash)
    result = ranked(write(tmp_path / "b.csv", rows))
    assert [(entry.method.predictor, entry.other_data) for entry in result.entries] == [
        ("bad", False), ("good", True), ("even", True),
    ]  # fmt: skip
    assert "other data" in CliRunner().invoke(main, ["leaderboard", str(tmp_path / "b.csv")]).output


def test_csv_and_markdown(board, tmp_path):
    result = ranked(board, csv=tmp_path / "out.csv", markdown=tmp_path / "out.md")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(one["predictor"], one["rank"], one["verdict"]) for one in rows] == [
        ("good", "1", "better"), ("even", "2", "inconclusive"), ("bad", "3", "worse"),
    ]  # fmt: skip
    assert float(rows[0]["gain_percent"]) == pytest.approx(result.entries[0].gain, rel=1e-5)
    lines = (tmp_path / "out.md").read_text().splitlines()
    assert "## made-up (fd)" in lines and "## Methods" in lines
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in tables[:5]} == {10} and {line.count("|") for line in tables[5:]} == {11}
    assert "| 8 | 1 | nsga2 | good | 100 | 0 | 1.100 | 2.050 | +46.3 ± 18.2 | better |" in lines


def test_names_in_markdown_are_text(tmp_path):
    name = "a|b<script>`[x](y)`"
    ranked(write(tmp_path / "b.csv", [row(name)]), markdown=tmp_path / "out.md")
    text = (tmp_path / "out.md").read_text()
    assert "a\\|b&lt;script&gt;\\`\\[x\\](y)\\`" in text and "<script>" not in text


def test_the_result_is_read_back_equal(board, tmp_path):
    result = ranked(board)
    result.write(tmp_path / "result.json")
    assert LeaderboardResult.read(tmp_path / "result.json") == result


def test_the_command_prints_ranks_with_and_without_its_word(board):
    short = CliRunner().invoke(main, ["leaderboard", str(board)])
    long = CliRunner().invoke(main, ["leaderboard", "rank", str(board)])
    assert short.exit_code == 0 and short.output == long.output
    assert "+46.3 ± 18.2" in short.output and "Methods over all budgets" in short.output
    assert "9 rows, 3 entries" in short.output
    assert "verify" in CliRunner().invoke(main, ["leaderboard", "--help"]).output


# -- files that others changed -------------------------------------------------------


def test_line_ends_marks_and_orders_of_other_programs_change_nothing(board, tmp_path):
    text = board.read_text()
    turned = io.StringIO()
    writer = csv.DictWriter(turned, [*reversed(COLUMNS.names), "more"], restval="x", lineterminator="\n")
    writer.writeheader()
    writer.writerows(csv.DictReader(io.StringIO(text)))
    changed = {
        "crlf": text.replace("\n", "\r\n").encode(),
        "bom": b"\xef\xbb\xbf" + text.encode(),
        "both": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
        "turned": turned.getvalue().encode(),
        "blank": text.replace("\n", "\n\n").encode(),
    }
    for name, content in changed.items():
        path = tmp_path / f"{name}.csv"
        path.write_bytes(content)
        assert ranked(path).entries == ranked(board).entries, name


def test_cells_that_begin_with_a_sign_are_text(tmp_path):
    """As a stranger's program may write them, as we do, and again as text where we write them."""
    path = write(tmp_path / "b.csv", [row("=1+1"), row("=HYPERLINK(1)", 1)])
    raw = tmp_path / "raw.csv"
    raw.write_text(path.read_text().replace("'=", "="))
    for file in (path, raw):
        result = ranked(file, csv=tmp_path / "out.csv")
        assert {entry.method.predictor for entry in result.entries} == {"=1+1", "=HYPERLINK(1)"}
        assert ",'=1+1," in (tmp_path / "out.csv").read_text()
    assert "=1+1" in CliRunner().invoke(main, ["leaderboard", str(path)]).output


@pytest.mark.parametrize("kept", [10, 60, 100, -3])
def test_a_torn_last_line_is_told_and_left_out(tmp_path, kept):
    whole = [*rows_of("good"), *rows_of("bad")]
    path = write(tmp_path / "b.csv", [*whole, row("even", device="cpu µ")])
    *lines, last = path.read_bytes().splitlines(keepends=True)
    cut = last[: last.index("µ".encode()) + 1] if kept == -3 else last[:kept]  # -3: within a letter of two bytes
    path.write_bytes(b"".join(lines) + cut)
    outcome = CliRunner().invoke(main, ["leaderboard", str(path), "--csv", str(tmp_path / "out.csv")])
    assert outcome.exit_code == 0
    (warning,) = outcome.stderr.splitlines()
    assert warning == f"Warning: leaderboard {path}: its last line is torn, as a killed run leaves it, and is left out"
    with pytest.warns(InputWarning, match="torn"):
        assert ranks(ranked(path)) == [("good", 1), ("bad", 2)]


def test_a_last_line_without_its_end_may_have_lost_a_digit(tmp_path):
    names = [name for name in COLUMNS.names if name != "score"] + ["score"]
    path = tmp_path / "b.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerow(row(score="1.25"))
    path.write_text(path.read_text().rstrip()[:-1])
    with pytest.warns(InputWarning, match="its last cell may be"):
        assert ranked(path).entries[0].scores == (1.2,)


def bad_files(tmp_path, good):
    header, first, *_ = good.splitlines()
    yield "empty", b"", "is empty"
    yield "blank", b"\n\n", "is empty"
    yield "header", f"{header}\n".encode(), "has no rows"
    yield "else", b"name,score\nsomebody,1\n", "has other columns than a leaderboard (it lacks benchmark, "
    yield "text", b"Dear diary,\ntoday\n", "has other columns"
    yield "png", b"\x89PNG\r\n\x1a\n\xff\xfe\x00\x01 more", "is no text"
    yield "twice", f"{header},score\n{first},1\n".encode(), "has one twice"
    yield "middle", f"{header}\n2026,made-up\n{first}\n".encode(), "row 1 has 2 cells, expected 24; mend it"
    yield "more", f"{header}\n{first},1\n".encode(), "row 1 has 25 cells"
    yield "quote", f'{header}\n"{first}\n{first}\n'.encode(), "row 1 has 1 cells"
    for column, value, told in (
        ("score", "good", "row 1: score is 'good', expected a number"),
        ("score", "", "row 1: score is empty"),
        ("budget_ms", "-3", "row 1: budget_ms is '-3'"),
        ("images", "1.5", "row 1: images is '1.5', expected a whole number"),
        ("schedule", "a b", "row 1: schedule is 'a b'"),
    ):
        path = write(tmp_path / f"made-{column}-{value}.csv", [row(**{column: value})])
        content = path.read_bytes()
        path.unlink()
        yield f"{column}-{value}", content, told


def test_what_is_no_leaderboard_is_one_line_and_nothing_is_written(board, tmp_path):
    for name, content, told in list(bad_files(tmp_path, board.read_text())):
        path = tmp_path / f"{name}.csv"
        path.write_bytes(content)
        before = sorted(tmp_path.iterdir())
        args = ["leaderboard", str(board), str(path), "--csv", str(tmp_path / "new" / "out.csv")]
        outcome = CliRunner().invoke(main, args)
        assert outcome.exit_code == 2, name
        (line,) = outcome.stderr.splitlines()
        assert line.startswith("Error: ") and told in line and str(path) in line, name
        assert sorted(tmp_path.iterdir()) == before and path.read_bytes() == content


@pytest.mark.parametrize("command", [["leaderboard"], ["leaderboard", "verify"]])
def test_files_that_cannot_be_read(tmp_path, command):
    for path, told in ((tmp_path / "absent.csv", "cannot read"), (tmp_path, "is a folder")):
        outcome = CliRunner().invoke(main, [*command, str(path)])
        assert outcome.exit_code == 2 and outcome.stderr.count("\n") == 1 and told in outcome.stderr


def test_results_take_the_place_of_no_leaderboard(board, tmp_path):
    before = board.read_bytes()
    for args in (["--csv", str(board)], ["--markdown", str(board)]):
        outcome = CliRunner().invoke(main, ["leaderboard", str(board), *args])
        assert outcome.exit_code == 2 and "is a leaderboard that is read" in outcome.stderr
    with pytest.raises(InputError, match="name two files"):
        ranked(board, csv=tmp_path / "a", markdown=tmp_path / "a")
    assert board.read_bytes() == before and list(tmp_path.glob("[!.]*")) == [board]


# -- rows sampled again --------------------------------------------------------------


@pytest.fixture
def honest(tiny, tmp_path):
    """A leaderboard with true scores of two schedules on two seeds."""
    X = np.array([[0, 1, 0, 2, 0, 0, 0, 0, 0, 1], [0, 3, 0, 0, 0, 0, 0, 0, 0, 1]])
    scores = tiny.validate(X, images=30, seeds=(100, 101)).scores
    about = {"benchmark": "tiny", "data_hash": tiny.data_hash, "metric": tiny.metric, "images": 30}
    rows = [
        row("gp", seed, f"{scores[i, seed]:.8g}", 2.0, **about, schedule=" ".join(map(str, X[i])))
        for i in range(2)
        for seed in range(2)
    ]
    tiny.validated.clear()
    return write(tmp_path / "honest.csv", rows)


def test_true_rows_hold(honest, tiny, tmp_path):
    result = verify(VerifySettings(file=honest, rows=9, device="cpu", output=tmp_path / "v.json"))
    assert result.holds and len(result.checked) == 4
    assert [row.again for row in result.checked] == pytest.approx([row.score for row in result.checked], rel=1e-7)
    assert sorted(tiny.validated) == [(2, 30, (100,)), (2, 30, (101,))]
    assert VerifyResult.read(tmp_path / "v.json") == result


def test_a_part_is_drawn_by_the_seed(honest):
    drawn = [
        [row.place for row in verify(VerifySettings(file=honest, rows=2, seed=s)).checked] for s in (0, 0, 1, 2, 3)
    ]
    assert drawn[0] == drawn[1] and len(drawn[0]) == 2 and len({tuple(places) for places in drawn}) > 1


def changed(path, target, number, **values):
    rows = Leaderboard(path).rows()
    rows[number] |= values
    return write(target, rows)


def test_rows_that_do_not_hold_are_named(honest, tmp_path):
    score = float(Leaderboard(honest).rows()[1]["score"])
    for number, (values, told) in enumerate(
        (
            ({"score": score * 1.01}, "differs by +1 %"),
            ({"score": score * 1.0002}, "differs by +0.02 %"),
            ({"budget_ms": "3"}, "takes 4 ms, more than"),
            ({"schedule": "0 9 0 0 0 0 0 0 0 1"}, "9"),
            ({"validation_seed": "7"}, "dataset's own noise"),
        )
    ):
        path = changed(honest, tmp_path / f"{number}.csv", 1, **values)
        outcome = CliRunner().invoke(main, ["leaderboard", "verify", str(path), "--rows", "4", "--device", "cpu"])
        assert outcome.exit_code == 1, outcome.output
        assert "3 of 4 rows hold" in outcome.output
        result = verify(VerifySettings(file=path, rows=4, device="cpu"))
        assert [row.holds for row in result.checked] == [True, False, True, True]
        assert told in result.checked[1].why
    close = changed(honest, tmp_path / "close.csv", 1, score=score * 1.0002)
    assert verify(VerifySettings(file=close, rows=4, tolerance=1e-3)).holds


def test_rows_that_cannot_be_sampled_here_are_told(honest, tmp_path):
    some = changed(honest, tmp_path / "some.csv", 0, benchmark="absent")
    some = changed(some, tmp_path / "more.csv", 1, data_hash="ffff")
    outcome = CliRunner().invoke(main, ["leaderboard", "verify", str(some), "--rows", "4"])
    assert outcome.exit_code == 0
    assert "2 of 2 rows hold, drawn from 4" in outcome.output
    assert "1 could not be drawn: benchmark absent is not installed" in outcome.output
    alien = write(tmp_path / "alien.csv", ALL)
    outcome = CliRunner().invoke(main, ["leaderboard", "verify", str(alien)])
    assert outcome.exit_code == 2 and "no row can be sampled here, benchmark made-up is not installed" in outcome.stderr
