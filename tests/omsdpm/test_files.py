"""Atomic writing, and folders that cannot be written."""

import os
import signal
import stat
import subprocess
import sys

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


def test_what_dead_processes_left_is_swept_and_nothing_else(tmp_path):
    """A writer that is killed while it writes; its temporary file goes with the next file that is written there."""
    script = (
        "import os, signal, sys\n"
        "from omsdpm.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.csv")])
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".a-") and left.read_text() == "half"
    machine = left.name.split("-")[1]
    others = [f".a-{machine}-{os.getpid()}-abcdefgh.csv", ".a-m00000000-1-abcdefgh.csv", ".a-b.csv", "a-b.csv"]
    for name in others:
        (tmp_path / name).write_text("of a living process, of another machine, of somebody")
    with replacing(tmp_path / "b.csv") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"b.csv", *others}


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace

    def synced(handle):
        order.append(("synced", os.fstat(handle).st_size if stat.S_ISREG(os.fstat(handle).st_mode) else "folder"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *given: (order.append(("renamed", None)), replace(*given)))
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("four")
    assert order == [("synced", 4), ("renamed", None), ("synced", "folder")]
