"""Records of a TFRecord file, found by hopping over their lengths and read one at a time."""

from __future__ import annotations

import functools
import os
import struct
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.cache import Arrays, cached_index
from robokata.core.errors import DamagedData, MediaMissing, TooLarge

HEADER, FOOTER = 12, 4
"""u64 length + u32 masked crc of the length; u32 masked crc of the data. All little endian."""
MAX_RECORD_BYTES = 2**31 - 1
"""No protobuf message may be longer (protobuf's encoding guide), and each record is one message."""
TRUNCATED, BAD_LENGTH = -1, -2
"""Lengths that the index gives to what lies at an offset without being a whole record."""
_POLYNOMIAL = 0x82F63B78  # Castagnoli, bit-reversed: RFC 3720, B.4
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
    if struct.unpack("<I", footer)[0] != masked(crc32c(data)):
        reason = f"the record's {length} bytes are not those that were written (crc32c differs)."
        raise DamagedData(path, reason, offset=offset, next_move="Fetch this file again.")
    return data


def starts_like_tfrecord(path: Path) -> bool:
    """True where the first length has a right crc, or the file is empty."""
    with path.open("rb") as file:
        first = file.read(HEADER)
    return not first or _checked_length(first) is not None


def masked(crc: int) -> int:
    """A crc as TFRecord stores it."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C of the data.

    A library with the processor's instruction does 10 GB/s and comes with zarr, so it is used where it
    is there. It is no dependency: numpy alone does 200 MB/s, which is still faster than decoding JPEG.
    """
    fast = _crc_of_library()
    return int(fast(data)) if fast is not None else crc32c_of_numpy(data)


@functools.cache
def _crc_of_library() -> Callable[[bytes], int] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it warns where only its slow Python form is there
            library: Any = import_module("google_crc32c")
    except ImportError:
        return None
    return library.value if getattr(library, "implementation", "") == "c" else None


def crc32c_of_numpy(data: bytes) -> int:
    """CRC-32C with numpy: the data as many equal lanes side by side, then the lanes' crcs joined pairwise."""
    if len(data) < 4096:  # below this the lanes cost more than a loop over bytes
        register = 0xFFFFFFFF
        for byte in data:
            register = _BYTE[(register ^ byte) & 0xFF] ^ (register >> 8)
        return register ^ 0xFFFFFFFF
    # 4096 lanes at most: their registers and the 16-bit table together stay in the L2 cache.
    lanes = 1 << min(12, (len(data) // 64).bit_length() - 1)
    steps = -(-len(data) // (2 * lanes))
    padded = np.zeros(2 * lanes * steps, np.uint8)
    padded[len(padded) - len(data) :] = np.frombuffer(data, np.uint8)
    # A register of ones before the data is the same as a register of zeros and the first 32 bits flipped,
    # and zeros in front of the data leave a register of zeros as it is: so padding goes in front.
    padded[len(padded) - len(data) :][:4] ^= 0xFF
    words = np.ascontiguousarray(padded.view("<u2").reshape(lanes, steps).T)
    registers = np.zeros(lanes, np.uint32)
    table = _word_table()
    for row in words:
        registers = table[(registers & 0xFFFF) ^ row] ^ (registers >> 16)
    advance = _advance_by(2 * steps)
    while len(registers) > 1:
        registers = _apply(advance, registers[0::2]) ^ registers[1::2]
        advance = _apply(advance, advance)
    return int(registers[0]) ^ 0xFFFFFFFF


def _byte_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_BYTE = _byte_table()


@functools.cache
def _word_table() -> NDArray[np.uint32]:
    """What 16 bits do to the register, (65536,)."""
    byte = np.asarray(_BYTE, np.uint32)
    low = np.arange(65536, dtype=np.uint32)
    once = byte[low & 0xFF] ^ (low >> 8)
    twice: NDArray[np.uint32] = byte[once & 0xFF] ^ (once >> 8)
    return twice


def _advance_by(zero_bytes: int) -> NDArray[np.uint32]:
    """What zero bytes do to the register, as the images of its 32 bits: the map is linear over GF(2)."""
    byte = np.asarray(_BYTE, np.uint32)
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    square = byte[bits & 0xFF] ^ (bits >> 8)
    result = bits
    while zero_bytes:
        if zero_bytes & 1:
            result = _apply(square, result)
        square = _apply(square, square)
        zero_bytes >>= 1
    return result


def _apply(columns: NDArray[np.uint32], registers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    out = np.zeros_like(registers)
    for bit in range(32):
        out ^= np.where((registers >> np.uint32(bit)) & 1, columns[bit], np.uint32(0))
    return out


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
    return int(length) if masked(crc32c(head[:8])) == crc and length <= MAX_RECORD_BYTES else None


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
    table = np.asarray(_BYTE, np.uint32)
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
        return MediaMissing(path, "the file is not there.", next_move="Fetch it again.")
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return DamagedData(path, f"cannot be read: {why}.")
