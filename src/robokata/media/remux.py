"""Packets that no plain mp4 file holds, into one that does: messages of a log, and files that only FFmpeg understands.

Nothing is encoded again: packets are copied byte by byte, or, out of messages, from start codes to lengths.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.core.require import require
from robokata.media.cuts import Cut, Run, open_bare, places_of
from robokata.media.packets import VideoPackets


class PacketSource:
    """An open video file whose packets are copied. A class, because it keeps where it stands."""

    def __init__(self, path: Path) -> None:
        self.path, self.places = path, places_of(path)
        av = require("av", extra="video")
        self._errors = (av.error.FFmpegError, ValueError, OSError)
        try:
            self._container = av.open(str(path), metadata_errors="replace")
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


def remux(run: Run, cut: Cut, folder: Path, *, rate_hz: Fraction) -> Path:
    """The packets of a cut as a plain mp4 file, frame n at n / rate; a new file in `folder`.

    Raises:
        DamagedData: the source lost packets.
    """
    handle, name = tempfile.mkstemp(suffix=".mp4", dir=folder)
    os.close(handle)
    source = PacketSource(run.video) if isinstance(run.video, Path) else MessageSource(run.video)
    try:
        _write(Path(name), source, cut, rate_hz)
    finally:
        source.close()
    return Path(name)


def _write(path: Path, source: PacketSource | MessageSource, cut: Cut, rate_hz: Fraction) -> None:
    av = require("av", extra="video")
    # bitexact: no version of the library in the file.
    with av.open(str(path), "w", format="mp4", options={"avoid_negative_ts": "disabled", "fflags": "+bitexact"}) as out:
        stream = out.add_stream_from_template(source.stream, opaque=True)
        stream.time_base = 1 / rate_hz
        is_key = source.places.rows[cut.positions, 2]
        for number, data in enumerate(source.packets(cut)):
            # A new packet: the old one keeps flags of its own file, such as being hidden there.
            copy = av.Packet(data)
            copy.stream, copy.time_base = stream, 1 / rate_hz
            copy.pts, copy.dts = int(cut.slots[number]), number - source.places.delay
            copy.duration, copy.is_keyframe = 1, bool(is_key[number])
            out.mux(copy)
