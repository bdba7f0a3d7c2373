"""Writing files so that a killed run leaves either the old file or the new one."""

from __future__ import annotations

import errno
import functools
import hashlib
import inspect
import json
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from omsdpm.errors import InputError

Reader = TypeVar("Reader", bound=Callable[..., Any])

_FILE = "_omsdpm_file"


def reads(parameter: str) -> Callable[[Reader], Reader]:
    """Marks a function that reads what one of its parameters names: whatever fails in it knows the file.

    A reader says itself what is wrong with a file. What it did not foresee still leaves it as the
    error that it is, and the command's boundary makes one line of it; see :func:`file_of`.

    Args:
        parameter: its name; the path of a file or folder.

    Example:
        >>> @reads("path")
        ... def read_numbers(path): ...
    """

    def decorate(function: Reader) -> Reader:
        place = list(inspect.signature(function).parameters).index(parameter)

        @functools.wraps(function)
        def read(*args: Any, **keywords: Any) -> Any:
            try:
                return function(*args, **keywords)
            except Exception as error:
                if not isinstance(error, InputError) and file_of(error) is None:
                    path = args[place] if place < len(args) else keywords.get(parameter)
                    if isinstance(path, (str, os.PathLike)):
                        setattr(error, _FILE, os.fspath(path))
                        error.add_note(f"while {path} was read")
                raise

        return cast(Reader, read)

    return decorate


def file_of(error: BaseException) -> str | None:
    """The file that was read when an error came that nobody foresaw; ``None`` where none was."""
    path: str | None = getattr(error, _FILE, None)
    return path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` and renames it to ``path`` if nothing failed.

    What was written is on the disk before it gets the name, so that a machine that stops does not
    leave an empty file either. What killed processes left in the folder is swept.

    Raises:
        InputError: the folder cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(target.parent, os.getpid())
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=temporary_prefix(target.stem), suffix=target.suffix)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; name a folder that can be written") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files for the owner alone
        to_disk(temporary)
        try:
            temporary.replace(target)
        except OSError as error:
            raise InputError(f"cannot write {target}: {error.strerror}; name another file") from error
        to_disk(target.parent)
    except Exception as error:
        if isinstance(error, InputError) or not is_full(error):
            raise
        raise InputError(
            f"cannot write {target}: no space left; make room and give the same command again, what is there is kept"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk, where the system can say it."""
    if path.is_dir():
        with suppress(OSError):  # one that may be written but not read, and Windows opens none
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):  # file systems that know no such thing
            raise
    finally:
        os.close(handle)


def temporary_prefix(stem: str) -> str:
    """What temporary names begin with: they say whose they are, so that those of dead processes can be told."""
    return f".{stem}-{_machine()}-{os.getpid()}-"


def sweep(folder: str | os.PathLike[str], name: str = "") -> None:
    """Removes the temporary files that dead processes of this machine left in a folder.

    Those of processes that live, of other machines, and all that has other names stay.

    Args:
        folder: where to look.
        name: of a folder in it whose temporary folders go too.
    """
    with suppress(OSError):
        entries = list(os.scandir(folder))
        for entry in entries:
            named = _TEMPORARY.fullmatch(entry.name)
            if named is None or named["machine"] != _machine() or _alive(int(named["process"])):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not name or named["stem"] != name:
                    continue  # it may hold the only copy of what it was to replace
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that :func:`replacing` writes under."""
    return _TEMPORARY.fullmatch(name) is not None


_TEMPORARY = re.compile(r"\.(?P<stem>.*)-(?P<machine>m[0-9a-f]{8})-(?P<process>\d+)-[a-z0-9_]{8}(\..*)?")


@lru_cache(maxsize=256)
def _sweep_once(folder: Path, process: int) -> None:
    sweep(folder)


@lru_cache(maxsize=1)
def _machine() -> str:
    """Tells machines, and containers whose processes are numbered apart, in a few letters."""
    numbered = ""
    with suppress(OSError):
        numbered = os.readlink("/proc/self/ns/pid")
    return "m" + hashlib.blake2b(f"{socket.gethostname()} {numbered}".encode(), digest_size=4).hexdigest()


def _alive(process: int) -> bool:
    """Whether a process of that number lives; where that cannot be asked it does."""
    if os.name == "nt":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes a JSON file atomically, as strict JSON: a NaN is a bug and raises ``ValueError``.

    Raises:
        InputError: the folder cannot be written.
    """
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def writable_folder(path: str | os.PathLike[str]) -> Path:
    """Makes the folder and proves that a file can be made in it.

    Raises:
        InputError: it cannot.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=temporary_prefix("probe")):
            pass
    except OSError as error:
        raise InputError(f"cannot write to folder {folder}: {error.strerror}; name another one") from error
    return folder


def check_writable(path: str | os.PathLike[str]) -> None:
    """Makes the folder of a file that will be written at the end, and proves that it can be.

    Raises:
        InputError: it cannot.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; name a file")
    writable_folder(path.parent)


def check_creatable(path: str | os.PathLike[str]) -> None:
    """Proves that a folder that is made at the end can be, and makes none yet.

    Raises:
        InputError: it cannot.
    """
    folder = Path(path).absolute()
    there = next(one for one in (folder, *folder.parents) if one.exists())
    if not there.is_dir():
        raise InputError(f"cannot write to folder {path}: {there} is a file; name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to folder {path}: Permission denied; name another one")


def check_lockable(path: str | os.PathLike[str]) -> None:
    """Proves that a lock that is needed at the end can be taken by this user, whether or not somebody holds it now.

    Raises:
        InputError: it is another user's file, which is not for all.
    """
    if Path(path).exists():
        with locked(path, timeout=0):
            pass


@contextmanager
def locked(path: str | os.PathLike[str], timeout: float = -1) -> Iterator[bool]:
    """Holds a lock file that every user of the folder can take, whatever their umask.

    Args:
        path: of the lock file.
        timeout: seconds to wait; negative without end.

    Yields:
        Whether it is held; ``False`` after the timeout.

    Raises:
        InputError: the lock file cannot be opened.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=timeout, mode=0o666)  # filelock's own 0o644 locks out everybody else for good
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    except OSError as error:
        raise InputError(
            f"cannot lock {path}: {error.strerror or error}; it is another user's, who can remove it or make it "
            "writable for all"
        ) from error
    try:
        yield True
    finally:
        lock.release()


def is_full(error: BaseException) -> bool:
    """Whether a library's error says that a disk or quota has no room, which several say in their own types."""
    return getattr(error, "errno", None) in _FULL or "No space left on device" in str(error)


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def regular_file(path: str | os.PathLike[str], expected: str, what: str = "") -> Path:
    """The path, known to be a file that can be read: a pipe or a device would be waited for without end.

    Args:
        path: what a user named.
        expected: what it should be, for errors: ``"expected a .pth file"``.
        what: what errors call it; its path if empty.

    Raises:
        InputError: there is none, it is a folder or another thing, or may not be read.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{what or path} is a folder: {expected}")
        if not stat.S_ISREG(mode):
            raise InputError(f"{what or path} is no file but a pipe, socket or device: {expected}")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:  # a NUL in a name is a ValueError, and so is InputError
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"cannot read {what or path}: {getattr(error, 'strerror', None) or error}; {expected}"
        ) from error
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
