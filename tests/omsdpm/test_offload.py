"""Members whose weights wait: on disk until they are called, and on the CPU while another is."""

from __future__ import annotations

import copy
import gc
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm import DDIMSpace, InputError, ModelZoo
from omsdpm.devices import Running
from omsdpm.networks.lazy import LazyModel, class_of
from omsdpm.offload import Offload, offload_to
from omsdpm.pipelines import apply
from omsdpm.sampling import sample
from omsdpm.zoo.adding import derive_members
from omsdpm.zoo.opening import open_zoo
from studies.cli import main

SCHEDULE = [1, 3, 0, 3, 1]


@pytest.fixture
def tiny_zoo(tiny_zoo, tmp_path):
    """The zoo in a folder of the test's own: members of one folder are held once, whoever else holds them."""
    return shutil.copytree(tiny_zoo, tmp_path / "tiny")


class Watched(Offload):
    """On the CPU itself: what is on the device is a copy of what waits there."""

    def __init__(self):
        super().__init__("cpu")
        self.copied = []

    def _placed(self, data):
        self.copied.append(data.numel())
        return data.clone()

    def there(self, module):
        return all(tensor in self._there for tensor in (*module.parameters(), *module.buffers()))

    @property
    def values(self):
        """Numbers on the device."""
        return sum(tensor.numel() for tensor in self._there)


@pytest.fixture
def watched(monkeypatch):
    made = Watched()
    for room in ("omsdpm.zoo.zoo", "omsdpm.zoo.opening"):
        monkeypatch.setattr(f"{room}.offload_to", lambda device: made)
    return made


def images(zoo, x=SCHEDULE):
    space = DDIMSpace(len(zoo.members), len(x))
    return sample(zoo.denoisers, x, zoo.starting_noise(2, 0), space=space, noise=zoo.noise)


def size(member):
    return sum(weights.numel() for weights in member.network.parameters())


def loaded(zoo):
    return [k for k, member in enumerate(zoo.members, 1) if member.network._model.loaded]


# -- offloaded -------------------------------------------------------------------------


def test_one_member_at_a_time_is_on_the_device_and_the_images_are_the_same(tiny_zoo, watched):
    expected = images(ModelZoo.load(tiny_zoo))
    zoo = ModelZoo.load(tiny_zoo, running=Running(offload=True))
    assert zoo.offload is watched and watched.values == 0
    seen = []
    for member in zoo.members:
        member.network.module.register_forward_pre_hook(lambda *given: seen.append(watched.values))
    assert torch.equal(images(zoo), expected)
    first, _, third = map(size, zoo.members)
    assert set(seen) == {first, third}
    assert sum(watched.copied) == 2 * first + third  # image end first: 1, then 3 twice, then 1 again


def test_a_member_that_is_there_stays(tiny_zoo, watched):
    member = ModelZoo.load(tiny_zoo, running=Running(offload=True)).members[0]
    x = torch.zeros(1, 1, 8, 8)
    member(x, 5.0)
    copied = len(watched.copied)
    member(x, 4.0)
    assert copied and len(watched.copied) == copied


def test_weights_that_two_members_share_stay_when_one_follows_the_other(tiny_zoo, tmp_path, watched):
    derive_members(tiny_zoo / "1", tmp_path, ["as-is", "compile[backend=eager]"])
    with pytest.raises(InputError, match="that is compiled cannot wait on the CPU"):
        ModelZoo.load(tmp_path, running=Running(offload=True))
    shutil.copytree(tiny_zoo, tmp_path / "zoo")
    zoo = ModelZoo.load(tmp_path / "zoo", running=Running(offload=True))
    unet = zoo.members[0].network.module
    memo = {id(tensor): tensor for tensor in (*unet.parameters(), *unet.buffers())}
    twin = copy.deepcopy(unet, memo=memo)  # as variants are made
    watched.add(twin)
    x, t = torch.zeros(1, 1, 8, 8), torch.zeros(1)
    unet(x, t)
    before = len(watched.copied)
    twin(x, t)
    assert before and len(watched.copied) == before and watched.there(twin)


def test_a_zoo_that_is_gone_leaves_nothing_behind(tiny_zoo, watched):
    zoo = ModelZoo.load(tiny_zoo, running=Running(offload=True))
    images(zoo)
    assert watched.values
    del zoo
    gc.collect()
    assert watched.values == 0 and not len(watched._waiting)


