"""Folders of zoos: round trips, and what is said of folders that are none."""

import shutil
import tomllib
from types import SimpleNamespace

import pytest
import torch

from omsdpm import InputError, ModelZoo
from omsdpm.networks.unet2d import WEIGHTS_FILE, UNet2DTable
from omsdpm.noise import DiscreteVP
from omsdpm.zoo import ZooFile, write_zoo
from omsdpm.zoo.files import read_latency_card, write_latency_card
from omsdpm.zoo.profile import measure_latency, profile_zoo
from omsdpm.zoo.recipe import Training, ZooRecipe
from omsdpm.zoo.zoo import parameter_counts

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


CARD = {"ms": [1.0, 2.0, 4.0]}


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
        (lambda zoo: write_latency_card(zoo, {"batch_size": 4}), "latency.toml", "lacks the key 'ms'|ms.*required"),
        (
            lambda zoo: write_latency_card(zoo, {"ms": [1.0, -2.0, 3.0]}),
            "latency.toml",
            r"ms#2.* -2\.0.*greater than 0",
        ),
        (lambda zoo: write_latency_card(zoo, {"ms": [1.0, float("nan"), 3.0]}), "latency.toml", r"ms#2.* nan.*finite"),
        (lambda zoo: write_latency_card(zoo, {"ms": [1.0, True, 3.0]}), "latency.toml", r"ms#2.* True"),
        (lambda zoo: write_latency_card(zoo, {"ms": []}), "latency.toml", r"ms.* \[\].*at least 1"),
        (lambda zoo: write_latency_card(zoo, {**CARD, "batch": 8}), "latency.toml", "'batch'.*: batch_size, "),
        (lambda zoo: write_latency_card(zoo, {**CARD, "threads": -1}), "latency.toml", "threads.* -1.*greater than 0"),
        (lambda zoo: write_latency_card(zoo, {**CARD, "date": 2026}), "latency.toml", "date.* 2026.*text"),
        (
            lambda zoo: write_latency_card(zoo, {**CARD, "versions": {"t": 2}}),
            "latency.toml",
            r"versions.* 2.*text",
        ),
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
        ('prediction_type = "epsilon"', 'prediction_type = "eps"', "prediction_type.*'eps'; choose one of: epsilon, "),
        ("image_size = 8", "image_size = 16", "takes \\(channels, size\\) \\(1, 8\\), zoo.toml says \\(1, 16\\)"),
        ("image_size = 8", 'image_size = "eight"', r"zoo\.image_size.*'eight'"),
        ("image_size = 8", 'image_size = "8"', r"zoo\.image_size.*'8'"),
        ("image_size = 8", "image_size = 8.5", r"zoo\.image_size.*8\.5"),
        ("image_size = 8", "image_size = -8", r"zoo\.image_size.*-8.*greater than 0"),
        ("channels = 1", "channels = true", r"zoo\.channels.*True"),
        ("channels = 1", "", r"zoo\.channels"),
        ("channels = 1", "channel = 1", "'channel'.*: channels, "),
        ('name = "tiny"', "name = 3", r"zoo\.name.*3.*text"),
        ("[noise]", "[noises]", "'noises'.*: noise, "),
        ("beta_end = 0.02", "beta_end = 2.0", "noise"),
        ("beta_end = 0.02", 'beta_end = "0.02"', "beta_end.*'0.02'"),
        ("beta_end = 0.02", "beta_end = inf", "noise"),
        ("beta_end = 0.02", 'beta_schedule = "scaled_linear"', "'beta_schedule'.*: beta_"),
        ("beta_end = 0.02", "beta_ends = 0.02", "'beta_ends'.*: beta_end, "),
        ("member = [", "members = [", "'members'.*: member, "),
        ('folder = "1"', 'folders = "1"', r"member#1.*'folders'.*: folder, "),
        ('folder = "1"', 'folder = ""', r"member#1.*folder"),
        ('folder = "1"', "folder = 1", r"member#1.*folder.* 1.*text"),
        (
            'folder = "1"',
            'folder = "1", heads = { mid_block = -1 }',
            r"member#1.*mid_block.*-1.*greater than 0",
        ),
        ('folder = "1"', 'folder = "1", heads = { mid_block = 1.5 }', r"member#1.*heads.*mid_block.*1\.5"),
        ('kind = "unet2d"', 'kind = "unet3d"', "unknown network 'unet3d'; choose one of: unet2d, unet2d-condition"),
        ('kind = "unet2d"', "kind = 2", r"member#1.*kind"),
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
    text = (zoo / "zoo.toml").read_text()
    (zoo / "zoo.toml").write_text(
        text.replace("[[member]]", "[[other]]").replace("member = [", "member = []\nother = [")
    )
    with pytest.raises(InputError, match="other"):
        ZooFile.read(zoo)
    (zoo / "zoo.toml").write_text("member = []\n[zoo]\nname = 'none'\nimage_size = 8\nchannels = 1\n[noise]\n")
    with pytest.raises(InputError, match=r"member.*\(\).*at least 1|member.*\[\].*at least 1") as error:
        ZooFile.read(zoo)
    one_line(error)


