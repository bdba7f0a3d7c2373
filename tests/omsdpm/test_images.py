"""Folders of images as arrays, and back to bytes."""

import numpy as np
import pytest
from PIL import Image

from omsdpm import InputError
from omsdpm.fid import Statistics
from omsdpm.images import (
    image_paths,
    load_digits_images,
    load_digits_labels,
    load_folder_labels,
    load_image_folder,
    to_uint8,
)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)


def test_the_digits_are_all_there():
    images = load_digits_images()
    assert images.shape == (1797, 1, 8, 8) and images.dtype == np.float32
    assert images.min() == -1 and images.max() == 1


def test_the_digits_know_which_they_are():
    labels, images = load_digits_labels(), load_digits_images()
    assert labels.dtype == np.int64 and np.bincount(labels).sum() == 1797 and set(labels) == set(range(10))
    # A zero is hollow, a one is not.
    assert images[labels == 0, 0, 4, 4].mean() < -0.8 < 0.2 < images[labels == 1, 0, 4, 4].mean()


def test_the_folder_of_an_image_is_its_class(tmp_path):
    for number, name in enumerate(["z/1.png", "a/deep/1.png", "m/1.png", "a/2.png", "z/0.png"]):
        save(tmp_path / name, np.full((2, 2), 51 * number))
    (tmp_path / "empty").mkdir()
    images, labels = load_image_folder(tmp_path, size=2, channels=1), load_folder_labels(tmp_path)
    assert labels.tolist() == [0, 0, 1, 2, 2] and labels.dtype == np.int64
    np.testing.assert_array_equal(to_uint8(images)[:, 0, 0, 0], [3 * 51, 51, 2 * 51, 4 * 51, 0])
    save(tmp_path / "alone.png", np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"image .*alone\.png has no class: expected one folder for each class in "):
        load_folder_labels(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_folder_labels(tmp_path / "absent")


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_survive_the_way_there_and_back(tmp_path, channels):
    pixels = np.random.default_rng(channels).integers(0, 256, (4, 6, 6, channels), dtype=np.uint8)
    for i, image in enumerate(pixels):
        save(tmp_path / f"{i}.png", image.squeeze(-1) if channels == 1 else image)
    images = load_image_folder(tmp_path, size=6, channels=channels)
    assert images.shape == (4, channels, 6, 6) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1
    np.testing.assert_array_equal(to_uint8(images), pixels)


def test_images_come_in_the_order_of_their_paths_from_subfolders_too(tmp_path):
    for name, value in (("b/1.PNG", 51), ("a/2.png", 0), ("c.bmp", 255)):
        save(tmp_path / name, np.full((2, 2), value))
    (tmp_path / "notes.txt").write_text("no image")
    images = load_image_folder(tmp_path, size=2, channels=1)
    np.testing.assert_allclose(images[:, 0, 0, 0], [-1, -0.6, 1], atol=1e-6)


def test_sizes_and_colors_are_made_equal(tmp_path):
    save(tmp_path / "wide.png", np.full((10, 20, 3), (255, 0, 0)))
    save(tmp_path / "small.png", np.full((3, 3), 255))
    Image.new("RGBA", (5, 5), (0, 0, 255, 10)).save(tmp_path / "transparent.png")
    images = load_image_folder(tmp_path, size=8, channels=3)
    assert images.shape == (3, 3, 8, 8)
    np.testing.assert_allclose(images[0], 1)
    np.testing.assert_allclose(images[2, 0], 1, atol=1e-6)
    np.testing.assert_allclose(images[2, 1:], -1, atol=1e-6)
    gray = load_image_folder(tmp_path, size=8, channels=1)
    assert gray.shape == (3, 1, 8, 8)
    np.testing.assert_allclose(gray[2], 76 / 127.5 - 1, atol=0.01)  # red's luma, ITU-R 601


def test_values_outside_the_range_are_clipped():
    bytes_ = to_uint8(np.array([-3.0, -1, 0, 1, 7]).reshape(1, 1, 1, 5))
    assert bytes_.shape == (1, 1, 5, 1) and bytes_.ravel().tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_images_have_one_channel_or_three(tmp_path, channels):
    with pytest.raises(InputError, match="images have 1 or 3"):
        load_image_folder(tmp_path, 8, channels)


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=f"no image in {tmp_path}: expected files ending in .*png"):
        load_image_folder(tmp_path, 8, 1)
    for path in (tmp_path / "absent", tmp_path / "notes.txt"):
        with pytest.raises(InputError, match=f"image folder {path} does not exist"):
            load_image_folder(path, 8, 1)


