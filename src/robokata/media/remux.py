"""Frames from one video file into another without encoding them again: their packets are copied byte by byte.

A cut that is not at a key frame takes the packets from the key frame before it along. A file of its own hides them
with an edit list, as players expect; a packed file keeps them between two spans that the dataset's index names.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.core.require import require
from robokata.media.cuts import Cut, open_bare, places_of
from robokata.media.packets import VideoPackets

_OPEN_SOURCES = 8
"""Files kept open for copying: the cameras of one bimanual robot."""


class PacketSource:
    """An open video file whose packets are copied. A class, because it keeps where it stands."""

    def __init__(self, path: Path) -> None:
        self.path, self.places = path, places_of(path)
        av = require("av", extra="video")
        self._errors = (av.error.FFmpegError, ValueError, OSError)
        try:
            self._container = av.open(str(path))
            self.stream = self._container.streams.video[0]
        except (*self._errors, IndexError) as error:
            raise DamagedData(path, f"cannot be opened as a video: {error}.") from None
        self._coming: Any = None
        self._held: Any = None
        self._next = -1

    def close(self) -> None:
        self._container.close()

    def packets(self, cut: Cut) -> Iterator[bytes]:
        """The packets of a cut, in decoding order.

        Raises:
            DamagedData: the file no longer holds them.
        """
        if self._next != cut.positions[0]:
            self._seek(int(cut.positions[0]))
        for position in cut.positions.tolist():
            packet = self._read()
            while self._next <= position:
                packet = self._read()
            yield bytes(packet)

    def _seek(self, position: int) -> None:
        """Stand before a packet: by seeking to it, else from the start of the file."""
        rows = self.places.rows
        for at in (position, 0):
            try:
                self._container.seek(int(rows[at, 1]), stream=self.stream, backward=True, any_frame=False)
            except self._errors as error:
                raise DamagedData(self.path, f"seeking to packet {at} failed: {error}.") from None
            self._coming = self._container.demux(self.stream)
            packet = next((p for p in self._coming if p.size), None)
            found = -1 if packet is None else _row_of(rows, packet)
            if 0 <= found <= position:
                self._held, self._next = packet, found
                while self._next < position:
                    self._read()
                return
        raise DamagedData(self.path, f"packet {position} cannot be reached.")

    def _read(self) -> Any:
        """The next packet, which must be the one that the first pass saw there."""
        packet, self._held = self._held, None
        try:
            packet = packet or next((p for p in self._coming if p.size), None)
        except self._errors as error:
            raise DamagedData(self.path, f"packet {self._next} cannot be read: {error}.") from None
        if packet is None or _stamps(packet) != tuple(self.places.rows[self._next, :2].tolist()):
            raise DamagedData(self.path, f"packet {self._next} is not where the first pass saw it.")
        self._next += 1
        return packet


def _row_of(rows: NDArray[np.int64], packet: Any) -> int:
    """Place of a packet in its file by its stamps, -1 where the first pass did not see it."""
    found = np.flatnonzero((rows[:, :2] == _stamps(packet)).all(axis=1))
    return int(found[0]) if len(found) else -1


def _stamps(packet: Any) -> tuple[int, int]:
    pts = packet.pts or 0
    return pts, pts if packet.dts is None else packet.dts


class MessageSource:
    """Packets of messages that are copied into a file. A class, because its key frame tells the parameters."""

    def __init__(self, video: VideoPackets) -> None:
        self.video, self.places = video, places_of(video)
        first = int(np.flatnonzero(self.places.rows[:, 2])[0])
        self._container = open_bare(video.load(first), video)
        self.stream = self._container.streams.video[0]

    def close(self) -> None:
        self._container.close()

    def packets(self, cut: Cut) -> Iterator[bytes]:
        """The packets of a cut, in decoding order."""
        return (self.video.load(position) for position in cut.positions.tolist())


class PacketSources:
    """Files that are being copied from, the last eight kept open. A class, because opening one reads it whole."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path | VideoPackets, PacketSource | MessageSource] = OrderedDict()

    def of(self, video: Path | VideoPackets) -> PacketSource | MessageSource:
        """The open video.

        Raises:
            DamagedData: it is none.
        """
        source = self._open.pop(video, None)
        if source is None:
            source = PacketSource(video) if isinstance(video, Path) else MessageSource(video)
        self._open[video] = source
        while len(self._open) > _OPEN_SOURCES:
            self._open.popitem(last=False)[1].close()
        return source

    def close(self) -> None:
        for source in self._open.values():
            source.close()
        self._open.clear()


