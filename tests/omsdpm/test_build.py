import contextlib
import json
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from omsdpm import InputError
from omsdpm.dataset import build as build_module
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
from omsdpm.dataset.shards import claim
from omsdpm.dataset.workfolder import MARKER, own_folder
from omsdpm.errors import InputWarning

RECIPE = """
seed = 3

[measurement]
zoo = {zoo}
solver = "{solver}"
length = {length}
images = 6
seed = 1

[[round]]
name = "first"
design = "random"
n = 14
split = "train"
null = 0.5

[[round]]
name = "second"
design = "refine"
n = 8
split = "elite"
"""


def write_recipe(folder, zoo, solver="ddim", length=6):
    folder.mkdir(parents=True, exist_ok=True)
    text = RECIPE.format(zoo=json.dumps(str(zoo)), solver=solver, length=length)
    (folder / "benchmark.toml").write_text(text)
    return folder


def build(folder, **kw):
    return build_dataset(Recipe.read(folder), Workers(jobs=1), shard_size=4, **kw)


def rows(dataset):
    return sorted(
        (tuple(x), y, s, d)
        for x, y, s, d in zip(dataset.X.tolist(), dataset.y, dataset.split, dataset.design, strict=True)
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory, tiny_zoo):
    """A folder with a finished build."""
    folder = write_recipe(tmp_path_factory.mktemp("build") / "b", tiny_zoo)
    return folder, build(folder)


def test_build_measures_every_round(built):
    folder, dataset = built
    assert len(dataset) == 22
    assert (dataset.split == "train").sum() == 14
    assert (dataset.split == "elite").sum() == 8
    assert dataset.metric == "fd-digits"
    recipe = Recipe.read(folder)
    np.testing.assert_allclose(dataset.y, recipe.measurement.open().measure(dataset.X), rtol=1e-6)
    first = dataset.extra["rounds"]["first"]
    assert first["schedules"] == 14
    assert first["evaluations"] < first["one_by_one"] == recipe.measurement.space.nfe(dataset.X[:14]).sum()
    assert not list(folder.glob("build/*/*.npz"))


def test_building_again_measures_nothing(built, monkeypatch):
    folder, dataset = built

    def fail(*args):
        raise AssertionError("measured again")

    monkeypatch.setattr("omsdpm.dataset.build.measure_shard", fail)
    assert rows(build(folder)) == rows(dataset)


def test_a_round_that_is_merged_between_two_looks_is_not_measured_again(built, tmp_path, tiny_zoo, monkeypatch):
    """Another process finishes the whole build after this one has drawn its round and before it cuts shards."""
    from omsdpm.dataset import build as module

    folder = write_recipe(tmp_path / "b", tiny_zoo)
    real_cut, real_measure, measured = module.cut, module.measure_shard, []

    def cut(*args):
        monkeypatch.setattr(module, "cut", real_cut)
        build(folder)
        return real_cut(*args)

    def measure(measurement, shard, *args):
        measured.append(shard.X.tolist())
        return real_measure(measurement, shard, *args)

    monkeypatch.setattr(module, "cut", cut)
    monkeypatch.setattr(module, "measure_shard", measure)
    assert rows(build(folder)) == rows(built[1])
    assert sum(map(len, measured)) == 22
    assert not list(folder.glob("build/0*"))


def test_dpm_solver_builds_too(tmp_path, tiny_zoo):
    dataset = build(write_recipe(tmp_path / "b", tiny_zoo, "dpm-solver", 9))
    assert len(dataset) == 22
    assert dataset.space.solver == "dpm-solver"


@pytest.mark.parametrize("killed_after", [1, 3, 5])
def test_a_killed_build_goes_on_without_losing_or_repeating(built, tmp_path, tiny_zoo, killed_after):
    """The process group is killed, without warning, after some shards; the result is the same."""
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    script = f"""
import sys, os, signal
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
shards = 0
def progress(name, done, n):
    global shards
    shards += done > 0
    if shards > {killed_after}:
        os.killpg(0, signal.SIGKILL)
build_dataset(Recipe.read(sys.argv[1]), Workers(jobs=1), shard_size=4, progress=progress)
"""
    process = subprocess.run([sys.executable, "-c", script, str(folder)], start_new_session=True, timeout=120)
    assert process.returncode == -signal.SIGKILL
    left = [*folder.glob("build/*/shard-*.npz"), *folder.glob("schedules.parquet")]
    stamps = {path: path.stat().st_mtime_ns for path in left}
    assert left
    again = []

    def progress(name, done, n):
        again.append(done)
        # A shard that was measured before the kill is not measured a second time.
        assert all(
            path.stat().st_mtime_ns == stamp
            for path, stamp in stamps.items()
            if path.suffix == ".npz" and path.exists()
        )

    dataset = build(folder, progress=progress)
    assert again[0] > 0
    assert rows(dataset) == rows(built[1])