@pytest.mark.parametrize("spoil", ["text", "truncated", "empty", "scrambled", "folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, spoil):
    save(tmp_path / "a.png", np.zeros((64, 64)))
    bad = tmp_path / "b.png"
    save(bad, np.random.default_rng(0).integers(0, 256, (64, 64)))
    data = bad.read_bytes()
    bad.unlink()
    if spoil == "folder":
        bad.mkdir()
    else:
        scrambled = data[:60] + bytes(200) + data[260:]
        spoiled = {"text": b"hello", "truncated": data[: len(data) // 2], "empty": b"", "scrambled": scrambled}
        bad.write_bytes(spoiled[spoil])
    with pytest.raises(InputError, match=r"cannot read image .*b\.png") as error:
        load_image_folder(tmp_path, 64, 1)
    assert "\n" not in str(error.value)


def test_sixteen_bits_and_floats_are_the_same_picture(tmp_path):
    """scikit-learn's digits as 8 bits, as 16, and as floats from 0 to 1: a Fréchet distance of 0."""
    digits = to_uint8(load_digits_images()[:40])[..., 0]
    for i, pixels in enumerate(digits):
        save(tmp_path / "8" / f"{i:03d}.png", pixels)
        for name, array in {
            "16.png": pixels.astype(np.uint16) * 257,
            "16.tif": pixels.astype(np.uint16) * 257,
            "f.tif": (pixels / 255).astype(np.float32),
        }.items():
            path = tmp_path / name / f"{i:03d}.{name[-3:]}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(array).save(path)
    expected = load_image_folder(tmp_path / "8", size=8, channels=1)
    statistics = Statistics.of(expected.reshape(40, -1))
    for name in ("16.png", "16.tif", "f.tif"):
        images = load_image_folder(tmp_path / name, size=8, channels=1)
        np.testing.assert_allclose(images, expected, atol=1e-6)
        assert statistics.distance(Statistics.of(images.reshape(40, -1))) == pytest.approx(0, abs=1e-4)
        colored = load_image_folder(tmp_path / name, size=8, channels=3)
        np.testing.assert_allclose(colored, np.repeat(expected, 3, axis=1), atol=1e-6)
        larger = load_image_folder(tmp_path / name, size=16, channels=1)
        np.testing.assert_array_equal(larger, load_image_folder(tmp_path / "8", size=16, channels=1))


def test_sixteen_bits_are_resized_as_eight_are(tmp_path):
    pixels = np.random.default_rng(0).integers(256, size=(9, 9)).astype(np.uint8)
    save(tmp_path / "8" / "0.png", pixels)
    (tmp_path / "16").mkdir()
    Image.fromarray(pixels.astype(np.uint16) * 257 + 1 - (pixels == 255)).save(tmp_path / "16" / "0.png")
    for size in (4, 9, 16):
        deep, usual = (load_image_folder(tmp_path / name, size, 1) for name in ("16", "8"))
        np.testing.assert_allclose(deep, usual, atol=2 / 127.5)  # rounded after each of the two ways


@pytest.mark.parametrize("values", [[[0, 255.0]], [[-0.1, 1]], [[0, np.nan]]])
def test_floats_of_another_scale_are_refused(tmp_path, values):
    Image.fromarray(np.array(values, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif: values from .* expected floats from 0 to 1"):
        load_image_folder(tmp_path, size=2, channels=1)


def test_linked_class_folders_are_followed(tmp_path):
    save(tmp_path / "elsewhere" / "b" / "0.png", np.full((2, 2), 255))
    save(tmp_path / "real" / "a" / "0.png", np.zeros((2, 2)))
    (tmp_path / "real" / "b").symlink_to(tmp_path / "elsewhere" / "b")
    assert load_image_folder(tmp_path / "real", 2, 1)[:, 0, 0, 0].tolist() == [-1, 1]
    assert load_folder_labels(tmp_path / "real").tolist() == [0, 1]


def test_what_leads_nowhere_or_back_is_told(tmp_path):
    save(tmp_path / "a" / "0.png", np.zeros((2, 2)))
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    with pytest.raises(InputError, match="again is a link to a folder that it is in"):
        image_paths(tmp_path)
    (tmp_path / "a" / "again").unlink()
    (tmp_path / "a" / "1.png").symlink_to(tmp_path / "nothing.png")
    with pytest.raises(InputError, match=r"1\.png: it is no file, or a link to none"):
        image_paths(tmp_path)


def test_copies_of_notebooks_and_file_managers_do_not_count(tmp_path):
    hidden = ["a/.ipynb_checkpoints/0-checkpoint.png", "a/._0.png", ".b/0.png", "__MACOSX/a/0.png", ".0.png"]
    for name in ["a/0.png", *hidden]:
        save(tmp_path / name, np.zeros((2, 2)))
    assert image_paths(tmp_path) == [tmp_path / "a" / "0.png"]
    assert load_folder_labels(tmp_path).tolist() == [0]


def test_a_hidden_folder_that_is_named_counts(tmp_path):
    save(tmp_path / ".data" / "0.png", np.zeros((2, 2)))
    assert len(image_paths(tmp_path / ".data")) == 1


def test_a_picture_that_claims_too_many_pixels_is_named(tmp_path, monkeypatch):
    save(tmp_path / "a.png", np.zeros((20, 20)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"cannot read image .*a\.png"):
        load_image_folder(tmp_path, size=2, channels=1)


def test_frames_of_a_video_are_side_by_side():
    video = np.zeros((1, 1, 3, 2, 4)) - 1
    video[0, 0, 1] = 1
    picture = to_uint8(video)
    assert picture.shape == (1, 2, 12, 1)
    assert picture[0, :, :, 0].tolist() == [[0] * 4 + [255] * 4 + [0] * 4] * 2


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16"])
def test_images_need_not_be_square(tmp_path, mode):
    dtype, most = (np.uint16, 65535) if mode == "I;16" else (np.uint8, 255)
    values = np.linspace(0, most, 6 * 8).reshape(6, 8).astype(dtype)
    pixels = np.repeat(values[..., None], 3, axis=2) if mode == "RGB" else values
    Image.fromarray(pixels).save(tmp_path / "a.png")
    same = load_image_folder(tmp_path, (6, 8), 1)[0, 0]
    np.testing.assert_allclose(same, values / most * 2 - 1, atol=0.01)
    assert load_image_folder(tmp_path, (3, 8), 3).shape == (1, 3, 3, 8)
