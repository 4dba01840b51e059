"""Depth pictures as ROS's compressed_depth_image_transport packs them, as depth again.

A message holds 12 bytes (an enum and the floats A and B), then a PNG of 16 bits or an RVL stream. `16UC1` are
millimetres. `32FC1` were metres, and lie as codes of inverse depth: `depth_m = A / (code - B)`, 0 where none was
measured. Each message brings its own A and B.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, MediaMissing, TooLarge, Unsupported
from robokata.core.values import IndexedValues, Media
from robokata.media.images import RawImages, decode, probe
from robokata.media.packet_index import MAX_PIXELS

_PREFIX = struct.Struct("<iff")
"""ConfigHeader of compression_common.h: kind of compression, A, B."""
_PNG = b"\x89PNG\r\n\x1a\n"
_WHITE = 25.5
"""Brightness per metre for a look at float depth: 10 m is white, as of raw `32FC1`."""
UNITS = {"16UC1": "mm", "32FC1": "m"}
"""REP 118: what depth pictures of these encodings count."""


class Quantisation(NamedTuple):
    """`depth_m = A / (code - B)`."""

    A: float
    B: float


class DepthImages(RawImages):
    """Depth, (T, H, W): uint16 millimetres, or float32 metres with NaN where nothing was measured.

    A class, because a look at what lies behind it reads the header of the first message.
    """

    def __init__(self, count: int, load: Callable[[int], bytes], *, encoding: str, codec: str, where: str) -> None:
        self._load, self._encoding, self._codec = load, encoding, codec
        height, width = _size(load(0), codec, f"{where}, message 0")
        dtype = np.float32 if encoding == "32FC1" else np.uint16
        values = IndexedValues((count, height, width), dtype, self._depth)
        super().__init__(values, where=where, scale=_WHITE if encoding == "32FC1" else 1.0)

    def media(self) -> Media:
        try:
            _size(self._load(0), self._codec, self.where)
        except (DamagedData, Unsupported) as damage:
            is_absent = isinstance(damage, MediaMissing)
            return Media(self.where, None, len(self), len(self), problem=str(damage), is_absent=is_absent)
        return Media(self.where, self._codec, len(self), len(self))

    def _depth(self, number: int) -> NDArray[np.uint16] | NDArray[np.float32]:
        where = f"{self.where}, message {number}"
        data = self._load(number)
        codes = _codes(data, self._codec, where)
        if codes.shape != self.shape[1:]:
            raise DamagedData(where, f"the depth picture is {codes.shape}, the first {self.shape[1:]} (rows, columns).")
        return codes if self.dtype == np.uint16 else metres(codes, quantisation(data, where=where))


def encoding_of(said: str) -> tuple[str, str]:
    """Encoding and codec that a message's `format` names: `32FC1; compressedDepth png`.

    Raises:
        Unsupported: an encoding that the transport does not have, or a codec that is not read.
    """
    encoding, _, rest = said.partition(";")
    packed = re.search(r"compressedDepth\s+(\w+)", rest)
    codec = packed[1].lower() if packed else "png"  # The transport's first versions had PNG alone, and named none.
    if encoding.strip() not in UNITS or codec not in ("png", "rvl"):
        raise Unsupported(f"depth packed as {said!r}; Robokata reads 16UC1 and 32FC1 packed as png and rvl.")
    return encoding.strip(), codec


def quantisation(data: bytes, *, where: str) -> Quantisation:
    """A and B of one message.

    Raises:
        DamagedData: they are not there, or no depth follows from them.
    """
    if len(data) < _PREFIX.size or data.startswith(_PNG):
        raise DamagedData(where, "compressed depth without the 12 bytes of A and B: its codes are no metres.")
    _, scale, offset = _PREFIX.unpack_from(data)
    if not (np.isfinite(scale) and np.isfinite(offset) and scale > 0):
        raise DamagedData(where, f"depth is quantised by A = {scale:g} and B = {offset:g}, which give no metres.")
    return Quantisation(scale, offset)


def metres(codes: NDArray[np.uint16], quantised: Quantisation) -> NDArray[np.float32]:
    """Depth from codes of inverse depth, NaN where nothing was measured."""
    scale, offset = np.float32(quantised.A), np.float32(quantised.B)
    with np.errstate(divide="ignore"):
        depth = scale / (codes.astype(np.float32) - offset)
    return np.where((codes == 0) | ~np.isfinite(depth), np.float32(np.nan), depth)


def _payload(data: bytes) -> bytes:
    # Some publishers leave the 12 bytes away before millimetres, which need none.
    return data if data.startswith(_PNG) else data[_PREFIX.size :]


def _size(data: bytes, codec: str, where: str) -> tuple[int, int]:
    """Rows and columns that a message's header states."""
    packed = _payload(data)
    if codec == "png":
        facts = probe(packed, where=where)
        if facts.codec != "png" or facts.channels != 1 or facts.bits != 16:
            found = f"a {facts.codec} of {facts.channels} channels with {facts.bits} bits"
            raise DamagedData(where, f"depth is packed as {found}, not as a grey PNG of 16 bits.")
        return facts.height, facts.width
    if len(packed) < 8:
        raise DamagedData(where, "the depth picture ends inside its header.")
    columns, rows = struct.unpack_from("<II", packed)
    if not 0 < rows * columns <= MAX_PIXELS:
        raise TooLarge(where, f"a depth picture claims {columns} x {rows} pixels.")
    return int(rows), int(columns)


