"""Variants: members of one model that need no training."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from omsdpm.errors import InputError
from omsdpm.guidance import conditioned
from omsdpm.sampling import sample, sample_population
from omsdpm.solvers import space_on
from omsdpm.variants import make_variant, varied
from omsdpm.variants.base import split_keys
from omsdpm.variants.tokens import Match
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.adding import add_member, derive_members, split_plus
from omsdpm.zoo.digest import zoo_digest
from omsdpm.zoo.files import ZooFile
from studies.cli import main

pytest.importorskip("transformers", minversion="5")
pipelines = pytest.importorskip("tests.pipelines")

NEW = {"flux": {"size": (8, 8)}, "wan": {"size": (4, 4), "frames": 1}}
DEEP = {"num_layers": 3}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Pipelines whose transformers have three blocks, when first asked for."""
    root, made = tmp_path_factory.mktemp("variants"), {}

    def make(name):
        if name not in made:
            made[name] = getattr(pipelines, f"tiny_{name}")(root / name, **({} if name == "sd" else DEEP))
        return made[name]

    return make


def opened(folders, tmp_path, name, *variants):
    zoo_folder = tmp_path / f"{name}-zoo"
    derive_members(folders(name), zoo_folder, variants, **NEW.get(name, {}))
    return ModelZoo.load(zoo_folder)


def given_to(zoo, n=2):
    if zoo.takes_prompts:
        return {"prompts": zoo.encode(["a cat"]).rows(np.zeros(n, dtype=np.int64))}
    return {"labels": torch.arange(n)}


def output(zoo, number, x, t=500.0):
    return zoo.members[number - 1].network(x, torch.full((len(x),), t), **given_to(zoo, len(x)))


@pytest.mark.parametrize("name", ["sd3", "flux", "pixart", "sana", "dit", "wan"])
def test_a_skipped_block_is_as_if_it_were_not_there(folders, tmp_path, name):
    zoo = opened(folders, tmp_path, name, "as-is", "skip[blocks=[1]]")
    zoo = zoo.subset([1, len(zoo.members) // 2 + 1])  # Wan has two experts
    whole, skipped = (member.network for member in zoo.members)
    x = zoo.starting_noise(2, 0)
    before = output(zoo, 1, x)
    stack = next(
        child
        for key, child in whole.module.named_children()
        if key in ("transformer_blocks", "blocks") and len(child) == 3
    )
    weights = {id(parameter) for parameter in whole.module.parameters()}
    assert {id(parameter) for parameter in skipped.module.parameters()} < weights  # held once
    got = output(zoo, 2, x)
    assert (got - before).abs().max() > 1e-6 and torch.equal(output(zoo, 1, x), before)
    block = stack[1]
    del stack[1]
    try:
        torch.testing.assert_close(got, output(zoo, 1, x), atol=1e-6, rtol=1e-5)
    finally:
        stack.insert(1, block)


def test_a_unet_without_its_middle_or_one_of_its_transformers(folders, tmp_path):
    zoo = opened(folders, tmp_path, "sd", "as-is", 'skip[blocks=["middle"]]', "skip[blocks=0]")
    x = zoo.starting_noise(2, 0)
    whole = output(zoo, 1, x)
    module = zoo.members[0].network.module
    middle, module.mid_block = module.mid_block, None
    torch.testing.assert_close(output(zoo, 2, x), output(zoo, 1, x), atol=1e-6, rtol=1e-5)
    module.mid_block = middle
    first = next(part.attentions for part in module.down_blocks if getattr(part, "attentions", None) is not None)[0]
    handle = first.register_forward_hook(lambda _, args, output: (args[0],))
    expected = output(zoo, 1, x)
    handle.remove()
    torch.testing.assert_close(output(zoo, 3, x), expected, atol=1e-6, rtol=1e-5)
    assert (expected - whole).abs().max() > 1e-6


def test_half_precision_keeps_the_timestep_and_nearly_the_output(folders, tmp_path):
    zoo = opened(folders, tmp_path, "sd3", "as-is", "dtype[to=bfloat16]")
    whole, half = zoo.members
    assert half.network.dtype is torch.bfloat16 and whole.network.dtype is torch.float32
    seen = []
    handle = half.network.module.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["timestep"]), with_kwargs=True
    )
    x = zoo.starting_noise(2, 0)
    outputs = [member(x, 997.0, **given_to(zoo)) for member in (whole, half)]
    handle.remove()
    assert seen[0].dtype is torch.float32 and seen[0][0] == 997  # which bfloat16 would call 996
    assert outputs[1].dtype is torch.float32
    error = (outputs[1] - outputs[0]).norm() / outputs[0].norm()
    assert 1e-5 < error < 0.03


