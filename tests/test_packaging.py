"""The wheel: what is in it, and that it works without the checkout among folders of the same names."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("omsdpm", "predictors", "studies", "benchmarks")
SPEED = "benchmarks/speed/"
"""Scripts for the checkout, no part of the package."""

MIB = 2**20

# Left by a build of data, a training or an editor; a hidden file is a write that was cut off.
LEFTOVERS = ("training.pt", ".lock", ".pyc", ".npy", ".tmp", "~")

# Python imports this by itself at the start of a process, which it lets end by telling where
# the packages' modules came from.
HOOK = f"""
import atexit, json, os, sys

def tell():
    files = [m.__file__ for n, m in list(sys.modules.items()) if n.split(".")[0] in {PACKAGES!r} and m.__file__]
    with open(os.environ["TOLD"], "w") as file:
        json.dump(files, file)

atexit.register(tell)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout; without hatchling at hand an isolated build fetches it."""
    out = tmp_path_factory.mktemp("wheel")
    isolation = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    command = [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(out), str(CHECKOUT)]
    outcome = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def entries(wheel) -> dict[str, int]:
    """Name and size of every file in the wheel."""
    with zipfile.ZipFile(wheel) as file:
        return {info.filename: info.file_size for info in file.infolist()}


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that the wheel alone is installed in."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--no-compile"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True, timeout=120)
    return target


@pytest.fixture
def among_decoys(tmp_path, installed):
    """``call(*args)`` runs the installed command in a folder of decoys; returns its outcome."""
    folder = tmp_path / "decoys"
    for package in PACKAGES:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("raise RuntimeError('the decoy was imported')\n")
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    told = tmp_path / "told.json"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PYTHONPATH": f"{installed}{os.pathsep}{hook}", "TOLD": str(told)}

    def call(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(installed / "bin" / "omsdpm-bench"), *args]
        outcome = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert outcome.returncode == 0, outcome.stderr
        files = json.loads(told.read_text())
        assert files and [file for file in files if not Path(file).is_relative_to(installed)] == []
        return outcome

    return folder, call


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_is_in_the_wheel(entries, package):
    sources = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / package).rglob("*.py")}
    sources = {name for name in sources if not name.startswith(SPEED)}
    assert sources and sources <= entries.keys()
    assert f"{package}/py.typed" in entries


def test_no_other_top_level_name_is_installed(entries):
    tops = {name.split("/")[0] for name in entries}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_the_license_is_in_the_wheel(entries):
    assert [name for name in entries if name.endswith("LICENSE")]


def test_the_data_is_in_the_wheel(entries):
    from importlib.metadata import entry_points

    assert "omsdpm/scoring/features/data/digits.safetensors" in entries
    zoo = "benchmarks/data/digits-zoo"
    members = [str(number) for number in range(1, 7)]
    wanted = [f"{zoo}/{name}" for name in ("zoo.toml", "latency.toml", "recipe.toml")]
    wanted += [f"{zoo}/{member}/config.json" for member in members]
    wanted += [f"{zoo}/{member}/diffusion_pytorch_model.safetensors" for member in members]
    ours = [entry.name for entry in entry_points(group="omsdpm.benchmarks") if entry.value.startswith("benchmarks.")]
    assert "digits-ddim" in ours
    for name in ours:
        files = ("benchmark.toml", "schedules.parquet", "baselines.parquet", "measured.json")
        wanted += [f"benchmarks/data/{name}/{file}" for file in files]
    assert [name for name in wanted if not entries.get(name)] == []


def test_no_leftovers_are_in_the_wheel(entries):
    left = [name for name in entries if name.endswith(LEFTOVERS) or "/build/" in name or "/." in name]
    assert left == []


def test_the_data_is_small(entries):
    data = {name: size for name, size in entries.items() if "/data/" in name}
    assert sum(data.values()) <= 12 * MIB
    assert sum(size for name, size in data.items() if "/digits-zoo/" in name) <= 8 * MIB


def test_list_finds_our_own_packages(among_decoys):
    _, call = among_decoys
    listed = call("list").stdout
    for name in ("digits-ddim", "lstm", "gbdt", "gp", "nsga2", "tpe", "evolution", "random"):
        assert f"  {name} " in listed


def test_a_small_run_works(among_decoys):
    folder, call = among_decoys
    call(
        *("run", "--benchmark", "digits-ddim", "--optimizer", "nsga2", "--predictor", "gbdt", "--device", "cpu"),
        *("--budget", "200", "--evaluations", "200", "--train-size", "100", "--seeds", "1", "--validate-images", "8"),
        *("--output", "out", "--leaderboard", "board.csv"),
    )
    result = json.loads((folder / "out" / "result.json").read_text())
    assert result["benchmark"]["name"] == "digits-ddim"
    assert result["predictor"]["name"] == "gbdt" and result["predictor"]["train_size"] == 100
    assert result["search"]["evaluations"] <= 200
    (winner,) = result["winners"]
    assert winner["budget_ms"] == 200 and 0 < winner["latency_frozen_ms"] <= 200
    (score,) = winner["own"]["scores"]  # which judges the predictor; the winner may be the baseline
    (row,) = csv.DictReader((folder / "board.csv").read_text().splitlines())
    assert (row["benchmark"], row["optimizer"], row["predictor"]) == ("digits-ddim", "nsga2", "gbdt")
    assert row["metric"] == "fd-digits" and float(row["score"]) == pytest.approx(score, rel=1e-6)
    assert row["schedule"] == " ".join(map(str, winner["own"]["schedule"]))
    for name in ("pareto.csv", "winners.csv"):
        assert (folder / "out" / name).stat().st_size
    assert list((folder / "out").glob("*.png"))


def test_the_decoys_would_be_noticed(among_decoys):
    """The folder is a trap: a process that has it on its path falls into it."""
    folder, _ = among_decoys
    for package in PACKAGES:
        outcome = subprocess.run(
            [sys.executable, "-c", f"import {package}"], cwd=folder, capture_output=True, text=True
        )
        assert "the decoy was imported" in outcome.stderr
