"""Released zoos: the DDPM U-Net of the DDIM code base as diffusers' own."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from omsdpm import InputError, ModelZoo
from omsdpm.networks.heads import heads_of, set_heads
from omsdpm.noise import DiscreteVP
from omsdpm.released import import_zoo, load_zoo

ZOO = Path(__file__).parents[1] / "data" / "golden" / "released_zoo"


def outputs(zoo, x, t):
    with torch.no_grad():
        return [denoiser(torch.as_tensor(x), torch.as_tensor(t)).numpy() for denoiser in zoo.denoisers]


def assert_golden(zoo):
    with np.load(ZOO / "eps.npz") as golden:
        for ours, expected in zip(outputs(zoo, golden["x"], golden["t"]), golden["eps"], strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def zoo():
    return load_zoo(ZOO)


def test_golden_outputs(zoo):
    assert_golden(zoo)
    assert [member.name for member in zoo.members] == ["1", "2"]
    assert zoo.shape == (3, 16, 16) and zoo.noise == DiscreteVP.linear()
    assert zoo.latency == [81.5, 140.25]


def test_an_imported_zoo_gives_golden_outputs(zoo, tmp_path):
    import_zoo(ZOO, tmp_path / "ours")
    ours = ModelZoo.load(tmp_path / "ours")
    assert_golden(ours)
    assert ours.latency == zoo.latency and ours.shape == zoo.shape and ours.noise == zoo.noise
    stamp = (tmp_path / "ours" / "zoo.toml").stat().st_mtime_ns
    import_zoo(ZOO, tmp_path / "ours")  # the same again, as after a kill at the end
    assert (tmp_path / "ours" / "zoo.toml").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="has a zoo already"):
        import_zoo(ZOO, tmp_path / "ours", [1.0, 2.0])
    weights = tmp_path / "ours" / "1" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes((tmp_path / "ours" / "2" / weights.name).read_bytes())
    with pytest.raises(InputError, match="has a zoo already"):
        import_zoo(ZOO, tmp_path / "ours")


def test_heads_are_set_by_block(zoo):
    unet = load_zoo(ZOO).members[1].network.module
    assert heads_of(unet) == {"down_blocks.0": 2, "down_blocks.1": 4, "up_blocks.0": 4, "up_blocks.1": 2}
    set_heads(unet, {"down_blocks.0": 1, "mid_block": 8})
    assert heads_of(unet) == {"down_blocks.1": 4, "mid_block": 8, "up_blocks.0": 4, "up_blocks.1": 2}
    for heads, match in [
        ({"down_blocks.7": 2}, "this network has attention in down_blocks.0, "),
        ({"mid_block": 3}, "divides its 32 channels"),
        ({"mid_block": 0}, "divides its 32 channels"),
    ]:
        with pytest.raises(InputError, match=match):
            set_heads(unet, heads)


# -- against an independent forward pass ----------------------------------------------


class Reference:
    """The DDIM code base's forward pass, its random weights made when first asked for."""

    def __init__(self, model, image_size, seed=0):
        self.model, self.size = model, image_size
        self.state, self.generator = {}, torch.Generator().manual_seed(seed)

    def parameter(self, name, *shape):
        if name not in self.state:
            fan = math.prod(shape[1:]) if len(shape) > 1 else 1
            self.state[name] = torch.randn(shape, generator=self.generator) / math.sqrt(fan)
        return self.state[name]

    def linear(self, h, name, out):
        return F.linear(h, self.parameter(f"{name}.weight", out, h.shape[1]), self.parameter(f"{name}.bias", out))

    def conv(self, h, name, out, kernel=3, stride=1, padding=None):
        weight = self.parameter(f"{name}.weight", out, h.shape[1], kernel, kernel)
        padding = kernel // 2 if padding is None else padding
        return F.conv2d(h, weight, self.parameter(f"{name}.bias", out), stride, padding)

    def norm(self, h, name):
        c = h.shape[1]
        return F.group_norm(h, 32, self.parameter(f"{name}.weight", c), self.parameter(f"{name}.bias", c), 1e-6)

    def block(self, h, name, out):
        r = self.conv(F.silu(self.norm(h, f"{name}.norm1")), f"{name}.conv1", out)
        r = r + self.linear(F.silu(self.temb), f"{name}.temb_proj", out)[:, :, None, None]
        r = self.conv(F.silu(self.norm(r, f"{name}.norm2")), f"{name}.conv2", out)
        return r + (h if h.shape[1] == out else self.conv(h, f"{name}.nin_shortcut", out, 1))

    def attention(self, h, name, heads):
        n, c, height, width = h.shape
        normed = self.norm(h, f"{name}.norm")
        q, k, v = (self.conv(normed, f"{name}.{part}", c, 1).reshape(n, heads, c // heads, -1) for part in "qkv")
        weights = torch.softmax(torch.einsum("nhci,nhcj->nhij", q, k) / math.sqrt(c), dim=-1)
        mixed = torch.einsum("nhij,nhcj->nhci", weights, v).reshape(n, c, height, width)
        return h + self.conv(mixed, f"{name}.proj_out", c, 1)

    def __call__(self, x, t):
        m = self.model
        frequencies = torch.exp(-math.log(10000) * torch.arange(m["ch"] // 2) / (m["ch"] // 2 - 1))
        angles = t[:, None] * frequencies
        temb = self.linear(torch.cat([angles.sin(), angles.cos()], dim=1), "temb.dense.0", m["temb_ch"])
        self.temb = self.linear(F.silu(temb), "temb.dense.1", m["temb_ch"])
        levels = list(enumerate(m["ch"] * factor for factor in m["ch_mult"]))
        kept = [self.conv(x, "conv_in", m["ch"])]
        for level, width in levels:
            for i in range(m["num_res_blocks"]):
                kept.append(self.stage(kept[-1], f"down.{level}", i, width))
            if level < len(levels) - 1:
                padded = F.pad(kept[-1], (0, 1, 0, 1))
                kept.append(self.conv(padded, f"down.{level}.downsample.conv", width, stride=2, padding=0))
        h = self.block(kept[-1], "mid.block_1", kept[-1].shape[1])
        h = self.block(self.attention(h, "mid.attn_1", 1), "mid.block_2", h.shape[1])
        for level, width in reversed(levels):
            for i in range(m["num_res_blocks"] + 1):
                h = self.stage(torch.cat([h, kept.pop()], dim=1), f"up.{level}", i, width)
            if level:
                h = self.conv(F.interpolate(h, scale_factor=2.0), f"up.{level}.upsample.conv", width)
        return self.conv(F.silu(self.norm(h, "norm_out")), "conv_out", m["out_ch"])

    def stage(self, h, half, i, width):
        h = self.block(h, f"{half}.block.{i}", width)
        if h.shape[-1] in self.model["attn_resolutions"]:
            h = self.attention(h, f"{half}.attn.{i}", self.model["attn_num"].get(h.shape[-1], 1))
        return h


MODEL = {
    "ch": 32,
    "ch_mult": [1, 1, 2],
    "num_res_blocks": 1,
    "attn_resolutions": [4, 2],
    "attn_num": {4: 2, 2: 8},
    "temb_ch": 48,
    "in_channels": 1,
    "out_ch": 1,
    "resamp_with_conv": True,
    "ema": True,
}
DATA = {"image_size": 8, "channels": 1}


def write_zoo(folder, reference, model=None, checkpoint=None, **sections):
    """A zoo of one member in the release's layout."""
    member = folder / "1"
    member.mkdir(parents=True, exist_ok=True)
    config = {"model": {**reference.model, **(model or {})}, "data": DATA, **sections}
    (member / "config.yml").write_text(yaml.safe_dump(config))
    torch.save(checkpoint if checkpoint is not None else reference.state, member / "ckpt.pth")
    return folder


@pytest.fixture(scope="module")
def x_t():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 1, 8, 8, generator=generator), torch.tensor([0.25, 830.0])


@pytest.fixture(scope="module")
def reference(x_t):
    network = Reference(MODEL, 8)
    network(*x_t)  # makes the weights
    return network


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"attn_num": {4: 32, 2: 1}, "temb_ch": 200},
        {"attn_resolutions": [8], "attn_num": {8: 4}, "num_res_blocks": 2},
        {"attn_resolutions": [], "attn_num": {}, "ch_mult": [1]},
        {"ch": 64, "ch_mult": [1, 3], "out_ch": 2, "attn_num": {4: 6}},
    ],
)
def test_other_networks_compute_what_the_release_computes(tmp_path, change, x_t):
    network = Reference({**MODEL, **change}, 8)
    expected = network(*x_t)
    (ours,) = outputs(load_zoo(write_zoo(tmp_path, network)), *x_t)
    expected = expected[:, :1].numpy()  # a learned variance is not used
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_shadow_is_used_only_with_ema(tmp_path, x_t, reference):
    other = Reference(MODEL, 8, seed=5)
    shadow = other(*x_t).numpy()
    raw = reference(*x_t).numpy()
    parallel = {f"module.{name}": tensor for name, tensor in reference.state.items()}
    checkpoint = [parallel, {}, 7, 1000, other.state]
    for ema, expected in [(True, shadow), (False, raw)]:
        path = write_zoo(tmp_path / str(ema), reference, {"ema": ema}, checkpoint)
        np.testing.assert_allclose(outputs(load_zoo(path), *x_t)[0], expected, atol=1e-5 * np.abs(expected).max())


