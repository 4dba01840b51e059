"""What writers that may be killed need of a disk: durable names, leftovers told from work, locks, and full told."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import IO

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space on the device, quota used up, file larger than the file system or the process may have."""


def sync_folder(folder: Path) -> None:
    """The names in a folder reach the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_alive(process: int) -> bool:
    """True where a process of this machine runs: what it has not finished is no leftover."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def locked(file: Path) -> IO[str] | None:
    """A file open to add to that nobody else holds, or None where somebody does.

    The lock is the kernel's: it ends when the file is closed, or with the process, however that ends.

    Raises:
        OSError: the file cannot be opened, or its file system knows no locks.
    """
    handle = file.open("a", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    except OSError:
        handle.close()
        raise
    return handle
