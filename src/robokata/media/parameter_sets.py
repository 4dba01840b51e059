"""How far pictures of H.264 are reordered, read from and written into its sequence parameter set.

A container says by its stamps in which order pictures are shown. A bare stream says it in its parameter set (ITU-T
H.264, E.2.1, `max_num_reorder_frames`). Hardware encoders leave that out, and decoders then give pictures too early.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

_CHROMA_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
"""Profiles whose parameter set describes chroma and scaling lists (7.3.2.1.1)."""
_EXTENDED_SAR = 255
_SPS = 7
SETS = {"h264": (7, 8), "hevc": (33, 34)}
"""Types of the units that a decoder must have seen: parameter sets of sequence and picture."""
_FARTHEST = 16
"""Pictures that the decoded picture buffer holds at most (A.3.1)."""


def reorder_depth(ranks: NDArray[np.int64]) -> int:
    """How many pictures stand before one in decoding order and are shown after it, at most. `ranks`: (K,) places among
    the pictures shown, in decoding order."""
    before = np.zeros(len(ranks), np.int64)
    for distance in range(1, min(_FARTHEST + 1, len(ranks))):
        before[distance:] += ranks[:-distance] > ranks[distance:]
    return int(before.max(initial=0))


def with_reorder_depth(data: bytes, depth: int) -> bytes:
    """A packet of H.264 (Annex B) whose parameter sets allow for pictures that are reordered by `depth`; the same bytes
    where they do already.

    Raises:
        ValueError: a parameter set cannot be read.
    """
    return b"".join(
        head + (_with_depth(unit, depth) if unit and unit[0] & 0x1F == _SPS else unit) for head, unit in units(data)
    )


def has_b_slices(data: bytes) -> bool:
    """True for a packet of H.264 (Annex B) with B slices, which pictures are made of that others overtake (7.4.3)."""
    slices = (unit for _, unit in units(data) if unit and unit[0] & 0x1F in (1, 5))
    for unit in slices:
        bits = _Bits(unit[1:32])
        bits.number()
        return bits.number() % 5 == 1
    return False


def sets_among(parts: Iterable[bytes], codec: str) -> frozenset[bytes]:
    """The parameter sets among some units of H.264 or H.265."""
    return frozenset(unit.rstrip(b"\x00") for unit in parts if unit and unit_type(unit, codec) in SETS[codec])


def unit_type(unit: bytes, codec: str) -> int:
    """`nal_unit_type` of H.264 or H.265."""
    return unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F


def framed_units(data: bytes, *, length_bytes: int) -> Iterator[bytes]:
    """The units of a packet in which each stands behind its length (ISO 14496-15)."""
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        yield data[at + length_bytes : at + length_bytes + size]
        at += length_bytes + size


def without_padding(configuration: bytes) -> bytes:
    """A decoder configuration (`avcC`, ISO 14496-15) whose parameter sets end where they end: zeros behind them are
    allowed between start codes only, and Rerun's reader takes them for damage.

    Raises:
        ValueError: it ends too early.
    """
    at, parts = 5, [configuration[:5]]
    for mask in (0x1F, 0xFF):
        if at >= len(configuration):
            raise ValueError("the decoder configuration ends too early")
        parts.append(configuration[at : at + 1])
        count, at = configuration[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(configuration[at : at + 2], "big")
            unit = configuration[at + 2 : at + 2 + size].rstrip(b"\x00")
            parts.append(len(unit).to_bytes(2, "big") + unit)
            at += 2 + size
    return b"".join([*parts, configuration[at:]])


def units(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Start code and unit, one after the other; what stands before the first start code is a unit without one."""
    codes = list(re.finditer(rb"\x00?\x00\x00\x01", data))
    if not codes or codes[0].start():
        yield b"", data[: codes[0].start() if codes else None]
    for code, after in zip(codes, [*codes[1:], None], strict=True):
        yield code[0], data[code.end() : after.start() if after else None]


