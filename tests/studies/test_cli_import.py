"""``dataset import`` and ``zoo import``, and every bad file of a release on the command line."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm import ModelZoo, ScheduleDataset
from omsdpm.released import load_zoo
from omsdpm.zoo.files import card_batch_size, read_latency_card
from studies.cli import main

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
RELEASED = GOLDEN / "released_zoo"


def run(*args):
    return CliRunner().invoke(main, list(map(str, args)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("source", ["dataset_{}.pth", "dataset_{}_dir"])
@pytest.mark.parametrize("solver, length", [("ddim", 100), ("dpm-solver", 90)])
def test_a_dataset_becomes_parquet_with_a_summary(here, source, solver, length):
    source = source.format(solver.replace("-", "_"))
    outcome = run(
        "dataset", "import", GOLDEN / source, "--solver", solver, "--latency", GOLDEN / "zoo_latency.pth",
        "--output", "d.parquet",
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.output
    data = ScheduleDataset.read("d.parquet")
    assert (data.space.solver, data.space.length, data.space.num_models, data.metric) == (solver, length, 6, "fid")
    assert data.extra["latency_ms"] == [61.0, 82.5, 101.0, 123.25, 140.0, 140.0]
    cost = data.space.latency(data.X, data.extra["latency_ms"])
    for text in (
        f"{len(data)} ", f"{length} slots", f"{data.y.min():.6g} to {data.y.max():.6g}",
        f"{cost.min():.6g} to {cost.max():.6g} ms", "dataset: d.parquet",
    ):  # fmt: skip
        assert text in outcome.stdout


def test_rows_that_are_refused_are_listed_with_index_and_reason(here):
    rows = [
        {"model_schedule": [1, 2, 0, 0, 0, 0], "score": 4.0},
        {"model_schedule": [0, 2, 0, 1, 0, 0], "score": 5.0},  # a null before a model
        {"model_schedule": [7, 0, 0, 0, 0, 0], "score": 5.0},
        {"model_schedule": [1, 0, 0], "score": 5.0},
        {"model_schedule": [1, 0, 0, 0, 0, 0], "score": float("nan")},
        {"model_schedule": [0, 0, 0, 0, 0, 0], "score": 5.0},
        {"model_schedule": [2, 0, 0, 6, 0, 0], "score": 3.0},
    ]
    torch.save(rows, "rows.pth")
    outcome = run("dataset", "import", "rows.pth", "--solver", "dpm-solver", "--members", 6, "--output", "d.parquet")
    assert outcome.exit_code == 0, outcome.output
    assert ScheduleDataset.read("d.parquet").y.tolist() == [4.0, 3.0]
    refused = [line for line in outcome.stdout.splitlines() if line.startswith("refused: ")]
    for number, reason in enumerate(
        ["has a null before a model in solver 0", "names member 7", "has 3 slots", "has score nan", "is all null"], 1
    ):
        assert refused[number - 1].startswith(f"refused: row {number} (rows.pth) {reason}")


def test_a_zoo_is_converted_once(here):
    for more, expected in (([], [81.5, 140.25]), (["--latency", "own.pth"], [3.0, 5.0])):
        torch.save([3.0, 5.0], "own.pth")
        outcome = run("zoo", "import", RELEASED, "--output", f"zoo{len(more)}", *more)
        assert outcome.exit_code == 0, outcome.output
        assert "702,499" in outcome.stdout and f"{expected[0]:.3f}" in outcome.stdout
        zoo = ModelZoo.load(f"zoo{len(more)}")
        assert zoo.latency == expected
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        for ours, theirs in zip(zoo.denoisers, load_zoo(RELEASED).denoisers, strict=True):
            torch.testing.assert_close(ours(x, 321.5), theirs(x, 321.5), rtol=1e-4, atol=1e-5)
    assert run("zoo", "import", RELEASED, "--output", "zoo0").exit_code == 0
    again = run("zoo", "import", RELEASED, "--output", "zoo0", "--latency", "own.pth")
    assert again.exit_code == 2 and "has a zoo already" in again.stderr


# -- bad files -----------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def prepare(folder):
    """One bad file of each kind, with the names that the cases below use."""
    golden = (GOLDEN / "dataset_ddim.pth").read_bytes()
    (folder / "truncated.pth").write_bytes(golden[: len(golden) // 2])
    (folder / "empty.pth").touch()
    (folder / "evil.pth").write_bytes(pickle.dumps(Evil()))
    (folder / "text.pth").write_text("schedules")
    rng = np.random.default_rng(0)
    torch.save([[rng.integers(0, 3, n).tolist(), 1.0] for n in (9, 9, 12)], folder / "mixed.pth")
    torch.save([[[1, 0, 2, 1, 1, 1], 1.0], [[1, 1, 1, 2, 2, 2], 2.0]], folder / "null-first.pth")
    torch.save([1, 0, 7], folder / "seven.pth")
    torch.save([1, 0, 2, 1, 0, 0], folder / "gap.pth")
    torch.save([1.0, 2.0, 3.0], folder / "three.pth")
    torch.save([0.0, 1.0, 2.0], folder / "with-null.pth")
    torch.save([1.0, float("nan")], folder / "nan.pth")
    for name, state in {
        "sd": {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)},
        "guided": {"time_embed.0.weight": torch.zeros(1), "input_blocks.0.0.weight": torch.zeros(1)},
    }.items():
        shutil.copytree(RELEASED / "1", folder / name / "1")
        torch.save({"state_dict": state} if name == "sd" else state, folder / name / "1" / "ckpt.pth")
    shutil.copytree(RELEASED / "1", folder / "improved" / "1")
    config = folder / "improved" / "1" / "config.yml"
    config.write_text(config.read_text().replace("model_type: ddpm", "model_type: improved-ddpm"))


IMPORT = ["dataset", "import", "--solver", "ddim", "--output", "out.parquet"]
IMPORT_ZOO = ["zoo", "import", "--output", "out"]
FIT = ["predictor", "fit", "--output", "out", "--dataset"]
SAMPLE = ["sample", "--images", "out", "-n", 2, "--zoo", RELEASED, "--schedule"]
VALIDATE = ["validate", "--metric", "fid", "--stats", "x.npz", "--zoo", RELEASED, "--population"]
SEARCH = ["run", "--budget", 4000, "--output", "out", "--latency", GOLDEN / "zoo_latency.pth", "--predictor-checkpoint"]


@pytest.mark.parametrize(
    "args, expected",
    [
        *[
            ([*command, f"{name}.pth"], expected)
            for command in (IMPORT, FIT, SAMPLE, VALIDATE, SEARCH)
            for name, expected in (
                ("truncated", "truncated.pth is truncated or no file that torch.save wrote"),
                ("empty", "empty.pth is empty (0 bytes)"),
                ("evil", "refused evil.pth: it wants to run"),
            )
        ],
        *[([*command, "text.pth"], "text.pth begins with 'schedules'") for command in (IMPORT, FIT, SAMPLE, VALIDATE)],
        ([*SEARCH, "text.pth"], "text.pth is truncated or no file that torch.save wrote"),
        ([*SAMPLE, "seven.pth", "--solver", "ddim"], "seven.pth: schedule 0 names member 7 in slot 2: the zoo"),
        ([*VALIDATE, "seven.pth", "--solver", "ddim"], "seven.pth: schedule 0 names member 7 in slot 2"),
        ([*FIT, "mixed.pth"], "mixed.pth: row 2 (mixed.pth) has 12 slots: expected 9"),
        ([*FIT, "mixed.pth"], "`omsdpm-bench dataset import` goes on without such rows"),
        ([*FIT, "null-first.pth", "--solver", "dpm-solver"], "row 0 (null-first.pth) has a null before a model"),
        ([*SAMPLE, "gap.pth", "--solver", "dpm-solver"], "gap.pth: schedule 0 has a null before a model in solver 0"),
        ([*VALIDATE, "gap.pth", "--solver", "dpm-solver"], "gap.pth: schedule 0 has a null before a model in solver 0"),
        ([*IMPORT_ZOO, RELEASED, "--latency", "three.pth"], "3 latencies for 2 members"),
        ([*IMPORT_ZOO, RELEASED, "--latency", "nan.pth"], "member 2 has latency nan"),
        ([*VALIDATE, "gap.pth", "--latency", "with-null.pth"], "remove the first, which is the null model's"),
        ([*SEARCH, GOLDEN / "predictor_ddim.pth", "--latency", "three.pth"], "3 latencies for 6 members"),
        ([*SEARCH, GOLDEN / "predictor_ddim.pth", "--solver", "dpm-solver"], "is a predictor for ddim, not dpm-solver"),
        ([*IMPORT_ZOO, "sd"], "is a Stable Diffusion (latent diffusion) checkpoint: expected a DDPM U-Net"),
        (["sample", "--images", "out", "--schedule", "gap.pth", "--zoo", "sd"], "is a Stable Diffusion"),
        ([*IMPORT_ZOO, "guided"], "is a guided-diffusion or improved-ddpm U-Net: expected a DDPM U-Net"),
        ([*IMPORT_ZOO, "improved"], "model_type 'improved-ddpm' cannot be read; it would need"),
        ([*IMPORT_ZOO, "absent"], "zoo absent is no folder"),
        ([*IMPORT, "absent.pth"], "cannot read absent.pth"),
        ([*IMPORT, "three.pth"], "none of 3 rows"),
        ([*IMPORT, GOLDEN / "dataset_ddim.pth", "--latency", "three.pth"], "none of 64 rows"),
        (["dataset", "import", GOLDEN / "dataset_ddim.pth", "--solver", "dpm-solver", "--output", "o"], "of 3"),
    ],
)  # fmt: skip
def test_a_bad_file_is_one_line(here, args, expected):
    prepare(here)
    before = sorted(path.name for path in here.iterdir())
    outcome = run(*args)
    assert outcome.exit_code == 2, outcome.output
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and outcome.stderr.splitlines()[-1] == errors[0]
    assert expected in errors[0]
    assert sorted(path.name for path in here.iterdir()) == before  # nothing was written, nothing ran


def test_an_imported_zoo_whose_table_says_no_batch_size_is_used_to_the_end(tmp_path, monkeypatch):
    """`dataset build`, the card and `info` need not know it; `dataset estimate` says at once that it does."""
    monkeypatch.chdir(tmp_path)
    assert run("zoo", "import", RELEASED, "--output", "zoo").exit_code == 0
    card = read_latency_card("zoo")
    assert "batch_size" not in card and card["source"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "benchmark.toml").write_text(
        'name = "b"\nsummary = "s"\nbudgets = [1000.0]\n'
        '[measurement]\nzoo = "../zoo"\nsolver = "ddim"\nlength = 2\nimages = 2\nmembers = [1]\nreference = "r.npz"\n'
        '[validation]\nimages = 2\nseeds = [7]\n[[round]]\nname = "r"\ndesign = "random"\nn = 2\n'
    )
    from benchmarks import Benchmark
    from benchmarks.card import _facts
    from omsdpm import ScheduleDataset

    benchmark = Benchmark.read("b")
    X = benchmark.space.enumerate()
    ScheduleDataset(benchmark.space, X, np.arange(len(X)) + 1.0, metric=benchmark.metric).write("b/schedules.parquet")
    assert ("", "a batch of unknown size on the OMS-DPM release, undated") in list(_facts(benchmark))
    assert run("info", "b", "--no-plot").exit_code == 0
    assert card_batch_size(benchmark.latency_card) == 500
    outcome = run("dataset", "estimate", "b")
    assert outcome.exit_code == 2
    assert "does not say of how many images its latencies are: add batch_size" in outcome.stderr
