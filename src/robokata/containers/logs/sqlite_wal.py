"""Whether a write-ahead log beside an SQLite file holds transactions (sqlite.org/fileformat.html, section 4)."""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.blocks import FileBytes
from robokata.core.errors import DamagedData

_HEADER, _FRAME = 32, 24
_MAGIC = 0x377F0682
"""The lowest bit says in which byte order checksums are taken: 1 for big-endian."""


class _Checksum(NamedTuple):
    first: int
    second: int


def has_commit(file: FileBytes) -> bool:
    """True where the log holds at least one whole transaction; SQLite then reads it, else it holds nothing to read.

    Raises:
        DamagedData: the file is no write-ahead log.
    """
    head = file.at(0, _HEADER)
    if len(head) < _HEADER:
        raise DamagedData(file.path, "is no write-ahead log: it has no header.")
    magic, version, page_bytes, _, salt, more_salt, *stored = struct.unpack(">8I", head)
    order = ">" if magic & 1 else "<"
    checksum = _added(_Checksum(0, 0), head[:24], order)
    is_page = 512 <= page_bytes <= 65536 and page_bytes & (page_bytes - 1) == 0
    if magic & ~1 != _MAGIC or version != 3007000 or not is_page or checksum != tuple(stored):
        raise DamagedData(file.path, "is no write-ahead log: its header is broken.")
    for at in range(_HEADER, file.size - _FRAME - page_bytes + 1, _FRAME + page_bytes):
        frame = file.at(at, _FRAME + page_bytes)
        _, pages_after, *salts, first, second = struct.unpack_from(">6I", frame)
        checksum = _added(checksum, frame[:8] + frame[_FRAME:], order)
        if salts != [salt, more_salt] or checksum != (first, second):
            return False  # What follows is left over from before the log began anew, or was never finished.
        if pages_after:
            return True
    return False


def _added(before: _Checksum, data: bytes, order: str) -> _Checksum:
    """The running checksum after more data: `a += x + b; b += y + a` for each pair x, y of 32-bit words.

    Each step is a product with [[1, 1], [1, 2]], so that a page is one sum of words times powers of that matrix.
    """
    words = np.frombuffer(data, f"{order}u4").astype(np.uint32)
    x, y = words[0::2], words[0::2] + words[1::2]
    powers = _powers(len(x))
    steps = powers[: len(x)][::-1]
    a = (steps[:, 0, 0] * x + steps[:, 0, 1] * y).sum(dtype=np.uint32)
    b = (steps[:, 1, 0] * x + steps[:, 1, 1] * y).sum(dtype=np.uint32)
    whole = [[int(n) for n in row] for row in powers[len(x)]]
    return _Checksum(
        (whole[0][0] * before.first + whole[0][1] * before.second + int(a)) & 0xFFFFFFFF,
        (whole[1][0] * before.first + whole[1][1] * before.second + int(b)) & 0xFFFFFFFF,
    )


@functools.lru_cache(maxsize=4)
def _powers(count: int) -> NDArray[np.uint32]:
    """Powers 0..count of [[1, 1], [1, 2]] modulo 2^32: Fibonacci numbers, (count + 1, 2, 2)."""
    out, (a, b, c, d) = np.empty((count + 1, 2, 2), np.uint32), (1, 0, 0, 1)
    for power in range(count + 1):
        out[power] = [[a, b], [c, d]]
        a, b, c, d = ((a + b), (a + 2 * b), (c + d), (c + 2 * d))
        a, b, c, d = (n & 0xFFFFFFFF for n in (a, b, c, d))
    return out
