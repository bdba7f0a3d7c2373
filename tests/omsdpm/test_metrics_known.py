"""Metrics against implementations that others trust: torch-fidelity, the authors' closed forms, transformers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from omsdpm import DDIMSpace, InputError, ModelZoo
from omsdpm.images import load_digits_images
from omsdpm.sampling import sample
from omsdpm.scoring.features import make_features
from omsdpm.scoring.features.dinov2 import vision_transformer
from omsdpm.scoring.features.lpips import LAYERS, PerceptualDistance
from omsdpm.scoring.metrics import Context, OpenMetric, make_metric
from omsdpm.scoring.metrics.jackknife import block_edges, jackknife
from omsdpm.scoring.metrics.opening import metric_identity
from omsdpm.scoring.sampler import Sampler

SHAPE = (1, 8, 8)
FEATURES = ("kid[features=digits]", "cmmd[features=digits]", "precision[features=digits]", "recall[features=digits]")


def images(n, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    real = load_digits_images()
    drawn = noise * rng.standard_normal((n, *SHAPE)).astype(np.float32)
    return torch.from_numpy(real[rng.integers(len(real), size=n)] + drawn)


def made(text, x=None):
    metric = make_metric(text, shape=SHAPE, reference="digits")
    if x is not None:
        metric.update(x, 0)
    return metric


def features(x):
    return torch.from_numpy(make_features("digits")(x))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_precision_and_recall_are_torch_fidelitys(k):
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    x = images(300)
    precision, recall = calculate_precision_recall_full(features(x), features(load_digits_images()), neighborhood=k)
    assert 0.1 < precision < 0.999 and 0.1 < recall < 0.999
    assert made(f"precision[features=digits,k={k}]", x).value() == pytest.approx(precision, abs=1e-6)
    assert made(f"recall[features=digits,k={k}]", x).value() == pytest.approx(recall, abs=1e-6)


def test_kid_is_torch_fidelitys_on_the_same_subsets():
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    x = images(120)
    known = kid_features_to_metric(
        features(x), features(load_digits_images()), kid_subsets=7, kid_subset_size=50, rng_seed=2020
    )
    value = made("kid[features=digits,subsets=7,subset_size=50]", x).value()
    assert value == pytest.approx(known[KEY_METRIC_KID_MEAN], rel=1e-7)  # features of other batches, see test_metrics


def test_cmmd_is_the_authors_closed_form():
    x = images(150)
    a, b = features(x), features(load_digits_images())

    def kernel(p, q):
        return torch.exp(-(torch.cdist(p, q) ** 2) / (2 * 3.0**2))

    expected = 200 * (kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean())
    assert made("cmmd[features=digits,sigma=3,scale=200]", x).value() == pytest.approx(float(expected), rel=1e-8)
    nearly = made("cmmd[features=digits]", torch.from_numpy(load_digits_images()))
    assert nearly.value() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("text", FEATURES)
def test_in_parts_and_any_order_it_is_the_same(text):
    x = images(90)
    whole = made(text, x)
    parts = []
    for first in (60, 0, 30):
        part = made(text)
        part.update(x[first : first + 30], first)
        parts.append(pickle.loads(pickle.dumps(part)))
    merged = parts[0]
    merged.merge(parts[1])
    merged.merge(parts[2])
    assert merged.value() == pytest.approx(whole.value(), rel=1e-8)
    if hasattr(whole, "error"):
        assert merged.error() == pytest.approx(whole.error(), rel=1e-6)


@pytest.mark.parametrize("text", FEATURES[:2])
def test_the_error_of_a_kernel_metric_is_the_jackknife_over_blocks(text):
    x = images(95)
    edges = block_edges(95)
    without = []
    for block in range(10):
        kept = torch.cat([x[: edges[block]], x[edges[block + 1] :]])
        without.append(made(text, kept).value())
    assert made(text, x).error() == pytest.approx(jackknife(without), rel=1e-8)


@pytest.mark.parametrize("text", FEATURES[:3])
def test_the_error_is_about_the_deviation_over_repeats(text):
    values, errors = [], []
    for seed in range(30):
        metric = made(text, images(200, seed))
        values.append(metric.value())
        errors.append(metric.error())
    assert 0.6 < np.mean(errors) / np.std(values, ddof=1) < 1.6


def test_a_real_image_lies_in_its_own_ball_and_noise_in_none():
    real = torch.from_numpy(load_digits_images()[:200])
    assert made("precision[features=digits]", real).value() == 1
    far = made("precision[features=digits]", torch.ones(20, *SHAPE))
    assert far.value() == 0 and far.error() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("precision[features=digits,k=0]", "metric 'precision': k = 0, expected a whole number of at least 1"),
        ("recall[features=digits,k=1797]", "metric 'recall': 1797 real images, expected at least 1798"),
        ("cmmd[features=digits,sigma=0]", "metric 'cmmd': sigma = 0, expected a positive number"),
        ("lpips[member=1]", "metric 'lpips' compares schedules"),
        ("fd-dinov2[weights=/nowhere.pth]", "dinov2 weights /nowhere.pth do not exist; give the path"),
        ("cmmd[features=clip[weights=/nowhere.pt]]", "clip weights /nowhere.pt do not exist; give the path"),
    ],
)
def test_what_cannot_be_used_is_told(text, message):
    with pytest.raises(InputError) as error:
        made(text)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


# -- DINOv2 -------------------------------------------------------------------------------


def dino_state(dim=128, depth=2, side=5, seed=0):
    """The authors' names and shapes, small."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return 0.1 * torch.randn(shape, generator=generator)

    state = {"cls_token": drawn(1, 1, dim), "pos_embed": drawn(1, 1 + side**2, dim), "mask_token": drawn(1, dim)}
    state |= {"patch_embed.proj.weight": drawn(dim, 3, 14, 14), "patch_embed.proj.bias": drawn(dim)}
    state |= {"norm.weight": 1 + drawn(dim), "norm.bias": drawn(dim)}
    for n in range(depth):
        for norm in ("norm1", "norm2"):
            state |= {f"blocks.{n}.{norm}.weight": 1 + drawn(dim), f"blocks.{n}.{norm}.bias": drawn(dim)}
        for name, rows, columns in (
            ("attn.qkv", 3 * dim, dim),
            ("attn.proj", dim, dim),
            ("mlp.fc1", 4 * dim, dim),
            ("mlp.fc2", dim, 4 * dim),
        ):
            state |= {f"blocks.{n}.{name}.weight": drawn(rows, columns), f"blocks.{n}.{name}.bias": drawn(rows)}
        state |= {f"blocks.{n}.ls1.gamma": drawn(dim), f"blocks.{n}.ls2.gamma": drawn(dim)}
    return state