def test_members_stand_in_the_order_of_their_numbers(tmp_path, reference):
    for number in range(1, 12):
        shutil.copytree(write_zoo(tmp_path / "one", reference) / "1", tmp_path / "zoo" / str(number))
    assert [member.name for member in load_zoo(tmp_path / "zoo").members] == [str(k) for k in range(1, 12)]


# -- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model, match",
    [
        ({"model_type": "guided-diffusion"}, "'guided-diffusion' cannot be read; it would need .*class labels"),
        ({"model_type": "improved_ddpm"}, "'improved_ddpm' cannot be read; it would need .*scale-and-shift"),
        ({"model_type": "dit"}, "'dit' cannot be read; it would need a converter"),
        ({"resamp_with_conv": False}, "resamp_with_conv False cannot be read.*resampling without"),
        ({"is_upsampling": True}, "is_upsampling True cannot be read"),
        ({"ch_mult": [2, 2, 4]}, "ch_mult has to start with 1"),
        ({"ch": 48}, "expected multiples of 32"),
        ({"out_ch": 5}, "out_ch 5 for in_channels 1"),
        ({"attn_num": {4: 5}}, "attn_num gives 5 heads to 32 channels"),
        ({"num_res_blocks": 1.5}, "a key of the network has a wrong value: 'float' object"),
        ({"ch_mult": [1, "2"]}, "a key of the network has a wrong value: 'str' object"),
        ({"attn_num": 4}, "a key of the network has a wrong value"),
        ({"num_res_blocks": 2}, r"lacks down.0.block.1.norm1.weight: config.yml describes another"),
        ({"ch": 64}, r"temb.dense.0.weight has shape \(48, 32\), config.yml .* \(48, 64\)"),
        ({"attn_resolutions": [4]}, r"has 'down.2.attn.0.k.bias', which the network of config.yml has not"),
    ],
)
def test_a_network_that_is_not_the_configs_is_told(tmp_path, reference, model, match):
    with pytest.raises(InputError, match=match):
        load_zoo(write_zoo(tmp_path, reference, model))


