"""The lists of numbers and bytes in a serialized `tf.train.Example`, without copying what is not asked for."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Buffer = bytes | memoryview

MAX_FEATURES = 100_000
"""Features in one example: the largest published schemas have about a hundred."""
MAX_ITEMS = 10_000_000
"""Byte strings in one list: a week of pictures at 15 Hz is 9 million."""
_BLOCK = 1 << 20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf wire types
_KINDS = {1: "bytes", 2: "float", 3: "int64"}  # fields of the message tf.train.Feature


class WireError(ValueError):
    """The bytes are no protobuf message of the expected kind. Becomes DamagedData where the file is known."""


class Field(NamedTuple):
    """One field of a message: the raw varint, or a view of the bytes."""

    number: int
    wire: int
    value: Buffer


class Feature(NamedTuple):
    """One list of an example, still serialized."""

    kind: str
    """`bytes`, `float`, `int64`, or `none` for a feature without a list."""
    body: Buffer

    @property
    def size(self) -> int:
        """Bytes that the list takes."""
        return len(self.body)


class Items(NamedTuple):
    """Byte strings of a list, as places in its body: pictures stay where they are until asked for."""

    body: Buffer
    starts: array[int]
    ends: array[int]

    def copy(self, index: int) -> bytes:
        """One byte string, copied: it does not hold on to the record."""
        return bytes(self.body[self.starts[index] : self.ends[index]])


def parse_example(data: Buffer) -> dict[str, Feature]:
    """Features of a serialized tf.train.Example by name, in the order of the file; values are views into `data`.

    Raises:
        WireError: the bytes are no tf.train.Example.
    """
    found: dict[str, Feature] = {}
    for features in _fields(memoryview(data)):
        if features.number != 1 or features.wire != _BYTES:
            continue
        for entry in _fields(features.value):
            if entry.number == 1 and entry.wire == _BYTES:
                name, feature = _entry(entry.value)
                found[name] = feature
                if len(found) > MAX_FEATURES:
                    raise WireError(f"more than {MAX_FEATURES} features")
    return found


def count_of(feature: Feature) -> int:
    """Number of values in a list, without decoding them.

    Raises:
        WireError: the list is not what its kind promises.
    """
    if feature.kind == "float":
        return len(_packed(feature.body, _FIXED32)) // 4
    if feature.kind == "int64":
        return int(np.count_nonzero(np.frombuffer(_packed(feature.body, _VARINT), np.uint8) < 0x80))
    return len(items_of(feature).starts) if feature.kind == "bytes" else 0


def floats_of(feature: Feature) -> NDArray[np.float32]:
    """Values of a float list, (n,), a copy that does not hold on to the record.

    Raises:
        WireError: the list is not a list of floats.
    """
    packed = _packed(feature.body, _FIXED32)
    if feature.kind not in ("float", "none") or len(packed) % 4:
        raise WireError(f"a list of {feature.kind} with {len(packed)} bytes is no list of floats")
    return np.frombuffer(packed, "<f4").astype(np.float32)


def ints_of(feature: Feature, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values of an int64 list, (n,), as `dtype`.

    Raises:
        WireError: the list is no list of integers, or a value does not fit into `dtype`.
    """
    if feature.kind not in ("int64", "none"):
        raise WireError(f"a list of {feature.kind} is no list of integers")
    packed = np.frombuffer(_packed(feature.body, _VARINT), np.uint8)
    out = np.empty(int(np.count_nonzero(packed < 0x80)), dtype)
    start = filled = 0
    # In blocks: decoding takes 30 bytes per value for a moment, and a raw picture has a million values.
    while start < len(packed):
        ends = np.flatnonzero(packed[start : start + _BLOCK] < 0x80)
        if not len(ends):
            raise WireError("a list of integers ends inside a number")
        block = packed[start : start + int(ends[-1]) + 1]
        out[filled : filled + len(ends)] = _fitting(_varints(block, ends), dtype)
        start, filled = start + len(block), filled + len(ends)
    return out


