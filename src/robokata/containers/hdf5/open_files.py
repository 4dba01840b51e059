"""Opening HDF5 files: which they are, what is wrong with them, and how many stay open."""

from __future__ import annotations

import atexit
import io
import os
import re
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robokata.containers.hdf5.values import natural
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.require import require
from robokata.runtime.disk import missing

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".hdf5", ".h5", ".hdf")

_H5PY_ERRORS = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, AttributeError)
"""h5py turns HDF5's error stack into whichever built-in exception fits best, and its own code trips over headers
that make no sense (a gzip filter without a level is an IndexError): all of these came out of damaged files."""
_OPEN_FILES = 32
"""Files kept open in this process: far below the 256 descriptors that some systems allow a process."""


def hdf5_files(folder: Path) -> list[Path]:
    """What lies directly in `folder` and is called HDF5, in natural order; [] where it cannot be listed.

    Also what is no file (a link that leads nowhere, a folder, a pipe): it stands for an episode that cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.name.lower().endswith(SUFFIXES) and not e.name.startswith(".")]
    except OSError:
        return []
    return [folder / name for name in sorted(names, key=natural)]


def has_signature(path: Path) -> bool:
    """True where HDF5's signature stands at byte 0, or behind a user block of up to 4 kB."""
    if not path.is_file():  # Opening a pipe would wait for its other end.
        return False
    try:
        with path.open("rb") as file:
            head = file.read(4096 + len(SIGNATURE))
    except OSError:
        return False
    return any(head[at : at + 8] == SIGNATURE for at in (0, 512, 1024, 2048, 4096))


def file_bytes(paths: Iterable[Path]) -> int:
    """Bytes on disk of those files that are there."""
    total = 0
    for path in paths:
        with suppress(OSError):
            total += path.stat().st_size
    return total


class CheckedFile(io.FileIO):
    """The bytes of a file on their way to HDF5, which never returns from a heap of texts whose links stand still.

    A class, because HDF5 reads from an object. Without it, one changed byte in the size of a text made
    libhdf5 2.0 loop for ever; a loop inside the library cannot be ended from Python, so it must not begin.
    It takes no lock either: network and read-only mounts refuse them, and nothing is written here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r")

    def readinto(self, buffer: Any) -> int:
        """Read as `FileIO` does.

        Raises:
            OSError: the bytes are a heap of texts that HDF5 must not see.
        """
        count = super().readinto(buffer) or 0
        view = memoryview(buffer)
        if bytes(view[:4]) == b"GCOL":
            _check_heap(bytes(view[:count]))
        return count


def _check_heap(heap: bytes) -> None:
    """A global heap (HDF5 file format 3.0, III.E): objects one behind the other, each told by its own size.

    Raises:
        OSError: an object has no size, or ends behind the heap.
    """
    (size,) = struct.unpack_from("<Q", heap, 8)
    at = 16
    while at + 16 <= min(size, len(heap)):
        number, length = struct.unpack_from("<H6xQ", heap, at)
        # Object 0 is the free space, whose size counts its own header.
        step = 16 + (length + 7) // 8 * 8 if number else length
        if step < 16 or at + step > size:
            raise OSError("a heap of texts is broken")
        at += step


@contextmanager
def guarded(path: Path, what: str) -> Iterator[None]:
    """The one place where h5py's own errors become damage of the file.

    Raises:
        DamagedData: h5py could not do what the block asked of it.
        TooLarge: it asked for more memory than there is.
    """
    try:
        yield
    except MemoryError:
        raise TooLarge(path, f"{what} does not fit into memory.") from None
    except _H5PY_ERRORS as error:
        # str() of a KeyError puts its message into quotes.
        told = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        raise DamagedData(path, f"{what} cannot be read: {told.strip().rstrip('.') or type(error).__name__}.") from None


@dataclass
class OpenFile:
    """A file that is open in this process, and the state of the disk at which it was opened."""

    file: Any
    bytes_of_file: CheckedFile
    path: Path
    size: int
    changed_ns: int
    datasets: OrderedDict[bytes, Any] = field(default_factory=OrderedDict)
    groups: dict[bytes, Any] = field(default_factory=dict)


_open: OrderedDict[tuple[int, int], OpenFile] = OrderedDict()
"""One table per process, not per Source: HDF5 shares what it knows about a file between all handles on it, so
a second handle on a file that has changed would answer from the old one's memory."""


def opened(path: Path) -> OpenFile:
    """The open file at `path`, opened anew where it has changed since.

    Raises:
        DamagedData: it is not there, or HDF5 cannot open it.
    """
    try:
        stat = path.stat()
    except OSError:
        raise missing(path) from None
    place = (stat.st_dev, stat.st_ino)
    kept = _open.get(place)
    if kept is not None and (kept.size, kept.changed_ns) == (stat.st_size, stat.st_mtime_ns):
        _open.move_to_end(place)
        return kept
    if kept is not None:
        _close(_open.pop(place))
    h5py = require("h5py", extra="hdf5")
    if not has_signature(path):
        raise DamagedData(path, f"not HDF5: {_first_bytes(path)}.")
    try:
        bytes_of_file = CheckedFile(path)
    except OSError as error:
        raise DamagedData(path, f"cannot be opened: {error.strerror}.") from None
    try:
        file = h5py.File(bytes_of_file, "r")
    except (*_H5PY_ERRORS, MemoryError) as error:
        bytes_of_file.close()
        raise DamagedData(path, _why_unopened(str(error), stat.st_size)) from None
    _open[place] = OpenFile(file, bytes_of_file, path, stat.st_size, stat.st_mtime_ns)
    while len(_open) > _OPEN_FILES:
        _close(_open.popitem(last=False)[1])
    return _open[place]


def _first_bytes(path: Path) -> str:
    if path.exists() and not path.is_file():
        return "it is a folder, a pipe or a device"
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        return f"it cannot be opened ({error.strerror})"
    return f"it starts with {head.hex(' ')}" if head else "it is empty"


def _close(kept: OpenFile) -> None:
    kept.datasets.clear()
    kept.groups.clear()
    with guarded(kept.path, "the end of the file"):
        kept.file.close()
    kept.bytes_of_file.close()


@atexit.register
def _close_all() -> None:
    """HDF5 closes what is open after Python has ended, when the files it reads through are gone."""
    while _open:
        _close(_open.popitem()[1])


def _why_unopened(error: str, size: int) -> str:
    cut = re.search(r"truncated file: .*stored_eof = (\d+)", error)
    if cut:
        return f"the file is cut: its header promises {int(cut[1])} bytes, it has {size}."
    return f"not sound HDF5: {error.strip().rstrip('.')}."
