"""A folder or file that is either what it was or complete: written beside its place, moved there in one rename."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from robokata.core.errors import RobokataError, WriteRefused, renamed
from robokata.runtime.disk import DISK_FULL, remove_leftovers, sync_folder, unfinished_beside
from robokata.runtime.folder_lock import hold

_BUFFER_BYTES = 2**20


@contextmanager
def appearing(path: Path, *, is_file: bool = False) -> Iterator[Path]:
    """Give a place to write to; on leaving without an error it becomes `path`, in one rename.

    Killed at any moment, `path` is absent (or what it was) and only a hidden `.NAME.unfinished-PID-...` is left, which
    the next write to the same target removes once that process is gone. Of two writers at once, the second is refused.

    Raises:
        WriteRefused: the target is there and no empty folder, or cannot be written, or the disk is full, or another
            process writes it.
    """
    refuse_occupied(path)
    with hold(path), _appearing(path, is_file=is_file) as place:
        yield place


@contextmanager
def _appearing(path: Path, *, is_file: bool) -> Iterator[Path]:
    remove_leftovers(path)
    unfinished = unfinished_beside(path)
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
        WriteRefused: the target is there and no empty folder, or cannot be written, or the disk is full, or another
            process writes it.
    """
    refuse_occupied(path)
    with hold(path), _staged(path) as place:
        yield place


@contextmanager
def _staged(path: Path) -> Iterator[Path]:
    remove_leftovers(path)
    folder = unfinished_beside(path)
    try:
        folder.mkdir()
        yield folder / path.name
        _move(folder / path.name, path)
        sync_folder(path.parent)
    except RobokataError as error:
        raise renamed(error, str(folder), str(path)) from None
    except OSError as error:
        if error.errno in DISK_FULL:
            raise WriteRefused(
                f"{path}: {os.strerror(error.errno)}. Nothing was left there; make room or choose another disk."
            ) from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing(path: Path, *, consequence: str = "") -> Iterator[BinaryIO]:
    """Give a file to write to; on leaving without an error it becomes `path`, over what was there.

    Killed at any moment, `path` is what it was or the whole new file. A link stays, and what it leads to is replaced;
    a terminal, a pipe or another device is written to as it comes. `consequence` says what a failure leaves.

    Raises:
        WriteRefused: it cannot be written, or the disk is full; names the file and the reason.
    """
    file: _Remembering | None = None
    try:
        if _is_device(path):
            with path.open("wb") as device:
                yield device
            return
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        unfinished = unfinished_beside(target)
        try:
            file = _Remembering(unfinished, "xb")
            with file, io.BufferedWriter(file, _BUFFER_BYTES) as handle:
                yield handle
                handle.flush()
                os.fsync(file.fileno())
            if target.exists():
                shutil.copymode(target, unfinished)
            os.replace(unfinished, target)
            sync_folder(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    except Exception as error:
        # Libraries that write (torch) put an error of their own in the place of the disk's.
        cause = file.error if file is not None and file.error is not None else error
        if not isinstance(cause, OSError):
            raise
        raise WriteRefused(_failure(path, cause, consequence)) from None


def replace_text(path: Path, text: str, *, consequence: str = "") -> None:
    """Write a whole text file over what was there, as UTF-8; halves of surrogate pairs are spelled out.

    Raises:
        WriteRefused: it cannot be written, or the disk is full; names the file and the reason.
    """
    with replacing(path, consequence=consequence) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def replace_json(path: Path, value: Any, *, indent: int | None = 2, consequence: str = "") -> None:
    """Write a JSON file over what was there.

    Raises:
        WriteRefused: it cannot be written, or the disk is full; names the file and the reason.
    """
    replace_text(path, json.dumps(value, indent=indent, default=_plain) + "\n", consequence=consequence)


def _plain(value: object) -> object:
    """A NumPy number as a number; what JSON does not know as its text."""
    return value.item() if hasattr(value, "item") and getattr(value, "shape", None) == () else str(value)


def _failure(path: Path, error: OSError, consequence: str) -> str:
    earlier = "What was there before is unchanged." if path.exists() else "Nothing was left there."
    return f"{path}: {error.strerror or error}. {consequence or earlier}"


def _is_device(path: Path) -> bool:
    """True for what nothing is kept in: a terminal, a pipe, /dev/stdout even where it is a file that a shell opened."""
    # /dev/shm is a folder of files like any other.
    is_there = path.parts[1:2] in (("dev",), ("proc",)) and path.parts[1:3] != ("dev", "shm")
    return (path.is_absolute() and is_there) or (path.exists() and not path.is_file())


class _Remembering(io.FileIO):
    """A file whose first error is not lost where a library replaces it. A class, because the error is remembered."""

    error: OSError | None = None

    def write(self, data: Any, /) -> int | None:  # type: ignore[override]  # a raw file may write nothing
        try:
            return super().write(data)
        except OSError as error:
            self.error = self.error or error
            raise


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
    probe = unfinished_beside(parent / name)
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
