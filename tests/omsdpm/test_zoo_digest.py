"""What identifies a zoo, and what does not."""

import json
import os
import shutil

import pytest
from safetensors.torch import load_file, save_file

from omsdpm import InputError
from omsdpm.networks.unet2d import WEIGHTS_FILE
from omsdpm.zoo import zoo_digest


@pytest.fixture
def zoo(tiny_zoo, tmp_path):
    return shutil.copytree(tiny_zoo, tmp_path / "zoo")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_member_and_the_noise_have_one(zoo):
    digest = zoo_digest(zoo)
    assert sorted(digest) == ["1", "2", "3", "noise"]
    assert len(set(digest.values())) == 4 and all(len(value) == 32 for value in digest.values())
    assert zoo_digest(str(zoo)) == digest


def test_paths_times_names_and_words_are_no_part_of_it(zoo, tiny_zoo, tmp_path):
    before = zoo_digest(tiny_zoo)
    moved = zoo.rename(tmp_path / "elsewhere")
    (moved / "2").rename(moved / "two")
    edit(moved / "zoo.toml", 'folder = "2"', 'folder = "two"')
    edit(moved / "zoo.toml", 'name = "tiny"', 'name = "other"')
    edit(moved / "zoo.toml", "[noise]", "# a comment\n[noise]")
    os.utime(moved / "1" / WEIGHTS_FILE, (0, 0))
    (moved / "latency.toml").unlink()
    config = json.loads((moved / "3" / "config.json").read_text())
    config |= {"_diffusers_version": "0.0.1", "_name_or_path": "/somewhere"}
    (moved / "3" / "config.json").write_text(json.dumps(dict(reversed(config.items()))))
    assert zoo_digest(moved) == before


def other_weights(zoo):
    state = load_file(zoo / "2" / WEIGHTS_FILE)
    next(iter(state.values())).view(-1)[0] += 1e-3
    save_file(state, zoo / "2" / WEIGHTS_FILE)


@pytest.mark.parametrize(
    "change, differ",
    [
        (other_weights, {"2"}),
        (lambda zoo: edit(zoo / "2" / "config.json", '"norm_num_groups": 4', '"norm_num_groups": 2'), {"2"}),
        (lambda zoo: edit(zoo / "zoo.toml", '"epsilon"', '"v_prediction"'), {"1"}),
        (lambda zoo: edit(zoo / "zoo.toml", 'folder = "1"', 'folder = "1", heads = { mid_block = 2 }'), {"1"}),
        (lambda zoo: edit(zoo / "zoo.toml", 'folder = "1"', 'folder = "3"'), {"1"}),
        (lambda zoo: edit(zoo / "zoo.toml", "beta_end = 0.02", "beta_end = 0.03"), {"noise"}),
        (lambda zoo: edit(zoo / "zoo.toml", "steps = 1000", "steps = 100"), {"noise"}),
    ],
)
def test_what_changes_the_predictions_changes_it(zoo, tiny_zoo, change, differ):
    before = zoo_digest(tiny_zoo)
    change(zoo)
    after = zoo_digest(zoo)
    assert {key for key in before if before[key] != after[key]} == differ


def test_functions_are_identified_by_their_source_and_weights(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "digested_network.py").write_text("def f(weights, k=1):\n    return None\n")
    (tmp_path / "w.bin").write_bytes(b"one")

    def digest(more="", label=""):
        (tmp_path / "zoo.toml").write_text(
            '[zoo]\nname = "f"\nimage_size = 8\nchannels = 1\n[noise]\n[[member]]\nkind = "callable"\n'
            f'function = "digested_network:f"\nweights = "w.bin"\nlabel = "{label}"\n{more}\n'
        )
        return zoo_digest(tmp_path)["1"]

    first = digest()
    assert digest(label="name") == first
    digests = {first, digest("parameters = { k = 2 }"), digest("num_classes = 3")}
    (tmp_path / "w.bin").write_bytes(b"two")
    digests.add(digest())
    (tmp_path / "digested_network.py").write_text("def f(weights, k=2):\n    return None\n")
    digests.add(digest())
    assert len(digests) == 5
    (tmp_path / "w.bin").unlink()
    with pytest.raises(InputError, match=r"has no weights .*w\.bin"):
        zoo_digest(tmp_path)


@pytest.mark.parametrize("file", ["zoo.toml", "2/config.json", f"2/{WEIGHTS_FILE}"])
def test_a_file_that_is_missing_is_told(zoo, file):
    (zoo / file).unlink()
    with pytest.raises(InputError, match=file.rpartition("/")[2]):
        zoo_digest(zoo)
