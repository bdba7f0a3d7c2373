"""Data are reused only for the measurement that they were made with, whatever their folders are called."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks import Benchmark, load_benchmark
from benchmarks.building import build_baselines, build_repeat
from omsdpm import InputError
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
from omsdpm.networks.unet2d import WEIGHTS_FILE
from omsdpm.scoring.identity import MEASURED_FILE, check_measured, identity, remember_measured
from omsdpm.scoring.measurement import Measurement

FILE = """
name = "small"
summary = "a small benchmark"
budgets = [12, 6]

[measurement]
zoo = {zoo}
solver = "dpm-solver"
length = 6
images = 6
seed = 7

[validation]
images = 8
seeds = [21, 22]

[repeat]
n = 3
seed = 9

[[round]]
name = "random"
design = "random"
n = 6
split = "train"
null = 0.5
"""


def write(folder, zoo):
    folder.mkdir()
    (folder / "benchmark.toml").write_text(FILE.replace("{zoo}", json.dumps(str(zoo))))
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny_zoo):
    folder = write(tmp_path_factory.mktemp("identity") / "b", tiny_zoo)
    build(folder)
    return folder


def build(folder):
    build_dataset(Recipe.read(folder), Workers())
    benchmark = Benchmark.read(folder)
    build_repeat(benchmark, Workers())
    build_baselines(benchmark, Workers())
    return Benchmark.read(folder)


@pytest.fixture
def copy(built, tmp_path):
    return shutil.copytree(built, tmp_path / "copy")


@pytest.fixture
def measures_nothing(monkeypatch):
    for module in ("omsdpm.dataset.build", "benchmarks.building"):
        monkeypatch.setattr(f"{module}.measure_sharded", None)


def edit(folder, old, new):
    text = (folder / "benchmark.toml").read_text()
    assert old in text
    (folder / "benchmark.toml").write_text(text.replace(old, new, 1))


def retrained(zoo, member, to):
    shutil.copytree(zoo, to)
    state = load_file(to / member / WEIGHTS_FILE)
    next(iter(state.values())).view(-1)[0] += 1e-3
    save_file(state, to / member / WEIGHTS_FILE)
    return to


def pictures(folder, seed=0):
    folder.mkdir()
    for i, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (3, 8, 8), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_other_weights_are_refused_by_every_part(copy, tiny_zoo, tmp_path, measures_nothing):
    edit(copy, json.dumps(str(tiny_zoo)), json.dumps(str(retrained(tiny_zoo, "3", tmp_path / "zoo"))))
    before = {path: path.read_bytes() for path in copy.glob("*.*")}
    told = "was measured with other weights of member 3: build in a new folder, or point [measurement] back"
    benchmark = Benchmark.read(copy)
    for part, act in {
        "schedules": lambda: build_dataset(Recipe.read(copy), Workers()),
        "repeat": lambda: build_repeat(benchmark, Workers()),
        "baselines": lambda: build_baselines(benchmark, Workers()),
    }.items():
        with pytest.raises(InputError, match=re.escape(f"{copy / part}.parquet {told}")):
            act()
    with pytest.raises(InputError, match=r"baselines.parquet was measured with other weights of member 3"):
        benchmark.validate([[1, 0, 0, 0, 0, 0]], images=5, seeds=[31])
    assert {path: path.read_bytes() for path in copy.glob("*.*")} == before


@pytest.mark.parametrize(
    "old, new, differs",
    [
        ("seed = 7", 'seed = 7\nreference = "../pictures"', "another reference"),
        ("seed = 7", 'seed = 7\nspacing = "time_uniform"', "another solver, length or spacing"),
        ("seed = 7", 'seed = 8\nreference = "../pictures"', "another reference and another seed"),
        ("seed = 7", "seed = 7\nmembers = [2, 1, 3]", "other members"),
        ("images = 6", "images = 5", "another number of images"),
    ],
)
def test_what_differs_is_named(copy, tmp_path, measures_nothing, old, new, differs):
    pictures(tmp_path / "pictures")
    edit(copy, old, new)
    with pytest.raises(InputError, match=f"schedules.parquet was measured with {differs}: build"):
        build_dataset(Recipe.read(copy), Workers())


def test_other_validation_noise_is_another_identity_of_baselines(copy, measures_nothing):
    edit(copy, "seeds = [21, 22]", "seeds = [21, 23]")
    build_dataset(Recipe.read(copy), Workers())
    with pytest.raises(InputError, match=r"baselines.parquet was measured with another seed"):
        build_baselines(Benchmark.read(copy), Workers())


def test_data_that_say_nothing_are_refused_where_they_would_be_reused(copy, measures_nothing, monkeypatch):
    (copy / MEASURED_FILE).unlink()
    with pytest.raises(InputError, match=r"schedules.parquet does not say .* \(no measured.json"):
        build_dataset(Recipe.read(copy), Workers())
    with pytest.raises(InputError, match=r"baselines.parquet does not say"):
        Benchmark.read(copy).validate([[1, 0, 0, 0, 0, 0]])
    monkeypatch.setattr("omsdpm.scoring.identity.zoo_digest", None)  # reading asks for no digest
    assert len(load_benchmark(str(copy)).dataset) == 6 and load_benchmark(str(copy)).baselines


def test_the_same_content_under_another_path_is_the_same(copy, tiny_zoo, tmp_path, measures_nothing):
    zoo = shutil.copytree(tiny_zoo, tmp_path / "elsewhere")
    edit(copy, json.dumps(str(tiny_zoo)), json.dumps(str(zoo)))
    assert len(build(copy).dataset) == 6
    here, there = pictures(tmp_path / "here"), pictures(tmp_path / "there")
    (there / "note.txt").write_text("no image")

    def of(reference):
        return identity(Measurement(str(zoo), "ddim", 4, reference=str(reference)))

    assert of(here) == of(there)
    assert of(here)["reference"] != of(pictures(tmp_path / "others", seed=1))["reference"]


def test_own_weights_of_inception_count_by_content(tiny_zoo, tmp_path):
    def metric(path):
        name = f"fid[weights={path}]" if path else "fid"
        return identity(Measurement(str(tiny_zoo), "ddim", 4, metric=name))["metric"]

    for name, content in {"a": b"1", "b": b"1", "c": b"2"}.items():
        (tmp_path / name).write_bytes(content)
    assert metric(None) == "fid"
    assert metric(str(tmp_path / "a")) == metric(str(tmp_path / "b")) != metric(str(tmp_path / "c"))


def test_a_build_killed_between_the_note_and_the_data_resumes(built, tmp_path, tiny_zoo):
    folder = write(tmp_path / "b", tiny_zoo)
    script = """