def test_int8_quantizes_the_linear_layers(folders, tmp_path):
    zoo = opened(folders, tmp_path, "sd", "as-is", "int8")
    whole, quantized = (member.network.module for member in zoo.members)
    assert any(isinstance(module, torch.nn.Linear) for module in whole.modules())
    kinds = {type(module).__module__ for module in quantized.modules()}
    assert any("quantized" in kind for kind in kinds)
    assert not any(type(module) is torch.nn.Linear for module in quantized.modules())
    x = zoo.starting_noise(2, 0)
    error = (output(zoo, 2, x) - output(zoo, 1, x)).norm() / output(zoo, 1, x).norm()
    assert 1e-5 < error < 0.1


def test_the_likest_tokens_are_merged_and_taken_apart():
    x = torch.tensor([[[1.0, 0], [0, 1], [0.9, 0.1], [1, 0], [0, -1], [0, -2]]])
    match = Match(x, 2)  # of the odd tokens 1, 3, 5 the two that are likest to an even one: 3 to 0, 5 to 4
    merged = match.merged(x)
    assert merged.shape == (1, 4, 2)
    torch.testing.assert_close(merged[0], torch.tensor([[1.0, 0], [0.9, 0.1], [0, -1.5], [0, 1]]))
    apart = match.apart(merged)
    torch.testing.assert_close(apart[0], torch.tensor([[1.0, 0], [0, 1], [0.9, 0.1], [1, 0], [0, -1.5], [0, -1.5]]))


