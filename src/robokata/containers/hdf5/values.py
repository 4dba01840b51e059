"""What one HDF5 dataset holds, in plain Python and numpy."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from robokata.core.errors import TooLarge
from robokata.core.require import require

_MAX_PACKED_CHUNK_BYTES = 1 << 20
"""HDF5 lets a packed chunk grow without limit while it unpacks; up to this size that is at most 1 GiB."""


class Table(NamedTuple):
    """One dataset inside a file, as its header describes it; nothing of it has been read."""

    name: str
    """Path below the group that was listed: `obs/agentview_image`."""
    path: bytes
    """Path from the file's root, as HDF5 spells it."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    content: str
    """`numbers`, `text`, `blobs` (bytes of any length), `lists` (numbers of any count), `references`."""
    stored_bytes: int
    attributes: Mapping[str, Any]


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which `demo_10` comes after `demo_9`."""
    parts = re.split(r"(\d{1,18})", name)
    return tuple((1, int(part), part) if part.isdigit() and part.isascii() else (0, 0, part) for part in parts)


def claimed_bytes(table: Table) -> int:
    """Bytes that all values of a table would take in memory, as its header claims."""
    return math.prod(table.shape) * max(table.dtype.itemsize, 1)


def check_packed_chunks(dataset: Any, path: Path, shown: str) -> None:
    """Refuse a chunk that unpacks to more than its dataset says.

    Raises:
        TooLarge: there is one.
    """
    if dataset.chunks is None or dataset.compression != "gzip":
        return
    if dataset.id.get_storage_size() <= _MAX_PACKED_CHUNK_BYTES:
        return
    honest = math.prod(dataset.chunks) * dataset.dtype.itemsize
    suspects: list[Any] = []
    dataset.id.chunk_iter(lambda chunk: suspects.append(chunk) if chunk.size > _MAX_PACKED_CHUNK_BYTES else None)
    for chunk in suspects:
        skipped, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if skipped:
            continue
        unpacker, unpacked, rest = zlib.decompressobj(), 0, packed
        try:
            while rest and not unpacker.eof and unpacked <= honest + 4:  # 4: a checksum behind the values
                unpacked += len(unpacker.decompress(rest, 1 << 20))
                rest = unpacker.unconsumed_tail
        except zlib.error:
            continue  # Damage inside a chunk costs the samples in it, when they are read.
        if unpacked > honest + 4:
            raise TooLarge(path, f"a chunk of '{shown}' unpacks to more than the {honest} bytes that it stands for.")


def by_name(pair: tuple[str, bytes]) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key of a (shown name, raw name) pair; the name itself decides between `demo_1` and `demo_01`."""
    return natural(pair[0]), pair[0]


def text(raw: bytes) -> str:
    """A name or text of the file as it can be shown."""
    # Not "replace": two damaged names would become one.
    return raw.decode("utf-8", "backslashreplace")


def content(dtype: np.dtype[Any]) -> str:
    """What a dataset of this type holds: one of the words of `Table.content`."""
    h5py = require("h5py", extra="hdf5")
    if h5py.check_string_dtype(dtype) is not None:
        return "text"
    if h5py.check_ref_dtype(dtype) is not None:
        return "references"
    element = h5py.check_vlen_dtype(dtype)
    if element is not None:
        return "blobs" if element == np.uint8 else "lists"
    if dtype.hasobject:
        # A compound with text or references inside: h5py hands these out as Python objects.
        return "references"
    return "numbers"


def texts(value: Any) -> Any:
    """Strings of any kind as str; arrays of them as arrays of dtype object that hold str."""
    if isinstance(value, (bytes, str)):
        return text(value) if isinstance(value, bytes) else value
    array = np.asarray(value)
    out = np.empty(array.shape, object)
    for at, item in np.ndenumerate(array):
        out[at] = text(item) if isinstance(item, bytes) else str(item)
    return out


def blobs(value: Any) -> Any:
    """Bytes of any length as an array of dtype object that holds bytes."""
    array = np.asarray(value)
    if array.dtype != object:
        return array.tobytes()
    out = np.empty(array.shape, object)
    for at, item in np.ndenumerate(array):
        out[at] = b"" if item is None else np.asarray(item, np.uint8).tobytes()
    return out


def plain(value: Any) -> Any:
    """A value as h5py gives it, without h5py's and numpy's scalar types; absence is None."""
    if type(value).__name__ == "Empty":
        return None
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, np.void):
        return value.tobytes()
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return plain(value[()])
        if value.dtype.kind in "OSU":
            return [plain(item) for item in value]
    return value
