"""One run at a time in a folder: a lock beside it that ends with its process, and says who holds it."""

from __future__ import annotations

import datetime
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robokata.core.errors import WriteRefused
from robokata.runtime.disk import hidden_beside

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a folder or file that is written or added to: until this ends, every other run is refused.

    The lock is the kernel's, on a hidden file `.NAME.lock` beside the path: it ends with the process, however that
    ends, and the next run takes over the file that a killed one left.

    Raises:
        WriteRefused: another run holds it, or the folder around it cannot be written.
    """
    lock = _lock_beside(path)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(lock, path)
    except OSError as error:
        why = "its file system has no locks" if error.errno in _NO_LOCKS else error.strerror or str(error)
        raise WriteRefused(f"{path}: cannot be locked ({why}). Choose another target.") from None
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(handle)


def _lock_beside(path: Path) -> Path:
    # Two spellings of one folder (a link to it, a relative path) are one lock.
    return hidden_beside(path.resolve(), ".lock")


def _locked(lock: Path, path: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(lock, handle):
                os.ftruncate(handle, 0)
                os.pwrite(handle, _holder().encode("utf-8", "replace"), 0)
                return handle
        except BlockingIOError:
            who = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
            os.close(handle)
            raise WriteRefused(
                f"{path}: another run is at work in this folder{f' ({who})' if who else ''}. Wait for it, or choose "
                "another target."
            ) from None
        except BaseException:  # Ctrl-C too: the file that was made a moment ago must not stay
            with suppress(OSError):
                if _is_still(lock, handle):
                    lock.unlink()
            os.close(handle)
            raise
        # Whoever held it has removed the file between our opening and our locking: that lock holds nothing any more.
        os.close(handle)


def _is_still(lock: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(lock, follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False


def _holder() -> str:
    now = datetime.datetime.now().astimezone()
    return f"process {os.getpid()} on {socket.gethostname()}, since {now:%Y-%m-%d %H:%M:%S}"