def test_a_zoo_that_was_never_profiled_says_so(zoo):
    (zoo / "latency.toml").unlink()
    loaded = ModelZoo.load(zoo)
    with pytest.raises(InputError, match="omsdpm-bench zoo profile"):
        loaded.latency  # noqa: B018
    assert loaded.subset([2]).latency_card is None


def test_the_zoo_file_is_read_as_written(tmp_path):
    members = (
        UNet2DTable(folder="a"),
        UNet2DTable(folder="b", prediction_type="sample"),
        UNet2DTable(folder="c", prediction_type="v_prediction", heads={"mid_block": 2}),
    )
    images = {"name": "name", "image_size": 32, "channels": 3}
    entry = ZooFile(zoo=images, noise={"beta_start": 5e-4, "beta_end": 0.01}, member=members)
    entry.write(tmp_path / "new" / "zoo")
    assert ZooFile.read(tmp_path / "new" / "zoo") == entry
    assert entry.noise == DiscreteVP.linear(5e-4, 0.01) and entry.shape == (3, 32, 32)
    # Heads are said only where there are any.
    written = tomllib.loads((tmp_path / "new" / "zoo" / "zoo.toml").read_text())
    assert ["heads" in member for member in written["member"]] == [False, False, True]


def test_the_number_of_training_steps_is_honored(zoo):
    """It was ignored once, and the betas of 1,000 steps used."""
    text = (zoo / "zoo.toml").read_text()
    head, noise = text.split("[noise]")
    assert "member" not in noise
    (zoo / "zoo.toml").write_text(f"{head}[noise]\nbeta_start = 0.001\nbeta_end = 0.2\nsteps = 100\n")
    noise = ModelZoo.load(zoo).noise
    assert noise == DiscreteVP.linear(0.001, 0.2, 100) and noise.steps == 100
    assert measure_latency(ModelZoo.load(zoo), batch_size=1, repeats=1, warmup=0)[0] > 0


def test_old_files_load_as_they_did(tmp_path):
    """As written before there were kinds of noise and of networks."""
    (tmp_path / "zoo.toml").write_text(
        'member = [{ folder = "1", prediction_type = "epsilon" }, { folder = "2" }]\n'
        '[zoo]\nname = "old"\nimage_size = 8\nchannels = 1\n[noise]\nbeta_start = 0.0001\nbeta_end = 0.02\n'
    )
    file = ZooFile.read(tmp_path)
    assert file.members == (UNet2DTable(folder="1"), UNet2DTable(folder="2"))
    assert file.noise == DiscreteVP.linear(1e-4, 0.02) and file.name == "old"


def test_dates_of_toml_are_read_as_text(zoo):
    (zoo / "latency.toml").write_text("ms = [1, 2.5, 4]\ndate = 2026-01-02\n")
    assert read_latency_card(zoo) == {"ms": [1.0, 2.5, 4.0], "date": "2026-01-02"}


def test_a_zoo_says_briefly_what_it_is(zoo):
    loaded = ModelZoo.load(zoo)
    assert repr(loaded).startswith("ModelZoo('tiny', 3 members for 1x8x8, ") and len(repr(loaded)) < 80
    assert repr(loaded.members) == "[" + ", ".join(f"Member('{k}', UNet2D, epsilon)" for k in (1, 2, 3)) + "]"


