"""Files that lie: what the readers refuse, and that nothing in them runs."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omsdpm.errors import InputError
from omsdpm.released import load_predictor, load_zoo, read_dataset, read_latency, read_schedules
from omsdpm.released._pickle import load_pth
from omsdpm.released._values import load_values

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


class Evil:
    """Unpickling it makes a folder."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def zoo_with(file):
    folder = file.parent / "zoo" / "1"
    folder.mkdir(parents=True)
    shutil.copy(GOLDEN / "released_zoo" / "1" / "config.yml", folder)
    shutil.copy(file, folder / "ckpt.pth")
    return load_zoo(folder.parent)


def dataset_folder_with(file):
    folder = file.parent / "folder"
    shutil.copytree(GOLDEN / "dataset_ddim_dir", folder)
    shutil.copy(file, folder / "6.pth")
    return read_dataset(folder)


READERS = {
    "dataset": read_dataset,
    "folder": dataset_folder_with,
    "latency": read_latency,
    "schedules": read_schedules,
    "predictor": load_predictor,
    "zoo": zoo_with,
}


def save_zip(content, path):
    torch.save(content, path)


def save_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=5))


def in_entry(evil):
    return [{"model_schedule": [1, 2], "score": evil}]


def in_state(evil):
    return {"predictor": {"model_embedder.embedder.weight": evil}}


def in_array(evil):
    return [np.array([1, evil], dtype=object)]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("save", [save_zip, save_legacy, save_pickle])
@pytest.mark.parametrize("place", [in_entry, in_state, in_array])
def test_a_malicious_file_executes_nothing(tmp_path, reader, save, place):
    marker, file = tmp_path / "ran", tmp_path / "file.pth"
    save(place(Evil(marker)), file)
    with pytest.raises(InputError, match=r"refused .*it wants to run .*(posix|nt)\.mkdir.*nothing of it was run"):
        reader(file)
    assert not marker.exists()
    # The same file runs when it is loaded without care, so the refusal is what prevented it.
    if save is save_pickle:
        pickle.loads(file.read_bytes())
    else:
        torch.load(file, weights_only=False)
    assert marker.is_dir()


def test_a_config_may_not_run_anything_either(tmp_path):
    folder = tmp_path / "zoo" / "1"
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text(f"!!python/object/apply:os.mkdir ['{tmp_path / 'ran'}']")
    with pytest.raises(InputError, match=r"config\.yml is no plain YAML"):
        load_zoo(folder.parent)
    assert not (tmp_path / "ran").exists()


def test_numpy_values_are_allowed_only_where_a_file_may_hold_them(tmp_path):
    torch.save([np.float64(1.5), np.arange(3)], tmp_path / "file.pth")
    assert load_values(tmp_path / "file.pth") == [1.5, [0, 1, 2]]
    with pytest.raises(InputError, match="it wants to run numpy"):
        load_pth(tmp_path / "file.pth")


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "int64", "float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_numpy_number_is_read(tmp_path, dtype, order):
    array = np.asarray([[0, 1, 2], [3, 4, 5]], dtype=dtype, order=order)
    torch.save([array, array[0, 1], array[:, 0]], tmp_path / "file.pth")
    assert load_values(tmp_path / "file.pth") == [array.tolist(), array[0, 1].item(), array[:, 0].tolist()]


@pytest.mark.parametrize("code", ["O8", "S8", "V8", "M8", "c16"])
def test_numpy_values_other_than_numbers_are_refused(tmp_path, code):
    file = tmp_path / "file.pth"
    save_legacy([np.zeros(1, code)], file)
    with pytest.raises(InputError, match="is no number"):
        load_values(file)


def test_a_file_cannot_give_a_number_the_flags_of_a_pointer(tmp_path):
    file = tmp_path / "file.pth"
    save_legacy([np.arange(3.0)], file)
    raw = file.read_bytes()
    ending = b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"  # itemsize, alignment, flags of the dtype's state
    assert ending in raw
    file.write_bytes(raw.replace(ending, ending[:-2] + b"\x3ft"))
    assert load_values(file) == [[0.0, 1.0, 2.0]]  # the flags are not looked at


def test_lists_that_contain_themselves_are_refused(tmp_path):
    endless: list = []
    endless.append(endless)
    torch.save(endless, tmp_path / "file.pth")
    with pytest.raises(InputError, match="lists within lists"):
        read_dataset(tmp_path / "file.pth")


def test_the_spelling_of_numpy_1_is_read(tmp_path):
    torch.save(np.float64(2.5), tmp_path / "new.pth", _use_new_zipfile_serialization=False)
    raw = (tmp_path / "new.pth").read_bytes()
    assert b"numpy._core.multiarray" in raw or b"numpy.core.multiarray" in raw  # of NumPy 1 itself
    (tmp_path / "old.pth").write_bytes(raw.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert load_values(tmp_path / "old.pth") == 2.5


def test_what_is_no_file_of_the_release_is_told(tmp_path):
    file = tmp_path / "file.pth"
    with pytest.raises(InputError, match="No such file"):
        load_pth(file)
    file.touch()
    with pytest.raises(InputError, match="is empty"):
        load_pth(file)
    file.write_text("<html>404</html>")
    with pytest.raises(InputError, match="is truncated or no file that torch"):
        load_pth(file)
    with pytest.raises(InputError, match="is a folder"):
        load_pth(tmp_path)


def test_a_lightning_checkpoint_is_recognized(tmp_path, monkeypatch):
    module = types.ModuleType("pytorch_lightning")
    module.Callback = type("Callback", (), {"__module__": "pytorch_lightning", "__qualname__": "Callback"})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pytorch_lightning", module)
        torch.save({"callbacks": module.Callback(), "state_dict": {}}, tmp_path / "file.pth")
    with pytest.raises(InputError, match=r"pytorch_lightning\.Callback.*Stable Diffusion"):
        load_pth(tmp_path / "file.pth")


damage = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@damage
@given(st.sampled_from(["zoo_latency.pth", "searched_ddim.pth", "dataset_ddim_dir/0.pth"]), st.floats(0, 0.999))
def test_a_truncated_file_is_refused(tmp_path, name, part):
    raw = (GOLDEN / name).read_bytes()
    (tmp_path / "file.pth").write_bytes(raw[: int(part * len(raw))])
    with pytest.raises(InputError, match=r"truncated|empty"):
        load_pth(tmp_path / "file.pth", numpy_values=True)


@damage
@given(st.sampled_from([save_zip, save_legacy, save_pickle]), st.data())
def test_wrong_bytes_end_in_an_input_error_or_not_at_all(tmp_path, save, data):
    file = tmp_path / "file.pth"
    save([{"ms": [1, 2, 0], "metric": 2.5}, [torch.tensor([1, 2, 3]), np.float64(1)]], file)
    raw = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(raw)
    try:
        read_dataset(file)
    except InputError as error:
        assert str(error).isprintable()
