"""The folder that a store lies in: whole files or none, and first come, first served."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from robokata.core.errors import DamagedData, MediaMissing, WriteRefused
from robokata.runtime.disk import DISK_FULL, is_alive, sync_folder

_PIECE_BYTES = 4 * 2**20
_UNFINISHED = re.compile(r"\.unfinished-(?P<host>.+)-(?P<process>\d+)-\d+")


class Place(Protocol):
    """Named bytes: what a folder and an object store have in common."""

    url: str

    def read(self, name: str) -> bytes: ...
    def size(self, name: str) -> int | None: ...
    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all."""
        ...

    def write_file(self, file: Path) -> str:
        """Copy a file to the name that its content gives it, and return its SHA-256."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a name that is not there; False where another writer was first."""
        ...

    def names(self, folder: str) -> list[str]: ...
    def local(self, name: str) -> Path:
        """A file with these bytes, for libraries that open files."""
        ...

    def digest(self, name: str) -> str | None:
        """SHA-256 of the bytes as they lie there now, None where they are absent."""
        ...


def object_name(digest: str) -> str:
    """Where the bytes of a SHA-256 lie. Two digits of folder: a hundred thousand names are slow in one folder."""
    return f"objects/{digest[:2]}/{digest}"


class Folder:
    """A local folder as a Place. A class, because temporary names are counted."""

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, str(path)
        self._host, self._count = socket.gethostname(), 0

    def read(self, name: str) -> bytes:
        """The bytes of a name.

        Raises:
            MediaMissing: there is no such name.
        """
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise MediaMissing(self.path / name, "the store lacks this part.") from None
        except OSError as error:
            raise DamagedData(self.path / name, f"cannot be read: {error.strerror}.") from None

    def size(self, name: str) -> int | None:
        try:
            return (self.path / name).stat().st_size
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        target = self.path / name
        with self._unfinished() as (handle, file):
            handle.write(data)
            _sync(handle)
            _make_folder(target.parent)
            os.replace(file, target)
            sync_folder(target.parent)

    def write_file(self, file: Path) -> str:
        """Copied and hashed in one pass.

        Raises:
            MediaMissing: the file is not there.
            WriteRefused: the disk is full.
        """
        if not file.is_file():
            raise MediaMissing(file, "the file that holds the pictures is not there.")
        digest = hashlib.sha256()
        with file.open("rb") as source, self._unfinished() as (handle, copy):
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
                handle.write(piece)
            name = self.path / object_name(digest.hexdigest())
            if not name.exists() or name.stat().st_size != handle.tell():
                _sync(handle)
                _make_folder(name.parent)
                os.replace(copy, name)
                sync_folder(name.parent)
        return digest.hexdigest()

    def create(self, name: str, data: bytes) -> bool:
        """Hard link, not rename: it fails where the name is there, and what it names is complete.

        Raises:
            WriteRefused: the file system has no hard links, or the disk is full.
        """
        target = self.path / name
        with self._unfinished() as (handle, file):
            handle.write(data)
            _sync(handle)
            _make_folder(target.parent)
            try:
                os.link(file, target)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise WriteRefused(
                        f"{self.path}: this file system has no hard links. Put the store elsewhere."
                    ) from None
                raise
            sync_folder(target.parent)
        return True

    def names(self, folder: str) -> list[str]:
        place = self.path / folder
        return sorted(child.name for child in place.iterdir()) if place.is_dir() else []

    def local(self, name: str) -> Path:
        return self.path / name

    def digest(self, name: str) -> str | None:
        return file_digest(self.path / name)

    def clear(self) -> None:
        """Remove what killed writers of this machine left unfinished."""
        for child in (self.path / "objects").glob(".unfinished-*"):
            match = _UNFINISHED.fullmatch(child.name)
            if match and match["host"] == self._host and not is_alive(int(match["process"])):
                child.unlink(missing_ok=True)

    @contextmanager
    def _unfinished(self) -> Iterator[tuple[BinaryIO, Path]]:
        self._count += 1
        try:
            _make_folder(self.path / "objects")
            file = self.path / "objects" / f".unfinished-{self._host}-{os.getpid()}-{self._count}"
            try:
                with file.open("wb") as handle:
                    yield handle, file
            finally:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise refused(self.path, error) from None


def refused(place: Path | str, error: OSError) -> WriteRefused:
    """Why nothing can be written, with the next move."""
    move = "Choose a store that can be written."
    if error.errno in DISK_FULL:
        move = "The snapshots that were there are whole; make room and try again."
    return WriteRefused(f"{place}: {error.strerror or error}. {move}")


def file_digest(path: Path) -> str | None:
    """SHA-256 of a file, None where it is absent or cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def span_digest(path: Path, start: int, end: int) -> str | None:
    """SHA-256 of bytes start..end-1 of a file, None where it has fewer or cannot be read."""
    digest, left = hashlib.sha256(), end - start
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
                digest.update(piece)
                left -= len(piece)
    except OSError:
        return None
    return None if left else digest.hexdigest()


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync_folder(folder.parent)


def _sync(handle: BinaryIO) -> None:
    """Bytes reach the disk before their name does: else a power cut leaves a name without its bytes."""
    handle.flush()
    os.fsync(handle.fileno())
