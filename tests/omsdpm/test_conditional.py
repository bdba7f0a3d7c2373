"""Members that take prompts or labels: zoo add of each supported pipeline, against what the pipeline itself does."""

import json

import numpy as np
import pytest
import torch

from omsdpm.errors import InputError
from omsdpm.guidance import conditioned
from omsdpm.prompts import Prompts, read_prompts
from omsdpm.scoring.measurement import Measurement
from omsdpm.scoring.sampler import Sampler
from omsdpm.solvers import DDIMSpace, space_on
from omsdpm.zoo import ModelZoo
from omsdpm.zoo.adding import add_member
from omsdpm.zoo.digest import zoo_digest
from omsdpm.zoo.files import ZooFile

pytest.importorskip("transformers", minversion="5")
pipelines = pytest.importorskip("tests.pipelines")

KINDS = {
    "sd": ("unet2d-condition", {}, 7.5),
    "sdxl": ("unet2d-condition", {}, 5.0),
    "sd3": ("transformer", {}, 7.0),
    "flux": ("transformer", {"size": (8, 8)}, None),
    "dit": ("dit", {}, 4.0),
    "pixart": ("transformer", {}, 4.5),
    "sana": ("transformer", {}, 4.5),
    "wan": ("transformer", {"size": (4, 4), "frames": 1}, 5.0),
}
"""Kind of network, what a new zoo has to be told, and a scale of guidance."""

PROMPT = "a cat"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of each pipeline and of a zoo made of it, when first asked for."""
    root, folders = tmp_path_factory.mktemp("pipelines"), {}

    def make(name):
        if name not in folders:
            folder = getattr(pipelines, f"tiny_{name}")(root / name)
            add_member(folder, root / f"{name}-zoo", **KINDS[name][1])
            folders[name] = folder, root / f"{name}-zoo"
        return folders[name]

    return make


def recorded(pipe, **call):
    """What the pipeline's denoiser was given and what came out of guidance, at every step."""
    steps, own = [], pipe.scheduler.step

    def step(output, t, sample, *args, **kwargs):
        given = pipe.scheduler.scale_model_input(sample, t) if hasattr(pipe.scheduler, "scale_model_input") else sample
        steps.append((given.clone(), float(t), output.clone()))
        return own(output, t, sample, *args, **kwargs)

    pipe.scheduler.step = step
    try:
        images = pipe(num_inference_steps=3, output_type="pt", **call)[0]
    finally:
        pipe.scheduler.step = own
    return steps, images


def call_of(name, scale):
    usual = {key: value for key, value in pipelines.CALLS[name].items() if key not in ("prompt", "max_sequence_length")}
    usual.pop("complex_human_instruction", None)  # the pipeline's own, as ours
    given = {} if scale is None else {"guidance_scale": scale}
    return {**usual, **given, **({} if name == "dit" else {"prompt": PROMPT}), "generator": torch.manual_seed(0)}


def conditions_of(zoo, name, n=1):
    if name == "dit":
        return {"labels": torch.full((n,), 3)}
    return {"prompts": zoo.encode([PROMPT]).rows(np.zeros(n, dtype=np.int64))}


@pytest.mark.parametrize("name", KINDS)
def test_a_pipeline_is_added_and_its_evaluations_are_the_pipelines(made, name):
    kind, _, scale = KINDS[name]
    folder, zoo_folder = made(name)
    file = ZooFile.read(zoo_folder)
    assert file.members[0].kind == kind and file.zoo.pipeline == str(folder.resolve())
    zoo = ModelZoo.load(zoo_folder).guided(scale)
    pipe = pipelines.loaded(folder)
    steps, _ = recorded(pipe, **call_of(name, scale))
    assert len(steps) == 3
    experts = [zoo.members[0].network] * 3
    if name == "wan":
        assert [member.folder.split("/")[-1] for member in file.members] == ["transformer", "transformer_2"]
        boundary = pipe.config.boundary_ratio * 1000
        experts = [zoo.members[int(t < boundary)].network for _, t, _ in steps]
        assert experts[0] is not experts[-1]  # both are compared
    for network, (x, t, output) in zip(experts, steps, strict=True):
        unpacked = x if name != "flux" else pipe._unpack_latents(x, 16, 16, pipe.vae_scale_factor)
        given = conditions_of(zoo, name, len(unpacked))
        ours = network(unpacked, torch.full((len(unpacked),), t), **given)
        if name == "flux":
            ours = pipe._pack_latents(ours, *ours.shape)
        torch.testing.assert_close(ours, output[:, : ours.shape[1]], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["sd", "sdxl", "sd3", "dit", "pixart", "sana", "wan"])