def test_a_zoo_file_says_what_its_recipe_said(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = ZooRecipe.read(tmp_path / "recipe.toml")
    entry = write_zoo(recipe, tmp_path / "zoo")
    assert ZooFile.read(tmp_path / "zoo") == entry
    assert (entry.name, entry.shape, entry.noise) == ("few", (1, 8, 8), DiscreteVP.linear(0.001, 0.03))
    assert entry.members == (UNet2DTable(folder="small"), UNet2DTable(folder="large", prediction_type="v_prediction"))


def test_a_recipe_is_read(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    recipe = ZooRecipe.read(tmp_path / "recipe.toml")
    small, large = recipe.members
    assert recipe.training_of(small) == Training(steps=7, learning_rate=1.0)
    assert isinstance(recipe.training_of(small).learning_rate, float)
    assert recipe.training_of(large) == Training(steps=9, learning_rate=1.0, ema_decay=0.5)
    assert recipe.noise == DiscreteVP.linear(0.001, 0.03)
    assert (small.prediction_type, large.prediction_type) == ("epsilon", "v_prediction")
    assert large.unet == {"block_out_channels": [8]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[zoo]", "[zoos]", "'zoos'.*: zoo, "),
        ('name = "small"', "", r"member#1.*name"),
        ("unet = { block_out_channels = [4] }", "", r"member#1.*unet"),
        ("unet = { block_out_channels = [4] }", "unet = { num_class_embeds = -1 }", r"member#1.*unet.*embeds = -1"),
        ("unet = { block_out_channels = [4] }", 'unet = { num_class_embeds = "3" }', r"member#1.*unet.*embeds = '3'"),
        ("image_size = 8", 'image_size = "eight"', r"zoo\.image_size.*'eight'"),
        ("steps = 7", "step = 7", r"training.*'step'.*: steps, "),
        ("steps = 7", 'steps = "many"', r"training\.steps.*'many'"),
        ("steps = 7", "steps = -7", r"training\.steps.*-7.*greater than 0"),
        ("learning_rate = 1", "learning_rate = inf", r"training\.learning_rate.*inf.*finite"),
        ("ema_decay = 0.5", "ema_decay = 1.5", r"member#2.*training\.ema_decay.*1\.5.*less than 1"),
        ("ema_decay = 0.5", "ema_decays = 0.5", r"member#2.*training.*'ema_decays'.*: ema_decay, "),
        ('prediction_type = "v_prediction"', 'predicts = "sample"', r"member#2.*'predicts'.*: prediction_type, "),
        ("beta_end = 0.03", "beta_end = 3.0", "noise"),
        ("beta_end = 0.03", "beta_ende = 0.03", "'beta_ende'.*: beta_end, "),
        ("[[member]]", "[[member", "is not TOML"),
        ('name = "large"', 'name = "small"', "each with its own name"),
        ('"v_prediction"', '"velocity"', "prediction_type.*'velocity'; choose one of: epsilon, flow_prediction, "),
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
    with pytest.raises(InputError, match=r"cannot read .*absent\.toml: No such file") as error:
        ZooRecipe.read(tmp_path / "absent.toml")
    one_line(error)


def test_the_embedded_recipe_is_one(tmp_path):
    import benchmarks

    folder = f"{benchmarks.__path__[0]}/data/digits-zoo"
    recipe, file = ZooRecipe.read(f"{folder}/recipe.toml"), ZooFile.read(folder)
    assert [member.name for member in recipe.members] == [member.folder for member in file.members]
    assert recipe.zoo == file.zoo and file.shape == (1, 8, 8)


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
    # The warm-up takes 9 s; then 1, 5 and 2 ms.
    clock = iter([0, 9, 10, 10.001, 20, 20.005, 30, 30.002])
    monkeypatch.setattr("omsdpm.zoo.profile.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert measure_latency(loaded, batch_size=1, repeats=3, warmup=1) == pytest.approx([2.0])


@pytest.mark.parametrize("counts", [{"batch_size": 0}, {"repeats": 0}, {"warmup": -1}])
def test_profiling_takes_positive_counts(zoo, counts):
    with pytest.raises(InputError, match="expected positive numbers"):
        measure_latency(ModelZoo.load(zoo), **counts)
