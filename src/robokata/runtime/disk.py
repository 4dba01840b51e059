"""What writers that may be killed need of a disk: durable names, scratch names, leftovers, errors of a full disk."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from robokata.core.errors import MediaMissing

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space on the device, quota used up, file larger than the file system or the process may have."""
_UNFINISHED = re.compile(r"\.(?P<name>.+)\.unfinished-(?P<process>\d+)(?:-\w+)?", re.DOTALL)
_LONGEST_NAME_BYTES = 255
"""Of ext4, XFS, APFS and NTFS."""
_LONGEST_ENDING = ".unfinished-4194304-00000000"
"""With the largest process number of Linux (PID_MAX_LIMIT)."""


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
    except (PermissionError, OverflowError):
        return True
    return True


def hidden_beside(path: Path, ending: str) -> Path:
    """A hidden name beside a path: `.NAME` and an ending. A name too long to take one is replaced by its hash."""
    name = path.name
    if len(os.fsencode(name)) + len(_LONGEST_ENDING) + 1 > _LONGEST_NAME_BYTES:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.with_name(f".{name}{ending}")


def unfinished_beside(path: Path) -> Path:
    """A new name beside a path for what is to become it: `.NAME.unfinished-PID-TOKEN`."""
    # The process says whether it is left over; the token keeps two writers of one process apart.
    return hidden_beside(path, f".unfinished-{os.getpid()}-{secrets.token_hex(4)}")


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of one target: each `.NAME.unfinished-PID-...` whose process is gone."""
    _remove(path.parent, only=hidden_beside(path, _LONGEST_ENDING).name.removesuffix(_LONGEST_ENDING)[1:])


def remove_all_leftovers(folder: Path) -> None:
    """Remove what killed processes left of every target in a folder."""
    _remove(folder, only=None)


def _remove(folder: Path, *, only: str | None) -> None:
    with os.scandir(folder) as children:
        found = [(child.path, _UNFINISHED.fullmatch(child.name)) for child in children if child.name[0] == "."]
    for place, match in found:
        if match and only in (None, match["name"]) and not is_alive(int(match["process"])):
            if os.path.isdir(place) and not os.path.islink(place):
                shutil.rmtree(place, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(place)


def missing(path: Path, *, reason: str = "the file is not there.", next_move: str = "") -> MediaMissing:
    """Why a path that a dataset names cannot be read: it is absent, or a link that leads nowhere or in a circle."""
    try:
        led_to = os.readlink(path)
    except OSError:
        return MediaMissing(path, reason, next_move=next_move)
    return MediaMissing(
        path,
        f"is a link to {led_to}, which is not there.",
        next_move="Fetch what it leads to (git annex get, git lfs pull), or restore the file.",
    )
