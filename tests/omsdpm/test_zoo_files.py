"""Folders of zoos: round trips, and what is said of folders that are none."""

import shutil
import tomllib
from types import SimpleNamespace

import pytest
import torch

from omsdpm import InputError, ModelZoo
from omsdpm.noise import DiscreteVP
from omsdpm.zoo import ZooFile, write_zoo
from omsdpm.zoo.files import MemberEntry, read_latency_card, write_latency_card
from omsdpm.zoo.profile import measure_latency, profile_zoo
from omsdpm.zoo.recipe import Training, ZooRecipe
from omsdpm.zoo.zoo import WEIGHTS_FILE, parameter_counts

RECIPE = """
[zoo]
name = "few"
image_size = 8
channels = 1

[noise]
beta_start = 0.001
beta_end = 0.03

[training]
steps = 7
learning_rate = 1

[[member]]
name = "small"
unet = { block_out_channels = [4] }

[[member]]
name = "large"
prediction_type = "v_prediction"
unet = { block_out_channels = [8] }
training = { steps = 9, ema_decay = 0.5 }
"""


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def zoo(tiny_zoo, tmp_path):
    """A copy of the tiny zoo to break."""
    return shutil.copytree(tiny_zoo, tmp_path / "zoo")


def test_a_zoo_loads(zoo):
    loaded = ModelZoo.load(zoo)
    assert len(loaded.denoisers) == 3 and loaded.latency == [1.0, 2.0, 4.0]
    assert loaded.shape == (1, 8, 8) and loaded.name == "tiny" and loaded.device == "cpu"
    assert loaded.noise == DiscreteVP.linear(1e-4, 0.02)
    counts = parameter_counts(loaded)
    assert counts == sorted(counts) and counts[0] > 0
    x = loaded.starting_noise(2, seed=5)
    torch.testing.assert_close(x, loaded.starting_noise(2, seed=5), rtol=0, atol=0)
    assert not torch.equal(x, loaded.starting_noise(2, seed=6))
    outputs = [denoiser(x, 500) for denoiser in loaded.denoisers]
    assert all(out.shape == x.shape and not out.requires_grad for out in outputs)
    assert not torch.equal(outputs[0], outputs[1])


def test_members_load_as_they_were_saved(zoo):
    from diffusers import UNet2DModel

    theirs = UNet2DModel.from_pretrained(zoo / "2").eval()
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        expected = theirs(x, torch.tensor([3, 700])).sample
    torch.testing.assert_close(ModelZoo.load(zoo).denoisers[1](x, torch.tensor([3, 700])), expected)


def test_a_subset_is_numbered_from_one(zoo):
    loaded = ModelZoo.load(zoo)
    subset = loaded.subset([3, 1])
    assert subset.latency == [4.0, 1.0]
    assert [member.name for member in subset.members] == ["3", "1"]


