"""A `tf.train.Example` as bytes: lists of numbers and of byte strings in protobuf's wire format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # fields of the message tf.train.Feature
_BLOCK = 1 << 20
"""Integers packed at a time: packing takes 30 bytes per number for a moment."""


class ExampleTooLarge(ValueError):
    """The example would be longer than a record may be."""


class ExampleWriter:
    """An example that fills up feature by feature.

    A class, because it keeps the pieces: pictures are copied once, when the example is joined. `limit_bytes` is
    watched while pictures come in, so that an episode that cannot fit is refused before it fills the memory.
    """

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size = 0
        self._pieces: list[bytes] = []

    def add_bytes(self, name: str, items: Iterable[bytes]) -> None:
        """A feature that is a list of byte strings.

        Raises:
            ExampleTooLarge: the example would be longer than it may be.
        """
        pieces, size = list[bytes](), 0
        for item in items:
            head = b"\x0a" + _varint(len(item))  # field 1 of BytesList
            pieces += (head, item)
            size += len(head) + len(item)
            if self.size + size > self.limit_bytes:
                raise ExampleTooLarge(f"more than {self.limit_bytes} bytes")
        self._add(name, _BYTES_LIST, pieces, size)

    def add_floats(self, name: str, values: NDArray[Any]) -> None:
        """A feature that is a list of float32.

        Raises:
            ExampleTooLarge: the example would be longer than it may be.
        """
        self._add_packed(name, _FLOAT_LIST, np.ascontiguousarray(values, dtype="<f4").tobytes())

    def add_integers(self, name: str, values: NDArray[Any]) -> None:
        """A feature that is a list of int64; booleans become 0 and 1.

        Raises:
            ExampleTooLarge: the example would be longer than it may be.
        """
        self._add_packed(name, _INT64_LIST, pack_varints(np.ascontiguousarray(values).reshape(-1)))

    def join(self) -> bytes:
        """The serialized example."""
        return b"".join([b"\x0a", _varint(self.size), *self._pieces])

    def _add_packed(self, name: str, kind: int, packed: bytes) -> None:
        head = b"\x0a" + _varint(len(packed))  # field 1 of FloatList and Int64List, packed
        self._add(name, kind, [head, packed], len(head) + len(packed))

    def _add(self, name: str, kind: int, pieces: list[bytes], size: int) -> None:
        """One entry of the map: field 1 its name, field 2 the Feature, whose field `kind` is the list."""
        key = name.encode()
        list_head = bytes([kind << 3 | 2]) + _varint(size)
        feature_head = b"\x12" + _varint(len(list_head) + size)
        key_head = b"\x0a" + _varint(len(key)) + key
        entry = len(key_head) + len(feature_head) + len(list_head) + size
        head = b"\x0a" + _varint(entry) + key_head + feature_head + list_head
        if self.size + len(head) + size > self.limit_bytes:
            raise ExampleTooLarge(f"more than {self.limit_bytes} bytes")
        self._pieces += (head, *pieces)
        self.size += len(head) + size


def pack_varints(values: NDArray[Any]) -> bytes:
    """Integers (n,) as protobuf's varints, one behind the other; negative numbers take ten bytes."""
    return b"".join(_packed_block(values[at : at + _BLOCK]) for at in range(0, len(values), _BLOCK))


def _packed_block(values: NDArray[Any]) -> bytes:
    wide = values.astype(np.int64).view(np.uint64) if values.dtype != np.uint64 else values
    if int(wide.max()) < 0x80:
        return wide.astype(np.uint8).tobytes()
    lengths = np.ones(len(wide), np.int64)
    for byte in range(1, 10):  # 64 bits in groups of seven
        lengths += wide >= np.uint64(1 << 7 * byte)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.zeros(int(ends[-1]), np.uint8)
    for byte in range(int(lengths.max())):
        has = np.flatnonzero(lengths > byte)
        septet = ((wide[has] >> np.uint64(7 * byte)) & np.uint64(0x7F)).astype(np.uint8)
        out[starts[has] + byte] = septet | np.where(lengths[has] > byte + 1, 0x80, 0).astype(np.uint8)
    return out.tobytes()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