def test_a_claimed_shard_is_left_to_its_owner(tmp_path):
    path = tmp_path / "shard-00000.npz"
    with claim(path) as ours:
        assert ours
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; from pathlib import Path; from omsdpm.dataset.shards import claim\n"
                "with claim(Path(sys.argv[1])) as ours: print(ours)",
                str(path),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout.strip() == "False"
    with claim(path) as again:
        assert again


def test_a_local_worker_that_dies_costs_its_shard_only(built, tmp_path, tiny_zoo):
    import psutil

    folder = write_recipe(tmp_path / "b", tiny_zoo)
    killed = []

    def progress(name, done, n):
        for child in psutil.Process().children(recursive=True) if done > 0 and not killed else ():
            with contextlib.suppress(psutil.Error):
                if "popen_loky" in " ".join(child.cmdline()):
                    killed.append(child.pid)
                    child.kill()
                    return

    dataset = build_dataset(Recipe.read(folder), Workers(jobs=2), shard_size=4, progress=progress)
    assert killed
    assert rows(dataset) == rows(built[1])


def test_a_dask_worker_killed_during_the_build_costs_its_shard_only(built, tmp_path, tiny_zoo):
    distributed = pytest.importorskip("distributed")
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    killed = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, scheduler_port=0
    ) as cluster:

        def progress(name, done, n):
            if done > 0 and not killed:
                nanny = next(iter(cluster.workers.values()))
                killed.append(nanny.pid)
                os.kill(nanny.pid, signal.SIGKILL)

        workers = Workers(executor="dask", scheduler=cluster.scheduler_address)
        dataset = build_dataset(Recipe.read(folder), workers, shard_size=4, progress=progress)
    assert killed
    assert rows(dataset) == rows(built[1])


