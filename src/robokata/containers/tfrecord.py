"""Records of a TFRecord file, found by hopping over their lengths and read one at a time."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.crc32c import BYTE_TABLE, crc32c
from robokata.core.errors import DamagedData, TooLarge
from robokata.runtime.cache import Arrays, cached_index
from robokata.runtime.disk import missing

HEADER, FOOTER = 12, 4
"""u64 length + u32 masked crc of the length; u32 masked crc of the data. All little endian."""
MAX_RECORD_BYTES = 2**31 - 1
"""No protobuf message may be longer (protobuf's encoding guide), and each record is one message."""
TRUNCATED, BAD_LENGTH = -1, -2
"""Lengths that the index gives to what lies at an offset without being a whole record."""
_MASK_DELTA = 0xA282EAD8  # TFRecord's crc mask, so that a crc of data that holds crcs stays strong
_SCAN_BYTES = 1 << 20


class Shard(NamedTuple):
    """Where the records of one file lie."""

    offsets: NDArray[np.int64]
    """Byte at which each record's header starts."""
    lengths: NDArray[np.int64]
    """Bytes of each record's data, TRUNCATED or BAD_LENGTH where there is no whole record."""

    @property
    def is_damaged(self) -> bool:
        """True where the file holds bytes that are no whole record."""
        return bool((self.lengths < 0).any())


def index_shard(path: Path) -> Shard:
    """Offsets and lengths of the records of one file; no data is read, and the result is kept in the cache.

    A length whose crc is wrong costs the record: the next header whose crc is right is searched for.

    Raises:
        MediaMissing: the file is not there.
        DamagedData: it cannot be read.
    """
    if path.exists() and not path.is_file():  # Opening a pipe would wait for its other end.
        raise DamagedData(path, "is a folder, a pipe or a device.", next_move="Fetch this file again.")
    try:
        kept = cached_index(path, "tfrecord-1", lambda: _hop(path))
        if kept["offsets"].shape != kept["lengths"].shape or kept["offsets"].ndim != 1:
            kept = _hop(path)
    except (OSError, KeyError) as error:
        raise _unreadable(path, error) from None
    return Shard(kept["offsets"].astype(np.int64), kept["lengths"].astype(np.int64))


def read_record(path: Path, offset: int, length: int) -> bytes:
    """The data of one record, after its crc was verified.

    Raises:
        MediaMissing: the file is not there.
        TooLarge: a length that no record can have.
        DamagedData: the record is cut off, or its bytes are not those that were written.
    """
    if length > MAX_RECORD_BYTES:
        raise TooLarge(path, f"a record claims {length} bytes; none can have more than 2 GiB.", offset=offset)
    if length < 0:
        raise _damaged(path, offset, length)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if offset + HEADER + length + FOOTER > size:
                raise _damaged(path, offset, TRUNCATED)
            file.seek(offset)
            if _length_at(file) != length:
                raise DamagedData(path, "the file has changed since it was indexed.", offset=offset)
            data, footer = file.read(length), file.read(FOOTER)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(footer) < FOOTER:
        raise _damaged(path, offset, TRUNCATED)
    if struct.unpack("<I", footer)[0] != masked_crc32c(data):
        reason = f"the record's {length} bytes are not those that were written (crc32c differs)."
        raise DamagedData(path, reason, offset=offset, next_move="Fetch this file again.")
    return data


def starts_like_tfrecord(path: Path) -> bool:
    """True where the first length has a right crc, or the file is empty."""
    with path.open("rb") as file:
        first = file.read(HEADER)
    return not first or _checked_length(first) is not None


def masked_crc32c(data: bytes) -> int:
    """The checksum of bytes as TFRecord stores it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _hop(path: Path) -> Arrays:
    offsets, lengths = [], []
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at < size:
            offsets.append(at)
            file.seek(at)
            head = file.read(HEADER)
            length = _checked_length(head)
            if length is None:
                lengths.append(BAD_LENGTH if len(head) == HEADER else TRUNCATED)
                at = _next_header(file, at + 1, size)
            elif at + HEADER + length + FOOTER > size:
                lengths.append(TRUNCATED)
                break
            else:
                lengths.append(length)
                at += HEADER + length + FOOTER
    return {"offsets": np.asarray(offsets, np.int64), "lengths": np.asarray(lengths, np.int64)}


def _length_at(file: BinaryIO) -> int | None:
    return _checked_length(file.read(HEADER))


def _checked_length(head: bytes) -> int | None:
    if len(head) < HEADER:
        return None
    length, crc = struct.unpack("<QI", head)
    return int(length) if masked_crc32c(head[:8]) == crc and length <= MAX_RECORD_BYTES else None


def _next_header(file: BinaryIO, start: int, size: int) -> int:
    """First offset from `start` on that holds a length with a right crc and fits into the file, else `size`."""
    while start + HEADER + FOOTER <= size:
        file.seek(start)
        block = file.read(_SCAN_BYTES)
        if len(block) < HEADER:
            return size
        for hit in _headers_in(block):
            (length,) = struct.unpack_from("<Q", block, hit)
            if start + hit + HEADER + length + FOOTER <= size:
                return start + int(hit)
        start += len(block) - HEADER + 1
    return size


def _headers_in(block: bytes) -> NDArray[np.int64]:
    """Offsets in a block whose 12 bytes are a length below 2 GiB and its masked crc."""
    data = np.frombuffer(block, np.uint8)
    count = len(data) - HEADER + 1
    pairs = data[:-1] | data[1:]
    low, high = (pairs[i : i + count] | pairs[i + 2 : i + 2 + count] for i in (0, 4))
    # The upper half of a length is zero and the lower is not (a record of no bytes is no example): that leaves
    # few places for which a crc must be computed, also in the runs of zeros that damaged disks leave.
    at = np.flatnonzero((high == 0) & (low != 0))
    table = np.asarray(BYTE_TABLE, np.uint32)
    registers = np.full(len(at), 0xFFFFFFFF, np.uint32)
    for byte in range(8):
        registers = table[(registers ^ data[at + byte]) & 0xFF] ^ (registers >> 8)
    crcs = registers ^ np.uint32(0xFFFFFFFF)
    wanted = ((crcs >> 15) | (crcs << 17)) + np.uint32(_MASK_DELTA)
    stored = sum(data[at + 8 + byte].astype(np.uint32) << np.uint32(8 * byte) for byte in range(4))
    is_below_2_gib = data[at + 3] < 0x80
    return np.asarray(at[(stored == wanted) & is_below_2_gib], np.int64)


def _damaged(path: Path, offset: int, length: int) -> DamagedData:
    reason = (
        "the file ends inside this record."
        if length == TRUNCATED
        else "no TFRecord starts here: the crc32c of the length differs."
    )
    return DamagedData(path, reason, offset=offset, next_move="Fetch this file again.")


def _unreadable(path: Path, error: Exception) -> DamagedData:
    if isinstance(error, FileNotFoundError):
        return missing(path, next_move="Fetch it again.")
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return DamagedData(path, f"cannot be read: {why}.")