def _codes(data: bytes, codec: str, where: str) -> NDArray[np.uint16]:
    rows, columns = _size(data, codec, where)
    if codec == "png":
        return decode(_payload(data), where=where)[..., 0]
    return unpack_rvl(_payload(data)[8:], rows * columns, where=where).reshape(rows, columns)


def unpack_rvl(data: bytes, pixels: int, *, where: str) -> NDArray[np.uint16]:
    """Numbers of an RVL stream, (pixels,): Wilson, "Fast Lossless Depth Image Compression" (2017).

    Nibbles of 32-bit words, the highest first; three bits of a number each, the lowest first, and a bit for "more
    follows". The numbers are: how many zeros, how many others, and the others as differences in zigzag; and again.

    Raises:
        DamagedData: the stream ends early, or holds more than its pixels.
    """
    # 1.5 bytes per pixel is the worst that the encoder makes of 16 bits: refused before it is unfolded in memory.
    if len(data) > 3 * pixels + 16:
        raise DamagedData(where, f"{len(data)} bytes of RVL hold more than {pixels} pixels.")
    words = np.frombuffer(data, "<u4", len(data) // 4)
    nibbles = ((words[:, np.newaxis] >> np.arange(28, -4, -4, dtype=np.uint32)) & 15).astype(np.uint8).ravel()
    last = np.flatnonzero(nibbles < 8)
    first = np.concatenate([np.zeros(1, np.int64), last[:-1] + 1])[: len(last)]
    lengths = last - first + 1
    if not len(last) or lengths.max() > 10:  # ten times three bits: no number is longer
        raise DamagedData(where, "the RVL stream holds no numbers.")
    nibbles = nibbles[: last[-1] + 1]
    place = np.arange(len(nibbles)) - np.repeat(first, lengths)
    numbers = np.add.reduceat((nibbles & 7).astype(np.int64) << (3 * place), first)
    return _runs(numbers, pixels, where)


def _runs(numbers: NDArray[np.int64], pixels: int, where: str) -> NDArray[np.uint16]:
    is_filled, is_step = np.zeros(pixels, bool), np.zeros(len(numbers), bool)
    at = done = 0
    while done < pixels:
        if at + 2 > len(numbers):
            raise DamagedData(where, f"the RVL stream ends after {done} of {pixels} pixels.")
        zeros, filled = int(numbers[at]), int(numbers[at + 1])
        done, at = done + zeros, at + 2
        if done + filled > pixels or at + filled > len(numbers):
            raise DamagedData(where, f"the RVL stream holds a run of {filled} at pixel {done} of {pixels}.")
        is_filled[done : done + filled] = True
        is_step[at : at + filled] = True
        done, at = done + filled, at + filled
    steps = numbers[is_step]
    out = np.zeros(pixels, np.uint16)
    out[is_filled] = np.cumsum((steps >> 1) ^ -(steps & 1)).astype(np.uint16)
    return out
