"""Where the files of a Zarr hierarchy lie: in a folder, or in a zip."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Protocol

from robokata.core.errors import DamagedData, TooLarge
from robokata.core.extent import Extent
from robokata.runtime.disk import missing


class Store(Protocol):
    """Files by key (`data/action/0.0`), read only."""

    path: Path

    def children(self, folder: str) -> list[str]:
        """Names of files and folders directly in a folder, sorted; empty where there is none."""
        ...

    def below(self, folder: str) -> list[str]:
        """Files at any depth below a folder, as keys relative to it."""
        ...

    def size_bytes(self, key: str) -> int:
        """Bytes on disk of one file, 0 where there is none."""
        ...

    def read(self, key: str, *, limit_bytes: int, start: int = 0, length: int | None = None) -> bytes | None:
        """A file, or a part of it (`start` < 0 counts from its end); None where there is no such file."""
        ...

    def extent(self, key: str) -> Extent | None:
        """The bytes that hold one file, None where there is no such file."""
        ...

    def place(self, key: str) -> str:
        """The key as a user finds it."""
        ...


class FolderStore:
    """A hierarchy that lies as files in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def place(self, key: str) -> str:
        return str(self.path / key)

    def extent(self, key: str) -> Extent | None:
        return Extent(self.path / key) if (self.path / key).is_file() else None

    def children(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self.path / folder))
        except OSError:
            return []

    def below(self, folder: str) -> list[str]:
        root = str(self.path / folder)
        found = []
        for at, _, names in os.walk(root):
            inside = os.path.relpath(at, root)
            found += names if inside == "." else [f"{inside}/{name}".replace(os.sep, "/") for name in names]
        return found

    def size_bytes(self, key: str) -> int:
        try:
            return (self.path / key).stat().st_size
        except OSError:
            return 0

    def read(self, key: str, *, limit_bytes: int, start: int = 0, length: int | None = None) -> bytes | None:
        """See Store.

        Raises:
            DamagedData: the system cannot read the file.
            TooLarge: it holds more than `limit_bytes`.
        """
        path = self.path / key
        try:
            facts = path.stat()
            if stat.S_ISDIR(facts.st_mode):
                return None
            if not stat.S_ISREG(facts.st_mode):  # Opening a pipe would wait for its other end.
                raise DamagedData(path, "is a pipe or a device.", next_move="Restore it from the original.")
            at, count = _span(self.place(key), facts.st_size, start, length, limit_bytes)
            with path.open("rb") as file:
                file.seek(at)
                return file.read(count)
        except (FileNotFoundError, NotADirectoryError):
            # A chunk that is absent holds the fill value; a link to one that is absent has lost its numbers.
            if path.is_symlink():
                raise missing(path) from None
            return None
        except OSError as error:
            raise DamagedData(path, f"cannot be read: {error.strerror}.") from None


class ZipStore:
    """A hierarchy that lies in one zip. A class, because it keeps the zip open and its folders in a tree."""

    def __init__(self, path: Path) -> None:
        """Read the zip's directory.

        Raises:
            DamagedData: the file is no zip, or its directory is broken.
        """
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
            raise DamagedData(
                path,
                f"cannot be opened as a zip: {' '.join(str(error).split())}.",
                next_move="A zip keeps its directory at the end: copy the file again if it was cut.",
            ) from None
        self._members = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        self._folders: dict[str, set[str]] = {}
        for name in self._members:
            folder, _, leaf = name.rpartition("/")
            self._folders.setdefault(folder, set()).add(leaf)
            while folder:
                folder, _, leaf = folder.rpartition("/")
                entries = self._folders.setdefault(folder, set())
                if leaf in entries:
                    break
                entries.add(leaf)

    def place(self, key: str) -> str:
        return f"{self.path}/{key}"

    def extent(self, key: str) -> Extent | None:
        """A member with its header, which zipfile reads too.

        Raises:
            DamagedData: the zip's directory points to no member.
        """
        info = self._members.get(key)
        if info is None:
            return None
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            head = file.read(_MEMBER_HEAD_BYTES)
        if len(head) < _MEMBER_HEAD_BYTES or head[:4] != b"PK\x03\x04":
            raise DamagedData(self.place(key), "the zip member is not there.", offset=info.header_offset)
        names, extra = struct.unpack_from("<HH", head, 26)
        end = info.header_offset + _MEMBER_HEAD_BYTES + names + extra + info.compress_size
        return Extent(self.path, info.header_offset, end)

    def children(self, folder: str) -> list[str]:
        return sorted(self._folders.get(folder, ()))

    def below(self, folder: str) -> list[str]:
        found: list[str] = []
        todo = [""]
        while todo:
            inside = todo.pop()
            for name in self._folders.get(f"{folder}/{inside}".rstrip("/"), ()):
                key = f"{inside}/{name}".lstrip("/")
                (found if f"{folder}/{key}" in self._members else todo).append(key)
        return found

    def size_bytes(self, key: str) -> int:
        info = self._members.get(key)
        return info.compress_size if info else 0

    def read(self, key: str, *, limit_bytes: int, start: int = 0, length: int | None = None) -> bytes | None:
        """See Store.

        Raises:
            DamagedData: the member cannot be read, or its checksum is wrong.
            TooLarge: it claims more than `limit_bytes`.
        """
        info = self._members.get(key)
        if info is None:
            return None
        at, count = _span(self.place(key), info.file_size, start, length, limit_bytes)
        try:
            with self._zip.open(info) as file:
                file.seek(at)
                # The size in the directory bounds what zipfile inflates, so a bomb stops at what it admits to.
                return file.read(count)
        except (zipfile.BadZipFile, OSError, EOFError, zlib.error, struct.error, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
        except (RuntimeError, NotImplementedError) as error:
            reason = str(error)
        raise DamagedData(self.place(key), f"the zip member cannot be read: {reason}.", offset=info.header_offset)


def open_store(path: Path) -> Store:
    """The store at a path: a folder, or else a zip.

    Raises:
        DamagedData: a file that is no zip.
    """
    return FolderStore(path) if path.is_dir() else ZipStore(path)


def _span(where: str, size: int, start: int, length: int | None, limit_bytes: int) -> tuple[int, int]:
    at = max(size + start, 0) if start < 0 else min(start, size)
    count = size - at if length is None else min(length, size - at)
    if count > limit_bytes:
        raise TooLarge(where, f"holds {count} bytes where at most {limit_bytes} can belong to one chunk.")
    return at, count


_MEMBER_HEAD_BYTES = 30
"""Fixed part of a member's header, before its name (APPNOTE 4.3.7)."""
_PEEK_BYTES = 65536
"""Read of a zip's directory to recognise it: some 700 names, and the root's metadata are among the first or last."""


def peek_zip(path: Path) -> bytes:
    """Raw bytes of the start and the end of a zip's directory, which hold names; empty where there is no zip.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
            return b""
        size = path.stat().st_size
        # The end record is 22 bytes and a comment of at most 65535: APPNOTE 4.3.16.
        file.seek(max(size - 22 - 65535, 0))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) < at + 22:
            return b""
        (start,) = struct.unpack_from("<I", tail, at + 16)
        if start == 0xFFFFFFFF and (locator := tail.rfind(b"PK\x06\x07", 0, at)) >= 0 and locator + 20 <= len(tail):
            (record,) = struct.unpack_from("<Q", tail, locator + 8)
            file.seek(min(record, size))
            end64 = file.read(56)
            start = struct.unpack_from("<Q", end64, 48)[0] if len(end64) == 56 else 0
        file.seek(min(start, size))
        return file.read(_PEEK_BYTES) + tail
