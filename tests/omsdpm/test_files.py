"""Atomic writing, and folders that cannot be written."""

import os
import stat

import pytest

from omsdpm import InputError
from omsdpm.files import replacing, writable_folder


def test_the_new_file_replaces_the_old(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        with replacing(path) as temporary:
            assert temporary.parent == path.parent and temporary.suffix == path.suffix
            assert not path.exists() or path.read_text() == "first"
            temporary.write_text(text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_get_the_users_permissions(tmp_path, mask):
    before = os.umask(mask)
    try:
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("")
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask
        assert os.umask(mask) == mask  # asking for the mask did not change it
    finally:
        os.umask(before)


def test_a_path_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("kept")
    with (
        pytest.raises(InputError, match=r"cannot write .*file/below/x.csv: Not a directory"),
        replacing(tmp_path / "file" / "below" / "x.csv"),
    ):
        pytest.fail("there is nothing to write to")
    with pytest.raises(InputError, match=r"cannot write to folder .*name another one"):
        writable_folder(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*taken: Is a directory"), replacing(tmp_path / "taken") as new:
        new.write_text("")
    assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b" and list(folder.iterdir()) == []
    assert writable_folder(folder) == folder
