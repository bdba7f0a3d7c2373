"""Members in every form that diffusers' ``from_pretrained`` reads, against it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from omsdpm.errors import InputError
from omsdpm.networks.unet2d import UNet2DTable, load_unet
from omsdpm.networks.weights import RENAMED, WEIGHTS_FILE, current_names, weight_files
from omsdpm.zoo.digest import zoo_digest
from omsdpm.zoo.files import ZooFile


def model(**arguments):
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    usual = dict(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
    )  # fmt: skip
    return UNet2DModel(**usual | arguments).eval()


def output(unet):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        return unet(torch.randn(2, 1, 8, 8, generator=generator), torch.tensor([3.0, 500.0])).sample


FORMS = {
    "safetensors": {},
    "bin": {"safe_serialization": False},
    "shards": {"max_shard_size": "10KB"},
    "shards of bin": {"max_shard_size": "10KB", "safe_serialization": False},
    "variant": {"variant": "fp16"},
    "shards of a variant": {"variant": "fp16", "max_shard_size": "10KB"},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(tmp_path, form):
    unet = model()
    unet.save_pretrained(tmp_path / "m", **FORMS[form])
    assert (tmp_path / "m" / WEIGHTS_FILE).exists() == (form == "safetensors")
    loaded = load_unet(tmp_path / "m", FORMS[form].get("variant"))
    assert torch.equal(output(loaded), output(unet))
    files = weight_files(tmp_path / "m", FORMS[form].get("variant"))
    assert (len(files) > 2) == ("shards" in form)


def test_half_precision_is_computed_with_in_single(tmp_path):
    from diffusers import UNet2DModel

    model().half().save_pretrained(tmp_path / "m", variant="fp16")
    loaded = load_unet(tmp_path / "m", "fp16")
    assert loaded.dtype == torch.float32
    theirs = UNet2DModel.from_pretrained(tmp_path / "m", variant="fp16", torch_dtype=torch.float32)
    assert torch.allclose(output(loaded), output(theirs.eval()), atol=1e-6)


def old_names(state):
    now = {new: old for old, new in RENAMED.items()}
    renamed = {}
    for name, tensor in state.items():
        for new, old in now.items():
            if f".{new}." in name and "attentions" in name:
                name = name.replace(f".{new}.", f".{old}.")
        renamed[name] = tensor
    return renamed


def test_attentions_under_their_first_names_are_read(tmp_path):
    """Over a thousand public folders have them; diffusers reads them with the same result."""
    from diffusers import UNet2DModel

    unet = model()
    unet.save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / WEIGHTS_FILE
    state = old_names(load_file(path))
    assert sum(".query." in name for name in state) == 2 * 4 and not any(".to_q." in name for name in state)
    save_file(state, path, metadata={"format": "pt"})
    assert torch.equal(output(load_unet(tmp_path / "m")), output(unet))
    assert torch.equal(output(UNet2DModel.from_pretrained(tmp_path / "m").eval()), output(unet))


def test_names_that_a_network_has_stay():
    known = ("a.query.weight", "b.to_q.weight", "c.to_out.0.bias")
    given = {"a.query.weight": 1, "b.query.weight": 2, "c.proj_attn.bias": 3, "d.key.bias": 4, "x": 5}
    assert current_names(given, known) == {
        "a.query.weight": 1, "b.to_q.weight": 2, "c.to_out.0.bias": 3, "d.key.bias": 4, "x": 5,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["FluxTransformer2DModel", "UNet2DConditionModel", "AutoencoderKL"])
def test_another_model_is_called_by_its_name(tmp_path, name):
    unet = model()
    unet.save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"_class_name": name}))
    with pytest.raises(InputError, match=f"this is a `{name}`; a member of kind unet2d is a UNet2DModel"):
        load_unet(tmp_path / "m")


@pytest.mark.parametrize(("size", "fits"), [(None, True), ([8, 8], True), (8, True), ([8, 16], False), (16, False)])
def test_sizes_of_every_kind_are_compared_with_the_zoos(tmp_path, size, fits):
    model(sample_size=size).save_pretrained(tmp_path / "m")
    member = UNet2DTable(folder="m")
    if fits:
        member.load(tmp_path, (1, 8, 8), "cpu")
    else:
        with pytest.raises(InputError, match=r"m takes \(channels, size\) \(1, .*16"):
            member.load(tmp_path, (1, 8, 8), "cpu")


@pytest.mark.parametrize(
    "arguments", [{"class_embed_type": "timestep"}, {"class_embed_type": "identity"}, {"num_class_embeds": 3},
                  {"time_embedding_type": "learned", "num_train_timesteps": 1000}, {"time_embedding_type": "fourier"}],
)  # fmt: skip
def test_embeddings_work_or_are_refused_when_loaded(tmp_path, arguments):
    """Never first when images are sampled."""
    model(**arguments).save_pretrained(tmp_path / "m")
    try:
        network = UNet2DTable(folder="m").load(tmp_path, (1, 8, 8), "cpu")
    except InputError as error:
        assert "m/config.json" in str(error) and "\n" not in str(error)
        assert "class_embed_type" in arguments or arguments.get("time_embedding_type") == "learned"
    else:
        given = {"labels": torch.tensor([0, 2])} if network.num_classes else {}
        with torch.no_grad():
            assert network(torch.zeros(2, 1, 8, 8), torch.tensor([3.0, 500.0]), **given).isfinite().all()


def test_a_zoo_names_the_variant_and_is_told_of_those_there_are(tmp_path):
    model().save_pretrained(tmp_path / "m", variant="fp16")
    images = {"name": "z", "image_size": 8, "channels": 1}
    lacking = ZooFile(zoo=images, noise={"kind": "linear"}, member=[{"folder": "m"}])
    lacking.write(tmp_path)
    with pytest.raises(InputError, match=r"lacks .*it has diffusion_pytorch_model\.fp16\.safetensors: a variant is"):
        zoo_digest(tmp_path)
    ZooFile(zoo=images, noise={"kind": "linear"}, member=[{"folder": "m", "variant": "fp16"}]).write(tmp_path)
    assert ZooFile.read(tmp_path).members[0].variant == "fp16"
    assert len(zoo_digest(tmp_path)["1"]) == 32


def test_all_shards_count_for_what_a_member_is(tmp_path):
    model().save_pretrained(tmp_path / "m", max_shard_size="10KB")
    images = {"name": "z", "image_size": 8, "channels": 1}
    ZooFile(zoo=images, noise={"kind": "linear"}, member=[{"folder": "m"}]).write(tmp_path)
    before = zoo_digest(tmp_path)
    last = weight_files(tmp_path / "m")[-1]
    save_file({name: tensor + 1 for name, tensor in load_file(last).items()}, last, metadata={"format": "pt"})
    assert zoo_digest(tmp_path)["1"] != before["1"]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{}", "names no files of weights"),
        ('{"weight_map": {"a": "../outside.safetensors"}}', "names a file of weights that is none"),
        ('{"weight_map": {"a": 3}}', "names no files of weights"),
        ('{"weight_map": {"a": "absent.safetensors"}}', "absent.safetensors"),
        ("{", "is damaged"),
    ],
)
def test_a_broken_index_is_told(tmp_path, index, message):
    model().save_pretrained(tmp_path / "m", max_shard_size="10KB")
    (tmp_path / "m" / f"{WEIGHTS_FILE}.index.json").write_text(index)
    with pytest.raises(InputError, match=message):
        load_unet(tmp_path / "m")


def test_a_bin_runs_nothing(tmp_path):
    import pickle

    model().save_pretrained(tmp_path / "m", safe_serialization=False)

    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    (tmp_path / "m" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InputError, match=r"diffusion_pytorch_model\.bin"):
        load_unet(tmp_path / "m")