class PacketWriter:
    """An mp4 file that takes copied packets, frame n at n / rate. A class, because cuts follow one another."""

    def __init__(self, path: Path, source: PacketSource | MessageSource, *, rate_hz: Fraction) -> None:
        self.path, self.rate_hz = path, rate_hz
        self.shape, self.delay = source.places.shape, source.places.delay
        self.count = 0
        self.size_bytes = 0
        self._av = require("av", extra="video")
        # movie_timescale: edit lists count in it, and in milliseconds a cut would fall between two frames.
        # bitexact: no version of the library in the file.
        options = {"avoid_negative_ts": "disabled", "movie_timescale": str(self._ticks_per_s), "fflags": "+bitexact"}
        self._container = self._av.open(str(path), "w", format="mp4", options=options)
        self._stream = self._container.add_stream_from_template(source.stream, opaque=True)
        self._stream.time_base = 1 / rate_hz
        self._shown: int | None = None

    @property
    def _ticks_per_s(self) -> int:
        # As the muxer chooses it: doubled until a tick is shorter than 0.1 ms.
        ticks = self.rate_hz.numerator
        while ticks < 10_000:
            ticks *= 2
        return ticks

    def takes(self, source: PacketSource | MessageSource) -> bool:
        """True where packets may follow those that are there: same decoder parameters, and no deeper reordering."""
        return source.places.shape == self.shape and source.places.delay <= self.delay

    def add(self, source: PacketSource | MessageSource, cut: Cut, *, hides: bool) -> int:
        """Append a cut; returns the frame of the file at which its first wanted frame stands.

        `hides` makes it the whole file: frames of the cut that nobody asked for are told not to be shown.

        Raises:
            DamagedData: the source lost packets.
        """
        first = -cut.lead if hides else self.count
        is_key = source.places.rows[cut.positions, 2]
        for number, data in enumerate(source.packets(cut)):
            # A new packet: the old one keeps flags of its own file, such as being hidden there.
            copy = self._av.Packet(data)
            copy.stream, copy.time_base = self._stream, 1 / self.rate_hz
            copy.pts, copy.dts = first + int(cut.slots[number]), first + number - self.delay
            copy.duration, copy.is_keyframe = 1, bool(is_key[number])
            self._container.mux(copy)
            self.size_bytes += len(data)
        self.count += len(cut.positions)
        if hides and cut.tail:
            self._shown = len(cut.positions) - cut.lead - cut.tail
        return first + cut.lead

    def close(self) -> None:
        """Finish the file; without this it cannot be opened."""
        self._container.close()
        if self._shown is not None:
            ticks = self._shown * self._ticks_per_s * self.rate_hz.denominator // self.rate_hz.numerator
            _end_showing(self.path, ticks)


def _end_showing(path: Path, ticks: int) -> None:
    """Shorten the edit list of the only track (ISO 14496-12, 8.6.6), and the durations in the headers above it."""
    with path.open("r+b") as file:
        data = file.read()
        movie = _box(data, 0, len(data), b"moov")
        track = _box(data, *movie, b"trak")
        for kind, inside, place in ((b"mvhd", movie, (16, 24)), (b"tkhd", track, (20, 28))):
            start, _ = _box(data, *inside, kind)
            _overwrite(file, start + (place[1] if data[start] else place[0]), ticks, is_long=bool(data[start]))
        edits = _box(data, *_box(data, *track, b"edts"), b"elst")
        _overwrite(file, edits[0] + 8, ticks, is_long=bool(data[edits[0]]))


def _overwrite(file: Any, at: int, number: int, *, is_long: bool) -> None:
    file.seek(at)
    file.write(struct.pack(">Q" if is_long else ">I", number))


def _box(data: bytes, start: int, end: int, kind: bytes) -> tuple[int, int]:
    """First and last byte of the content of a box among those between `start` and `end`."""
    while start + 8 <= end:
        size, found = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        if found == kind:
            return start + head, start + size
        start += max(size, 8)
    raise ValueError(f"an mp4 file that was just written has no box {kind!r}")