def test_a_config_that_lacks_something_is_told(tmp_path, reference):
    with pytest.raises(InputError, match="beta_schedule 'cosine' cannot be read"):
        load_zoo(write_zoo(tmp_path, reference, diffusion={"beta_schedule": "cosine"}))
    config = tmp_path / "1" / "config.yml"
    for text, match in [
        ("model: {ch: 32}\ndata: {}", r"lacks the key 'ch_mult'"),
        ("data: {image_size: 8}", "has no section 'model'"),
        ("just text", "is no configuration"),
        ("model: [", "is no plain YAML"),
    ]:
        config.write_text(text)
        with pytest.raises(InputError, match=match):
            load_zoo(tmp_path)
    config.unlink()
    with pytest.raises(InputError, match=r"cannot read .*config\.yml"):
        load_zoo(tmp_path)


@pytest.mark.parametrize(
    "names, kind",
    [
        (["model.diffusion_model.input_blocks.0.0.weight", "cond_stage_model.x"], "a Stable Diffusion .* checkpoint"),
        (["time_embed.0.weight", "input_blocks.0.0.weight"], "a guided-diffusion or improved-ddpm U-Net"),
        (["time_embedding.linear_1.weight", "conv_in.weight"], "a diffusers U-Net"),
        (["layer.weight"], r"a checkpoint of another network \(its first tensor is 'layer.weight'\)"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"state_dict": state, "epoch": 3}])