@pytest.mark.parametrize(
    ("spoil", "file", "message"),
    [
        (lambda zoo: (zoo / "zoo.toml").unlink(), "zoo.toml", "a zoo is a folder with a zoo.toml"),
        (lambda zoo: shutil.rmtree(zoo), "zoo.toml", "a zoo is a folder with a zoo.toml"),
        (lambda zoo: (zoo / "zoo.toml").write_text("[zoo\nname = 1"), "zoo.toml", "is not TOML"),
        (lambda zoo: (zoo / "zoo.toml").write_bytes(b"\xff\xfe\x00"), "zoo.toml", "is not TOML"),
        (lambda zoo: shutil.rmtree(zoo / "2"), "2", "lacks config.json"),
        (lambda zoo: (zoo / "2" / WEIGHTS_FILE).unlink(), "2", f"lacks {WEIGHTS_FILE}"),
        (lambda zoo: (zoo / "2" / "config.json").write_text("{"), "2/config.json", "is not a UNet2DModel config"),
        (lambda zoo: truncate(zoo / "2" / WEIGHTS_FILE), f"2/{WEIGHTS_FILE}", "is truncated or not"),
        (lambda zoo: (zoo / "2" / WEIGHTS_FILE).write_bytes(b""), f"2/{WEIGHTS_FILE}", "is truncated or not"),
        (
            lambda zoo: shutil.copy(zoo / "3" / WEIGHTS_FILE, zoo / "2"),
            f"2/{WEIGHTS_FILE}",
            "not this network's weights",
        ),
        (lambda zoo: poison(zoo / "2" / WEIGHTS_FILE, "nan"), f"2/{WEIGHTS_FILE}", "NaN or infinite"),
        (lambda zoo: poison(zoo / "2" / WEIGHTS_FILE, "inf"), f"2/{WEIGHTS_FILE}", "NaN or infinite"),
        (lambda zoo: write_latency_card(zoo, {"ms": [1.0, 2.0]}), "latency.toml", "2 latencies for 3 members"),
        (lambda zoo: write_latency_card(zoo, {"batch_size": 4}), "latency.toml", "ms = None"),
        (lambda zoo: write_latency_card(zoo, {"ms": [1.0, -2.0, 3.0]}), "latency.toml", "all positive"),
        (lambda zoo: write_latency_card(zoo, {"ms": [1.0, float("nan"), 3.0]}), "latency.toml", "all positive"),
        (lambda zoo: (zoo / "latency.toml").write_text("ms = ["), "latency.toml", "is not TOML"),
    ],
)
def test_what_cannot_be_loaded_is_named(zoo, spoil, file, message):
    spoil(zoo)
    with pytest.raises(InputError, match=message) as error:
        ModelZoo.load(zoo)
    assert str(zoo / file) in one_line(error)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def poison(path, value):
    from safetensors.torch import load_file, save_file

    state = load_file(path)
    next(iter(state.values())).view(-1)[0] = float(value)
    save_file(state, path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('prediction_type = "epsilon"', 'prediction_type = "eps"', "choose one of epsilon, sample, v_prediction"),
        ("image_size = 8", "image_size = 16", "takes \\(channels, size\\) \\(1, 8\\), zoo.toml says \\(1, 16\\)"),
        ("image_size = 8", 'image_size = "eight"', "eight"),
        ("channels = 1", "", "lacks the key 'channels'"),
        ("[noise]", "[noises]", "lacks the key 'noise'"),
        ("beta_end = 0.02", "beta_end = 2.0", "beta_end = 2.0: expected a number between 0 and 1"),
        ("member = [", "network = [", "lacks the key 'member'"),
        ('folder = "1"', 'path = "1"', "path"),
    ],
)
def test_a_zoo_file_with_a_mistake_is_named(zoo, old, new, message):
    text = (zoo / "zoo.toml").read_text()
    assert old in text
    (zoo / "zoo.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        ModelZoo.load(zoo)
    assert str(zoo) in one_line(error)


def test_a_zoo_without_members_is_none(zoo):
    ZooFile("empty", 8, 1, 1e-4, 0.02, ()).write(zoo)
    with pytest.raises(InputError, match="names no member"):
        ZooFile.read(zoo)


def test_a_zoo_that_was_never_profiled_says_so(zoo):
    (zoo / "latency.toml").unlink()
    loaded = ModelZoo.load(zoo)
    with pytest.raises(InputError, match="omsdpm-bench zoo profile"):
        loaded.latency  # noqa: B018
    assert loaded.subset([2]).latency_card is None


def test_the_zoo_file_is_read_as_written(tmp_path):
    members = (MemberEntry("a"), MemberEntry("b", "sample"), MemberEntry("c", "v_prediction", {"mid_block": 2}))
    entry = ZooFile("name", 32, 3, 5e-4, 0.01, members)
    entry.write(tmp_path / "new" / "zoo")
    assert ZooFile.read(tmp_path / "new" / "zoo") == entry
    assert entry.noise == DiscreteVP.linear(5e-4, 0.01)
    # Heads are said only where there are any.
    written = tomllib.loads((tmp_path / "new" / "zoo" / "zoo.toml").read_text())
    assert ["heads" in member for member in written["member"]] == [False, False, True]


def test_a_zoo_file_says_what_its_recipe_said(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = ZooRecipe.read(tmp_path / "recipe.toml")
    entry = write_zoo(recipe, tmp_path / "zoo")
    assert ZooFile.read(tmp_path / "zoo") == entry
    assert entry == ZooFile("few", 8, 1, 0.001, 0.03, (MemberEntry("small"), MemberEntry("large", "v_prediction")))


def test_a_recipe_is_read(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    small, large = ZooRecipe.read(tmp_path / "recipe.toml").members
    assert small.training == Training(steps=7, learning_rate=1.0)
    assert isinstance(small.training.learning_rate, float)
    assert large.training == Training(steps=9, learning_rate=1.0, ema_decay=0.5)
    assert (small.prediction_type, large.prediction_type) == ("epsilon", "v_prediction")
    assert large.unet == {"block_out_channels": [8]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[zoo]", "[zoos]", "lacks 'zoo'"),
        ('name = "small"', "", "lacks 'name'"),
        ("unet = { block_out_channels = [4] }", "", "lacks 'unet'"),
        ("image_size = 8", 'image_size = "eight"', "eight"),
        ("steps = 7", "step = 7", "unknown training key 'step'; known are .*steps"),
        ("steps = 7", 'steps = "many"', "many"),
        ("[[member]]", "[[member", "is not TOML"),
        ('name = "large"', 'name = "small"', "each with its own name"),
        ('"v_prediction"', '"velocity"', "unknown prediction_type .*'velocity'; choose one of: "),
    ],
)
def test_a_recipe_with_a_mistake_is_named(tmp_path, old, new, message):
    path = tmp_path / "recipe.toml"
    assert old in RECIPE
    path.write_text(RECIPE.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as error:
        ZooRecipe.read(path)
    assert str(path) in one_line(error)


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read recipe .*absent\.toml: No such file") as error:
        ZooRecipe.read(tmp_path / "absent.toml")
    one_line(error)


def test_the_embedded_recipe_is_one(tmp_path):
    import benchmarks

    folder = f"{benchmarks.__path__[0]}/data/digits-zoo"
    recipe, file = ZooRecipe.read(f"{folder}/recipe.toml"), ZooFile.read(folder)
    assert [member.name for member in recipe.members] == [member.folder for member in file.members]
    assert recipe.image_size == file.image_size == 8


def test_profiling_writes_the_table(zoo):
    (zoo / "latency.toml").unlink()
    told = []
    card = profile_zoo(zoo, batch_size=2, repeats=2, progress=lambda done, total: told.append((done, total)))
    assert read_latency_card(zoo) == card
    assert ModelZoo.load(zoo).latency == card["ms"]
    assert len(card["ms"]) == 3 and min(card["ms"]) > 0
    assert {"batch_size", "repeats", "statistic", "device", "threads", "date", "versions"} <= card.keys()
    assert card["versions"]["torch"] == torch.__version__
    assert told[-1][0] == told[-1][1] > 2  # warm-up included


def test_latency_is_the_median_of_what_comes_after_the_warm_up(zoo, monkeypatch):
    loaded = ModelZoo.load(zoo).subset([1])
    # The warm-up's end is not looked at; then 1, 5 and 2 ms.
    clock = iter([0, 10, 10.001, 20, 20.005, 30, 30.002])
    monkeypatch.setattr("omsdpm.zoo.profile.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert measure_latency(loaded, batch_size=1, repeats=3, warmup=1) == pytest.approx([2.0])


@pytest.mark.parametrize("counts", [{"batch_size": 0}, {"repeats": 0}, {"warmup": -1}])
def test_profiling_takes_positive_counts(zoo, counts):
    with pytest.raises(InputError, match="expected positive numbers"):
        measure_latency(ModelZoo.load(zoo), **counts)
