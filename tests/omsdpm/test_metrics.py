"""Metrics by name: what they compute, merge, are called and need."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from omsdpm import DDIMSpace, DPMSolverSpace, InputError, ModelZoo
from omsdpm.dataset.build import Workers, build_dataset
from omsdpm.dataset.recipe import Recipe
from omsdpm.fid import Statistics
from omsdpm.images import load_digits_images
from omsdpm.sampling import Count, sample
from omsdpm.scoring.features import make_features
from omsdpm.scoring.identity import identity
from omsdpm.scoring.measurement import Measurement, measurement_from_table
from omsdpm.scoring.metrics import Context, OpenMetric, make_metric, metric_names, score_name
from omsdpm.scoring.metrics.opening import USUAL_FEATURES, check_metric, metric_identity, with_files_in
from omsdpm.scoring.metrics.psnr import LEAST_ERROR
from omsdpm.scoring.sampler import Sampler

SHAPE = (1, 8, 8)


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    real = load_digits_images()
    noise = rng.standard_normal((n, *SHAPE)).astype(np.float32)
    return torch.from_numpy(real[rng.integers(len(real), size=n)] + 0.3 * noise)


def made(text, **given):
    return make_metric(text, **{"shape": SHAPE, "reference": "digits", **given})


def means(batch):
    """A feature network that nobody registered: the means of rows."""
    return batch.mean(dim=3)[:, 0]


MEANS = "tests_metrics_features:means"


@pytest.fixture
def function(tmp_path, monkeypatch):
    (tmp_path / "tests_metrics_features.py").write_text("def means(batch):\n    return batch.mean(dim=3)[:, 0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield MEANS
    sys.modules.pop("tests_metrics_features", None)


def test_ours_are_there():
    assert {"fid", "fd-digits", "fd", "kid", "psnr"} <= set(metric_names())


# -- values ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["fd-digits", "fd[features=digits]"])
def test_a_frechet_distance_is_that_of_all_features_at_once(text):
    network, x = make_features("digits"), images(60)
    expected = Statistics.of(network(load_digits_images())).distance(Statistics.of(network(x)))
    metric = made(text)
    for first in (0, 20, 40):
        metric.update(x[first : first + 20], first)
    assert metric.value() == pytest.approx(expected, rel=1e-9)


def test_a_distance_in_the_features_of_any_function(function):
    x, real = images(30), torch.from_numpy(load_digits_images())
    metric = made(f"fd[features={function}]")
    metric.update(x, 0)
    expected = Statistics.of(means(real).numpy()).distance(Statistics.of(means(x).numpy()))
    assert metric.value() == pytest.approx(expected, rel=1e-6)
    module = made("fd[features=torch.nn:Flatten]")  # a class, made first
    module.update(x, 0)
    assert module.value() > 0


def test_kid_is_that_of_torch_fidelity():
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    features, x, real = make_features("digits"), images(300), load_digits_images()
    given = [torch.from_numpy(features(x)), torch.from_numpy(features(real))]
    theirs = kid.kid_features_to_metric(*given, kid_subsets=7, kid_subset_size=100, verbose=False)
    metric = made("kid[features=digits,subsets=7,subset_size=100]")
    metric.update(x[:170], 0)
    metric.update(x[170:], 170)
    # Features of other batches are rounded otherwise on some processors.
    assert metric.value() == pytest.approx(theirs[kid.KEY_METRIC_KID_MEAN], rel=1e-7)


def test_kid_of_all_images_is_the_unbiased_estimate():
    """Its formula, pair by pair (Binkowski et al., eq. 4)."""
    network, x = make_features("digits"), images(40)
    a, b = network(x), network(load_digits_images())
    k = [(p @ q.T / 64 + 1) ** 3 for p, q in ((a, a), (b, b), (a, b))]
    n, m = len(a), len(b)
    expected = (k[0].sum() - np.trace(k[0])) / (n * (n - 1)) + (k[1].sum() - np.trace(k[1])) / (m * (m - 1))
    metric = made("kid[features=digits]")
    metric.update(x, 0)
    assert metric.value() == pytest.approx(expected - 2 * k[2].mean(), rel=1e-9)


def test_kid_of_real_images_is_nought_on_average():
    real, values = torch.from_numpy(load_digits_images()), []
    for part in real[torch.randperm(1797, generator=torch.Generator().manual_seed(0))][:1500].split(100):
        metric = made("kid[features=digits]")
        metric.update(part, 0)
        values.append(metric.value())
    noisy = made("kid[features=digits]")
    noisy.update(torch.randn(100, *SHAPE), 0)
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5 < noisy.value() / 10
    assert min(values) < 0


@pytest.mark.parametrize("space", [DDIMSpace(3, 4), DPMSolverSpace(3, 2)], ids=lambda space: space.solver)
def test_psnr_is_to_one_member_in_every_slot_from_the_same_noise(tiny_zoo, space):
    zoo = ModelZoo.load(tiny_zoo)
    X = space.random(3, np.random.default_rng(0), null=0.3)
    X = np.concatenate([X, np.full((1, space.length), 2)])
    x_T, noise = zoo.starting_noise(10, seed=4), space.solver_noise(zoo.noise)
    wanted = sample(zoo.denoisers, X[3], x_T, space=space, noise=noise).clamp(-1, 1).numpy().astype(float)
    expected = []
    for x in X:
        got = sample(zoo.denoisers, x, x_T, space=space, noise=noise).clamp(-1, 1).numpy().astype(float)
        mse = ((got - wanted) ** 2).mean(axis=(1, 2, 3))
        expected.append(-np.mean(10 * np.log10(4 / np.maximum(mse, LEAST_ERROR))))
    metric = OpenMetric("psnr[member=2]", Context(zoo.shape, space=space))
    for batch_size in (10, 4):
        count = Count()
        scores = Sampler(zoo, space, batch_size=batch_size).score(X, 10, seed=4, metric=metric, count=count)
        np.testing.assert_allclose(scores, expected, rtol=1e-4)
        assert count.evaluations <= count.one_by_one  # the reference is nobody's schedule
    assert scores[3] == pytest.approx(-58.92, abs=0.01) and (metric.negated, metric.signed) == (True, "-psnr[member=2]")


# -- merging -----------------------------------------------------------------------------


WORKER = """
import pickle, sys
import torch
from omsdpm.scoring.metrics import make_metric
torch.set_num_threads(1)
text, images, first = pickle.load(open(sys.argv[1], "rb"))
metric = make_metric(text, shape=(1, 8, 8), reference="digits")
metric.update(images, first)
pickle.dump(metric, open(sys.argv[1], "wb"))
"""


@pytest.mark.parametrize("text", ["fd-digits", "kid[features=digits,subsets=3,subset_size=20]"])
def test_workers_take_in_a_part_each(text, tmp_path):
    x = images(60)
    whole = made(text)
    whole.update(x, 0)
    running = []
    for first in (40, 0, 20):  # in any order
        (tmp_path / str(first)).write_bytes(pickle.dumps((text, x[first : first + 20], first)))
        running.append(subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / str(first))]))
    assert [process.wait(120) for process in running] == [0, 0, 0]
    merged, *others = (pickle.loads((tmp_path / name).read_bytes()) for name in ("40", "0", "20"))
    for other in others:
        merged.merge(other)
    assert merged.value() == pytest.approx(whole.value(), rel=1e-6)
    assert merged.network is None  # it stays where it was
    opened = made(text)
    opened.merge(merged)
    assert opened.value() == merged.value()


def test_psnr_merges(tiny_zoo):
    first, second = (OpenMetric("psnr[member=1]", Context(SHAPE, space=DDIMSpace(3, 4))).fresh() for _ in range(2))
    first.values.update([10.0, 30.0])
    second.values.update([5.0, 15.0])
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.value() == 15.0 and first.error() == pytest.approx(np.std([10, 30, 5, 15], ddof=1) / 2)


# -- names and parameters ----------------------------------------------------------------


def test_what_scores_are_called(tmp_path):
    assert score_name("fid[weights=a/b.pth]") == "fid"
    assert score_name("kid[features=inception[weights=a.pth],subsets=3]") == "kid[features=inception,subsets=3]"
    assert score_name("psnr[member=6]") == "-psnr[member=6]"


def test_files_are_relative_to_the_file_that_names_them(tmp_path):
    table = {"zoo": "z", "solver": "ddim", "length": 5, "metric": "fid[weights=w/inception.pth]"}
    measurement = measurement_from_table(table, tmp_path)
    assert measurement.metric == f"fid[weights={tmp_path}/w/inception.pth]" and measurement.score_name == "fid"
    assert with_files_in("kid[features=inception[weights=../w.pth]]", tmp_path / "b") == (
        f'kid[features="inception[weights={tmp_path}/w.pth]"]'
    )
    with pytest.raises(InputError) as error:
        measurement_from_table({**table, "metric": "fid", "inception_weights": "w.pth"}, tmp_path)
    assert str(error.value) == (
        '[measurement]: inception_weights is a parameter of the metric now: write metric = "fid[weights=w.pth]"'
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fdd", "unknown metric 'fdd'; choose one of: fd, fid"),
        ("fid[wieghts=w]", "unknown parameter of metric 'fid' 'wieghts'; choose one of: weights"),
        ("fd-digits[weights=w]", "metric 'fd-digits' takes no parameters: leave out 'weights'"),
        ("fd", "metric 'fd': missing a required argument: 'features'"),
        ("psnr", "metric 'psnr': missing a required argument: 'member'"),
        ("psnr[context=3]", "unknown parameter of metric 'psnr' 'context'; choose one of: member"),
        ("fd[features=digit]", "unknown feature network 'digit'; choose one of: digits, "),
        ("fd[features=digits[size=3]]", "unknown parameter of feature network 'digits' 'size'"),
        ("fd[features=nowhere:f]", "feature network 'nowhere:f' cannot be imported"),
        ("fd[features=math:pi]", "feature network 'math:pi' is a float, which cannot be called"),
        ("fd[features=math:sqrt[a=1]]", "feature network 'math:sqrt' takes no parameters"),
    ],
)
def test_what_there_is_not_is_told_before_anything_is_loaded(text, message, tmp_path):
    with pytest.raises(InputError) as error:
        check_metric(text)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)
    with pytest.raises(InputError):
        Measurement(str(tmp_path / "absent"), "ddim", 4, metric=text)


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("fd-digits", {"reference": None}, "metric 'fd-digits' needs real images to compare with: give a folder"),
        ("kid[features=digits]", {"reference": None}, "metric 'kid' needs real images to compare with"),
        ("kid[features=digits,subsets=-1]", {}, "metric 'kid': subsets = -1, expected a whole number of at least 0"),
        ("kid[features=digits,subsets=2,subset_size=2000]", {}, "metric 'kid': 1797 real images, expected at least 20"),
        ("psnr[member=1]", {}, "metric 'psnr' compares schedules"),
        ("fd-digits", {"shape": (3, 8, 8)}, "metric 'fd-digits' is for images of 1x8x8: these are 3x8x8"),
        ("fd[features=digits]", {"shape": (3, 8, 8)}, "images of 3x8x8 have no likeness to scikit-learn's digits"),
    ],
)
def test_what_a_metric_lacks_is_told(text, given, message):
    with pytest.raises(InputError) as error:
        made(text, **given)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_kid_needs_images_and_no_statistics(tmp_path):
    Statistics(np.zeros(64), np.eye(64)).write(tmp_path / "s.npz")
    with pytest.raises(InputError, match=r"s\.npz: expected real images here, not their statistics; give a folder"):
        made("kid[features=digits]", reference=str(tmp_path / "s.npz"))
    short = made("kid[features=digits,subsets=2,subset_size=50]")
    short.update(images(20), 0)
    with pytest.raises(InputError, match="20 images, expected at least 50"):
        short.value()


def test_no_such_reference_member(tiny_zoo):
    for member in ("0", "4", "true", "x"):
        with pytest.raises(InputError, match=r"metric 'psnr': member = .*, expected one of 1\.\.3"):
            OpenMetric(f"psnr[member={member}]", Context(SHAPE, space=DDIMSpace(3, 4)))


def test_features_that_are_none_are_told(tmp_path, monkeypatch):
    (tmp_path / "wrong_features.py").write_text(
        "def one(batch):\n    return batch[:1]\n\n\ndef word(batch):\n    return 'x'\n\n\ndef flat(batch):\n"
        "    return batch.sum(dim=(1, 2, 3))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name, what in (("one", r"shape \(1, 1, 8, 8\) for 256 images"), ("word", "returned str"), ("flat", "shape")):
        with pytest.raises(InputError, match=f"feature network 'wrong_features:{name}' .*{what}"):
            made(f"fd[features=wrong_features:{name}]")


# -- the reference, computed once ---------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OMSDPM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "references"


def pictures(folder, n=600, seed=0):
    folder.mkdir()
    for i, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (n, 8, 8), dtype=np.uint8)):
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return folder


def test_a_reference_is_computed_once_by_content_in_batches_with_progress(cache, tmp_path, monkeypatch):
    folder, told, sizes = pictures(tmp_path / "a"), [], []
    read = __import__("omsdpm.scoring.reference", fromlist=["read_images"]).read_images

    def reading(paths, size, channels):
        sizes.append(len(paths))
        return read(paths, size, channels)

    monkeypatch.setattr("omsdpm.scoring.reference.read_images", reading)

    def statistics(source, features="digits"):
        context = Context(SHAPE, reference=str(source), progress=lambda *done: told.append(done))
        return context.statistics(features)

    first = statistics(folder)
    assert told == [(256, 600), (512, 600), (600, 600)] and sizes == [256, 256, 88]  # never all in memory
    again = statistics(folder.rename(tmp_path / "b"))
    assert len(told) == 3 and (again.mu == first.mu).all() and (again.sigma == first.sigma).all() and again.n == 600
    assert len(list(cache.glob("*.npz"))) == 1
    (tmp_path / "b" / "000.png").write_bytes((tmp_path / "b" / "001.png").read_bytes())
    assert not np.array_equal(statistics(tmp_path / "b").mu, first.mu) and len(told) == 6
    assert len(list(cache.glob("*.npz"))) == 2
    for path in cache.glob("*.npz"):  # cut short: computed again
        path.write_bytes(path.read_bytes()[:100])
    assert statistics(tmp_path / "b").n == 600 and len(told) == 9


def test_of_several_that_need_a_reference_one_computes_it(cache, tmp_path):
    folder, told = pictures(tmp_path / "a"), []

    def statistics(_):
        context = Context(SHAPE, reference=str(folder), progress=lambda *done: told.append(done))
        return context.statistics("digits").mu

    with ThreadPoolExecutor(4) as pool:
        means = list(pool.map(statistics, range(4)))
    assert told == [(256, 600), (512, 600), (600, 600)]
    assert all((mean == means[0]).all() for mean in means)


def test_another_network_is_another_reference(cache, function, tmp_path):
    folder = pictures(tmp_path / "a", 20)
    for text in ("digits", function):
        Context(SHAPE, reference=str(folder)).real_features(text)
    assert len(list(cache.glob("*-features.npz"))) == 2
    before = metric_identity(f"fd[features={function}]")["features"]
    (tmp_path / "tests_metrics_features.py").write_text("def means(batch):\n    return batch.mean(dim=2)[:, 0]\n")
    assert metric_identity(f"fd[features={function}]")["features"] != before


@pytest.mark.parametrize("kept", ["", "/proc/nowhere"])
def test_without_a_place_it_is_computed_again(kept, tmp_path, monkeypatch):
    monkeypatch.setenv("OMSDPM_CACHE", kept)
    told = []
    for _ in range(2):
        reference = str(tmp_path / "a") if told else str(pictures(tmp_path / "a", 20))
        Context(SHAPE, reference=reference, progress=lambda *done: told.append(done)).statistics("digits")
    assert told == [(20, 20), (20, 20)]


# -- identity ----------------------------------------------------------------------------


def test_what_identifies_a_metric(tmp_path, function):
    (tmp_path / "w").write_bytes(b"1")
    (tmp_path / "v").write_bytes(b"2")
    assert metric_identity("fd-digits") == {"metric": "fd-digits"}  # as committed data have it
    assert metric_identity("psnr[member=2]") == {"metric": "psnr[member=2]"}
    first, second = (metric_identity(f"kid[features=inception[weights={tmp_path / name}]]") for name in "wv")
    assert first != second and str(tmp_path) not in str(first)
    assert set(metric_identity(f"fd[features={function}]")) == {"metric", "features"}
    from omsdpm.scoring.features import features_digest

    assert features_digest("digits") == USUAL_FEATURES


def test_a_measurement_is_identified_by_metric_features_and_labels(tiny_zoo, function, tmp_path):
    def of(**given):
        return identity(Measurement(str(tiny_zoo), "ddim", 4, **given))

    assert of()["reference"] == "digits" and of(metric="psnr[member=1]")["reference"] == "none"
    assert "labels" not in of() and of(labels=(0, 1))["labels"] == "[0, 1]"
    assert of(metric=f"fd[features={function}]")["features"] != of(metric="fd[features=torch.nn:Flatten]")["features"]


# -- building with them ------------------------------------------------------------------

RECIPE = """
[measurement]
zoo = "{zoo}"
solver = "ddim"
length = 4
metric = "{metric}"
images = 6
seed = 1