def test_a_dataset_of_another_measurement_is_not_touched(built, tmp_path, tiny_zoo):
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    for name in ("schedules.parquet", "measured.json"):
        (folder / name).write_bytes((built[0] / name).read_bytes())
    before = (folder / "schedules.parquet").read_bytes()
    text = (folder / "benchmark.toml").read_text().replace("images = 6", "images = 7")
    (folder / "benchmark.toml").write_text(text)
    with pytest.raises(InputError, match=r"schedules\.parquet was measured with another number of images"):
        build(folder)
    assert (folder / "schedules.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('design = "refine"', 'design = "refined"', "unknown design 'refined'; choose one of: refine"),
        ('split = "elite"', 'split = "elites"', "unknown split 'elites'"),
        ('name = "second"', 'name = "first"', "two rounds have one name"),
        ("n = 8", "n = 0", r"round#2\.n = 0, expected greater than 0"),
        ("n = 8", 'n = "nine"', r"benchmark.toml: round#2\.n = 'nine', expected a whole number"),
        ("n = 8", "n = 8\nwindow = 3", r"benchmark.toml: round#2\.window = 3, expected a list"),
        ("images = 6", "images = 1", "measurement.images = 1, expected"),
        ("images = 6", "image = 6", "unknown key 'image'"),
        ('solver = "ddim"', "", "lacks the key 'measurement.solver'"),
        ("[[round]]", "[[round", "is not TOML"),
    ],
)
def test_bad_recipes_say_what_is_wrong(tmp_path, tiny_zoo, old, new, message):
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    text = (folder / "benchmark.toml").read_text()
    (folder / "benchmark.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        Recipe.read(folder)


def test_a_build_refuses_a_folder_with_files_of_others(tmp_path, tiny_zoo):
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    work = folder / "build" / "00-first"
    work.mkdir(parents=True)
    (work / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'notes.txt', which no build wrote there"):
        build(folder)
    assert (work / "notes.txt").read_text() == "mine"


def test_a_build_that_an_earlier_version_began_goes_on(tmp_path, tiny_zoo, built):
    folder = write_recipe(tmp_path / "b", tiny_zoo)

    class KilledError(Exception):
        pass

    def kill(*args):
        if args[1] >= 4:
            raise KilledError

    with pytest.raises(KilledError):
        build(folder, progress=kill)
    (folder / "build" / "00-first" / MARKER).unlink()
    assert rows(build(folder)) == rows(built[1])
    assert not list((folder / "build").glob("0*"))


def test_a_dask_scheduler_that_dies_is_one_line_and_costs_no_shard(built, tmp_path, tiny_zoo, caplog):
    distributed = pytest.importorskip("distributed")
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, scheduler_port=0
    )
    try:

        def progress(name, done, n):
            if done > 0:
                cluster.close(timeout=5)

        workers = Workers(executor="dask", scheduler=cluster.scheduler_address)
        with pytest.raises(
            InputError, match=r"the Dask scheduler tcp://.* was lost: measured shards are kept"
        ) as caught:
            build_dataset(Recipe.read(folder), workers, shard_size=4, progress=progress)
    finally:
        cluster.close()
    assert "\n" not in str(caught.value)
    assert list(folder.glob("build/00-first/shard-*.npz"))
    assert rows(build(folder)) == rows(built[1])


def test_workers_end_with_a_killed_parent(tmp_path, tiny_zoo):
    psutil = pytest.importorskip("psutil")
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    script = """
import os, signal, sys
import psutil
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
def progress(name, done, n):
    if done > 0 and name != "reference":
        print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
build_dataset(Recipe.read(sys.argv[1]), Workers(jobs=2), shard_size=4, progress=progress)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    started = [int(word) for word in killed.stdout.split()]
    assert len(started) >= 2
    alive = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
    _, left = psutil.wait_procs(alive, timeout=20)
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("drawn.npy", "empty"),
        ("drawn.npy", "cut short"),
        ("shard-00001.npz", "empty"),
        ("shard-00001.npz", "cut short"),
        ("shard-00001.npz", "other rows"),
    ],
)
def test_what_a_machine_that_stopped_emptied_is_made_again(tmp_path, tiny_zoo, built, name, broken):
    folder = write_recipe(tmp_path / "b", tiny_zoo)

    class KilledError(Exception):
        pass

    def kill(*args):
        if args[1] >= 8:
            raise KilledError

    with pytest.raises(KilledError):
        build(folder, progress=kill)
    path = folder / "build" / "00-first" / name
    content = path.read_bytes()
    if broken == "other rows":
        path.write_bytes(path.with_name("shard-00000.npz").read_bytes())
    else:
        path.write_bytes(b"" if broken == "empty" else content[: len(content) // 2])
    assert rows(build(folder)) == rows(built[1])


def test_an_empty_cut_is_told_in_a_line(tmp_path, tiny_zoo):
    folder = write_recipe(tmp_path / "b", tiny_zoo)

    class KilledError(Exception):
        pass

    def kill(*args):
        if args[1] >= 4:
            raise KilledError

    with pytest.raises(KilledError):
        build(folder, progress=kill)
    (folder / "build" / "00-first" / "cut.json").write_bytes(b"")
    with pytest.raises(InputError, match=r"cut\.json is damaged: .*remove .*00-first to start anew"):
        build(folder)


def test_shards_of_a_round_that_was_merged_are_put_away(tmp_path, tiny_zoo, built):
    """A build that was killed between its last merge and the end of that round's folder."""
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    build(folder)
    for name in ("00-first", "01-second"):
        own_folder(folder / "build" / name)
        (folder / "build" / name / "shard-00000.npz").write_bytes(b"left")
    assert rows(build(folder)) == rows(built[1])
    assert [path.name for path in (folder / "build").iterdir() if path.is_dir()] == []


@pytest.fixture
def cluster():
    """A scheduler without workers, and what starts some."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, processes=True, dashboard_address=None, scheduler_port=0
    ) as cluster:
        yield cluster


def test_a_cluster_without_workers_is_said_and_waited_for(built, tmp_path, tiny_zoo, cluster, monkeypatch):
    folder = write_recipe(tmp_path / "b", tiny_zoo)
    monkeypatch.setattr(build_module, "PATIENCE", 0.5)
    told = []

    def show(message, *rest):
        told.append(str(message))
        cluster.scale(1)

    with warnings.catch_warnings():
        warnings.simplefilter("always", InputWarning)
        monkeypatch.setattr(warnings, "showwarning", show)
        dataset = build_dataset(
            Recipe.read(folder), Workers(executor="dask", scheduler=cluster.scheduler_address), shard_size=4
        )
    assert rows(dataset) == rows(built[1])
    assert told[0] == (
        f"the Dask scheduler {cluster.scheduler_address} has no workers: waits for some; start them with "
        f"`dask worker {cluster.scheduler_address}`"
    )


def test_the_device_of_a_dask_worker_is_its_own_affair(built, tmp_path, tiny_zoo, cluster, monkeypatch):
    from studies.jobs.dataset_build import BuildSettings
    from studies.jobs.dataset_build import build as job

    folder = write_recipe(tmp_path / "b", tiny_zoo)
    cluster.scale(1)
    asked = []
    for room in ("studies.jobs.dataset_build.job", "omsdpm.scoring.measurement"):
        monkeypatch.setattr(f"{room}.resolve_device", asked.append)  # in this process, not in the worker's
    given = {"folder": folder, "executor": "dask", "scheduler": cluster.scheduler_address, "shard_size": 4}
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"device 'cuda': PyTorch .* sees no CUDA here"):
            job(BuildSettings(**given, device="cuda"))
    result = job(BuildSettings(**given, device="auto"))
    assert result.schedules == len(built[1]) and not asked
