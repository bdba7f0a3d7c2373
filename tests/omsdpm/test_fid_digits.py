"""The digit network: its committed weights, its features, its training."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from omsdpm.errors import InputError
from omsdpm.fid import Statistics
from omsdpm.images import load_digits_images
from omsdpm.scoring.features.digits import DIGIT_CARD, DIGIT_WEIGHTS, DigitNetwork
from omsdpm.scoring.features.train_digits import digits_split, train_digit_network
from omsdpm.scoring.reference import digits_statistics


@pytest.fixture(scope="module")
def network() -> DigitNetwork:
    return DigitNetwork()


@pytest.fixture(scope="module")
def reference(network) -> Statistics:
    return digits_statistics(network)


def test_committed_accuracy_is_what_the_card_says(network):
    card = json.loads(DIGIT_CARD.read_text())
    images, labels, train, test = digits_split(card["seed"])
    assert (len(train), len(test)) == (card["train_images"], card["held_out_images"])
    accuracy = np.mean(network.probabilities(images[test]).argmax(axis=1) == labels[test])
    assert accuracy == pytest.approx(card["held_out_accuracy"], abs=1.5 / len(test))  # one image, for other BLAS
    assert accuracy >= 0.97
    assert card["metric"] == "fd-digits"
    assert DIGIT_WEIGHTS.stat().st_size < 300_000


def test_split_is_stratified_and_without_overlap():
    images, labels, train, test = digits_split(0)
    assert images.shape == (1797, 1, 8, 8)
    assert sorted([*train, *test]) == list(range(1797))
    shares = np.bincount(labels[test]) / np.bincount(labels)
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_features(network):
    images = load_digits_images()[:20]
    features = network(images)
    assert features.shape == (20, network.dim)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(network(torch.from_numpy(images)), features)
    np.testing.assert_array_equal(network(torch.from_numpy(images).double()), features)
    assert network(images[:0]).shape == (0, network.dim)


def test_batches_change_nothing(network):
    images = load_digits_images()[:23]
    np.testing.assert_allclose(DigitNetwork(batch_size=5)(images), network(images), atol=1e-5)


def test_images_are_clipped(network):
    images = load_digits_images()[:10]
    np.testing.assert_array_equal(network(images * 3), network(np.clip(images * 3, -1, 1)))


def test_no_feature_is_dead_and_the_covariance_is_not_collapsed(reference):
    assert (reference.n, reference.dim) == (1797, 64)
    eigenvalues = np.linalg.eigvalsh(reference.sigma)
    assert reference.sigma.diagonal().min() > 1e-3
    assert eigenvalues[0] > 1e-5 * eigenvalues[-1]
    # Ten collapsed classes would put everything into nine directions.
    assert eigenvalues[:-9].sum() > 0.15 * eigenvalues.sum()


def test_distance_grows_with_noise_blur_and_missing_digits(network, reference):
    images, labels, _, _ = digits_split(0)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(images.shape).astype(np.float32)

    def distance(batch: np.ndarray) -> float:
        return reference.distance(Statistics.of(network(batch)))

    neighbors = sum(np.roll(images, shift, axis) for axis in (2, 3) for shift in (-1, 1)) / 4
    noisy = [distance(images + level * noise) for level in (0, 0.05, 0.1, 0.2, 0.4)]
    blurred = [distance((1 - level) * images + level * neighbors) for level in (0, 0.1, 0.3, 0.6)]
    fewer = [distance(images[labels < classes]) for classes in (10, 9, 8, 6)]
    for distances in (noisy, blurred, fewer):
        assert distances[0] == pytest.approx(0, abs=1e-6)
        assert all(3 * a < 2 * b for a, b in pairwise(distances))


def test_training_is_reproducible_and_leaves_the_global_generator_alone(tmp_path):
    state = torch.get_rng_state()
    calls = []
    card = train_digit_network(tmp_path / "a.safetensors", 3, epochs=4, progress=lambda *call: calls.append(call))
    again = train_digit_network(tmp_path / "b.safetensors", 3, epochs=4)
    assert torch.equal(torch.get_rng_state(), state)
    assert card == json.loads((tmp_path / "a.json").read_text())
    assert card | {"date": ""} == again | {"date": ""}
    assert card["held_out_accuracy"] > 0.9
    assert [(epoch, epochs) for epoch, epochs, _ in calls] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert calls[-1][2] < calls[0][2]
    first, second = load_file(tmp_path / "a.safetensors"), load_file(tmp_path / "b.safetensors")
    assert first.keys() == load_file(DIGIT_WEIGHTS).keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert DigitNetwork(weights=tmp_path / "a.safetensors")(load_digits_images()[:2]).shape == (2, 64)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8), np.float32), r"images are \(2, 8, 8\).*expected \(n, 1, 8, 8\)"),
        (np.zeros((2, 3, 8, 8), np.float32), r"expected \(n, 1, 8, 8\)"),
        (np.zeros((2, 1, 16, 16), np.float32), r"expected \(n, 1, 8, 8\)"),
        (np.zeros((2, 1, 8, 8), np.uint8), r"uint8: expected .* floating point in \[-1, 1\]"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), "images 0 to 1 hold NaN"),
        ("digits", "tensor or array"),
    ],
)
def test_bad_images(network, images, message):
    with pytest.raises(InputError, match=message):
        network(images)


def test_bad_weights(tmp_path):
    missing = tmp_path / "none.safetensors"
    with pytest.raises(InputError, match=f"cannot read digit weights {missing}"):
        DigitNetwork(weights=missing)
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(DIGIT_WEIGHTS.read_bytes()[:-1000])
    with pytest.raises(InputError, match=f"cannot read digit weights {truncated}"):
        DigitNetwork(weights=truncated)
    other = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, other)
    with pytest.raises(InputError, match="weights of another network"):
        DigitNetwork(weights=other)


def test_output_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(InputError, match="cannot write"):
        train_digit_network(blocked / "digits.safetensors", epochs=1)
