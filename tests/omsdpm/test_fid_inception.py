"""Inception pool features equal pytorch-fid's, from a local weight file and without a download."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from omsdpm.errors import InputError
from omsdpm.images import to_uint8
from omsdpm.scoring.features import FeatureNetwork, make_features
from omsdpm.scoring.features.inception import InceptionNetwork, as_png, new_inception

pytorch_fid = pytest.importorskip("pytorch_fid.inception")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict of pytorch-fid's shapes, random, with activations that neither vanish nor explode."""
    network = new_inception()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=generator)
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network(weights) -> InceptionNetwork:
    return InceptionNetwork(weights=weights, batch_size=2)


def random_images(n: int, channels: int, size: int = 16) -> np.ndarray:
    return (1.5 * np.random.default_rng(1).standard_normal((n, channels, size, size))).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
def test_equals_pytorch_fid_on_png_files(network, weights, channels, tmp_path, monkeypatch):
    images = random_images(3, channels)
    pixels = []
    for i, array in enumerate(to_uint8(images)):
        Image.fromarray(array[:, :, 0] if channels == 1 else array).save(tmp_path / f"{i}.png")
        read = np.asarray(Image.open(tmp_path / f"{i}.png").convert("RGB"), dtype=np.float32)
        pixels.append(torch.from_numpy(read / 255).permute(2, 0, 1))

    state = torch.load(weights, weights_only=True)
    monkeypatch.setattr(pytorch_fid, "load_state_dict_from_url", lambda url, progress: state)
    theirs = pytorch_fid.InceptionV3().eval()
    with torch.inference_mode():
        expected = theirs(torch.stack(pixels))[0][:, :, 0, 0].double().numpy()

    features = network(torch.from_numpy(images))
    assert features.shape == (3, network.dim) == (3, 2048)
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-5 * expected.max())
    assert features.std(axis=0).max() > 0  # different images, different features


def test_rounding_is_that_of_a_png():
    images = random_images(4, 3)
    expected = to_uint8(images).transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(as_png(torch.from_numpy(images)).numpy(), expected)


def test_by_name_and_from_a_plain_dict_without_counters(weights, tmp_path):
    """Weights from before torch counted batches load as well, and no random number is used up."""
    state = {k: v for k, v in torch.load(weights, weights_only=True).items() if "num_batches" not in k}
    torch.save(state, tmp_path / "plain.pth")
    before = torch.get_rng_state()
    network = make_features(f"inception[weights={tmp_path / 'plain.pth'}]")
    assert torch.equal(torch.get_rng_state(), before)
    assert isinstance(network, FeatureNetwork)
    assert network.dim == 2048


def test_bad_images(network):
    with pytest.raises(InputError, match="2 channels: Inception takes 1"):
        network(torch.zeros(2, 2, 8, 8))
    with pytest.raises(InputError, match=r"expected \(n, C, H, W\)"):
        network(torch.zeros(8, 8))
    with pytest.raises(InputError, match="hold NaN"):
        network(torch.full((1, 3, 8, 8), float("nan")))


def test_bad_weight_files(weights, tmp_path):
    def error_of(path) -> str:
        with pytest.raises(InputError) as raised:
            InceptionNetwork(weights=path)
        message = str(raised.value)
        assert "\n" not in message
        assert str(path) in message
        assert "fid[weights=PATH]" in message
        return message

    assert "do not exist" in error_of(tmp_path / "none.pth")
    assert "cannot be read" in error_of(tmp_path)

    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(weights.read_bytes()[:100_000])
    text = tmp_path / "text.pth"
    text.write_text("<html>404</html>")
    empty = tmp_path / "empty.pth"
    empty.touch()
    pickled = tmp_path / "pickled.pth"
    torch.save({"run": print}, pickled)  # a function: weights_only must refuse it
    for path in (truncated, text, empty, pickled):
        assert "cannot be read" in error_of(path)

    tensor = tmp_path / "tensor.pth"
    torch.save(torch.zeros(3), tensor)
    assert "hold a Tensor" in error_of(tensor)
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    assert "of another network (Missing key" in error_of(other)
    state = torch.load(weights, weights_only=True)
    state["fc.weight"] = torch.zeros(1000, 2048)
    mismatched = tmp_path / "mismatched.pth"
    torch.save(state, mismatched)
    assert "of another network (size mismatch" in error_of(mismatched)


def test_failed_download_says_what_to_do(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fail)
    with pytest.raises(InputError, match=r"cannot download .*no route to host.*fid\[weights=PATH\]"):
        InceptionNetwork()


def test_downloads_the_weights_of_pytorch_fid(weights, monkeypatch):
    urls = []

    def download(url, **kwargs):
        urls.append((url, kwargs))
        return torch.load(weights, weights_only=True)

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", download)
    assert InceptionNetwork().dim == 2048
    [(url, kwargs)] = urls
    assert url == pytorch_fid.FID_WEIGHTS_URL
    assert kwargs["weights_only"] is True
    assert kwargs["check_hash"] is True  # the name ends in the digest's first digits
