"""Files that claim more than they hold: one line, at once, and no memory taken for it."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from omsdpm.errors import InputError
from omsdpm.fid import Statistics
from omsdpm.networks.unet2d import CONFIG_FILE, load_unet
from omsdpm.released import _bounds, load_zoo, read_dataset, read_latency
from omsdpm.released._pickle import load_pth
from omsdpm.released._values import load_values
from omsdpm.released._yaml import read_yaml
from omsdpm.tables import read_toml
from omsdpm.zoo.files import ZooFile
from omsdpm.zoo.recipe import ZooRecipe
from omsdpm.zoo.train import train_member

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture(autouse=True)
def thrifty():
    """No test takes a gigabyte more than there was before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20


def shared(levels=12, width=10):
    value: list = [1] * width
    for _ in range(levels):
        value = [value] * width
    return value


def quantized():
    return torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8)


LIARS = {
    "expanded": lambda: torch.zeros(1).expand(30000, 30000),
    "overlapping": lambda: torch.zeros(10).as_strided((9, 9), (0, 1)),
    "shared": lambda: shared(6),
    "deep and shared": lambda: shared(),
    "sparse": lambda: torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), torch.ones(1), (10**6, 10**6)),
    "quantized": quantized,
    "meta": lambda: torch.zeros(10**6, 10**6, device="meta"),
    "buffer": lambda: bytearray(3),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("liar", LIARS.values(), ids=LIARS)
@pytest.mark.filterwarnings("ignore")
def test_a_pth_that_grows_when_it_is_read(tmp_path, liar, legacy):
    file = tmp_path / "file.pth"
    torch.save([liar()], file, _use_new_zipfile_serialization=not legacy)
    assert file.stat().st_size < 10**4
    for read in (load_pth, load_values, read_latency, read_dataset):
        with pytest.raises(InputError, match=r"refused .*expected|lists within lists"):
            read(file)


def test_views_and_shared_lists_of_ordinary_files_are_read(tmp_path):
    base = torch.arange(12.0)
    slots = [1, 2, 0]
    torch.save([base[::3], base.view(3, 4).t(), slots, slots], tmp_path / "file.pth")
    expected = [[0.0, 3.0, 6.0, 9.0], [[0.0, 4.0, 8.0], [1.0, 5.0, 9.0], [2.0, 6.0, 10.0], [3.0, 7.0, 11.0]]]
    assert load_values(tmp_path / "file.pth") == [*expected, slots, slots]


