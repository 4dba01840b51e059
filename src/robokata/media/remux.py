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
        self._open()
        self._coming: Any = None
        self._held: Any = None
        self._next = -1

    def _open(self) -> None:
        av = require("av", extra="video")
        try:
            self._container = av.open(str(self.path), metadata_errors="replace")
            self.stream = self._container.streams.video[0]
        except (*self._errors, IndexError) as error:
            raise DamagedData(self.path, f"cannot be opened as a video: {error}.") from None

    def close(self) -> None:
        self._container.close()

    def packets(self, positions: NDArray[np.int64]) -> Iterator[Any]:
        """FFmpeg's packets at some positions, which rise.

        Raises:
            DamagedData: the file no longer holds them.
        """
        if self._next != positions[0]:
            self._seek(int(positions[0]))
        for position in positions.tolist():
            packet = self._read()
            while self._next <= position:
                packet = self._read()
            yield packet

    def _seek(self, position: int) -> None:
        """Stand before a packet: by seeking to it, else from the start of the file."""
        for at in (position, 0):
            packet = self._packet_at(at)
            found = -1 if packet is None else _row_of(self.places.rows, packet)
            if 0 <= found <= position:
                self._stand(packet, found, position)
                return
        # Not every demuxer seeks to its own first packet.
        self._container.close()
        self._open()
        self._coming = self._container.demux(self.stream)
        self._stand(None, 0, position)

    def _packet_at(self, position: int) -> Any:
        """The packet to which seeking for another leads; None where it fails."""
        try:
            stamp = int(self.places.rows[position, 1])
            self._container.seek(stamp, stream=self.stream, backward=True, any_frame=False)
            self._coming = self._container.demux(self.stream)
            return next((p for p in self._coming if p.size), None)
        except self._errors:
            return None

    def _stand(self, packet: Any, found: int, position: int) -> None:
        self._held, self._next = packet, found
        while self._next < position:
            self._read()

    def _read(self) -> Any:
        """The next packet, which must be the one that the first pass saw there."""
        packet, self._held = self._held, None
        try:
            packet = packet or next((p for p in self._coming if p.size), None)
        except self._errors as error:
            raise DamagedData(self.path, f"packet {self._next} cannot be read: {error}.") from None
        if packet is None or (packet.pts or 0) != self.places.rows[self._next, 0]:
            raise DamagedData(self.path, f"packet {self._next} is not where the first pass saw it.")
        self._next += 1
        return packet


def _row_of(rows: NDArray[np.int64], packet: Any) -> int:
    """Place of a packet in its file, -1 where the first pass saw none or several with its stamp.

    By the presentation stamp: FFmpeg makes up decoding stamps that a file lacks, and others after seeking.
    """
    found = np.flatnonzero(rows[:, 0] == (packet.pts or 0))
    return int(found[0]) if len(found) == 1 else -1


class MessageSource:
    """Packets of messages that are copied into a file. A class, because its key frame tells the parameters."""

    def __init__(self, video: VideoPackets) -> None:
        self.video, self.places = video, places_of(video)
        first = int(np.flatnonzero(self.places.rows[:, 2])[0])
        self._container = open_bare(video.load(first), video)
        self.stream = self._container.streams.video[0]

    def close(self) -> None:
        self._container.close()

    def packets(self, positions: NDArray[np.int64]) -> Iterator[bytes]:
        """The packets at some positions."""
        return (self.video.load(position) for position in positions.tolist())


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
        for number, data in enumerate(source.packets(cut.positions)):
            # A new packet: the old one keeps flags of its own file, such as being hidden there.
            copy = av.Packet(bytes(data))
            copy.stream, copy.time_base = stream, 1 / rate_hz
            copy.pts, copy.dts = int(cut.slots[number]), number - source.places.delay
            copy.duration, copy.is_keyframe = 1, bool(is_key[number])
            out.mux(copy)