[[round]]
name = "all"
design = "random"
n = 8
split = "train"
null = 0.5
"""


@pytest.mark.parametrize("metric", ["psnr[member=3]", "kid[features=digits]"])
def test_datasets_hold_scores_of_which_lower_is_better(tmp_path, tiny_zoo, metric):
    (tmp_path / "benchmark.toml").write_text(RECIPE.format(zoo=tiny_zoo, metric=metric))
    recipe = Recipe.read(tmp_path)
    dataset = build_dataset(recipe, Workers(), shard_size=3)
    assert dataset.metric == score_name(metric)
    np.testing.assert_allclose(dataset.y, recipe.measurement.open().measure(dataset.X), rtol=1e-5)
    if metric.startswith("psnr"):
        assert (dataset.y < 0).all() and (dataset.y >= -58.93).all()
    assert len(build_dataset(recipe, Workers())) == 8  # nothing is measured again
    other = metric.replace("3", "2") if "3" in metric else "fd-digits"
    (tmp_path / "benchmark.toml").write_text(RECIPE.format(zoo=tiny_zoo, metric=other))
    with pytest.raises(InputError, match="was measured with another metric"):
        build_dataset(Recipe.read(tmp_path), Workers())


@pytest.mark.parametrize(
    ("metric", "message"),
    [("psnr[member=7]", "member = 7, expected one of 1..3"), ("kid[features=digits,subsets=-1]", "subsets = -1")],
)
def test_what_cannot_be_measured_is_told_before_anything_is_written(tmp_path, tiny_zoo, metric, message):
    (tmp_path / "benchmark.toml").write_text(RECIPE.format(zoo=tiny_zoo, metric=metric))
    with pytest.raises(InputError, match=message):
        build_dataset(Recipe.read(tmp_path), Workers())
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark.toml"]