def without_mask(state):
    return {key: value for key, value in state.items() if key != "mask_token"}


def test_the_vision_transformer_is_that_of_transformers():
    transformers = pytest.importorskip("transformers")
    state = dino_state()
    config = transformers.Dinov2Config(
        hidden_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=70, patch_size=14
    )
    theirs = transformers.Dinov2Model(config).eval()
    renamed = {
        "embeddings.cls_token": state["cls_token"],
        "embeddings.mask_token": state["mask_token"],
        "embeddings.position_embeddings": state["pos_embed"],
        "layernorm.weight": state["norm.weight"],
        "layernorm.bias": state["norm.bias"],
    }
    for kind in ("weight", "bias"):
        renamed[f"embeddings.patch_embeddings.projection.{kind}"] = state[f"patch_embed.proj.{kind}"]
        for n in range(2):
            for part, rows in zip(
                ("q_proj", "k_proj", "v_proj"), state[f"blocks.{n}.attn.qkv.{kind}"].chunk(3), strict=True
            ):
                renamed[f"encoder.layer.{n}.attention.{part}.{kind}"] = rows
            for ours, other in (
                ("attn.proj", "attention.o_proj"),
                ("norm1", "norm1"),
                ("norm2", "norm2"),
                ("mlp.fc1", "mlp.fc1"),
                ("mlp.fc2", "mlp.fc2"),
            ):
                renamed[f"encoder.layer.{n}.{other}.{kind}"] = state[f"blocks.{n}.{ours}.{kind}"]
    for n in range(2):
        for scale in (1, 2):
            renamed[f"encoder.layer.{n}.layer_scale{scale}.lambda1"] = state[f"blocks.{n}.ls{scale}.gamma"]
    earlier = {
        "q_proj": "attention.query",
        "k_proj": "attention.key",
        "v_proj": "attention.value",
        "o_proj": "output.dense",
    }
    if not set(renamed) <= set(theirs.state_dict()):  # as they were called before transformers 5
        renamed = {
            ".".join(earlier.get(word, word) for word in key.split(".")): value for key, value in renamed.items()
        }
    theirs.load_state_dict(renamed)
    x = torch.randn(3, 3, 70, 70, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = theirs(x).pooler_output
        given = vision_transformer(without_mask(state), "w").eval()(x)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def test_dinov2_from_a_file_goes_through_torch_fidelitys_extractor(tmp_path):
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    path = tmp_path / "small.pth"
    torch.save(dino_state(side=37), path)  # as for 518 pixels: positions are interpolated to those of 224
    network = make_features(f"dinov2[weights={path}]")
    assert network.dim == 128
    x = images(3)
    pixels = ((x + 1) * 127.5).round().clamp(0, 255).expand(-1, 3, -1, -1)
    enlarged = interpolate_bilinear_2d_like_tensorflow1x(pixels, size=(224, 224), align_corners=False)
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = vision_transformer(without_mask(dino_state(side=37)), "w")((enlarged / 255 - mean) / deviation)
    np.testing.assert_allclose(network(x), expected.numpy(), rtol=1e-3, atol=1e-4)
    assert made(f"fd-dinov2[weights={path}]", images(5)).value() > 0
    torch.save(dino_state(side=37, seed=1), tmp_path / "other.pth")
    first, second = (metric_identity(f"fd-dinov2[weights={tmp_path / name}]") for name in ("small.pth", "other.pth"))
    assert first["features"] != second["features"] and str(tmp_path) not in str(first)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"x": torch.zeros(1)}, "are of another network"),
        ({**dino_state(), "register_tokens": torch.zeros(1, 4, 128)}, "are of another network"),
        ([1], "hold a list, no state dict"),
        (None, "cannot be read"),
    ],
)
def test_weights_that_are_not_dinov2s(tmp_path, content, message):
    path = tmp_path / "w.pth"
    path.write_bytes(b"none") if content is None else torch.save(content, path)
    with pytest.raises(InputError, match=f"dinov2 weights .*{message}") as error:
        make_features(f"dinov2[weights={path}]")
    assert "\n" not in str(error.value)