def test_on_the_cpu_itself_nothing_waits(tiny_zoo):
    assert offload_to("cpu") is None
    zoo = ModelZoo.load(tiny_zoo, running=Running(offload=True))
    assert zoo.offload is None and torch.equal(images(zoo), images(ModelZoo.load(tiny_zoo)))


def test_compiled_members_cannot_wait():
    with pytest.raises(InputError, match="leave out --compile or --offload"):
        Running(compiled=True, offload=True)


def test_members_on_whole_numbers_cannot_wait(tiny_zoo, tmp_path, watched):
    derive_members(tiny_zoo / "1", tmp_path, ["as-is", "int8"])
    assert len(ModelZoo.load(tmp_path).members) == 2
    with pytest.raises(InputError, match="of whole numbers cannot wait on the CPU: leave out one of both"):
        ModelZoo.load(tmp_path, running=Running(offload=True))


def test_a_vae_waits_too(tmp_path, watched):
    pipelines = pytest.importorskip("tests.pipelines")
    pytest.importorskip("transformers", minversion="5")
    derive_members(pipelines.tiny_sd(tmp_path / "sd"), tmp_path / "zoo", ["guidance[scale=1]", "guidance[scale=3]"])
    zoo, plain = (ModelZoo.load(tmp_path / "zoo", running=Running(offload=waits)) for waits in (True, False))
    unet, other = (member.network.module for member in zoo.members)
    assert unet is other  # one set of weights with two settings
    x = zoo.starting_noise(1, 0)
    assert torch.equal(zoo.decode(x), plain.decode(x))
    assert watched.there(zoo.pipeline._vae("cpu")) and not watched.there(unet)
    given = zoo.encode(["a cat"])
    zoo.members[0](x, 500.0, prompts=given)
    assert watched.there(unet) and not watched.there(zoo.pipeline._vae("cpu"))


@pytest.mark.cuda
def test_on_a_gpu_the_others_wait_on_the_cpu(tiny_zoo):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    zoo = ModelZoo.load(tiny_zoo, "cuda", running=Running(offload=True))
    plain = ModelZoo.load(tiny_zoo, "cuda")
    torch.testing.assert_close(images(zoo), images(plain), atol=1e-5, rtol=1e-5)
    devices = [{weights.device.type for weights in member.network.parameters()} for member in zoo.members]
    assert devices == [{"cuda"}, {"cpu"}, {"cpu"}]
    assert all(weights.is_pinned() for weights in zoo.members[1].network.parameters())


# -- lazy ------------------------------------------------------------------------------


def test_members_are_read_when_they_are_called(tiny_zoo):
    zoo = ModelZoo.load(tiny_zoo, lazy=True)
    assert loaded(zoo) == [] and zoo.members[0].conditions == () and not zoo.takes_prompts
    assert torch.equal(images(zoo), images(ModelZoo.load(tiny_zoo)))
    assert loaded(zoo) == [1, 3]


