"""Folders that several users share, disks that are full, and files that may not be read."""

import codecs
import errno
import importlib
import os
import stat

import pytest

from omsdpm import InputError
from omsdpm.dataset.shards import claim
from omsdpm.files import check_writable, locked, regular_file, replacing, write_json

NOBODY = 65534


def as_nobody(function):
    """What the function, run by a user without rights in a process of its own, refused with; or None."""
    codecs.lookup("utf-8-sig")  # what is imported late may not be readable to the other user
    importlib.import_module("filelock")

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        os.umask(0o022)
        try:
            function()
            message = b"nothing"
        except InputError as error:
            message = str(error).encode()
        except BaseException as error:
            message = f"{type(error).__name__}: {error}".encode()
        os.write(writing, message)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        message = pipe.read().decode()
    os.waitpid(child, 0)
    return None if message == "nothing" else message


root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be two users")


@pytest.fixture
def shared(tmp_path):
    """A folder that everybody may write to."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest-", "popen-")):  # the second of workers of pytest-xdist
            folder.chmod(0o755)
    tmp_path.chmod(0o777)
    return tmp_path


def test_a_lock_file_can_be_taken_by_every_user(tmp_path):
    before = os.umask(0o022)
    try:
        with locked(tmp_path / "a.lock") as held, claim(tmp_path / "b.npz") as claimed:
            assert held and claimed
    finally:
        os.umask(before)
    for name in ("a.lock", "b.lock"):
        if (tmp_path / name).exists():
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666


@root
def test_the_second_users_row_is_not_lost_to_the_firsts_lock(shared):
    from studies.records.appended import AppendedCSV

    before = os.umask(0o022)
    try:
        board = AppendedCSV(shared / "board.csv", ("who",))
        board.append([{"who": "first"}])
        assert as_nobody(lambda: board.append([{"who": "second"}])) is None
    finally:
        os.umask(before)
    assert [row["who"] for row in board.rows()] == ["first", "second"]


@root
def test_a_lock_of_an_earlier_version_is_told_before_the_work(shared):
    from studies.records.appended import AppendedCSV

    (shared / ".board.csv.lock").touch(mode=0o644)
    board = AppendedCSV(shared / "board.csv", ("who",))
    assert "board.csv.lock: Permission denied; it is another user's" in as_nobody(board.check)


@root
def test_a_file_that_may_not_be_read_is_said_to_be(shared):
    (shared / "a.pth").write_bytes(b"x")
    (shared / "a.pth").chmod(0o600)
    assert "a.pth: Permission denied" in as_nobody(lambda: regular_file(shared / "a.pth", "expected a file"))


def test_a_lock_that_somebody_holds_is_waited_for_only_so_long(tmp_path):
    with locked(tmp_path / "a.lock"), locked(tmp_path / "a.lock", timeout=0.05) as held:
        assert not held


def fill(path, error):
    with replacing(path) as temporary:
        temporary.write_text("half of it")
        raise error


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "quota"),
                                   RuntimeError("I/O error: No space left on device (os error 28)")])  # fmt: skip
def test_a_full_disk_is_one_line_and_keeps_the_old_file(tmp_path, error):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(InputError, match=r"cannot write .*a\.json: no space left; make room and give the same"):
        fill(tmp_path / "a.json", error)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_what_will_be_written_at_the_end_is_known_to_be_writable(tmp_path):
    check_writable(tmp_path / "new" / "a.json")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(InputError, match="it is a folder; name a file"):
        check_writable(tmp_path / "new")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to folder"):
        check_writable(tmp_path / "file" / "a.json")