def _with_depth(unit: bytes, depth: int) -> bytes:
    bits = _Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    frames = _skip_to_vui(bits)
    at = bits.at
    limit = _Restriction(depth, max(frames, depth))
    if not bits.flag():
        # Nine things that are not said, then the restriction.
        return _unit(unit[:1], bits.text[:at] + "1" + "0" * 8 + limit.text)
    _skip_vui(bits)
    at = bits.at
    if bits.flag():
        known, buffered = _read_restriction(bits)
        if known >= depth:
            return unit
        limit = _Restriction(depth, max(buffered, depth))
    return _unit(unit[:1], bits.text[:at] + limit.text)


class _Restriction:
    """`bitstream_restriction` with the values that 7.4 infers where it is absent, but for the depth."""

    def __init__(self, depth: int, buffered: int) -> None:
        numbers = (0, 0, 15, 15, depth, buffered)
        self.text = "11" + "".join(_exp_golomb(number) for number in numbers)


def _read_restriction(bits: _Bits) -> tuple[int, int]:
    bits.flag()
    for _ in range(4):
        bits.number()
    return bits.number(), bits.number()


def _unit(head: bytes, text: str) -> bytes:
    """Bits as a unit: the stop bit behind, and no start code within (7.4.1.1)."""
    text += "1"
    text += "0" * (-len(text) % 8)
    raw = int(text, 2).to_bytes(len(text) // 8, "big")
    return head + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", raw)


def _exp_golomb(number: int) -> str:
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


class _Bits:
    """The bits of a parameter set. A class, because it keeps where it stands."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def fixed(self, count: int) -> int:
        self.at += count
        if self.at > len(self.text):
            raise ValueError("the parameter set ends too early")
        return int(self.text[self.at - count : self.at], 2)

    def flag(self) -> bool:
        return bool(self.fixed(1))

    def number(self) -> int:
        """`ue(v)`, 9.1."""
        zeros = self.text.find("1", self.at) - self.at
        if not 0 <= zeros <= 32:
            raise ValueError("the parameter set holds no number where one is due")
        self.at += zeros
        return self.fixed(zeros + 1) - 1

    def signed(self) -> int:
        """`se(v)`, 9.1.1."""
        number = self.number()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def _skip_to_vui(bits: _Bits) -> int:
    """Read up to `vui_parameters_present_flag`; the number of reference frames."""
    profile = bits.fixed(8)
    bits.fixed(16)
    bits.number()
    if profile in _CHROMA_PROFILES:
        _skip_chroma(bits)
    bits.number()
    order = bits.number()
    if order == 0:
        bits.number()
    elif order == 1:
        bits.flag()
        bits.signed()
        bits.signed()
        for _ in range(min(bits.number(), 255)):
            bits.signed()
    frames = bits.number()
    bits.flag()
    bits.number()
    bits.number()
    if not bits.flag():
        bits.flag()
    bits.flag()
    if bits.flag():
        for _ in range(4):
            bits.number()
    return frames


def _skip_chroma(bits: _Bits) -> None:
    has_planes = bits.number() == 3
    if has_planes:
        bits.flag()
    bits.number()
    bits.number()
    bits.flag()
    if not bits.flag():
        return
    for place in range(12 if has_planes else 8):
        if bits.flag():
            _skip_scaling_list(bits, 16 if place < 6 else 64)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _skip_vui(bits: _Bits) -> None:
    """Read up to `bitstream_restriction_flag` (E.1.1)."""
    if bits.flag() and bits.fixed(8) == _EXTENDED_SAR:
        bits.fixed(32)
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.fixed(4)
        if bits.flag():
            bits.fixed(24)
    if bits.flag():
        bits.number()
        bits.number()
    if bits.flag():
        bits.fixed(65)
    has_buffer = False
    for _ in range(2):
        if bits.flag():
            has_buffer = True
            _skip_buffer(bits)
    bits.fixed(2 if has_buffer else 1)


def _skip_buffer(bits: _Bits) -> None:
    count = bits.number() + 1
    bits.fixed(8)
    for _ in range(min(count, 32)):
        bits.number()
        bits.number()
        bits.flag()
    bits.fixed(20)
