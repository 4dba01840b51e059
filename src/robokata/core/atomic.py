"""A folder or file that is either absent or complete: written beside its place, moved there in one rename."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from robokata.core.disk import DISK_FULL, is_alive, sync_folder
from robokata.core.errors import RobokataError, WriteRefused, renamed

_UNFINISHED = ".unfinished-"


@contextmanager
def appearing(path: Path, *, is_file: bool = False) -> Iterator[Path]:
    """Give a place to write to; on leaving without an error it becomes `path`, in one rename.

    Killed at any moment, `path` is absent (or what it was) and only a hidden `.NAME.unfinished-PID-...` is left, which
    the next write to the same target removes once that process is gone. Of two writers at once, the first to finish
    keeps the place, and the other is refused.

    Raises:
        WriteRefused: the target is there and no empty folder, or cannot be written, or the disk is full.
    """
    refuse_occupied(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # The process says whether it is left over; the token keeps two writers of one process apart.
    unfinished = path.parent / f".{path.name}{_UNFINISHED}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        if not is_file:
            unfinished.mkdir()
        yield unfinished
        _sync(unfinished)
        _move(unfinished, path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise WriteRefused(
                f"{path}: {os.strerror(error.errno)}. Nothing was left there; make room or choose another disk."
            ) from None
        raise
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Give a place of the same name in a hidden folder beside `path`; on leaving without an error what was written
    there becomes `path`, in one rename. Between the two it can be opened and looked at.

    Errors of Robokata that name the place are raised again with `path` in its stead: it is gone when they are read.

    Raises:
        WriteRefused: the target is there and no empty folder, or cannot be written, or the disk is full.
    """
    refuse_occupied(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    folder = path.parent / f".{path.name}{_UNFINISHED}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        folder.mkdir()
        yield folder / path.name
        _move(folder / path.name, path)
        sync_folder(path.parent)
    except RobokataError as error:
        raise renamed(error, str(folder / path.name), str(path)) from None
    except OSError as error:
        if error.errno in DISK_FULL:
            raise WriteRefused(
                f"{path}: {os.strerror(error.errno)}. Nothing was left there; make room or choose another disk."
            ) from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_occupied(path: Path) -> None:
    """Refuse a target before the work starts.

    Raises:
        WriteRefused: it exists and is not an empty folder, or nothing can be written beside it.
    """
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise WriteRefused(f"{path} exists and is not empty. Choose another target; nothing is ever overwritten.")
    parent = next(folder for folder in (path.parent, *path.parent.parents) if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK) or not _takes_folders(parent, path.name):
        raise WriteRefused(f"{path}: the folder {parent} cannot be written. Choose another target.")


def _takes_folders(parent: Path, name: str) -> bool:
    """By trying: root may write everywhere, and a read-only disk or /proc takes nothing all the same."""
    probe = parent / f".{name}{_UNFINISHED}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


def _move(unfinished: Path, path: Path) -> None:
    try:
        if unfinished.is_dir():
            if path.is_dir():
                path.rmdir()
            os.rename(unfinished, path)
        else:
            if path.is_dir():
                path.rmdir()
            # A link is refused where a file appeared meanwhile; a rename would replace it.
            os.link(unfinished, path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR):
            raise WriteRefused(
                f"{path} appeared while it was written: another process has the same target. Nothing was overwritten; "
                f"choose another target."
            ) from None
        if error.errno not in (errno.EPERM, errno.ENOTSUP) or unfinished.is_dir():
            raise
        os.rename(unfinished, path)  # a file system without links: FAT, some network shares


def _remove_leftovers(path: Path) -> None:
    pattern = re.compile(re.escape(f".{path.name}{_UNFINISHED}") + r"(\d+)(?:-\w+)?")
    for child in path.parent.iterdir():
        match = pattern.fullmatch(child.name)
        if match and not is_alive(int(match.group(1))):
            shutil.rmtree(child, ignore_errors=True) if child.is_dir() else child.unlink(missing_ok=True)


_SYNCED_AT_ONCE = 16
"""Files that wait for the disk together: one by one, each would wait for a commit of its own."""


def _sync(place: Path) -> None:
    """Files reach the disk before the rename does: else a power cut leaves a name without its bytes."""
    files = [file for file in ([place] if place.is_file() else sorted(place.rglob("*"))) if file.is_file()]
    with ThreadPoolExecutor(min(_SYNCED_AT_ONCE, max(1, len(files)))) as pool:
        for _ in pool.map(_sync_file, files):
            pass


def _sync_file(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
