"""Kinds of networks: a function or module of one's own as a member, and a kind in one file and one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from omsdpm import InputError, ModelZoo
from omsdpm.networks import network_names
from omsdpm.zoo import ZooFile, zoo_digest
from omsdpm.zoo.profile import measure_latency
from omsdpm.zoo.zoo import parameter_counts

MODULE = '''
"""Networks of a stranger."""
import torch

def half(x, t):
    return 0.5 * x + t.view(-1, 1, 1, 1)

def classes(x, t, labels):
    return x + labels.view(-1, 1, 1, 1)

class Scale(torch.nn.Module):
    def __init__(self, factor=2.0, bias=0.0, dtype="float32"):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor, dtype=getattr(torch, dtype)))
        self.bias = bias
        self.noisy = torch.nn.Dropout(0.9)

    def forward(self, x, t):
        assert x.dtype == t.dtype == self.factor.dtype
        return self.noisy(self.factor * x + self.bias)

def at(device, factor=1.0):
    return lambda x, t: factor * x + (1.0 if device == "cpu" else 0.0)

def read(weights, **more):
    number = float(open(weights).read())
    return lambda x, t: number * x

def anything(**given):
    return lambda x, t: x * len(given)

def broken(factor):
    raise RuntimeError("no such\\nfile")

def flat(x, t):
    return x.flatten(1)

def nothing(x, t):
    return None

instance = Scale(3.0)
number = 3
'''


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """The stranger's module, importable."""
    site = tmp_path_factory.mktemp("site")
    (site / "stranger_networks.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        yield site
        sys.modules.pop("stranger_networks", None)


def write(folder: Path, *members: str, noise: str = "") -> Path:
    """A zoo of members on 4x4 images with two channels."""
    text = f'[zoo]\nname = "own"\nimage_size = 4\nchannels = 2\n[noise]\n{noise}\n'
    folder.mkdir(exist_ok=True)
    (folder / "zoo.toml").write_text(text + "".join(f"[[member]]\n{member}\n" for member in members))
    return folder


def of(function: str, *more: str) -> str:
    return "\n".join(['kind = "callable"', f'function = "stranger_networks:{function}"', *more])


def outputs(zoo, t=3.0, **given):
    x = torch.arange(64, dtype=torch.float32).view(2, 2, 4, 4)
    return x, [member(x, t, **given) for member in zoo.members]


def test_ours_are_registered_like_anybodys():
    assert {"callable", "unet2d"} <= set(network_names())


def test_functions_modules_and_factories(tmp_path):
    (tmp_path / "weights.txt").write_text("7")
    folder = write(
        tmp_path,
        of("half"),
        of("instance"),
        of("Scale", "parameters = {}"),
        of("Scale", 'parameters = { factor = -1.0, bias = 0.25, dtype = "float64" }', 'label = "minus"'),
        of("at", "parameters = {}"),
        of("at", "parameters = { factor = 4.0 }"),
        of("read", 'weights = "weights.txt"'),
        of("read", 'weights = "weights.txt"', "parameters = { unused = 1 }"),
        of("anything", "parameters = { a = 1, b = [2, 3] }"),
    )
    zoo = ModelZoo.load(folder)
    x, results = outputs(zoo)
    expected = [0.5 * x + 3, 3 * x, 2 * x, 0.25 - x, x + 1, 4 * x + 1, 7 * x, 7 * x, 2 * x]
    for result, right in zip(results, expected, strict=True):
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, right)
    assert [member.name for member in zoo.members][2:5] == ["stranger_networks:Scale", "minus", "stranger_networks:at"]
    assert parameter_counts(zoo) == [0, 1, 1, 1, 0, 0, 0, 0, 0]
    assert not any(weights.requires_grad for member in zoo.members for weights in member.network.parameters())
    assert min(measure_latency(zoo, batch_size=1, repeats=1, warmup=0)) > 0


def test_labels_and_predictions(tmp_path):
    zoo = ModelZoo.load(write(tmp_path, of("classes", "num_classes = 5", 'prediction_type = "sample"')))
    (member,) = zoo.members
    assert member.num_classes == 5
    x = torch.zeros(2, 2, 4, 4)
    image = member.predict(x, 500, "sample", labels=torch.tensor([4, 1]))
    assert image[:, 0, 0, 0].tolist() == [4.0, 1.0]
    with pytest.raises(InputError, match="member stranger_networks:classes takes labels"):
        member(x, 500)


