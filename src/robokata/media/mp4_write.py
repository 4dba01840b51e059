"""An mp4 file that takes packets as they lie in others: bytes are copied, and one table of contents is made at the end.

Boxes and their fields are those of ISO 14496-12. Written here and not by FFmpeg, because its muxer takes packets one by
one, and a conversion that copies 10,000 episodes copies five million of them.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robokata.media.clips import Clip

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_BRANDS = {b"avc1": b"avc1", b"av01": b"av01"}
"""Brands that players look for beside the general ones, by sample entry."""


class SplicedVideo:
    """An open mp4 file, frame n at n / rate. A class, because clips follow one another."""

    def __init__(self, path: Path, clip: Clip, *, rate_hz: Fraction) -> None:
        self.path, self.rate_hz = path, rate_hz
        self.count = 0
        """Frames so far, those included that only decoding needs."""
        self._model = clip
        """The clip that all others must fit: one sample entry and one track header say how they are shown."""
        self._clips: list[Clip] = []
        self._starts: list[int] = []
        self._hidden: tuple[int, int] | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=0)
        brand = _BRANDS.get(clip.entry[4:8], b"")
        head = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2", brand, b"mp41")
        self._file.write(head + struct.pack(">I4sQ", 1, b"mdat", 0))
        self._data_at = len(head)
        self.size_bytes = len(head) + 16

    def takes(self, clip: Clip) -> bool:
        """True where its packets may follow those that are there: decoded alike, and shown alike."""
        return self._model.fits(clip)

    def add(self, clip: Clip, *, hides: bool) -> int:
        """Append a clip; returns the frame of the file at which its first wanted frame stands.

        `hides` makes it the whole file: frames that nobody asked for are told not to be shown.

        Raises:
            DamagedData: the source lost packets.
        """
        first = self.count
        self._starts.append(self.size_bytes)
        for piece in clip.read():
            # Unbuffered: a write may take less than it was given.
            left = memoryview(piece)
            while left:
                left = left[self._file.write(left) or 0 :]
            self.size_bytes += len(piece)
        self._clips.append(clip)
        self.count += len(clip.slots)
        clip.done()
        if hides:
            self._hidden = (clip.lead, clip.frames)
            return 0
        return first + clip.lead

    def close(self) -> None:
        """Finish the file; without this it cannot be opened."""
        self._file.write(self._movie())
        self._file.seek(self._data_at + 8)
        self._file.write(struct.pack(">Q", self.size_bytes - self._data_at))
        self._file.close()

    def give_up(self) -> None:
        """Leave the file as it is."""
        self._file.close()

    @property
    def _ticks_per_s(self) -> int:
        # As FFmpeg's muxer chooses it: doubled until a tick is shorter than 0.1 ms.
        ticks = self.rate_hz.numerator
        while ticks < 10_000:
            ticks *= 2
        return ticks

    def _movie(self) -> bytes:
        ticks = self._ticks_per_s
        step = ticks * self.rate_hz.denominator // self.rate_hz.numerator
        lengths = [len(clip.slots) for clip in self._clips]
        firsts = np.cumsum([0, *lengths[:-1]])
        shown = np.concatenate([clip.slots + first for clip, first in zip(self._clips, firsts, strict=True)])
        # Packets are stamped at 0, 1, 2 ...; showing waits for the deepest reordering, and the edit takes it off again.
        delay = int(np.max(np.arange(len(shown)) - shown, initial=0))
        lead, frames = self._hidden or (0, self.count)
        duration = frames * step
        tables = [
            _full(b"stsd", 0, struct.pack(">I", 1), self._model.entry),
            _full(b"stts", 0, struct.pack(">III", 1, self.count, step)),
            *_late(shown + delay - np.arange(len(shown)), step),
            *_keys(np.concatenate([clip.is_key for clip in self._clips])),
            _full(b"stsc", 0, _chunks(lengths)),
            _full(b"stsz", 0, struct.pack(">II", 0, self.count), *(c.size_bytes.astype(">u4") for c in self._clips)),
            _places(self._starts),
        ]
        data = _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1)))
        media = _box(
            b"mdia",
            _full(b"mdhd", 0, struct.pack(">QQIQHH", 0, 0, ticks, self.count * step, 0x55C4, 0), version=1),
            _full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"vide"), b"VideoHandler\0"),
            _box(b"minf", _full(b"vmhd", 1, bytes(8)), data, _box(b"stbl", *tables)),
        )
        edit = _full(b"elst", 0, struct.pack(">IQqI", 1, duration, (delay + lead) * step, 0x10000), version=1)
        width, height = struct.unpack_from(">HH", self._model.entry, 32)
        track = _full(
            b"tkhd",
            3,
            struct.pack(">QQIIQ8xHHHH", 0, 0, 1, 0, duration, 0, 0, 0, 0),
            _MATRIX if self._model.matrix is None else struct.pack(">9i", *self._model.matrix),
            struct.pack(">II", width << 16, height << 16),
            version=1,
        )
        movie = struct.pack(">QQIQIH10x", 0, 0, ticks, duration, 0x10000, 0x100) + _MATRIX + bytes(24)
        return _box(
            b"moov",
            _full(b"mvhd", 0, movie, struct.pack(">I", 2), version=1),
            _box(b"trak", track, _box(b"edts", edit), media),
        )


def write_clip(path: Path, clip: Clip, *, rate_hz: Fraction) -> None:
    """A clip as a file of its own; frames that only decoding needs are hidden by its edit list.

    Raises:
        DamagedData: the source lost packets.
    """
    writer = SplicedVideo(path, clip, rate_hz=rate_hz)
    try:
        writer.add(clip, hides=True)
        writer.close()
    finally:
        writer.give_up()


def _box(kind: bytes, *parts: bytes | NDArray[np.integer]) -> bytes:
    content = b"".join(part if isinstance(part, bytes) else part.tobytes() for part in parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, flags: int, *parts: bytes | NDArray[np.integer], version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _late(frames: NDArray[np.int64], step: int) -> list[bytes]:
    """How much later than its packet each frame is shown, as runs; nothing where all are shown at once."""
    if not frames.any():
        return []
    starts = np.flatnonzero(np.append(True, frames[1:] != frames[:-1]))
    runs = np.column_stack([np.diff(np.append(starts, len(frames))), frames[starts] * step])
    return [_full(b"ctts", 0, struct.pack(">I", len(runs)), runs.astype(">u4"))]


def _keys(is_key: NDArray[np.bool_]) -> list[bytes]:
    if is_key.all():
        return []
    numbers = np.flatnonzero(is_key) + 1
    return [_full(b"stss", 0, struct.pack(">I", len(numbers)), numbers.astype(">u4"))]


def _chunks(lengths: list[int]) -> bytes:
    """One chunk per clip, as runs of chunks with the same number of packets."""
    counts = np.asarray(lengths)
    starts = np.flatnonzero(np.append(True, counts[1:] != counts[:-1]))
    runs = np.column_stack([starts + 1, counts[starts], np.ones(len(starts), np.int64)])
    return struct.pack(">I", len(runs)) + runs.astype(">u4").tobytes()


def _places(starts: list[int]) -> bytes:
    is_long = starts[-1] >= 2**32
    count = struct.pack(">I", len(starts))
    return _full(b"co64" if is_long else b"stco", 0, count, np.asarray(starts).astype(">u8" if is_long else ">u4"))
