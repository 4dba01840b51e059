"""Packets on their way from one mp4 file into another: byte ranges, and what each of them shows."""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.media.cuts import Cut, Run, Shape, cut_of, places_of
from robokata.media.mp4 import VISUAL_ENTRY, Track, boxes, plain_track
from robokata.media.parameter_sets import without_padding
from robokata.media.remux import remux

_PIECE_BYTES = 8 * 2**20
"""Read at once: a megabyte is enough for the speed of the disk, and eight hold most episodes."""


class Clip(NamedTuple):
    """Frames of a plain mp4 file, with the packets that show them. Small, and the same in every process."""

    file: Path
    first: int | None
    """Frame of the file that is the first wanted one; None where the file was made for this clip alone."""
    entry: bytes
    """The sample entry that the packets belong to."""
    matrix: tuple[int, ...] | None
    """How players turn or mirror the pictures, None where they show them as they are."""
    shape: Shape
    offset: NDArray[np.int64]
    """First byte of each packet, in decoding order, (P,)."""
    size_bytes: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    slots: NDArray[np.int64]
    """Rank of each packet's frame among those of the clip, (P,)."""
    lead: int
    """Frames before the first wanted one: it cannot be decoded without them."""
    frames: int
    """Wanted frames."""

    @property
    def tail(self) -> int:
        """Frames after the last wanted one that others refer to."""
        return len(self.slots) - self.lead - self.frames

    def fits(self, other: Clip) -> bool:
        """True where the packets of both may stand in one file: decoded alike, and shown alike (turn, colour, crop)."""
        return self.shape == other.shape and self.matrix == other.matrix and _look(self.entry) == _look(other.entry)

    def goes_on_with(self, other: Clip) -> bool:
        """True where the other clip is what follows in the same file, and shares packets with this one."""
        is_next = self.first is not None and other.first == self.first + self.frames and other.file == self.file
        return is_next and bool(self.tail or other.lead)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """First byte and number of bytes of the packets, neighbours joined."""
        breaks = np.flatnonzero(self.offset[1:] != self.offset[:-1] + self.size_bytes[:-1]) + 1
        edges = [0, *breaks.tolist(), len(self.offset)]
        for start, end in itertools.pairwise(edges):
            yield int(self.offset[start]), int(self.size_bytes[start:end].sum())

    def read(self) -> Iterator[bytes]:
        """The bytes of all packets, in pieces.

        Raises:
            DamagedData: the file no longer holds them.
        """
        try:
            handle = os.open(self.file, os.O_RDONLY)
        except OSError as error:
            raise DamagedData(self.file, f"cannot be opened any more: {error.strerror}.") from None
        try:
            for at, size in self.ranges():
                for start in range(at, at + size, _PIECE_BYTES):
                    wanted = min(_PIECE_BYTES, at + size - start)
                    piece = os.pread(handle, wanted, start)
                    if len(piece) < wanted:
                        raise DamagedData(self.file, "became shorter while it was copied.", offset=start)
                    yield piece
        finally:
            os.close(handle)

    def done(self) -> None:
        """Delete a file that was made for this clip."""
        if self.first is None:
            self.file.unlink(missing_ok=True)


def clip_of(run: Run, scratch: Path, *, rate_hz: Fraction, cut: Cut | None = None) -> Clip:
    """The packets that show a run; those of messages and of unusual files lie in a file that is made in `scratch`.

    `cut` is what `cut_of` says of the run, where somebody has asked before.

    Raises:
        DamagedData: the run could be copied a moment ago, and now it cannot.
    """
    cut = cut or cut_of(run)
    if cut is None:
        where = run.video if isinstance(run.video, Path) else run.video.where
        raise DamagedData(where, f"frames {run.first}.. could be copied a moment ago, and now they cannot.")
    if isinstance(run.video, Path):
        track = plain_track(run.video)
        if track is not None:
            return _clip(run.video, track, places_of(run.video).shape, cut, first=run.first)
    made = remux(run, cut, scratch, rate_hz=rate_hz)
    whole = cut._replace(positions=np.arange(len(cut.positions)))
    return _clip(made, _plain(made), places_of(made).shape, whole, first=None)


_DECODER_BOXES = (b"avcC", b"hvcC", b"av1C", b"vpcC", b"esds")
"""Boxes of a sample entry with the decoder's parameters; the others say how the pictures look."""


def _look(entry: bytes) -> list[tuple[bytes, bytes]]:
    """Colour, crop and shape of the pixels, as the boxes of a sample entry."""
    inside = boxes(memoryview(entry)[VISUAL_ENTRY:])
    return sorted((kind, bytes(content)) for kind, content in inside if kind not in _DECODER_BOXES)


def tidy_entry(entry: bytes) -> bytes:
    """A sample entry without zeros behind its parameter sets."""
    parts = [(kind, bytes(content)) for kind, content in boxes(memoryview(entry)[VISUAL_ENTRY:])]
    changed = [(kind, without_padding(content) if kind == b"avcC" else content) for kind, content in parts]
    body = b"".join(struct.pack(">I4s", 8 + len(content), kind) + content for kind, content in changed)
    return struct.pack(">I", VISUAL_ENTRY + len(body)) + entry[4:VISUAL_ENTRY] + body


def joined(clips: Sequence[Clip]) -> Clip:
    """Clips that follow one another in a file as one: what they share is in it once.

    Raises:
        DamagedData: the file no longer holds them.
    """
    first = clips[0]
    if len(clips) == 1 or first.first is None:
        return first
    run = Run(first.file, first.first, sum(clip.frames for clip in clips))
    # A plain file: nothing is made.
    return clip_of(run, first.file.parent, rate_hz=Fraction(1))._replace(matrix=first.matrix)


def clip_of_file(file: Path, frames: int) -> Clip:
    """All packets of a file that was just written.

    Raises:
        DamagedData: it does not hold so many frames.
    """
    track = _plain(file)
    if len(track.pts) != frames:
        raise DamagedData(file, f"{frames} frames were encoded, and the file holds {len(track.pts)}.")
    ranks = np.argsort(np.argsort(track.pts, kind="stable"), kind="stable")
    cut = Cut(np.arange(frames), ranks, 0, 0)
    return _clip(file, track, places_of(file).shape, cut, first=None)


def _plain(file: Path) -> Track:
    track = plain_track(file)
    if track is None:
        raise DamagedData(file, "was written a moment ago, and is no plain mp4 file.")
    return track


def _clip(file: Path, track: Track, shape: Shape, cut: Cut, *, first: int | None) -> Clip:
    at = cut.positions
    return Clip(
        file=file,
        first=first,
        entry=track.entry,
        matrix=track.matrix,
        shape=shape,
        offset=track.offset[at],
        size_bytes=track.size_bytes[at],
        is_key=track.is_key[at],
        slots=cut.slots,
        lead=cut.lead,
        frames=len(at) - cut.lead - cut.tail,
    )