@pytest.mark.parametrize("tokens", [5, 6, 17])
def test_tokens_that_are_the_same_are_merged_without_loss(tokens):
    x = torch.randn(2, (tokens + 1) // 2, 3).repeat_interleave(2, dim=1)[:, :tokens]
    match = Match(x, tokens // 2)
    assert match.merged(x).shape[1] == tokens - tokens // 2
    torch.testing.assert_close(match.apart(match.merged(x)), x)


@pytest.mark.parametrize("name", ["sd", "pixart"])
def test_self_attention_sees_fewer_tokens(folders, tmp_path, name):
    zoo = opened(folders, tmp_path, name, "as-is", "tokens[merge=0.5,at_least=4]")
    from diffusers.models.attention import BasicTransformerBlock

    counts = {}
    for number, member in enumerate(zoo.members, start=1):
        block = next(module for module in member.network.module.modules() if isinstance(module, BasicTransformerBlock))
        attention = getattr(block.attn1, "attention", block.attn1)
        handle = attention.register_forward_hook(
            lambda _, args, output, n=number: counts.setdefault(n, output.shape[1]) and None
        )
        output(zoo, number, zoo.starting_noise(2, 0))
        handle.remove()
    assert counts[2] == counts[1] - counts[1] // 2


def test_an_adapter_is_added_to_the_weights(folders, tmp_path):
    peft = pytest.importorskip("peft")
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel.from_pretrained(folders("sd") / "unet")
    adapted = copy.deepcopy(model)
    torch.manual_seed(0)
    adapted.add_adapter(peft.LoraConfig(r=2, lora_alpha=4, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    adapted.save_lora_adapter(tmp_path / "adapter")
    file = next((tmp_path / "adapter").glob("*.safetensors"))
    zoo = opened(folders, tmp_path, "sd", "as-is", f"lora[weights={file}]", f"lora[weights={file},scale=0]")
    x, given = zoo.starting_noise(2, 0), given_to(zoo)
    with torch.no_grad():
        expected = adapted(x, 500.0, given["prompts"].given["encoder_hidden_states"]).sample
    torch.testing.assert_close(output(zoo, 2, x), expected, atol=1e-5, rtol=1e-4)
    assert (output(zoo, 1, x) - expected).abs().max() > 1e-4
    torch.testing.assert_close(output(zoo, 3, x), output(zoo, 1, x), atol=1e-6, rtol=1e-5)
    digests = zoo_digest(tmp_path / "sd-zoo")
    file.write_bytes(file.read_bytes() + b" ")
    assert zoo_digest(tmp_path / "sd-zoo")["2"] != digests["2"]
    with pytest.raises(InputError, match=r"adapter .*nowhere.safetensors does not exist"):
        add_member(folders("sd"), tmp_path / "other", variants=["lora[weights=nowhere.safetensors]"])


CACHES = [
    "cache[method=FirstBlockCache,threshold=0.5]",
    "cache[method=TaylorSeerCache,cache_interval=2,disable_cache_before_step=1,"
    'cache_identifiers=["transformer_blocks.*attn","single_transformer_blocks.*attn","blocks.*attn1"]]',
    "cache[method=PyramidAttentionBroadcast,spatial_attention_block_skip_range=2,"
    "spatial_attention_timestep_skip_range=[0,1001]]",
]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("name", ["flux", "wan"])
def test_what_a_cache_remembers_is_its_trajectorys(folders, tmp_path, name, cache):
    zoo = opened(folders, tmp_path, name, "as-is", cache)
    zoo = zoo.subset([1, len(zoo.members) // 2 + 1])  # Wan has two experts
    x, space = zoo.starting_noise(2, 3), space_on(zoo.noise, "ddim", 2, 5, None)
    members = conditioned(zoo.denoisers, **given_to(zoo))
    X = np.array([[2, 2, 2, 2, 2], [1, 2, 2, 2, 2], [2, 2, 1, 2, 2], [2, 0, 2, 2, 2], [2, 2, 0, 0, 2], [1, 1, 1, 1, 1]])
    alone = [sample(members, row, x, space=space, noise=zoo.noise) for row in X]
    for group in (False, True):
        together = dict(sample_population(members, X, x, space=space, noise=zoo.noise, group_siblings=group))
        for row, expected in enumerate(alone):
            torch.testing.assert_close(together[row], expected, atol=1e-5, rtol=1e-4)
    assert (alone[0] - alone[-1]).abs().max() > 1e-6  # it did leave something out
    torch.testing.assert_close(sample(members, X[0], x, space=space, noise=zoo.noise), alone[0])


def test_a_cache_leaves_blocks_out_and_is_forgotten_at_the_start(folders, tmp_path):
    zoo = opened(folders, tmp_path, "flux", "cache[method=FirstBlockCache,threshold=100]")
    network = zoo.members[0].network
    calls = []
    last = network.module.single_transformer_blocks[-1].attn
    handle = last.register_forward_hook(lambda *_: calls.append(1))
    x, space = zoo.starting_noise(1, 0), space_on(zoo.noise, "ddim", 1, 4, None)
    members = conditioned(zoo.denoisers, **given_to(zoo, 1))
    for evaluated in (1, 2):
        sample(members, [1, 1, 1, 1], x, space=space, noise=zoo.noise)
        assert len(calls) == evaluated  # of four: the threshold is never passed
    handle.remove()


def test_members_with_a_cache_are_timed_on_a_trajectory(folders, tmp_path):
    from omsdpm.zoo.profile import profile_zoo

    opened(folders, tmp_path, "flux", "as-is", "cache[method=FirstBlockCache,threshold=0.5]")
    assert len(profile_zoo(tmp_path / "flux-zoo", batch_size=1, repeats=1)["ms"]) == 2


def test_variants_are_members_of_the_zoo_file(folders, tmp_path):
    asked = ["guidance[scale=7.5]", "guidance[scale=1]+tokens[merge=0.25]", "as-is"]
    arguments = ["zoo", "derive", "--from", folders("sd"), "--zoo", tmp_path / "zoo"]
    result = CliRunner().invoke(main, [*map(str, arguments), *(part for one in asked for part in ("--variant", one))])
    assert result.exit_code == 0, result.output
    assert "member 2: " in result.stdout and "3 members for latents of 4x8x8, images of 3x16x16" in result.stdout
    members = ZooFile.read(tmp_path / "zoo").members
    assert [(member.guidance, member.variants) for member in members] == [
        (7.5, ()), (1.0, ("tokens[merge=0.25]",)), (None, ())
    ]  # fmt: skip
    assert len({zoo_digest(tmp_path / "zoo")[key] for key in "123"}) == 3


def test_a_cache_that_finds_nothing_is_none(folders, tmp_path):
    with pytest.raises(InputError, match="TaylorSeerCache found nothing in it to keep"):
        opened(folders, tmp_path, "wan", 'cache[method=TaylorSeerCache,cache_identifiers=["nowhere"]]')


BAD = {
    "nothing": "unknown variant 'nothing'; choose one of",
    "skip[blocks=[9]]": r"variant 'skip\[blocks=\[9\]\]' of a UNet2DConditionModel: block 9: it has the blocks 0\.\.",
    "skip[blocks=[]]": r"blocks = \[\]: expected their numbers from 0",
    "dtype[to=int4]": "unknown dtype 'int4'",
    "tokens[merge=0.9]": "merge = 0.9: expected a part of the tokens",
    "guidance[scale=-1]": "guidance scale -1: expected a number from 0",
    "guidance[scale=2]+guidance[scale=3]": "an earlier one says guidance already",
    "cache[method=FirstBlockCache]": "diffusers has no caches for models of its class",
    "cache[method=Remembered]": "unknown cache 'Remembered'",
    "int8+": "expected names with . between two",
    "lora[weights=nowhere]": "adapter .*nowhere does not exist",
}


@pytest.mark.parametrize("variant", BAD)
def test_a_variant_that_cannot_be_made_is_one_line_and_changes_nothing(folders, tmp_path, variant):
    add_member(folders("sd"), tmp_path / "zoo")
    before = (tmp_path / "zoo" / "zoo.toml").read_bytes()
    arguments = ["zoo", "derive", "--from", folders("sd"), "--zoo", tmp_path / "zoo"]
    arguments += ["--variant", "tokens[merge=0.5]", "--variant", variant]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 2 and "Traceback" not in result.output
    with pytest.raises(InputError, match=BAD[variant]):
        derive_members(folders("sd"), tmp_path / "zoo", [variant])
    assert (tmp_path / "zoo" / "zoo.toml").read_bytes() == before
    with pytest.raises(InputError):
        derive_members(folders("sd"), tmp_path / "new", [variant])
    assert not (tmp_path / "new" / "zoo.toml").exists()


def test_parts_of_a_variant():
    assert split_plus("a[x=1+2]+b") == ["a[x=1+2]", "b"]
    keys, changing = split_keys(["guidance[scale=2]", "tokens[merge=0.5]"])
    assert keys == {"guidance": 2.0} and changing == ("tokens[merge=0.5]",)
    assert varied("no model", []) == "no model"
    with pytest.raises(InputError, match="unknown parameter"):
        make_variant("dtype[bits=4]")


def test_the_pages_variant_and_transformer(folders, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        exec(block, names)
    zoo = opened(folders, tmp_path, "sd", "as-is")
    model = copy.deepcopy(zoo.members[0].network.module)
    changed = names["NarrowVariant"](width=3).apply(model)
    assert any(getattr(module, "window", None) == 3 for module in changed.modules())
    assert names["Lumina"](model).conditions == ("prompts",)


def test_the_page_names_every_variant():
    from omsdpm.variants import variant_names

    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w-]+)(?:\[.*?\])?` \|", page, re.MULTILINE)) >= set(variant_names())