import os, signal, sys
from omsdpm.dataset import ScheduleDataset
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
ScheduleDataset.write = lambda self, path: os.kill(os.getpid(), signal.SIGKILL)
build_dataset(Recipe.read(sys.argv[1]), Workers())
"""
    killed = subprocess.run([sys.executable, "-c", script, str(folder)], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert (folder / MEASURED_FILE).exists() and not (folder / "schedules.parquet").exists()
    # Its shards are of that zoo alone.
    other = retrained(tiny_zoo, "1", tmp_path / "zoo")
    edit(folder, json.dumps(str(tiny_zoo)), json.dumps(str(other)))
    with pytest.raises(InputError, match="holds shards of other schedules or another measurement"):
        build_dataset(Recipe.read(folder), Workers())
    edit(folder, json.dumps(str(other)), json.dumps(str(tiny_zoo)))
    dataset = build_dataset(Recipe.read(folder), Workers())
    np.testing.assert_allclose(dataset.y, Benchmark.read(built).dataset.y, rtol=1e-5)
    check_measured(folder, "schedules", identity(Recipe.read(folder).measurement))


def test_several_processes_may_note_their_parts(tmp_path):
    script = "import sys; from omsdpm.scoring.identity import remember_measured as r; r(sys.argv[1], sys.argv[2], {})"
    parts = ("schedules", "baselines", "repeat")
    running = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), part]) for part in parts]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert sorted(json.loads((tmp_path / MEASURED_FILE).read_text())) == sorted(["format", *parts])


@pytest.mark.parametrize("text, message", [("{", "is damaged"), ("[]", "format 1"), ('{"format": 2}', "format 1")])
def test_a_broken_note_is_named(tmp_path, text, message):
    (tmp_path / MEASURED_FILE).write_text(text)
    for act in (check_measured, remember_measured):
        with pytest.raises(InputError, match=f"{re.escape(os.fspath(tmp_path / MEASURED_FILE))}.*{message}|{message}"):
            act(tmp_path, "schedules", {})


@pytest.mark.parametrize("name", ["digits-ddim", "digits-dpm", "digits-tab"])
def test_the_embedded_benchmarks_say_what_they_were_measured_with(name, measures_nothing):
    benchmark = load_benchmark(name)
    check_measured(benchmark.folder, "schedules", identity(benchmark.measurement))
    assert build_baselines(benchmark, Workers()) and build_repeat(benchmark, Workers())
