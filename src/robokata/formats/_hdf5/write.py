"""Rows of an episode into the datasets of an HDF5 file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.hdf5.file import Container
from robokata.containers.hdf5.values import Table, claimed_bytes, text
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.require import require
from robokata.core.stream import Stream
from robokata.formats._row_table import blocks
from robokata.packing.carry import MAX_BYTES

BLOB = "robokata"
"""Dataset that holds what the layout has no place for: other readers do not ask for it."""


@contextmanager
def new_file(path: Path) -> Iterator[Any]:
    """An h5py file that did not exist, closed at the end.

    Raises:
        OSError: it cannot be written; a full disk says so by its number.
    """
    h5py = require("h5py", extra="hdf5")
    with path.open("x+b", buffering=0) as raw:
        disk = _Disk(raw)
        token = _writing.set(disk)
        try:
            # The earliest layout that h5py knows: robots and clusters run old HDF5 libraries.
            with h5py.File(disk, "w", libver="earliest") as file:
                yield file
        finally:
            _writing.reset(token)
            disk.refuse_full()


class _Disk:
    """A file that keeps from HDF5 that the disk is full. A class, because it remembers that.

    HDF5 does not survive a write that fails while it closes a file: the process ends in a segmentation fault.
    """

    def __init__(self, raw: FileIO) -> None:
        self._raw = raw
        self._error: OSError | None = None
        self.read, self.seek, self.tell, self.flush = raw.read, raw.seek, raw.tell, raw.flush

    def refuse_full(self) -> None:
        """Say what HDF5 was not told.

        Raises:
            OSError: a write has failed.
        """
        if self._error is not None:
            raise OSError(self._error.errno, self._error.strerror)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        try:
            while self._error is None and len(view):
                view = view[self._raw.write(view) :]
        except OSError as error:
            self._error = error
        return memoryview(data).nbytes

    def truncate(self, size: int) -> int:
        try:
            return size if self._error is not None else self._raw.truncate(size)
        except OSError as error:
            self._error = error
            return size

    def readinto(self, buffer: Any) -> int:
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view) and (count := self._raw.readinto(view[filled:])):
            filled += count
        view[filled:] = bytes(len(view) - filled)
        return len(view)


_writing: ContextVar[_Disk | None] = ContextVar("_writing", default=None)
"""The file that is being written: a full disk is to end the work at the next stream, not at the last."""


def put_rows(group: Any, name: str, stream: Stream, picked: NDArray[np.int64]) -> None:
    """The rows of a stream as one dataset: pictures in a chunk each, numbers in one piece.

    Raises:
        DamagedData: the stream cannot be read.
        OSError: the disk is full.
    """
    shape = (len(picked), *stream.shape)
    is_chunked = stream.is_picture and min(shape) > 0
    dataset = group.create_dataset(
        name, shape, dtype=stream.values.dtype, chunks=(1, *stream.shape) if is_chunked else None
    )
    if not dataset.size:
        return
    disk = _writing.get()
    for start, block in blocks(stream, picked):
        dataset[start : start + len(block)] = block
        if disk is not None:
            disk.refuse_full()


def put_attributes(group: Any, values: Mapping[str, Any]) -> None:
    """Those of the values that HDF5 can hold as attributes; all of them are carried beside."""
    for name, value in values.items():
        if _is_text(name) and name and (_is_plain(value) or (_is_texts(value) and value)):
            group.attrs[name] = value


def _is_plain(value: Any) -> bool:
    # 64 bits are what HDF5 has for a whole number.
    return _is_text(value) or isinstance(value, float) or (isinstance(value, int) and -(2**63) <= value < 2**64)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_text(value: Any) -> bool:
    """True for text that HDF5 holds: no zero inside, and no lone surrogate."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def put_blob(group: Any, data: bytes) -> None:
    """What the layout has no place for, as bytes."""
    group.create_dataset(BLOB, data=np.frombuffer(data, np.uint8))


class Blob(NamedTuple):
    """What our writer put beside an episode, and where that was found."""

    data: bytes
    where: str


def blob_in(box: Container, tables: Sequence[Table]) -> Blob | None:
    """What our writer put beside an episode, None in files of other writers.

    Raises:
        DamagedData: it is there, and is no run of bytes or cannot be read.
        TooLarge: it claims more bytes than the file holds.
    """
    table = next((table for table in tables if table.name == BLOB), None)
    if table is None:
        return None
    where = f"{box.path}: '{text(table.path)}'"
    if table.dtype != np.uint8 or len(table.shape) != 1:
        raise DamagedData(where, f"is {table.dtype} of shape {table.shape}, not the bytes that were carried there.")
    if claimed_bytes(table) > MAX_BYTES:
        raise TooLarge(where, f"claims {claimed_bytes(table)} bytes.")
    return Blob(np.asarray(box.values(table)[:]).tobytes(), where)
