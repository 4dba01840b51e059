"""Video that lies as one packet per message.

A message holds what decodes to one picture: Annex B with its parameter sets for H.264 and H.265, the low-overhead
bitstream with its sequence header for AV1. Which packet is a key frame is read from the bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, Unsupported
from robokata.core.require import require
from robokata.core.values import EncodedPicture, Index, Media, ordinals
from robokata.media.packet_index import MAX_PIXELS
from robokata.media.pixels import PixelLayout, frame_pixels, pixel_layout, refuse_other_layout
from robokata.media.video import luma_grid

_REORDERS = ("h264", "hevc", "mpeg4")
"""Codecs whose packets may come in another order than their pictures. A packet of AV1 or VP9 shows one picture."""
_MAX_REORDER = 16
"""Farthest that a picture may be from its packet: the decoded picture buffer of H.264 and H.265 (A.3.1) holds 16."""
_MAX_DELAY = 64
"""Packets fed behind the wanted one before it counts as lost: four times the largest picture buffer."""
DECODERS = {"av1": "libdav1d"}
"""Decoders by name where FFmpeg's own of the codec's name is only a shell for hardware."""


def is_key(data: bytes, codec: str) -> bool:
    """True where decoding may start at this packet (Annex B for H.264 and H.265)."""
    if codec == "h264":
        # Types 1..5 are slices, 5 is one of an IDR picture (ITU-T H.264, table 7-1).
        return next((kind == 5 for kind in (b & 0x1F for b in _unit_heads(data)) if 1 <= kind <= 5), False)
    if codec == "hevc":
        # Below 32 are slices, 16..23 of random access points (ITU-T H.265, table 7-1).
        return next((kind >= 16 for kind in ((b >> 1) & 0x3F for b in _unit_heads(data)) if kind < 32), False)
    if codec == "av1":
        return any(kind == 1 for kind in _obu_kinds(data))
    if codec == "vp9":
        return _is_vp9_key(data)
    at = data.find(b"\x00\x00\x01\xb6")
    return 0 <= at < len(data) - 4 and data[at + 4] >> 6 == 0


def decodable_packets(count: int, load: Callable[[int], bytes], codec: str) -> NDArray[np.int64]:
    """Packets whose pictures can be decoded, (n,) in decoding order: those from the first key frame on.

    Recorders that start while a camera runs begin between two key frames. All packets where there is no key frame:
    nothing can be decoded then, and reading says so. Only the packets up to the second key frame are looked at.
    """
    first = next((i for i in range(count) if is_key(load(i), codec)), 0)
    behind = np.arange(first, count, dtype=np.int64)
    if codec != "hevc" or not count or not _is_open(load(first)):
        return behind
    lost: set[int] = set()
    for packet in range(first + 1, count):
        data = load(packet)
        if is_key(data, codec):
            break
        # Types 8 and 9 are pictures that are shown before a random access point and need the group before it.
        if any(kind in (8, 9) for kind in ((b >> 1) & 0x3F for b in _unit_heads(data))):
            lost.add(packet)
    return behind[~np.isin(behind, list(lost))]


def _is_open(data: bytes) -> bool:
    """True for a random access point of H.265 that is no IDR picture (types 19 and 20)."""
    return any(kind in (16, 17, 18, 21) for kind in ((b >> 1) & 0x3F for b in _unit_heads(data)))


def _unit_heads(data: bytes) -> Iterator[int]:
    """First byte of every unit between the start codes."""
    at = data.find(b"\x00\x00\x01")
    while 0 <= at < len(data) - 3:
        yield data[at + 3]
        at = data.find(b"\x00\x00\x01", at + 3)


def _obu_kinds(data: bytes) -> Iterator[int]:
    """Types of the units of an AV1 packet (AV1 specification, 5.3.2); ends where a unit has no length."""
    at = 0
    while at < len(data):
        head = data[at]
        yield (head >> 3) & 15
        at += 2 if head & 4 else 1
        if not head & 2:
            return
        size = shift = 0
        while at < len(data) and shift < 56:
            byte = data[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        at += size


def _is_vp9_key(data: bytes) -> bool:
    """`show_existing_frame` and `frame_type` of the uncompressed header (VP9 specification, 6.2)."""
    if not data or data[0] >> 6 != 2:
        return False
    profile = (data[0] >> 5 & 1) | (data[0] >> 4 & 1) << 1
    bits = data[0] << 8 | (data[1] if len(data) > 1 else 255)
    shift = 11 - (profile == 3)
    return bits >> shift & 1 == 0 and bits >> (shift - 1) & 1 == 0


def padded_packet(av: Any, data: bytes) -> Any:
    """A packet with zeros behind its bytes: decoders read on (AV_INPUT_BUFFER_PADDING_SIZE), and `Packet(data)` has
    whatever lies in memory there, so that the same bytes decode to another picture now and then."""
    packet = av.Packet(len(data))
    packet.update(data)
    return packet


class VideoPackets:
    """Pictures whose packets are given one by one: (T, H, W, 3), ordinals in the order in which they are shown.

    `load(i)` gives packet i in decoding order; `stamps()` gives the time of each packet's picture, by which packets
    of H.264 and H.265 that come in another order than their pictures are told. A class, because decoders have a state.
    """

    def __init__(
        self,
        count: int,
        load: Callable[[int], bytes],
        *,
        codec: str,
        where: str,
        stamps: Callable[[], NDArray[np.int64] | None] = lambda: None,
    ) -> None:
        self.count, self.load, self.codec, self.where = count, load, codec, where
        self._stamps = stamps
        self._context: Any = None
        self._coming: deque[Any] = deque()
        self._fed = self._next = 0
        self._last: tuple[int, Any] | None = None

    def __repr__(self) -> str:
        return f"VideoPackets({self.where}, {self.count} packets of {self.codec})"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        frame = self._first_frame
        height, width = (frame.height, frame.width) if frame is not None else (0, 0)
        return (self.count, height, width, self._layout.channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._layout.dtype

    @cached_property
    def _first_frame(self) -> Any | None:
        return self._shown(int(self.ranks[self.key_positions[0]])) if self.count and len(self.key_positions) else None

    @property
    def _layout(self) -> PixelLayout:
        return pixel_layout("yuv420p" if self._first_frame is None else self._first_frame.format.name)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, self.count)
        pictures = [frame_pixels(self._like_first(int(i))) for i in wanted]
        if isinstance(index, (int, np.integer)):
            return np.asarray(pictures[0])
        return np.stack(pictures) if pictures else np.empty((0, *self.shape[1:]), self.dtype)

    def encoded(self, index: int) -> EncodedPicture | None:
        """None: a frame inside a video has no bytes that stand alone."""
        return None

    def media(self) -> Media:
        """What lies behind; every message is one picture."""
        try:
            frame, layout = self._first_frame, self._layout
        except (DamagedData, Unsupported):
            return Media(self.where, self.codec, self.count, self.count)
        return Media(
            self.where,
            self.codec,
            self.count,
            self.count,
            bits=layout.bits,
            left_out=layout.left_out,
            pixel_format=None if frame is None else frame.format.name,
        )

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        """Every picture as a grey grid of at most `points` x `points` samples, one pass, no colour conversion.

        Raises:
            DamagedData: a picture cannot be decoded.
        """
        for rank in range(self.count):
            yield luma_grid(self._like_first(rank), points)

    def _like_first(self, rank: int) -> Any:
        frame, first = self._shown(rank), self._first_frame
        if first is not None:
            layout = (first.width, first.height, self._layout)
            refuse_other_layout(frame, layout, f"{self.where}, picture {rank}")
        return frame

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Place of each packet's picture in the order in which pictures are shown, (T,)."""
        plain = np.arange(self.count, dtype=np.int64)
        stamps = self._stamps() if self.codec in _REORDERS and self.count else None
        if stamps is None or len(stamps) != self.count or bool(np.all(np.diff(stamps) > 0)):
            return plain
        order = np.argsort(stamps, kind="stable")
        ranks = np.empty_like(plain)
        ranks[order] = plain
        is_distinct = bool(np.all(np.diff(stamps[order]) > 0))
        # A clock that runs backwards must not reorder pictures: only a decoder that says that it reorders may.
        if is_distinct and int(np.abs(ranks - plain).max()) <= _MAX_REORDER and self._decoder_reorders():
            return ranks
        return plain

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """Packet of each picture, (T,): the inverse of `ranks`."""
        return np.argsort(self.ranks, kind="stable")

    @cached_property
    def key_positions(self) -> NDArray[np.int64]:
        """Packets at which decoding may start, in decoding order."""
        return np.asarray([i for i in range(self.count) if is_key(self.load(i), self.codec)], np.int64)

    def _decoder_reorders(self) -> bool:
        if not len(self.key_positions):
            return False
        context, av = self._opened()
        try:
            context.decode(padded_packet(av, self.load(int(self.key_positions[0]))))
        except (av.error.FFmpegError, ValueError):
            return False
        return bool(context.has_b_frames)

    def _opened(self) -> tuple[Any, Any]:
        av = require("av", extra="video")
        try:
            context = av.CodecContext.create(DECODERS.get(self.codec, self.codec), "r")
        except ValueError:
            raise Unsupported(f"{self.where}: this build of PyAV cannot decode {self.codec!r}.") from None
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return context, av

    def _shown(self, rank: int) -> Any:
        if self._last is not None and self._last[0] == rank:
            return self._last[1]
        before = int(np.searchsorted(self.ranks[self.key_positions], rank, side="right"))
        if not before:
            raise DamagedData(self.where, f"picture {rank} comes before the first key frame and cannot be decoded.")
        position = int(self.positions[rank])
        for start in dict.fromkeys(int(self.key_positions[i]) for i in (before - 1, max(before - 2, 0), 0)):
            if self._context is None or not self.ranks[start] <= self._next <= rank:
                self._context, _ = self._opened()
                self._coming.clear()
                self._fed, self._next = start, int(self.ranks[start])
            found = self._decode_until(rank, position)
            if found is not None:
                self._last, self._next = (rank, found), rank + 1
                return found
            self._context = None
        raise DamagedData(self.where, f"picture {rank} cannot be decoded.")

    def _decode_until(self, rank: int, position: int) -> Any | None:
        while True:
            while self._coming:
                frame = self._coming.popleft()
                if frame.pts is None or frame.pts < rank:
                    continue
                if frame.pts > rank:
                    return None
                if frame.is_corrupt:
                    self._context = None
                    raise DamagedData(self.where, f"picture {rank} is corrupt.")
                return frame
            if self._fed > min(self.count, position + _MAX_DELAY):
                return None
            self._feed(rank)

    def _feed(self, rank: int) -> None:
        """The next packet into the decoder; after the last one, the end."""
        av = require("av", extra="video")
        packet = None
        if self._fed < self.count:
            data = self.load(self._fed)
            if not data:
                self._context = None
                raise DamagedData(self.where, f"packet {self._fed} is empty.")
            packet = padded_packet(av, data)
            packet.pts, packet.dts = int(self.ranks[self._fed]), self._fed
        try:
            self._coming.extend(self._context.decode(packet))
        except (av.error.FFmpegError, ValueError) as error:
            self._context = None
            raise DamagedData(self.where, f"picture {rank} cannot be decoded: {error}.") from None
        self._fed += 1