def test_what_is_wrong_with_a_file_is_told_at_once_and_with_its_numbers_when_they_are_read(tiny_zoo, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    weights = folder / "2" / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    save_file({**state, "conv_in.bias": state["conv_in.bias"] * torch.nan}, weights)
    zoo = ModelZoo.load(folder, lazy=True)
    images(zoo)  # which does not call it
    with pytest.raises(InputError, match="NaN or infinite weights"):
        images(zoo, [1, 2])
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(InputError, match="truncated"):
        ModelZoo.load(folder, lazy=True)


def test_lazy_members_share_what_they_have_in_common_and_know_what_they_are(tmp_path):
    pipelines = pytest.importorskip("tests.pipelines")
    pytest.importorskip("transformers", minversion="5")
    pipe = pipelines.tiny_sd3(tmp_path / "sd3", num_layers=3)
    variants = ["guidance[scale=1]", "guidance[scale=3]", "skip[blocks=[1]]"]
    derive_members(pipe, tmp_path / "zoo", variants)
    zoo, plain = ModelZoo.load(tmp_path / "zoo", lazy=True), ModelZoo.load(tmp_path / "zoo")
    facts = [
        [(m.conditions, m.stateful, m.network.guidance, class_of(m.network._model)) for m in one.members]
        for one in (zoo, plain)
    ]
    assert facts[0] == facts[1]
    prompts = zoo.encode(["a cat"])  # looks at how wide members take them
    guided = zoo.guided(5.0)
    assert loaded(zoo) == [] and [m.network.guidance for m in guided.members] == [1.0, 3.0, 5.0]
    x = zoo.starting_noise(1, 0)
    for ours, theirs in zip(guided.members, plain.guided(5.0).members, strict=True):
        assert torch.equal(ours(x, 500.0, prompts=prompts), theirs(x, 500.0, prompts=prompts))
    assert loaded(zoo) == [1, 2, 3]  # a guided member is the same one
    first, second = (zoo.members[k].network.module for k in (0, 1))
    assert first is second and first is plain.members[0].network.module


def test_a_lazy_member_with_a_cache_is_known_to_have_one(tmp_path):
    pipelines = pytest.importorskip("tests.pipelines")
    pytest.importorskip("transformers", minversion="5")
    pipe = pipelines.tiny_flux(tmp_path / "flux", num_layers=3)
    derive_members(pipe, tmp_path / "zoo", ["as-is", "cache[method=FirstBlockCache,threshold=0.5]"], size=(8, 8))
    zoo, plain = ModelZoo.load(tmp_path / "zoo", lazy=True), ModelZoo.load(tmp_path / "zoo")
    assert [m.stateful for m in zoo.members] == [m.stateful for m in plain.members] == [False, True]
    assert loaded(zoo) == []


def test_a_member_that_waits_is_offloaded_as_soon_as_it_is_there(tiny_zoo, watched):
    expected = images(ModelZoo.load(tiny_zoo))
    zoo = ModelZoo.load(tiny_zoo, running=Running(offload=True), lazy=True)
    assert torch.equal(images(zoo), expected)
    assert loaded(zoo) == [1, 3] and watched.values == size(zoo.members[0])
    done = []
    zoo.members[0].network._model.when_loaded(done.append)
    assert done == [zoo.members[0].network.module]


def test_only_members_that_a_schedule_calls_are_read(tiny_zoo, tmp_path, monkeypatch):
    """``sample`` of a zoo with a broken member that the schedule leaves out; and a broken table is left out too."""
    folder = shutil.copytree(tiny_zoo, tmp_path / "zoo")
    read = []
    own = LazyModel.load
    monkeypatch.setattr(LazyModel, "load", lambda model: read.append(model) or own(model))
    (folder / "latency.toml").write_text("ms = [1.0]\n")
    asked = ["sample", "--zoo", str(folder), "--schedule", "1 0 3 1", "--solver", "ddim", "-n", "2"]
    done = CliRunner().invoke(main, [*asked, "--images", str(tmp_path / "images"), "--offload"])
    assert done.exit_code == 0, done.output
    assert "latencies are left out" in done.output and "has 1 latencies for 3 members" in done.output
    assert len({id(model) for model in read}) == 2
    assert len(list((tmp_path / "images").glob("*.png"))) == 2


def test_a_pipeline_reads_the_members_of_its_schedule(tmp_path):
    pipelines = pytest.importorskip("tests.pipelines")
    folder = pipelines.tiny_ddpm(tmp_path / "ddpm")
    derive_members(folder, tmp_path / "zoo", ["as-is", "dtype[to=bfloat16]"])
    pipe = pipelines.loaded(folder)
    zoo = ModelZoo.load(tmp_path / "zoo", lazy=True)
    with apply(pipe, [1, 0, 1], zoo=zoo, space=DDIMSpace(2, 3)):
        pass
    assert loaded(zoo) == [1]


def test_a_released_zoo_is_offloaded(watched, monkeypatch):
    from tests.omsdpm.test_released_zoo import ZOO

    zoo, plain = open_zoo(ZOO, running=Running(offload=True)), open_zoo(ZOO)
    x = zoo.starting_noise(1, 0)
    assert torch.equal(zoo.members[0](x, 10.0), plain.members[0](x, 10.0)) and watched.values == size(zoo.members[0])
    np.testing.assert_array_equal(zoo.members[1](x, 10.0).numpy(), plain.members[1](x, 10.0).numpy())