def test_a_zoo_of_functions_is_sampled(tmp_path):
    """The noise of images that are all 0.5, in closed form, through a solver."""
    from omsdpm import DDIMSpace
    from omsdpm.sampling import sample

    zoo = ModelZoo.load(write(tmp_path, of("half", 'prediction_type = "sample"')))
    zoo.members[0].network.function = lambda x, t: torch.full_like(x, 0.5)
    x_0 = sample(zoo.denoisers, [1, 1, 1, 1], torch.randn(3, 2, 4, 4), space=DDIMSpace(1, 4), noise=zoo.noise)
    # DDIM ends at the first timestep's time before the image, where sigma is 0.
    torch.testing.assert_close(x_0, torch.full_like(x_0, 0.5), rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "member, message",
    [
        (of("halve"), r"network 'stranger_networks:halve' cannot be imported \(AttributeError"),
        ('kind = "callable"\nfunction = "absent_module:f"', r"'absent_module:f' cannot be imported \(ModuleNotFound"),
        ('kind = "callable"\nfunction = "half"', "network 'half': expected module:attribute"),
        ('kind = "callable"', r"member#1.*function"),
        (of("half", "folder = '1'"), "unknown key of a callable member 'folder'; choose one of: "),
        (of("half", "parameter = {}"), "'parameter'; choose one of: parameters, "),
        (of("half", "parameters = [1]"), r"member#1.*parameters.*\[1\].*table"),
        (of("half", "num_classes = -2"), r"member#1.*num_classes.*-2.*greater than 0"),
        (of("half", 'prediction_type = "velocity"'), r"prediction_type.*'velocity'; choose one of: "),
        (of("number"), "network 'stranger_networks:number' is not callable"),
        (of("number", "parameters = {}"), "'stranger_networks:number' is not callable: leave out parameters"),
        (of("Scale"), r"is a class: give parameters = \{\} to have it made"),
        (of("Scale", "parameters = { factr = 1 }"), "parameter of network .* 'factr'; choose one of: factor, "),
        (of("broken", "parameters = { factor = 1 }"), r"cannot be made \(RuntimeError: no such file\)"),
        (of("broken", "parameters = {}"), r"cannot be made \(TypeError: .*factor"),
        (of("read", 'weights = "absent.txt"'), "has no weights .*absent.txt"),
        (of("at", 'weights = "zoo.toml"'), "parameter of network .* 'weights'; choose one of: "),
    ],
)
def test_what_cannot_be_a_member_is_told(tmp_path, member, message):
    with pytest.raises(InputError, match=message) as error:
        ModelZoo.load(write(tmp_path, member))
    assert "\n" not in str(error.value)


def test_an_output_of_another_shape_is_told(tmp_path):
    zoo = ModelZoo.load(write(tmp_path, of("flat"), of("nothing")))
    x = torch.zeros(2, 2, 4, 4)
    with pytest.raises(InputError, match=r"flat returned shape \(2, 32\): expected a tensor of shape \(2, 2, 4, 4\)"):
        zoo.members[0](x, 5)
    with pytest.raises(InputError, match="nothing returned NoneType"):
        zoo.members[1](x, 5)


# -- a kind of one's own ---------------------------------------------------------------

KIND = '''
"""Networks that predict a constant."""
import torch
from omsdpm.networks import MemberTable, Network

class Constant(Network):
    def __init__(self, value):
        self.value = value

    def __call__(self, x, timesteps, **conditions):
        return torch.full_like(x, self.value)

class ConstantTable(MemberTable):
    kind: str = "constant"
    value: float

    def load(self, folder, shape, device):
        return Constant(self.value)
'''


@pytest.fixture
def plugin(tmp_path_factory, monkeypatch):
    """Installs a package with entry points in the group of networks."""

    def install(**points):
        site = tmp_path_factory.mktemp("plugin")
        (site / "constant_network.py").write_text(KIND)
        info = site / "constant_network-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: constant-network\nVersion: 1.0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[omsdpm.networks]\n{lines}")
        monkeypatch.delitem(sys.modules, "constant_network", raising=False)
        monkeypatch.syspath_prepend(site)

    return install


def test_a_kind_is_one_file_and_one_line(plugin, tmp_path):
    plugin(constant="constant_network:ConstantTable")
    assert "constant" in network_names()
    folder = write(tmp_path, 'kind = "constant"\nvalue = 0.5', of("half"))
    zoo = ModelZoo.load(folder)
    x, (first, _) = outputs(zoo)
    assert torch.equal(first, torch.full_like(x, 0.5)) and zoo.members[0].name == "constant"
    file = ZooFile.read(folder)
    file.write(tmp_path / "again")
    assert ZooFile.read(tmp_path / "again") == file
    before = zoo_digest(folder)
    write(tmp_path, 'kind = "constant"\nvalue = 0.75', of("half"))
    after = zoo_digest(folder)
    assert before["1"] != after["1"] and before["2"] == after["2"]
    with pytest.raises(InputError, match=r"member#1.*value.*'half'.*number"):
        ModelZoo.load(write(tmp_path, 'kind = "constant"\nvalue = "half"'))
    with pytest.raises(InputError, match="unknown key of a constant member 'vale'; choose one of: value, "):
        ModelZoo.load(write(tmp_path, 'kind = "constant"\nvale = 1.0'))


@pytest.mark.parametrize(
    "value, message",
    [
        ("absent_package:Table", "network 'constant' is registered as absent_package:Table, which cannot be imported"),
        ("constant_network:Constant", r"network 'constant' \(constant_network:Constant\) is no network: it lacks load"),
    ],
)
def test_a_kind_that_is_none_is_told(plugin, tmp_path, value, message):
    plugin(constant=value)
    with pytest.raises(InputError, match=message) as error:
        ModelZoo.load(write(tmp_path, 'kind = "constant"'))
    assert "\n" not in str(error.value) and str(tmp_path / "zoo.toml") in str(error.value)
