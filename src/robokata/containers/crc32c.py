"""CRC-32C, the checksum of TFRecord and of Zarr's shards."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # Castagnoli, bit-reversed: RFC 3720, B.4


def crc32c(data: bytes) -> int:
    """CRC-32C of the data.

    A library with the processor's instruction does 10 GB/s, so it is used where it is there. It is no dependency:
    numpy alone does 200 MB/s, which is still faster than decoding JPEG.
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
            register = BYTE_TABLE[(register ^ byte) & 0xFF] ^ (register >> 8)
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


BYTE_TABLE = _byte_table()
"""What one byte does to the register, 256 numbers."""


@functools.cache
def _word_table() -> NDArray[np.uint32]:
    """What 16 bits do to the register, (65536,)."""
    byte = np.asarray(BYTE_TABLE, np.uint32)
    low = np.arange(65536, dtype=np.uint32)
    once = byte[low & 0xFF] ^ (low >> 8)
    twice: NDArray[np.uint32] = byte[once & 0xFF] ^ (once >> 8)
    return twice


def _advance_by(zero_bytes: int) -> NDArray[np.uint32]:
    """What zero bytes do to the register, as the images of its 32 bits: the map is linear over GF(2)."""
    byte = np.asarray(BYTE_TABLE, np.uint32)
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
