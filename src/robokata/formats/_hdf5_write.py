"""Rows of an episode into the datasets of an HDF5 file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.carry import MAX_BYTES
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.require import require
from robokata.core.stream import Stream
from robokata.formats._hdf5 import Container
from robokata.formats._hdf5_values import Table, claimed_bytes, text
from robokata.formats._row_table import blocks

BLOB = "robokata"
"""Dataset that holds what the layout has no place for: other readers do not ask for it."""


@contextmanager
def new_file(path: Path) -> Iterator[Any]:
    """An h5py file that did not exist, closed at the end.

    Raises:
        OSError: it cannot be written; a full disk says so by its number.
    """
    h5py = require("h5py", extra="hdf5")
    try:
        # The earliest layout that h5py knows: robots and clusters run old HDF5 libraries.
        with h5py.File(path, "x", libver="earliest") as file:
            yield file
    except (OSError, RuntimeError) as error:
        # h5py tells a full disk in the text only: "file write failed: ..., errno = 28, error message = ...".
        for number in (errno.ENOSPC, errno.EDQUOT):
            if f"errno = {number}," in str(error):
                raise OSError(number, os.strerror(number)) from None
        raise


def put_rows(group: Any, name: str, stream: Stream, picked: NDArray[np.int64]) -> None:
    """The rows of a stream as one dataset: pictures in a chunk each, numbers in one piece.

    Raises:
        DamagedData: the stream cannot be read.
    """
    shape = (len(picked), *stream.shape)
    is_chunked = stream.is_picture and min(shape) > 0
    dataset = group.create_dataset(
        name, shape, dtype=stream.values.dtype, chunks=(1, *stream.shape) if is_chunked else None
    )
    if not dataset.size:
        return
    for start, block in blocks(stream, picked):
        dataset[start : start + len(block)] = block


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