def test_guidance_in_one_batch_or_two_calls_is_the_same_and_one_is_none(made, name):
    zoo = ModelZoo.load(made(name)[1])
    network = zoo.members[0].network
    x = zoo.starting_noise(2, 1)
    t, given = torch.full((2,), 500.0), conditions_of(zoo, name, 2)
    unguided = network(x, t, **given)
    network.guidance = 1.0
    assert torch.equal(network(x, t, **given), unguided) and not network.twice
    network.guidance = 4.0
    assert network.twice
    batched = network(x, t, **given)
    network.batched = False
    torch.testing.assert_close(network(x, t, **given), batched, atol=1e-5, rtol=1e-4)
    assert (batched - unguided).abs().max() > 1e-4
    network.guidance = 2.0  # linear in the scale
    without = (4 * unguided - batched) / 3
    torch.testing.assert_close(network(x, t, **given), without + 2 * (unguided - without), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", KINDS)
def test_latents_are_decoded_as_the_pipeline_does(made, name):
    folder, zoo_folder = made(name)
    zoo = ModelZoo.load(zoo_folder)
    pipe = pipelines.loaded(folder)
    last = {}
    own = pipe.vae.decode

    def decode(latents, **kwargs):
        last["given"] = latents
        return own(latents, **kwargs)

    pipe.vae.decode = decode
    steps = []
    step = pipe.scheduler.step

    def stepped(*args, **kwargs):
        result = step(*args, **kwargs)
        steps.append(result[0] if isinstance(result, tuple) else result.prev_sample)
        return result

    pipe.scheduler.step = stepped
    pipe(num_inference_steps=2, output_type="pt", **call_of(name, KINDS[name][2]))
    latents = steps[-1][:1]
    if name == "flux":
        latents = pipe._unpack_latents(latents, 16, 16, pipe.vae_scale_factor)
    expected = own(last["given"], return_dict=False)[0][:1]
    images = zoo.decode(latents)
    torch.testing.assert_close(images, expected, atol=1e-5, rtol=1e-4)
    assert tuple(images.shape[1:]) == zoo.image_shape == ZooFile.read(zoo_folder).image_shape(zoo_folder)


def test_images_have_prompts_in_turn_whatever_the_batch(made):
    zoo = ModelZoo.load(made("sd")[1]).guided(3.0)
    prompts = zoo.encode(["a cat", "a dog", "red"])
    space = DDIMSpace(1, 2)
    X = np.array([[1, 1], [0, 1]])
    images = {}
    for batch_size in (5, 2):
        sampler = Sampler(zoo, space, batch_size=batch_size, prompts=prompts)
        rows = {0: [], 1: []}
        for row, _, x_0 in sampler.batches(X, 5, 7):
            rows[row].append(x_0)
        images[batch_size] = torch.cat(rows[0])
    torch.testing.assert_close(images[5], images[2], atol=1e-5, rtol=1e-4)
    x_T = zoo.starting_noise(5, 7)
    alone = conditioned(zoo.denoisers, prompts=prompts.rows(np.array([1])))
    from omsdpm.sampling import sample

    fourth = zoo.decode(sample(alone, [1, 1], x_T[4:5], space=space, noise=zoo.noise))
    torch.testing.assert_close(fourth, images[5][4:5], atol=1e-5, rtol=1e-4)


def test_siblings_are_batched_with_their_prompts(made):
    from omsdpm.sampling import sample_population

    zoo = ModelZoo.load(made("sdxl")[1]).guided(3.0)
    members = conditioned(zoo.denoisers, prompts=zoo.encode(["a cat", "a dog"]).rows(np.arange(2)))
    x, space = zoo.starting_noise(2, 0), DDIMSpace(1, 3)
    X = [[1, 1, 1], [0, 1, 1], [1, 0, 1]]
    results = [dict(sample_population(members, X, x, space=space, noise=zoo.noise, group_siblings=group))
               for group in (False, True)]  # fmt: skip
    for row in range(3):
        torch.testing.assert_close(results[0][row], results[1][row], atol=1e-4, rtol=1e-3)


def test_two_members_of_one_folder_hold_its_weights_once(made, tmp_path):
    folder, _ = made("sd")
    for scale in (7.5, 1.0):
        add_member(folder, tmp_path / "zoo", guidance=scale)
    zoo = ModelZoo.load(tmp_path / "zoo")
    guided, unguided = (member.network for member in zoo.members)
    assert guided.module is unguided.module and (guided.guidance, unguided.guidance) == (7.5, 1.0)
    assert zoo.guided(3.0).members[0].network.guidance == 7.5  # its own
    digest = zoo_digest(tmp_path / "zoo")
    assert digest["1"] != digest["2"] and "pipeline" in digest


def test_a_measurement_says_prompts_and_guidance_and_is_known_by_them(made, tmp_path):
    from omsdpm.scoring.identity import identity
    from omsdpm.scoring.measurement import measurement_from_table

    (tmp_path / "prompts.txt").write_text("a cat\n\nein Hund\n", encoding="utf-8")
    table = {"zoo": str(made("sd")[1]), "solver": "ddim", "length": 4, "metric": "psnr[member=1]",
             "prompts": "prompts.txt", "guidance": 3.0, "images": 2}  # fmt: skip
    one = measurement_from_table(table, tmp_path)
    assert one.read_prompts() == ("a cat", "ein Hund")
    known = identity(one)
    assert json.loads(known["prompts"]) == [["a cat", "ein Hund"], None] and known["guidance"] == "3.0"
    for key, value in {"guidance": 4.0, "negative_prompt": "gray"}.items():
        assert identity(measurement_from_table(table | {key: value}, tmp_path)) != known
    scores = one.open().measure([[1, 1, 1, 1], [0, 0, 0, 1]])
    assert scores[0] == pytest.approx(-58.9, abs=0.1) and scores[1] > scores[0]


def test_latencies_are_of_as_many_evaluations_as_are_made(made, tmp_path):
    from omsdpm.zoo.profile import profile_zoo

    add_member(made("sd")[0], tmp_path / "zoo")
    (tmp_path / "prompts.txt").write_text("a cat")
    card = profile_zoo(tmp_path / "zoo", batch_size=1, repeats=1)
    assert "guidance" not in card
    said = dict(zoo=str(tmp_path / "zoo"), solver="ddim", length=4, metric="psnr[member=1]",
                prompts=str(tmp_path / "prompts.txt"))  # fmt: skip
    assert len(Measurement(**said).latency) == 1
    with pytest.raises(InputError, match=r"measured with guidance None, .* sampled with 3.0.* --guidance 3`"):
        _ = Measurement(**said, guidance=3.0).latency
    assert profile_zoo(tmp_path / "zoo", batch_size=1, repeats=1, guidance=5.0)["guidance"] == 5.0
    assert len(Measurement(**said, guidance=3.0).latency) == 1  # another scale takes as long


def test_flow_zoos_have_the_slots_of_a_flow(made):
    zoo = ModelZoo.load(made("sd3")[1])
    space = space_on(zoo.noise, "ddim", 1, 5, None)
    assert space.grid is not None and space.grid[0] == 1000


BAD_PROMPTS = {
    b"": "holds no prompt",
    b"\n  \n": "holds no prompt",
    b"a cat\n\xff\xfe dog": r"is not UTF-8 \(byte 6\)",
}


@pytest.mark.parametrize("content", BAD_PROMPTS)
def test_a_file_of_prompts_that_is_none(tmp_path, content):
    (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(InputError, match=BAD_PROMPTS[content]):
        read_prompts(tmp_path / "prompts.txt")


def test_prompts_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "prompts.txt").write_bytes("\ufeffa cat\r\na dog".encode())
    assert read_prompts(tmp_path / "prompts.txt") == ("a cat", "a dog")


def test_what_a_zoo_does_not_take_is_one_line(made, tmp_path, tiny_zoo):
    sd = ModelZoo.load(made("sd")[1])
    with pytest.raises(InputError, match="takes prompts: give a text file"):
        Sampler(sd, DDIMSpace(1, 2))
    plain = ModelZoo.load(tiny_zoo)
    with pytest.raises(InputError, match="none of its members takes prompts or labels that it could be guided by"):
        plain.guided(2.0)
    with pytest.raises(InputError, match="has no text encoders: name the folder of their pipeline"):
        plain.encode(["a cat"])
    with pytest.raises(InputError, match="none of whose members takes any"):
        Sampler(plain, DDIMSpace(len(plain.members), 2), prompts=Prompts({"a": torch.zeros(1, 2)}, {}))
    with pytest.raises(InputError, match="negative_prompt without prompts"):
        Measurement(zoo=str(tiny_zoo), solver="ddim", length=2, negative_prompt="gray")


def test_models_that_cannot_share_a_trajectory_are_named(made, tmp_path):
    sd, zoo = made("sd")
    wide = pipelines.tiny_sd(tmp_path / "wide", cross_attention_dim=32)
    with pytest.raises(InputError, match=r"wide/unet has cross_attention_dim = 32, member 1 \(.*sd/unet\) has 16: its"):
        add_member(wide / "unet", zoo)
    add_member(sd, tmp_path / "both")
    add_member(wide, tmp_path / "both")  # whose own text encoder, as it says, is not as wide either
    with pytest.raises(InputError, match="has cross_attention_dim = 32, and its text encoders give 16"):
        ModelZoo.load(tmp_path / "both").encode(["a cat"])
    with pytest.raises(InputError, match="was trained on the noise"):
        add_member(made("sd3")[0], zoo)
    with pytest.raises(InputError, match="takes no guidance"):
        add_member(pipelines.tiny_ddpm(tmp_path / "ddpm"), tmp_path / "new", guidance=2.0)
    with pytest.raises(InputError, match="give the frames of its videos"):
        add_member(made("wan")[0], tmp_path / "new", size=(4, 4))
    with pytest.raises(InputError, match="it makes images, so leave out the frames"):
        add_member(sd, tmp_path / "new", frames=1)
    with pytest.raises(InputError, match="says sample_size = None: give the size"):
        add_member(made("flux")[0], tmp_path / "new")
    with pytest.raises(InputError, match="nobody/here is no folder, and cannot be had from the hub"):
        add_member("nobody/here", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_pipeline_with_another_vae_is_refused(made, tmp_path):
    _, zoo = made("sd")
    other = pipelines.tiny_sd(tmp_path / "other", seed=1)
    config = json.loads((other / "vae" / "config.json").read_text())
    (other / "vae" / "config.json").write_text(json.dumps(config | {"scaling_factor": 0.5}))
    with pytest.raises(InputError, match="has another vae than the zoo's"):
        add_member(other, zoo)


def test_latents_need_not_be_square(made):
    sd, _ = made("sd")
    zoo_folder = made("sd")[1].parent / "wide-zoo"
    add_member(sd, zoo_folder, size=(8, 16))
    zoo = ModelZoo.load(zoo_folder)
    assert zoo.shape == (4, 8, 16) and zoo.image_shape == (3, 16, 32)
    sampler = Sampler(zoo, DDIMSpace(1, 2), prompts=zoo.encode(["a cat"]))
    ((_, _, images),) = sampler.batches([[1, 1]], 2, 0)
    assert tuple(images.shape) == (2, 3, 16, 32)


def test_sdxl_and_its_refiner_read_prompts_with_their_own_text_encoders(made, tmp_path):
    from diffusers import StableDiffusionXLImg2ImgPipeline

    refiner = pipelines.tiny_refiner(tmp_path / "refiner")
    base, _ = made("sdxl")
    for source in (base, refiner):
        add_member(source, tmp_path / "zoo")
    members = ZooFile.read(tmp_path / "zoo").members
    assert [member.pipeline for member in members] == [None, str(refiner.resolve())]
    zoo = ModelZoo.load(tmp_path / "zoo").guided(5.0)
    prompts = zoo.encode([PROMPT])
    pipe = StableDiffusionXLImg2ImgPipeline.from_pretrained(refiner)
    pipe.set_progress_bar_config(disable=True)
    steps, _ = recorded(
        pipe, prompt=PROMPT, image=torch.zeros(1, 4, 8, 8), strength=1.0, guidance_scale=5.0, original_size=(16, 16),
        target_size=(16, 16), generator=torch.manual_seed(0),
    )  # fmt: skip
    for x, t, output in steps:
        ours = zoo.members[1].network(x, torch.full((1,), t), prompts=prompts)
        torch.testing.assert_close(ours, output, atol=1e-5, rtol=1e-4)
    sampler = Sampler(zoo, DDIMSpace(2, 4), prompts=prompts)
    ((_, _, images),) = sampler.batches([[2, 1, 1, 1]], 2, 0)
    assert tuple(images.shape) == (2, 3, 16, 16)
    digests = zoo_digest(tmp_path / "zoo")
    weights = next((refiner / "text_encoder_2").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    assert zoo_digest(tmp_path / "zoo")["2"] != digests["2"] and zoo_digest(tmp_path / "zoo")["1"] == digests["1"]


def test_a_schedule_that_calls_another_text_encoder_is_not_applied(made, tmp_path):
    from omsdpm.pipelines import apply

    base, _ = made("sdxl")
    for source in (base, pipelines.tiny_refiner(tmp_path / "refiner")):
        add_member(source, tmp_path / "zoo")
    zoo = ModelZoo.load(tmp_path / "zoo")
    with pytest.raises(InputError, match=r"member 2 .* has text encoders of its own"):
        apply(pipelines.loaded(base), [2, 1, 1, 1], zoo=zoo, space=DDIMSpace(2, 4))
