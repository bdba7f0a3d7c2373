"""The main job on a tiny benchmark, and its bad input."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from benchmarks.baselines import raced_baselines
from studies.cli import main
from studies.jobs.run import RunResult, winners
from studies.jobs.run.race import race
from studies.jobs.run.winners import Scored, Winner, validation_plan
from studies.records.tables import compact

FAST = ["--benchmark", "tiny", "--optimizer", "random", "--predictor", "gbdt", "--evaluations", "300"]


def run(*args: str) -> Result:
    return CliRunner().invoke(main, ["run", *args])


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Finished:
    """A finished run, shared by the tests that only look at it."""

    folder: Path
    result: dict[str, Any]
    output: str
    validated: list[tuple[int, int, tuple[int, ...]]]
    raced: list[tuple[int, int, tuple[int, ...]]]

    @property
    def leaderboard(self) -> Path:
        return self.folder.parent / "leaderboard.csv"


@pytest.fixture(scope="module")
def finished(_tiny_made, make_plugins, tmp_path_factory):
    here = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        plugins = make_plugins(tmp_path_factory.mktemp("plugins"), patch)
        plugins.add("omsdpm.benchmarks", tiny=lambda: _tiny_made)
        _tiny_made.validated.clear()
        _tiny_made.raced.clear()
        outcome = run(*FAST, "--output", "out", "--seeds", "2")
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    return Finished(here / "out", result, outcome.stdout, list(_tiny_made.validated), list(_tiny_made.raced))


def test_run_writes_everything(finished, _tiny_made):
    tiny, result = _tiny_made, finished.result
    assert {path.name for path in finished.folder.iterdir() if path.suffix != ".lock"} == {
        "result.json", "pareto.csv", "winners.csv", "plot.png", "samples-4.png", "samples-8.png", "samples-16.png",
        "samples-4-baseline.png", "samples-8-baseline.png", "samples-16-baseline.png",
        "population-4.pth", "population-8.pth", "population-16.pth", "run.json",
    }  # fmt: skip
    assert [winner["budget_ms"] for winner in result["winners"]] == [4, 8, 16]
    for winner in result["winners"]:
        schedule = np.array([winner["schedule"]])
        assert tiny.space.latency(schedule, tiny.latency) == pytest.approx([winner["latency_frozen_ms"]])
        assert winner["latency_frozen_ms"] <= winner["budget_ms"]
        for part in ("measured", "own", "baseline"):
            assert winner[part]["mean"] == pytest.approx(np.mean(winner[part]["scores"]))
            assert winner[part]["std"] == pytest.approx(np.std(winner[part]["scores"], ddof=1))
        ours, theirs = winner["measured"]["mean"], winner["baseline"]["mean"]
        assert winner["gain"]["percent"] == pytest.approx(100 * (theirs - ours) / theirs)
    assert result["predictor"]["ranking"]["test"]["kendall_tau"] > 0.3
    assert set(result["predictor"]["ranking"]) == {"test", "elite"}
    assert result["benchmark"]["data_hash"] == tiny.data_hash
    assert result["environment"]["versions"]["numpy"] == np.__version__
    assert "fd-pixels" in finished.output and "Run folder: out" in finished.output


def test_winners_are_reported_on_seeds_that_nothing_was_chosen_by(finished, _tiny_made):
    plan = finished.result["validation"]
    assert plan == {"validated": True, "race_images": 96, "race_seeds": [100, 101], "images": 96, "seeds": [3001, 3002]}
    for winner in finished.result["winners"]:
        for part in ("measured", "own", "baseline"):
            x = np.array([winner[part]["schedule"]])
            expected = [_tiny_made._scores(x, 96, seed)[0][0] for seed in (3001, 3002)]
            assert winner[part]["scores"] == pytest.approx(expected, rel=1e-5)


def test_the_winner_is_the_best_of_the_race(finished, _tiny_made):
    """Of the ten best predicted and the three best measured together, by all images of the seeds that choose."""
    tiny = _tiny_made
    ((_, images, seeds),) = finished.raced
    assert (images, seeds) == (96, (100, 101))
    train = tiny.dataset.subset("train")
    for winner, population in zip(finished.result["winners"], finished.result["populations"], strict=True):
        own = [tuple(map(int, text.split())) for text in population[:10]]
        cheap = train[tiny.space.latency(train.X, tiny.latency) <= winner["budget_ms"]]
        labels = [tuple(row) for row in cheap.X[np.argsort(cheap.y, kind="stable")[:3]].tolist()]
        assert winner["raced"] == len(own) + len(labels)
        contest = tiny.contest(np.array(own + labels), images=96, seeds=(100, 101))
        scores = contest.grow(range(len(own + labels)), 192)
        # Halving may lose a candidate that few images speak against, never to one that is far behind.
        chosen = (own + labels).index(tuple(winner["schedule"]))
        assert scores[chosen] <= np.sort(scores)[1] * 1.05
        assert winner["source"] == ("search" if tuple(winner["schedule"]) in own else "labels")
        assert tuple(winner["own"]["schedule"]) in own


def test_winners_are_listed_with_their_baselines(finished):
    for row, winner in zip(rows(finished.folder / "winners.csv"), finished.result["winners"], strict=True):
        assert float(row["fd-pixels_mean"]) == pytest.approx(winner["measured"]["mean"])
        assert float(row["baseline_fd-pixels_mean"]) == pytest.approx(winner["baseline"]["mean"])
        assert (row["baseline"], row["baseline_kind"]) == (winner["baseline"]["name"], winner["baseline"]["source"])
        assert float(row["gain_margin"]) == pytest.approx(winner["gain"]["margin"])
        assert row["verdict"] == winner["gain"]["verdict"] in ("better", "worse", "inconclusive")
        assert row["source"] == winner["source"]


def test_leaderboard_has_a_row_per_budget_and_seed(finished):
    written = rows(finished.leaderboard)
    assert len(written) == 3 * 2
    for row in written:
        winner = next(w for w in finished.result["winners"] if w["budget_ms"] == float(row["budget_ms"]))
        seed = finished.result["validation"]["seeds"].index(int(row["validation_seed"]))
        assert float(row["score"]) == pytest.approx(winner["own"]["scores"][seed])
        assert float(row["baseline_score"]) == pytest.approx(winner["baseline"]["scores"][seed])
        assert [int(member) for member in row["schedule"].split()] == winner["own"]["schedule"]
        assert row["metric"] == "fd-pixels" and row["images"] == "96"


def test_the_recorded_command_repeats_the_run(finished, tiny, here):
    words = shlex.split(finished.result["command"])
    assert words[:2] == ["omsdpm-bench", "run"]
    assert run(*words[2:], "--output", "again").exit_code == 0
    again = json.loads((here / "again" / "result.json").read_text())
    assert again["winners"] == finished.result["winners"]
    assert (finished.folder / "pareto.csv").read_bytes() == (here / "again" / "pareto.csv").read_bytes()


def test_runs_add_to_one_leaderboard(finished, tiny, here):
    (here / "leaderboard.csv").write_bytes(finished.leaderboard.read_bytes())
    assert run(*FAST, "--output", "out", "--seeds", "1").exit_code == 0
    written = rows(here / "leaderboard.csv")
    assert written[:6] == rows(finished.leaderboard)
    assert len(written) == 6 + 3


def test_pareto_front_is_nondominated(finished):
    front = rows(finished.folder / "pareto.csv")
    latency = [float(row["latency_frozen_ms"]) for row in front]
    scores = [float(row["predicted_score"]) for row in front]
    assert len(front) > 1
    assert (np.diff(latency) > 0).all() and (np.diff(scores) < 0).all()


@pytest.mark.parametrize("name", ["samples-8.png", "plot.png"])
def test_pictures_can_be_read(finished, name):
    from PIL import Image

    with Image.open(finished.folder / name) as image:
        assert min(image.size) > 400
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_the_baseline_of_a_listed_budget_is_the_best_stored_one(finished, _tiny_made):
    tiny = _tiny_made
    ((schedules, _, seeds),) = finished.validated
    assert schedules <= 9 and seeds == (3001, 3002)  # winners, own candidates and baselines, once each
    for winner in finished.result["winners"]:
        fitting = [baseline for baseline in tiny.baselines if baseline.latency <= winner["budget_ms"]]
        best = min(fitting, key=lambda baseline: baseline.mean)
        assert winner["baseline"]["name"] == best.name and winner["baseline"]["source"] == best.kind


def test_a_baseline_that_is_ahead_in_the_race_wins_and_judges_no_predictor(tiny, here, monkeypatch):
    def with_baselines_ahead(*given):
        groups, scores = race(*given)
        racing = {row for racers in groups[::2] for row in racers}
        ahead = {baselines[0]: -1.0 for baselines in groups[1::2] if baselines[0] not in racing}
        assert ahead  # it races under listed budgets too
        return groups, {**scores, **ahead}

    monkeypatch.setattr(winners, "race", with_baselines_ahead)
    outcome = run(*FAST, "--output", "out", "--seeds", "2", "--top", "2")
    assert outcome.exit_code == 0, outcome.output
    won = [winner for winner in RunResult.read(here / "out").winners if winner.is_baseline]
    assert won and "the baseline won; the search's own best has" in " ".join(outcome.stdout.split())
    judged = {(row["budget_ms"], row["schedule"]) for row in rows(here / "leaderboard.csv")}
    for winner in won:
        assert winner.source == winner.baseline.source != winner.own.source == "search"
        assert (winner.gain, winner.verdict, winner.paired.verdict) == (0, "the baseline", "inconclusive")
        assert (f"{winner.budget:g}", compact(winner.own.schedule)) in judged
        assert (f"{winner.budget:g}", compact(winner.schedule)) not in judged


def test_the_baselines_of_the_best_strategies_are_shown_with_their_labels(tiny, here, monkeypatch):
    fitting = [baseline for baseline in tiny.baselines if baseline.latency <= 8]
    kinds = ("cheap", "dear", "dearer", "dearest")
    made = [
        replace(baseline, kind=kind, name=f"by {kind}", labels=1000 + at)
        for at, (kind, baseline) in enumerate(zip(kinds, sorted(fitting, key=lambda one: one.mean), strict=False))
    ]
    monkeypatch.setattr(tiny, "baselines", [*tiny.baselines, *made])
    monkeypatch.setenv("COLUMNS", "200")
    outcome = run(*FAST, "--output", "out", "--seeds", "2", "--top", "2", "--budget", "8")
    assert outcome.exit_code == 0, outcome.output
    (winner,) = RunResult.read(here / "out").winners
    assert set(winner.kinds) == {"single", "stitch", *kinds}
    assert [winner.kinds[kind].labels for kind in kinds] == [1000, 1001, 1002, 1003]
    assert "by cheap" in outcome.stdout and "1,000" in outcome.stdout and "by dearest" not in outcome.stdout
    assert "single" in outcome.stdout
    (row,) = rows(here / "out" / "winners.csv")
    best = winner.baseline
    assert row["baseline_labels"] == ("" if best.labels is None else str(best.labels))


def test_a_result_from_before_labels_were_counted_is_read(finished, tmp_path):
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(one) for key, one in value.items() if key != "labels" or "schedule" not in value}
        return [without(one) for one in value] if isinstance(value, list) else value

    (tmp_path / "result.json").write_text(json.dumps(without(finished.result)))
    read = RunResult.read(tmp_path)
    assert [winner.baseline.labels for winner in read.winners] == [None] * 3


def test_what_samples_the_same_as_the_baseline_is_told_so():
    def scored(name: str, source: str, *scores: float) -> Scored:
        return Scored(name=name, source=source, schedule=(1, 0), latency=1.0, scores=scores)

    def winner(measured: Scored, baseline: Scored) -> Winner:
        return Winner(
            budget=1.0, schedule=(1, 0), nfe=1, latency=1.0, predicted=1.0, measured=measured, baseline=baseline
        )

    baseline = scored("member 1", "single", 1.0, 2.0)
    assert winner(baseline, baseline).verdict == "the baseline"
    assert winner(scored("candidate 1", "search", 1.0, 2.0), baseline).verdict == "the same schedule"
    assert winner(scored("candidate 1", "search", 0.5, 1.5), baseline).verdict == "better"
    assert winner(scored("candidate 1", "search", 1.0), scored("m", "single", 1.5)).verdict == "inconclusive"


def test_the_baseline_of_another_budget_is_made_for_it_and_races(tiny, here):
    """Under 6 ms the stored ones leave room: all that strategies propose is sampled, and the best is the baseline."""
    outcome = run(*FAST, "--budget", "6", "--output", "out", "--seeds", "2")
    assert outcome.exit_code == 0, outcome.output
    (winner,) = json.loads((here / "out" / "result.json").read_text())["winners"]
    proposed = {one.name: one.x for one in raced_baselines(tiny, 6.0)}
    assert any(name.endswith(", ays") for name in proposed)
    stored = min((b for b in tiny.baselines if b.latency <= 6), key=lambda b: b.mean)
    contest = tiny.contest(np.array([*proposed.values(), stored.schedule]), images=96, seeds=(100, 101))
    scores = contest.grow(range(len(proposed) + 1), 192)
    name, score = winner["baseline"]["name"], dict(zip([*proposed, stored.name], scores, strict=True))
    assert name in proposed and score[name] <= np.sort(scores)[2]
    assert score[name] <= score[stored.name]
    assert winner["baseline"]["latency"] > 4  # the stored ones are of 4 ms, or of 8


def test_the_seeds_and_images_of_race_and_report_can_be_chosen(tiny, here):
    outcome = run(*FAST, "--output", "out", "--seeds", "3", "--first-seed", "100", "--validate-images", "32",
                  "--race-images", "40", "--top", "2", "--budget", "8")  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    assert result["validation"]["seeds"] == [103, 104, 105] and result["validation"]["images"] == 32
    (winner,) = result["winners"]
    assert winner["raced"] == 5 and tiny.raced == [(5 + 1, 40, (100, 101))]  # and the baseline
    assert "seeds 103 to 105" in " ".join(outcome.stdout.split())


@pytest.mark.parametrize(
    "seeds, dataset_seed, expected",
    [
        (2, 0, (99, 103)),
        (3, 0, (99, 103, 104)),
        (3, 103, (99, 104, 105)),
    ],
)
def test_seeds_of_the_report_are_nobodys(seeds, dataset_seed, expected):
    problem = SimpleNamespace(validation=(96, (100, 101, 102)), measurement=SimpleNamespace(seed=dataset_seed))
    plan = validation_plan(problem, None, seeds, 99, 500)
    assert (plan.images, plan.seeds) == (96, expected)
    assert (plan.race_images, plan.race_seeds) == (96, (100, 101))


def test_without_validation_nothing_is_sampled_and_no_prediction_poses_as_score(tiny, here):
    outcome = run(*FAST, "--output", "out", "--no-validate")
    assert outcome.exit_code == 0, outcome.output
    assert tiny.validated == []
    assert not (here / "leaderboard.csv").exists()
    assert "Nothing was sampled" in outcome.stdout and "winner" not in outcome.stdout
    for row in rows(here / "out" / "winners.csv"):
        assert row["fd-pixels_mean"] == "" and row["gain_percent"] == "" and float(row["predicted_score"])
    result = json.loads((here / "out" / "result.json").read_text())
    assert all(winner["measured"] is None and winner["gain"] is None for winner in result["winners"])
    assert all(winner["baseline"]["mean"] > 0 for winner in result["winners"])
    assert not list((here / "out").glob("samples-*"))


def test_a_budget_that_the_common_search_misses_is_searched_by_itself(tiny, here):
    outcome = run(*FAST, "--evaluations", "40", "--budget", "1", "--budget", "16", "--output", "out", "--no-validate")
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    assert [winner["latency_frozen_ms"] <= winner["budget_ms"] for winner in result["winners"]] == [True, True]


@pytest.mark.parametrize("optimizer", ["nsga2", "evolution"])
def test_budgets_are_kept_by_one_search_or_several(tiny, here, optimizer):
    outcome = run(*FAST, "--optimizer", optimizer, "--budget", "7", "--budget", "3", "--budget", "7",
                  "--output", "out", "--no-validate", "--quiet")  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    result = json.loads((here / "out" / "result.json").read_text())
    assert result["budgets"] == [3, 7]
    assert [winner["latency_frozen_ms"] <= winner["budget_ms"] for winner in result["winners"]] == [True, True]
    assert result["search"]["evaluations"] <= 300


def test_quiet_prints_the_folder_alone(tiny, here):
    outcome = run(*FAST, "--quiet", "--train-size", "20")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stderr == ""
    (line,) = outcome.stdout.splitlines()
    result = json.loads((here / line / "result.json").read_text())
    assert line.startswith("runs/tiny-random-gbdt-")
    assert result["predictor"]["train_size"] == 20


@pytest.mark.parametrize(
    "options, message",
    [
        (["--optimizer", "nsga"], "unknown optimizer 'nsga'; choose one of: nsga2, "),
        (["--predictor", "gdbt"], "unknown predictor 'gdbt'; choose one of: gbdt, "),
        (["--benchmark", "digits"], "unknown benchmark 'digits'; choose one of: digits-"),
        (["--budget", "0.5"], "budget 0.5 ms: the cheapest schedule of tiny takes 1 ms"),
        (["--budget", "nan"], "budget nan ms"),
        (["--train-size", "1"], "train size 1: expected 2 to "),
        (["--train-size", "100000"], "train size 100000: expected 2 to "),
        (["--optimizer", "evolution", "--evaluations", "2"], "2 evaluations: evolution searches each of the 3 budgets"),
        (["--output", "file/below"], "cannot write to folder file/below"),
        (["--output", "full"], "output folder full holds files already"),
        (["--leaderboard", "file/board.csv"], "cannot write to folder file"),
        (["--leaderboard", "other.csv"], "leaderboard other.csv has other columns"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(tiny, here, options, message):
    (here / "file").write_text("a file")
    (here / "other.csv").write_text("name,score\nsomebody,1\n")
    (here / "full").mkdir()
    (here / "full" / "result.json").write_text("{}")
    before = {path: path.read_text() for path in here.rglob("*") if path.is_file()}
    outcome = run(*FAST, *options)
    assert outcome.exit_code == 2
    line = outcome.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: ") and message in line
    assert outcome.stdout == "" and "Traceback" not in outcome.stderr
    assert {path: path.read_text() for path in here.rglob("*") if path.is_file()} == before
    assert tiny.validated == []


def test_cuda_without_cuda(tiny, here, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    outcome = run(*FAST, "--device", "cuda")
    assert outcome.exit_code == 2
    assert "'cuda'" in outcome.stderr and list(here.iterdir()) == []


def test_a_run_that_fails_late_leaves_no_result(tiny, here, monkeypatch):
    """What a killed run leaves: whole files or none, and no result.json."""

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "validate", fail)
    outcome = run(*FAST, "--output", "out")
    assert outcome.exit_code == 1
    assert {path.name for path in (here / "out").iterdir() if path.suffix != ".lock"} == {"run.json", "kept"}
    assert "What is done is kept: `omsdpm-bench run --resume out` goes on." in outcome.stderr
    assert not (here / "leaderboard.csv").exists()


def test_baselines_of_another_zoo_are_told_before_anything_is_fitted(here):
    """A benchmark's files beside a zoo whose members were trained on other noise."""
    from benchmarks.digits import DATA

    for name in ("digits-zoo", "digits-ddim"):
        shutil.copytree(DATA / name, here / name)
    toml = here / "digits-zoo" / "zoo.toml"
    toml.write_text(toml.read_text().replace("beta_end = 0.02", "beta_end = 0.03"))
    outcome = run("--benchmark", "digits-ddim/", "--predictor", "ridge", "--output", "out", "--leaderboard", "l.csv")
    assert outcome.exit_code == 2
    assert "baselines.parquet was measured with" in outcome.stderr and "noise" in outcome.stderr
    assert "held-out" not in outcome.output  # nothing was fitted
    assert not (here / "out").exists() and not (here / "l.csv").exists()
