"""Numbers, texts and pictures as ROS 2 messages on the wire (CDR, little-endian).

Messages of one stream differ in their stamp and their numbers only, so one message is laid out and all others are
filled in as one matrix.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.decode import Schema
from robokata.core.clock import NS_PER_S

_HEADER = ("std_msgs/Header", "builtin_interfaces/Time stamp\nstring frame_id\n")
_TIME = ("builtin_interfaces/Time", "int32 sec\nuint32 nanosec\n")
_LAYOUT = ("std_msgs/MultiArrayLayout", "std_msgs/MultiArrayDimension[] dim\nuint32 data_offset\n")
_DIMENSION = ("std_msgs/MultiArrayDimension", "string label\nuint32 size\nuint32 stride\n")


def _schema(name: str, fields: str, *parts: tuple[str, str]) -> Schema:
    """A definition with the definitions of its parts behind it, as ROS 2 records them."""
    text = fields + "".join(f"{'=' * 80}\nMSG: {part}\n{inner}" for part, inner in parts)
    return Schema(name, "ros2msg", text.encode())


JOINT_STATE = _schema(
    "sensor_msgs/msg/JointState",
    "std_msgs/Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n",
    _HEADER,
    _TIME,
)
COMPRESSED_IMAGE = _schema(
    "sensor_msgs/msg/CompressedImage", "std_msgs/Header header\nstring format\nuint8[] data\n", _HEADER, _TIME
)
IMAGE = _schema(
    "sensor_msgs/msg/Image",
    "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\n"
    "uint8[] data\n",
    _HEADER,
    _TIME,
)
COMPRESSED_VIDEO = _schema(
    "foxglove_msgs/msg/CompressedVideo",
    "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    _TIME,
)
STRING = _schema("std_msgs/msg/String", "string data\n")

_ARRAYS = {"f8": "Float64", "f4": "Float32", "i8": "Int64", "i4": "Int32", "i2": "Int16"}
_ARRAYS |= {"u8": "UInt64", "u4": "UInt32", "u2": "UInt16"}
_WIDER = {"f2": "f4", "i1": "i2", "u1": "u2", "b1": "u2"}
"""ROS has no half floats, and tools take `uint8[]` for a blob: these go into the next wider array, exactly."""
_SCALARS = {**_ARRAYS, "i1": "Int8", "u1": "UInt8", "b1": "Bool"}


class Template(NamedTuple):
    """One message with room for what changes from message to message."""

    data: bytes
    stamp_at: int | None
    numbers_at: int
    dtype: str
    width: int


class _Cdr:
    """Bytes of a message that grow. A class, because alignment counts from its start."""

    def __init__(self) -> None:
        self.data = bytearray(b"\x00\x01\x00\x00")

    def pad(self, size: int) -> None:
        self.data += bytes(-(len(self.data) - 4) % size)

    def u32(self, *values: int) -> None:
        for value in values:
            self.pad(4)
            self.data += struct.pack("<I", value)

    def text(self, value: str) -> None:
        encoded = value.encode() + b"\x00"
        self.u32(len(encoded))
        self.data += encoded

    def stamp(self, time_ns: int, frame: str = "") -> None:
        """A time, and the frame behind it; times that the 32 bits of ROS do not hold are left out."""
        self.data += stamps(np.asarray([time_ns])).tobytes()
        self.text(frame)

    def numbers(self, code: str, count: int) -> int:
        """Room for a sequence of numbers; its offset."""
        self.u32(count)
        return self.room(code, count)

    def room(self, code: str, count: int) -> int:
        if count:
            self.pad(int(code[1:]))
        at = len(self.data)
        self.data += bytes(count * int(code[1:]))
        return at


def stamps(times_ns: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Times as ROS stamps, (T, 2): seconds and nanoseconds; all zero where one of them does not fit int32 seconds."""
    if len(times_ns) and (times_ns.min() < 0 or times_ns.max() >= 2**31 * NS_PER_S):
        return np.zeros((len(times_ns), 2), "<u4")
    return np.stack([times_ns // NS_PER_S, times_ns % NS_PER_S], axis=1).astype("<u4")


def array_schema(dtype: np.dtype[Any]) -> tuple[Schema, str]:
    """The `std_msgs` array that holds numbers of a type exactly, and the type that its numbers have."""
    code = _code(dtype)
    code = _WIDER.get(code, code)
    number = _ARRAYS[code].lower()
    name = f"std_msgs/msg/{_ARRAYS[code]}MultiArray"
    return _schema(name, f"std_msgs/MultiArrayLayout layout\n{number}[] data\n", _LAYOUT, _DIMENSION), code


def scalar_schema(dtype: np.dtype[Any]) -> tuple[Schema, str]:
    """The `std_msgs` number that holds a type exactly, and the type on the wire."""
    code = _code(dtype)
    code = "f4" if code == "f2" else code
    return _schema(f"std_msgs/msg/{_SCALARS[code]}", f"{_SCALARS[code].lower()} data\n"), code


def holds(dtype: np.dtype[Any]) -> bool:
    """True where ROS has numbers that hold this type exactly."""
    return dtype.kind in "fiub" and (_code(dtype) in _SCALARS or _code(dtype) == "f2")


def _code(dtype: np.dtype[Any]) -> str:
    return f"{dtype.kind}{dtype.itemsize}"


def joint_state(names: Sequence[str], field: str, *, frame: str) -> Template:
    """A JointState whose `field` (`position`, `velocity` or `effort`) is to be filled."""
    cdr = _Cdr()
    cdr.stamp(0, frame)
    cdr.u32(len(names))
    for name in names:
        cdr.text(name)
    ats = {one: cdr.numbers("f8", len(names) if one == field else 0) for one in ("position", "velocity", "effort")}
    return Template(bytes(cdr.data), 4, ats[field], "f8", len(names))


def multi_array(shape: Sequence[int], code: str, *, label: str) -> Template:
    """A MultiArray of one sample's shape; the label of the last dimension says what its numbers are called."""
    cdr = _Cdr()
    cdr.u32(len(shape))
    for axis, size in enumerate(shape):
        cdr.text(label if axis == len(shape) - 1 else "")
        cdr.u32(size, int(np.prod(shape[axis:])))
    cdr.u32(0)
    width = int(np.prod(shape))
    at = cdr.numbers(code, width)
    return Template(bytes(cdr.data), None, at, code, width)


def scalar(code: str) -> Template:
    """One number."""
    cdr = _Cdr()
    wire = "u1" if code == "b1" else code
    at = cdr.room(wire, 1)
    return Template(bytes(cdr.data), None, at, wire, 1)


def filled(template: Template, times_ns: NDArray[np.int64], table: NDArray[Any]) -> list[bytes]:
    """One message per row of `table`, (T, width), stamped where the type has a stamp."""
    matrix = np.tile(np.frombuffer(template.data, np.uint8), (len(table), 1))
    if template.stamp_at is not None:
        matrix[:, template.stamp_at : template.stamp_at + 8] = stamps(times_ns).view(np.uint8)
    numbers = np.ascontiguousarray(table.astype("<" + template.dtype, copy=False)).reshape(len(table), template.width)
    size = template.width * int(template.dtype[1:])
    matrix[:, template.numbers_at : template.numbers_at + size] = numbers.view(np.uint8)
    return [row.tobytes() for row in matrix]


def string(text: str) -> bytes:
    """A std_msgs/String."""
    cdr = _Cdr()
    cdr.text(text)
    return bytes(cdr.data)


def compressed_image(time_ns: int, data: bytes, *, codec: str, frame: str) -> bytes:
    """A sensor_msgs/CompressedImage."""
    cdr = _Cdr()
    cdr.stamp(time_ns, frame)
    cdr.text(codec)
    cdr.u32(len(data))
    return bytes(cdr.data) + data


def image(time_ns: int, picture: NDArray[Any], *, encoding: str, frame: str) -> bytes:
    """A sensor_msgs/Image of a picture (H, W) or (H, W, C)."""
    height, width = picture.shape[:2]
    data = picture.astype(picture.dtype.newbyteorder("<"), copy=False).tobytes()
    cdr = _Cdr()
    cdr.stamp(time_ns, frame)
    cdr.u32(height, width)
    cdr.text(encoding)
    cdr.data += b"\x00"
    cdr.u32(len(data) // max(height, 1), len(data))
    return bytes(cdr.data) + data


def image_encoding(shape: Sequence[int], dtype: np.dtype[Any]) -> str | None:
    """The name that `sensor_msgs/image_encodings` gives to such pixels, None where it has none."""
    channels = 1 if len(shape) == 2 else shape[2]
    if dtype.kind == "u" and dtype.itemsize == 1 and channels in (1, 3, 4):
        return {1: "mono8", 3: "rgb8", 4: "rgba8"}[channels]
    letter = {"u": "U", "i": "S", "f": "F"}.get(dtype.kind)
    return f"{dtype.itemsize * 8}{letter}C{channels}" if letter else None


def compressed_video(time_ns: int, data: bytes, *, codec: str, frame: str) -> bytes:
    """A foxglove_msgs/CompressedVideo."""
    cdr = _Cdr()
    cdr.stamp(time_ns, frame)
    cdr.u32(len(data))
    cdr.data += data
    cdr.text(codec)
    return bytes(cdr.data)
