"""Cameras of a LeRobot dataset as video files: packets copied where they can be, else pictures encoded."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robokata.core.errors import DamagedData
from robokata.formats._lerobot_plan import Column, Options
from robokata.media.cuts import Cut, Run, cut_of
from robokata.media.encode import VideoWriter
from robokata.media.remux import PacketSources, PacketWriter

VIDEO_FILE_BYTES = 200 * 10**6
"""LeRobot v3.0's own target (`video_files_size_in_mb`)."""


class Span(NamedTuple):
    """Where an episode lies in the packed video of a camera."""

    file_index: int
    from_s: float
    to_s: float


class PackedCamera:
    """The packed videos of one camera. A class, because a file fills up over episodes."""

    def __init__(self, folder: Path, sources: PacketSources, *, rate_hz: Fraction, options: Options) -> None:
        self.folder, self.rate_hz = folder, rate_hz
        self._sources, self._options = sources, options
        self._file_index = -1
        self._writer: VideoWriter | PacketWriter | None = None
        self._run: Run | None = None
        """Frames of one file that go on without a break, not yet copied: cut once, they bring no packet twice."""
        self._run_starts_at = 0
        """Frame of the open file at which they will stand."""

    def add(self, column: Column) -> Span:
        """Append an episode's frames; returns where they stand."""
        first = self._copied(column.run) if column.run is not None else self._encoded(column)
        span = Span(self._file_index, float(first / self.rate_hz), float((first + len(column.picked)) / self.rate_hz))
        if self._size() > VIDEO_FILE_BYTES:
            self.close()
        return span

    def close(self) -> None:
        """Finish the open file."""
        self._copy_run()
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _size(self) -> int:
        """Bytes of the open file, with those that are still to be copied."""
        size = 0 if self._writer is None else self._writer.size_bytes
        if self._run is not None:
            places = self._sources.of(self._run.video).places
            size += places.size_bytes * self._run.frames // len(places.rows)
        return size

    def _next_file(self) -> Path:
        self.close()
        self._file_index += 1
        file = self.folder / f"chunk-{self._file_index // 1000:03d}" / f"file-{self._file_index % 1000:03d}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def _copied(self, run: Run) -> int:
        before = self._run
        if before is not None and before.video == run.video and before.first + before.frames == run.first:
            self._run = before._replace(frames=before.frames + run.frames)
            return self._run_starts_at + before.frames
        self._copy_run()
        source, writer = self._sources.of(run.video), self._writer
        if not isinstance(writer, PacketWriter) or not writer.takes(source):
            writer = PacketWriter(self._next_file(), source, rate_hz=self.rate_hz)
            self._writer = writer
        self._run, self._run_starts_at = run, writer.count + _cut(run).lead
        return self._run_starts_at

    def _copy_run(self) -> None:
        run, self._run = self._run, None
        if run is not None and isinstance(self._writer, PacketWriter):
            self._writer.add(self._sources.of(run.video), _cut(run), hides=False)

    def _encoded(self, column: Column) -> int:
        writer = self._writer
        if not isinstance(writer, VideoWriter):
            writer = _encoder(self._next_file(), self.rate_hz, self._options)
            self._writer = writer
        first = writer.count
        _encode(writer, column)
        return first


def write_video(file: Path, column: Column, sources: PacketSources, *, rate_hz: Fraction, options: Options) -> None:
    """One episode of one camera as a file of its own; frames that only decoding needs are hidden by its edit list."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if column.run is not None:
        source = sources.of(column.run.video)
        copied = PacketWriter(file, source, rate_hz=rate_hz)
        copied.add(source, _cut(column.run), hides=True)
        copied.close()
        return
    writer = _encoder(file, rate_hz, options)
    _encode(writer, column)
    writer.close()


def _cut(run: Run) -> Cut:
    cut = cut_of(run)
    if cut is None:
        where = run.video if isinstance(run.video, Path) else run.video.where
        raise DamagedData(where, f"frames {run.first}.. could be copied a moment ago, and now they cannot.")
    return cut


def _encoder(file: Path, rate_hz: Fraction, options: Options) -> VideoWriter:
    return VideoWriter(file, rate_hz=rate_hz, codec=options.codec, gop=options.gop, crf=options.crf)


def _encode(writer: VideoWriter, column: Column) -> None:
    pictures = column.stream.pictures
    for ordinal in column.picked:
        writer.add(np.asarray(pictures[int(ordinal)]))