def test_a_checkpoint_of_something_else_is_named(tmp_path, reference, names, kind, wrap):
    checkpoint = wrap({name: torch.zeros(2, 2) for name in names})
    with pytest.raises(InputError, match=f"is {kind}: expected a DDPM U-Net"):
        load_zoo(write_zoo(tmp_path, reference, checkpoint=checkpoint))


def test_broken_checkpoints_are_told(tmp_path, reference):
    folder = write_zoo(tmp_path, reference)
    checkpoint = folder / "1" / "ckpt.pth"
    raw = checkpoint.read_bytes()
    for content, match in [(raw[: len(raw) // 2], "truncated"), (b"", "is empty")]:
        checkpoint.write_bytes(content)
        with pytest.raises(InputError, match=match):
            load_zoo(folder)
    nan = {**reference.state, "conv_in.bias": torch.full((32,), torch.nan)}
    for content, match in [([], "is an empty list"), ([{}, {}, 3], "holds no network's"), (nan, "conv_in.bias' holds")]:
        torch.save(content, checkpoint)
        with pytest.raises(InputError, match=match):
            load_zoo(folder)
    checkpoint.unlink()
    with pytest.raises(InputError, match=r"cannot read .*ckpt\.pth"):
        load_zoo(folder)


def test_folders_that_are_no_zoo_are_told(tmp_path, reference):
    for folder in (tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(InputError, match="is no folder"):
            load_zoo(folder)
    with pytest.raises(InputError, match="has the member folders none"):
        load_zoo(tmp_path)
    shutil.copytree(write_zoo(tmp_path, reference) / "1", tmp_path / "3")
    with pytest.raises(InputError, match="has the member folders 1, 3"):
        load_zoo(tmp_path)


def test_members_have_to_model_the_same_data(tmp_path, reference):
    shutil.copytree(write_zoo(tmp_path, reference) / "1", tmp_path / "2")
    config = yaml.safe_load((tmp_path / "2" / "config.yml").read_text())
    config["data"]["image_size"] = 16
    (tmp_path / "2" / "config.yml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="image_size is 16, member 1 has 8"):
        load_zoo(tmp_path)


def test_latency_has_to_fit_the_zoo(tmp_path, reference):
    folder = write_zoo(tmp_path, reference)
    with pytest.raises(InputError, match="has no latency table"):
        _ = load_zoo(folder).latency
    assert load_zoo(folder, [2]).latency == [2.0]
    with pytest.raises(InputError, match="2 latencies for 1 members"):
        load_zoo(folder, [2.0, 3.0])
    torch.save([2.0, 3.0], folder / "latency.pth")
    with pytest.raises(InputError, match=r"latency\.pth has 2 latencies for 1 members"):
        load_zoo(folder)
    torch.save([3.0], folder / "latency.pth")
    assert load_zoo(folder).latency == [3.0]