def test_without_weights_or_network_it_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load", offline)
    monkeypatch.setattr("torch_fidelity.feature_extractor_clip.load_state_dict_from_url", offline)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    for text in ("fd-dinov2", "cmmd"):
        with pytest.raises(InputError, match=r"cannot download the \w+ weights \(no network\); give the path"):
            made(text)
    with pytest.raises(InputError, match=r"cannot download vgg16-397923af.pth \(no network\); give the path"):
        OpenMetric("lpips[member=1,resize=16]", Context(SHAPE, space=DDIMSpace(3, 4)))


# -- CLIP ---------------------------------------------------------------------------------


def test_clip_reads_openais_kind_of_file(tmp_path):
    from torch_fidelity.feature_extractor_clip import CLIPVisual

    torch.manual_seed(0)

    class Clip(torch.nn.Module):
        """What OpenAI's archives hold, as far as it is read: a scripted module with these names."""

        def __init__(self):
            super().__init__()
            self.visual = CLIPVisual(16, 32, 2, 64, 8).visual
            self.text_projection = torch.nn.Parameter(torch.zeros(4, 16))

        def forward(self, x):
            return self.visual(x)

    path = tmp_path / "clip.pt"
    torch.jit.trace(Clip().eval(), torch.zeros(1, 3, 32, 32)).save(path)
    plain, unit = (make_features(f"clip[weights={path},unit={unit}]") for unit in ("false", "true"))
    rows, x = plain(images(6)), images(6)
    assert rows.shape == (6, 16) and plain.dim == 16
    np.testing.assert_allclose(unit(x), rows / np.linalg.norm(rows, axis=1, keepdims=True), rtol=1e-5)
    assert made(f"cmmd[features=clip[unit=true,weights={path}]]", images(5)).value() > 0
    (tmp_path / "none.pt").write_bytes(b"none")
    with pytest.raises(InputError, match=r"clip weights .* cannot be read or are of another network"):
        make_features(f"clip[weights={tmp_path / 'none.pt'}]")


