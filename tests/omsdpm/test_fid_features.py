"""Metrics by name, reference statistics, and an import that stays light."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from omsdpm.errors import InputError
from omsdpm.fid import Statistics
from omsdpm.images import load_digits_images, to_uint8
from omsdpm.scoring.features import FeatureNetwork, features_names, make_features
from omsdpm.scoring.reference import digits_statistics, folder_statistics, image_statistics


def test_importing_loads_no_torch_and_no_scipy():
    code = "import sys, omsdpm.fid; print([m for m in ('torch', 'scipy', 'sklearn', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_digit_network_by_name():
    network = make_features("digits")
    assert isinstance(network, FeatureNetwork)
    assert {"digits", "inception"} <= set(features_names())


def test_unknown_metric_names_the_nearest_first():
    with pytest.raises(InputError, match="unknown feature network 'digit'; choose one of: digits, "):
        make_features("digit")


def test_statistics_of_images_in_batches_with_progress():
    network = make_features("digits")
    images = load_digits_images()
    calls = []
    batched = image_statistics(network, images, progress=lambda *call: calls.append(call))
    whole = Statistics.of(network(images))
    assert batched.n == whole.n == 1797
    assert calls[-1] == (1797, 1797)
    assert batched.distance(whole) == pytest.approx(0, abs=1e-6)
    assert digits_statistics(network).distance(whole) == pytest.approx(0, abs=1e-6)


def test_statistics_of_a_folder(tmp_path):
    images = load_digits_images()[:30]
    for i, pixels in enumerate(to_uint8(images)):
        Image.fromarray(pixels[:, :, 0]).save(tmp_path / f"{i:02}.png")
    network = make_features("digits")
    of_folder = folder_statistics(network, tmp_path, size=8, channels=1)
    of_images = Statistics.of(network(images))
    assert of_folder.n == 30
    np.testing.assert_allclose(of_folder.mu, of_images.mu, atol=0.02)  # bytes are 1/256 apart


def test_statistics_of_too_few_images(tmp_path):
    network = make_features("digits")
    with pytest.raises(InputError, match="features of 1 image"):
        image_statistics(network, load_digits_images()[:1])
    with pytest.raises(InputError, match="no image in"):
        folder_statistics(network, tmp_path, size=8, channels=1)
    with pytest.raises(InputError, match=r"images of shape \(8, 8\)"):
        image_statistics(network, np.zeros((8, 8)))
