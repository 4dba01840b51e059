"""Cameras of a LeRobot dataset as video files: packets copied where they can be, else pictures encoded.

What an episode needs is made in any process, its pictures encoded into a file of their own; packing only copies bytes.
"""

from __future__ import annotations

import os
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robokata.formats._lerobot.plan import Column, Options
from robokata.media.clips import Clip, clip_of, clip_of_file, joined
from robokata.media.container import MATRIX, display_of
from robokata.media.encode import VideoWriter
from robokata.media.mp4_write import SplicedVideo

VIDEO_FILE_BYTES = 200 * 10**6
"""LeRobot v3.0's own target (`video_files_size_in_mb`)."""


class Span(NamedTuple):
    """Where an episode lies in the packed video of a camera."""

    file_index: int
    from_s: float
    to_s: float


def clip_of_column(column: Column, scratch: Path, *, rate_hz: Fraction, options: Options) -> Clip:
    """One episode of one camera as packets; what must be encoded is encoded into a file in `scratch`."""
    matrix = display_of(column.stream).get(MATRIX)
    return _clip(column, scratch, rate_hz, options)._replace(matrix=None if matrix is None else tuple(matrix))


def _clip(column: Column, scratch: Path, rate_hz: Fraction, options: Options) -> Clip:
    if column.run is not None:
        return clip_of(column.run, scratch, rate_hz=rate_hz, cut=column.cut)
    handle, name = tempfile.mkstemp(suffix=".mp4", dir=scratch)
    os.close(handle)
    # One thread: encoders give other bytes on other numbers of threads, and episodes are encoded side by side anyway.
    writer = VideoWriter(Path(name), rate_hz=rate_hz, codec=options.codec, gop=options.gop, crf=options.crf, threads=1)
    pictures = column.stream.pictures
    for ordinal in column.picked:
        writer.add(np.asarray(pictures[int(ordinal)]))
    writer.close()
    return clip_of_file(Path(name), len(column.picked))


class PackedCamera:
    """The packed videos of one camera. A class, because a file fills up over episodes."""

    def __init__(self, folder: Path, *, rate_hz: Fraction) -> None:
        self.folder, self.rate_hz = folder, rate_hz
        self._file_index = -1
        self._writer: SplicedVideo | None = None
        self._waiting: list[Clip] = []
        """Clips that share packets with their neighbours, not yet copied: cut in one, they bring no packet twice."""
        self._starts_at = 0
        """Frame of the open file at which the first of them will stand."""

    def add(self, clip: Clip) -> Span:
        """Append an episode's frames; returns where they stand."""
        if self._waiting and self._waiting[-1].goes_on_with(clip):
            first = self._starts_at + sum(before.frames for before in self._waiting)
            self._waiting.append(clip)
            return self._span(first, clip)
        self._copy()
        if self._writer is None or self._writer.size_bytes > VIDEO_FILE_BYTES or not self._writer.takes(clip):
            self.close()
            self._file_index += 1
            file = self.folder / f"chunk-{self._file_index // 1000:03d}" / f"file-{self._file_index % 1000:03d}.mp4"
            self._writer = SplicedVideo(file, clip, rate_hz=self.rate_hz)
        self._waiting = [clip]
        self._starts_at = self._writer.count + clip.lead
        return self._span(self._starts_at, clip)

    def close(self) -> None:
        """Finish the open file."""
        self._copy()
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def give_up(self) -> None:
        """Leave the open file as it is."""
        if self._writer is not None:
            self._writer.give_up()

    def _span(self, first: int, clip: Clip) -> Span:
        return Span(self._file_index, float(first / self.rate_hz), float((first + clip.frames) / self.rate_hz))

    def _copy(self) -> None:
        clips, self._waiting = self._waiting, []
        if clips and self._writer is not None:
            self._writer.add(joined(clips), hides=False)