# -- LPIPS --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def perceptual(tmp_path_factory):
    """Weights of the right names and shapes, random: the layers' and VGG16's files."""
    from torchvision.models import vgg16

    folder = tmp_path_factory.mktemp("lpips")
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in vgg16(weights=None).features.state_dict().items()}
    backbone = {
        f"features.{key}": torch.randn(shape, generator=generator)
        * (2 / np.prod(shape[1:]) if len(shape) > 1 else 0.01) ** 0.5
        for key, shape in shapes.items()
    }
    layers = {
        f"lin{n}.model.1.weight": torch.rand(1, c, 1, 1, generator=generator)
        for n, c in enumerate((64, 128, 256, 512, 512))
    }
    torch.save(backbone, folder / "vgg16.pth")
    torch.save(layers, folder / "vgg.pth")
    return folder / "vgg.pth", folder / "vgg16.pth"


@pytest.mark.parametrize("resize", [None, 16, 48])
def test_lpips_is_torch_fidelitys(perceptual, monkeypatch, resize):
    from torch_fidelity import sample_similarity_lpips as known
    from torchvision.models import vgg16

    layers, backbone = (torch.load(path, weights_only=True) for path in perceptual)
    network = vgg16(weights=None)
    network.features.load_state_dict({key.removeprefix("features."): value for key, value in backbone.items()})
    monkeypatch.setattr(known, "load_state_dict_from_url", lambda *_, **__: layers)
    monkeypatch.setattr(known, "torchvision_load_pretrained_vgg16", lambda **_: network)
    theirs = known.SampleSimilarityLPIPS("lpips-vgg16", sample_similarity_resize=resize)
    a, b = torch.randint(0, 256, (2, 5, 3, 32, 32), generator=torch.Generator().manual_seed(1)).float()
    ours = PerceptualDistance("cpu", *perceptual)
    expected = theirs(a, b).flatten()
    torch.testing.assert_close(ours(a / 127.5 - 1, b / 127.5 - 1, resize), expected, rtol=1e-3, atol=1e-5)
    assert len(LAYERS) == 5 and (expected > 0.01).all()


def test_lpips_of_schedules_is_to_the_reference_member(perceptual, tiny_zoo):
    zoo, space = ModelZoo.load(tiny_zoo), DDIMSpace(3, 4)
    weights, backbone = perceptual
    text = f"lpips[member=2,weights={weights},backbone={backbone},resize=16]"
    metric = OpenMetric(text, Context(zoo.shape, space=space))
    X = np.array([[2, 2, 2, 2], [1, 3, 0, 2]])
    scores = Sampler(zoo, space, batch_size=4).score(X, 6, seed=4, metric=metric)
    x_T = zoo.starting_noise(6, seed=4)
    wanted, got = (sample(zoo.denoisers, x, x_T, space=space, noise=zoo.noise).clamp(-1, 1) for x in X)
    expected = PerceptualDistance("cpu", *perceptual)(got, wanted, 16).mean()
    assert scores[0] == 0 and scores[1] == pytest.approx(float(expected), rel=1e-3)
    with pytest.raises(InputError, match="images of 8 pixels are smaller than 16"):
        OpenMetric("lpips[member=2]", Context(zoo.shape, space=space))