def rezipped(file, target, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_a_long_pickle_in_a_small_archive(tmp_path, monkeypatch):
    torch.save([1], tmp_path / "a.pth")

    def long(name, raw):
        return b"\x80\x02" + b"]0" * 2**24 + b"K\x01." if name.endswith(".pkl") else raw

    bomb = rezipped(tmp_path / "a.pth", tmp_path / "b.pth", long, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed archive"):
        load_pth(bomb)
    with pytest.raises(InputError, match="has a pickle of 33554437 bytes"):
        load_pth(rezipped(tmp_path / "a.pth", tmp_path / "c.pth", long))
    monkeypatch.setattr(_bounds, "PICKLE_BYTES", 2**16)
    (tmp_path / "d.pth").write_bytes(long(".pkl", b""))
    with pytest.raises(InputError, match="has a pickle of more than"):
        load_pth(tmp_path / "d.pth")


@pytest.mark.parametrize("count", [10**3, 10**9, 2**31 - 1])
def test_a_storage_that_claims_more_than_the_file_has(tmp_path, count):
    torch.save([torch.zeros(200)], tmp_path / "a.pth")

    def claim(name, raw):
        if not name.endswith(".pkl"):
            return raw
        assert raw.count(b"K\xc8") == 2  # numbers of the storage and of the tensor
        return raw.replace(b"K\xc8", b"J" + count.to_bytes(4, "little"))

    with pytest.raises(InputError, match=r"truncated or no file|fewer numbers"):
        load_pth(rezipped(tmp_path / "a.pth", tmp_path / "b.pth", claim))


def test_codecs_that_make_bytes_longer(tmp_path):
    # What doubles with every call: 40 calls of hex are a terabyte.
    call = b"c_codecs\nencode\n"
    stream = b"\x80\x02" + call * 40 + b"C\x04abcd" + b"X\x03\x00\x00\x00hex\x86R" * 40 + b"."
    (tmp_path / "a.pth").write_bytes(stream)
    with pytest.raises(InputError, match="the codec hex"):
        load_pth(tmp_path / "a.pth")


def test_yaml_aliases_of_aliases(tmp_path):
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for letter, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"{letter}: &{letter} [{', '.join([f'*{before}'] * 9)}]")
    (tmp_path / "config.yml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="has more than 32 aliases: write the values out"):
        read_yaml(tmp_path / "config.yml")
    (tmp_path / "config.yml").write_text("a: &a {b: 1}\nc: *a\n")
    assert read_yaml(tmp_path / "config.yml") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize("text", ["x: " + "9" * 5000, "x: 2020-99-99", "[" * 20000, "x: !!int [1]", "? [a]\n: b", "\0"])
def test_yaml_that_is_none(tmp_path, text):
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(InputError, match=r"is no plain YAML|is no configuration|nests values"):
        read_yaml(tmp_path / "config.yml")


def npz(path, **entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in entries.items():
            archive.writestr(f"{name}.npy", raw)
    return path


def npy(shape, data=b"", descr="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": descr})
    return file.getvalue() + data


def test_an_npz_of_many_zeros(tmp_path):
    mu = npy((3,), np.zeros(3).tobytes())
    # The zeros themselves need not be there for the refusal: the header is enough.
    path = npz(tmp_path / "a.npz", mu=mu, sigma=npy((30000, 30000), bytes(10**7)))
    with pytest.raises(InputError, match=r"sigma has shape \(30000, 30000\), 7200000000 bytes; expected 536870912"):
        Statistics.read(path)
    path = npz(tmp_path / "b.npz", mu=mu, sigma=npy((3, 3), bytes(8)))
    with pytest.raises(InputError, match=r"sigma has shape \(3, 3\) and \d+ bytes, expected 72"):
        Statistics.read(path)
    with pytest.raises(InputError, match="sigma holds object, expected numbers"):
        Statistics.read(npz(tmp_path / "c.npz", mu=mu, sigma=npy((1,), pickle.dumps([1]), "|O")))


def test_an_npz_with_a_password_or_damage(tmp_path):
    Statistics(np.zeros(2), np.eye(2), 5).write(tmp_path / "a.npz")
    raw = bytearray((tmp_path / "a.npz").read_bytes())
    for at in (raw.index(b"PK\x03\x04") + 6, raw.rindex(b"PK\x01\x02") + 8):
        raw[at] |= 1  # the flag of encryption
    (tmp_path / "b.npz").write_bytes(raw)
    with pytest.raises(InputError, match=r"statistics .* is no readable"):
        Statistics.read(tmp_path / "b.npz")
    assert Statistics.read(tmp_path / "a.npz").n == 5


ABSURD = [("layers_per_block", 10**30), ("layers_per_block", 5000), ("block_out_channels", [2**19, 2**19])]
ABSURD += [("block_out_channels", [4] * 2000), ("norm_num_groups", 10**5000), ("layers_per_block", float("inf"))]


@pytest.mark.parametrize(("key", "value"), ABSURD, ids=[f"{key}-{i}" for i, (key, _) in enumerate(ABSURD)])
def test_a_config_of_absurd_sizes(tmp_path, tiny_zoo, key, value):
    folder = tmp_path / "1"
    shutil.copytree(Path(tiny_zoo) / ZooFile.read(tiny_zoo).members[0].folder, folder)
    config = json.loads((folder / CONFIG_FILE).read_text())
    if value == 10**5000:
        text = json.dumps({**config, key: 1}).replace(f'"{key}": 1', f'"{key}": 1{"0" * 5000}')
    else:
        text = json.dumps({**config, key: value})
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        load_unet(folder)


@pytest.mark.parametrize("value", ["layers_per_block = 1" + 30 * "0", "block_out_channels = [1048576, 1048576]"])
def test_a_recipe_of_absurd_sizes(tmp_path, value):
    path = tmp_path / "zoo.toml"
    path.write_text(
        f'[zoo]\nname = "z"\nimage_size = 8\nchannels = 1\n[[member]]\nname = "m"\n[member.unet]\n{value}\n'
    )
    with pytest.raises(InputError, match=r"member 'm'|is not TOML|out of range|zoo\.toml"):
        recipe = ZooRecipe.read(path)
        train_member(recipe, recipe.members[0], np.zeros((2, 1, 8, 8), np.float32), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_released_config_of_absurd_sizes(tmp_path):
    shutil.copytree(GOLDEN / "released_zoo", tmp_path / "zoo")
    config = tmp_path / "zoo" / "1" / "config.yml"
    table = read_yaml(config)
    for key, value in {"num_res_blocks": 10**30, "ch": 32 * 10**30, "temb_ch": 2**20, "ch_mult": [1] * 20}.items():
        config.write_text(json.dumps({**table, "model": {**table["model"], key: value}}))
        with pytest.raises(InputError, match=r"config\.yml"):
            load_zoo(tmp_path / "zoo")


@pytest.mark.parametrize("read", [load_pth, read_yaml, Statistics.read, lambda path: read_toml(path, "give another")])
def test_a_pipe_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is no file but a pipe"):
        read(tmp_path / "pipe")


def test_a_weight_that_lost_a_bit_is_told(tmp_path):
    """The archive's checksum says so; torch does not look at it, and the number is one like any other."""
    import torch

    path = tmp_path / "a.pth"
    torch.save({"weight": torch.full((64,), 1.5)}, path)
    content = path.read_bytes()
    number = struct.pack("<f", 1.5)
    assert content.count(number) == 64
    path.write_bytes(content.replace(number, struct.pack("<f", -1.5), 1))
    assert torch.load(path)["weight"][0] == -1.5
    with pytest.raises(InputError, match=r"a\.pth is damaged: .*checksum"):
        load_pth(path)


def test_a_file_that_was_written_without_checksums_is_read(tmp_path):
    import torch

    path, usual = tmp_path / "a.pth", torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"weight": torch.ones(3)}, path)
    finally:
        torch.serialization.set_crc32_options(usual)
    assert load_pth(path)["weight"].tolist() == [1, 1, 1]