def items_of(feature: Feature) -> Items:
    """Byte strings of a bytes list.

    Raises:
        WireError: the list is no list of byte strings.
    """
    if feature.kind not in ("bytes", "none"):
        raise WireError(f"a list of {feature.kind} is no list of byte strings")
    body, starts, ends = feature.body, array("q"), array("q")
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        after = _skip(body, at, tag & 7)
        if tag == 1 << 3 | _BYTES:
            length, first = _varint(body, at)
            starts.append(first)
            ends.append(first + length)
            if len(starts) > MAX_ITEMS:
                raise WireError(f"more than {MAX_ITEMS} byte strings in one list")
        at = after
    return Items(body, starts, ends)


def _entry(entry: Buffer) -> tuple[str, Feature]:
    name, feature = "", Feature("none", b"")
    for field in _fields(entry):
        if field.number == 1 and field.wire == _BYTES:
            try:
                name = str(field.value, "utf-8")
            except UnicodeDecodeError:
                raise WireError("a feature's name is no text") from None
        elif field.number == 2 and field.wire == _BYTES:
            feature = _feature(field.value)
    return name, feature


def _feature(message: Buffer) -> Feature:
    kind, bodies = "none", list[Buffer]()
    for field in _fields(message):
        if field.number in _KINDS and field.wire == _BYTES:
            # Of a oneof the last kind counts; parts of the same kind are joined (protobuf's merge rule).
            bodies = [*bodies, field.value] if _KINDS[field.number] == kind else [field.value]
            kind = _KINDS[field.number]
            if len(bodies) > 1000:
                raise WireError("a feature in more than 1000 parts")
    return Feature(kind, bodies[0] if len(bodies) == 1 else b"".join(bodies))


def _packed(body: Buffer, scalar: int) -> Buffer:
    """Values of a FloatList or Int64List without tags: as they lie where packed, joined where not."""
    if not len(body):
        return b""
    if body[0] == 1 << 3 | _BYTES:
        length, at = _varint(body, 1)
        if at + length == len(body):
            return body[at:]
    if scalar == _FIXED32 and len(body) % 5 == 0:
        rows = np.frombuffer(body, np.uint8).reshape(-1, 5)
        if (rows[:, 0] == (1 << 3 | _FIXED32)).all():
            return rows[:, 1:].tobytes()
    out = bytearray()
    for field in _fields(body):
        if field.number == 1 and field.wire in (_BYTES, scalar):
            out += field.value
    return bytes(out)


def _varints(block: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(ends) == len(block):
        return block.astype(np.int64)
    lengths = np.diff(ends, prepend=-1)
    starts = ends - lengths + 1
    longest = int(lengths.max())
    if longest > 10:  # 64 bits in groups of seven
        raise WireError(f"a number of {longest} bytes in a list of integers")
    values = np.zeros(len(ends), np.uint64)
    for byte in range(longest):
        has = np.flatnonzero(lengths > byte)
        values[has] |= (block[starts[has] + byte] & np.uint64(0x7F)) << np.uint64(7 * byte)
    return values.view(np.int64)


def _fitting(values: NDArray[np.int64], dtype: np.dtype[Any]) -> NDArray[Any]:
    # uint64 fills all 64 bits of the wire's int64, so every value fits.
    if dtype in (np.int64, np.uint64) or not len(values):
        return values.astype(dtype)
    lowest, highest = (0, 1) if dtype == np.bool_ else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    for value in (int(values.min()), int(values.max())):
        if not lowest <= value <= highest:
            raise WireError(f"the value {value} does not fit into {dtype}")
    return values.astype(dtype)


def _fields(message: Buffer) -> Iterator[Field]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        after = _skip(message, at, tag & 7)
        if tag & 7 == _BYTES:
            _, at = _varint(message, at)
        yield Field(tag >> 3, tag & 7, message[at:after])
        at = after


def _skip(message: Buffer, at: int, wire: int) -> int:
    """Where a value ends; never behind the end of the message."""
    if wire == _VARINT:
        _, end = _varint(message, at)
    elif wire == _BYTES:
        length, first = _varint(message, at)
        end = first + length
    elif wire in (_FIXED64, _FIXED32):
        end = at + (8 if wire == _FIXED64 else 4)
    else:
        raise WireError(f"wire type {wire}, which no example uses")
    if end > len(message):
        raise WireError("a field is longer than the message that holds it")
    return end


def _varint(message: Buffer, at: int) -> tuple[int, int]:
    """A number and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise WireError("the message ends inside a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise WireError("a number of more than ten bytes")