def test_lpips_weights_of_something_else(perceptual, tmp_path):
    weights, backbone = perceptual
    (tmp_path / "none.pth").write_bytes(b"none")
    for first, second, message in (
        (backbone, backbone, "lpips weights .* are of another network: expected vgg.pth"),
        (weights, weights, "lpips backbone .* is of another network"),
        (tmp_path / "none.pth", backbone, "lpips weights .* cannot be read"),
        (weights, tmp_path / "absent.pth", "lpips backbone .* cannot be read"),
    ):
        with pytest.raises(InputError, match=message) as error:
            PerceptualDistance("cpu", first, second)
        assert "\n" not in str(error.value)


# -- the limit of infinitely many images ----------------------------------------------------


def gaussian(n, seed):
    """Images whose features, the means of rows, are Gaussian with a known distance to the real ones."""
    rng = np.random.default_rng(seed)
    rows = 0.1 * rng.standard_normal((n, 8)) @ np.diag(np.linspace(0.8, 1.2, 8))
    return torch.from_numpy(np.repeat(rows[:, None, :, None], 8, axis=3).astype(np.float32))


@pytest.fixture
def rows_of(tmp_path, monkeypatch):
    """A metric in the means of rows, and what it is of infinitely many images."""
    from omsdpm.fid import Statistics

    (tmp_path / "rows_features.py").write_text("def rows(batch):\n    return batch.mean(dim=3)[:, 0]\n")
    monkeypatch.syspath_prepend(tmp_path)
    Statistics(np.zeros(8), 0.01 * np.eye(8)).write(tmp_path / "real.npz")
    truth = float(((0.1 * np.linspace(0.8, 1.2, 8) - 0.1) ** 2).sum())

    def of(text, x, first=0):
        metric = make_metric(text.format("rows_features:rows"), shape=SHAPE, reference=str(tmp_path / "real.npz"))
        for at in range(first, len(x), 70):
            metric.update(x[at : at + 70], at)
        return metric

    return of, truth


def test_the_limit_is_without_the_bias_of_few_images(rows_of):
    of, truth = rows_of
    few = [of("fd[features={}]", gaussian(100, seed)).value() for seed in range(60)]
    limits = [of("fd-inf[features={}]", gaussian(100, seed)) for seed in range(60)]
    values, errors = [limit.value() for limit in limits], [limit.error() for limit in limits]
    spread = np.std(values, ddof=1)
    assert np.mean(few) - truth > 6 * np.std(few) / 60**0.5  # too high beyond doubt
    assert abs(np.mean(values) - truth) < 3 * spread / 60**0.5
    assert 0.6 < np.mean(errors) / spread < 1.6
    assert np.mean(np.abs(np.array(values) - truth) < 2 * np.array(errors)) > 0.9


def test_the_limit_in_parts_is_the_same(rows_of):
    of, _ = rows_of
    x = gaussian(210, 0)
    whole, part = of("fd-inf[features={}]", x), of("fd-inf[features={}]", x, first=140)
    other = of("fd-inf[features={}]", x[:140])
    part.merge(pickle.loads(pickle.dumps(other)))
    assert part.value() == pytest.approx(whole.value(), rel=1e-8)
    assert part.error() == pytest.approx(whole.error(), rel=1e-8)
    with pytest.raises(InputError, match="20 images, expected at least 32 to extrapolate"):
        of("fd-inf[features={}]", x[:20]).value()


def test_blocks_are_even_and_no_class_has_its_own():
    from omsdpm.scoring.metrics.fd_inf import block_of

    blocks = block_of(np.arange(5000))
    assert (np.bincount(blocks) == 500).all() and (blocks[37:99] == block_of(np.arange(37, 99))).all()
    labels = np.arange(5000) % 10
    counts = np.array([np.bincount(blocks[labels == label], minlength=10) for label in range(10)])
    assert counts.min() > 20 and counts.max() < 90
