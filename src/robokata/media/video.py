"""Frames of a video file, addressed by ordinal through our own packet index.

No float time decides which frame you get: the index lists the presentation stamps of all packets, a
frame's ordinal is the rank of its stamp, and decoding stops at exactly that stamp.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, MediaMissing, Unsupported
from robokata.core.require import require
from robokata.core.values import EncodedPicture, Index, Media, ordinals
from robokata.media.packet_index import OPENING, FileKey, PacketIndex, forget_indexes, keyed_index, packet_index
from robokata.media.pixels import PixelLayout, frame_pixels, pixel_layout, refuse_other_layout

OPEN_DECODERS = 8
"""Decoders kept open per process: the cameras of one bimanual robot. Each holds some tens of megabytes."""


class VideoFrames:
    """A run of frames of one video file as the pictures of a stream: (T, H, W, C).

    `first` and `count` come from the dataset's table. Size, channels and type are the file's; `shape` is what the
    index declares, and counts only where the file cannot be asked. What the file really holds is `media()`; asking
    for a frame that the file lacks raises DamagedData with the frame's number.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        *,
        span_s: tuple[float, float] | None = None,
        shape: tuple[int, int, int] | None = None,
        is_depth: bool = False,
    ) -> None:
        self.path, self.count = path, count
        self.span_s = span_s
        """Seconds of the file that the dataset's index gives to the episode; None: the whole file is its own."""
        self.declared_shape = shape
        """(H, W, C) that the dataset's index gives, None where it says nothing."""
        self.is_depth = is_depth
        """True where the index says that the brightness holds codes of distances."""
        self._known_first: tuple[PacketIndex, int] | None = None

    def __repr__(self) -> str:
        span = "" if self.span_s is None else f" from {self.span_s[0]:.3f} s"
        return f"VideoFrames({self.path.name}, {self.count} frames{span})"

    @property
    def first(self) -> int:
        """Ordinal in the file of the first frame: a float start becomes an ordinal here, once per file state."""
        if self.span_s is None:
            return 0
        index = packet_index(self.path)
        if self._known_first is None or self._known_first[0] is not index:
            self._known_first = (index, index.ordinal_at(self.span_s[0]))
        return self._known_first[1]

    @cached_property
    def shape(self) -> tuple[int, ...]:
        try:
            index = packet_index(self.path)
        except (DamagedData, Unsupported):
            if self.declared_shape is None:
                raise
            return (self.count, *self.declared_shape)
        return (self.count, index.height, index.width, self._layout(index).channels)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        try:
            return self._layout(packet_index(self.path)).dtype
        except (DamagedData, Unsupported):
            # Nobody gets a picture of such a file; most videos hold 8 bits.
            return np.dtype(np.uint8)

    def _layout(self, index: PacketIndex) -> PixelLayout:
        return pixel_layout(index.pixel_format, is_depth=self.is_depth)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, self.count)
        pictures = [frame_pixels(frame, is_depth=self.is_depth) for frame in self._frames(wanted + self.first)]
        if isinstance(index, (int, np.integer)):
            return np.asarray(pictures[0])
        return np.stack(pictures) if pictures else np.empty((0, *self.shape[1:]), self.dtype)

    def encoded(self, index: int) -> EncodedPicture | None:
        """None: a frame inside a video has no bytes that stand alone."""
        return None

    def media(self) -> Media:
        """What lies behind the frames; a broken or absent file is told in `problem`."""
        try:
            index = packet_index(self.path)
        except MediaMissing as missing:
            return Media(str(self.path), None, self.count, 0, problem=missing.reason, is_absent=True)
        except (DamagedData, Unsupported) as damage:
            return Media(str(self.path), None, self.count, 0, problem=str(damage))
        left = max(0, len(index.pts) - self.first)
        span = left if self.span_s is None else index.ordinal_at(self.span_s[1]) - self.first
        return Media(
            str(self.path),
            index.codec,
            frames_expected=self.count,
            frames_in_span=max(0, min(left, span)),
            frames_in_file=len(index.pts),
            frames_declared_by_container=index.frames_declared,
            first_frame=self.first,
            span_is_declared=self.span_s is not None,
            rate_hz=index.average_rate_hz,
            bits=self._layout(index).bits,
            left_out=self._layout(index).left_out,
            pixel_format=index.pixel_format,
            sound=index.sound,
        )

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        """Every frame as a grey grid of at most `points` x `points` samples, one pass, no colour conversion.

        Raises:
            DamagedData: the file lacks a frame, or a frame cannot be decoded.
        """
        for frame in self._frames(np.arange(self.first, self.first + self.count)):
            yield luma_grid(frame, points)

    def _frames(self, wanted: NDArray[np.int64]) -> Iterator[Any]:
        decoder, index = _decoder(self.path), packet_index(self.path)
        for ordinal in wanted:
            # Between two frames the caller may open more files than decoders are kept: then ours was closed.
            while (frame := decoder.frame(int(ordinal))) is None:
                decoder = _decoder(self.path)
            refuse_other_layout(
                frame,
                (index.width, index.height, self._layout(index)),
                f"{self.path}: frame {int(ordinal)}",
                is_depth=self.is_depth,
            )
            yield frame


_BEFORE_ALL = 2**40
"""Ticks before which no file starts: 2 years at the finest time base in use."""


class _Decoder:
    """One open file and where its decoder stands. A class, because going on is 10x cheaper than seeking."""

    def __init__(self, path: Path, index: PacketIndex) -> None:
        self.path, self.index = path, index
        self._lock = threading.Lock()
        self._is_closed = False
        av = require("av", extra="video")
        self._errors = av.error.FFmpegError
        self._container = av.open(str(path), options=OPENING, metadata_errors="replace")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise Unsupported(f"{path}: FFmpeg knows no decoder for what the file calls {index.codec!r}.")
        # One thread: H.264 of robot size decodes slower with frame threads, and the engine already runs one
        # process per core.
        self._stream.codec_context.thread_count = 1
        self._keys = np.flatnonzero(index.is_key)
        self._coming: Iterator[Any] = iter(())
        self._next: int | None = None
        self._last: tuple[int, int, Any] | None = None
        """Ordinal, thread and frame. By thread: two that convert one frame at once end the process in FFmpeg."""

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._container.close()

    def frame(self, ordinal: int) -> Any | None:
        """One frame, or None where the decoder was closed meanwhile."""
        with self._lock:
            return None if self._is_closed else self._frame(ordinal)

    def _frame(self, ordinal: int) -> Any:
        if self._last is not None and self._last[:2] == (ordinal, threading.get_ident()):
            return self._last[2]
        if not 0 <= ordinal < len(self.index.pts):
            raise DamagedData(
                self.path,
                f"frame {ordinal} is asked for, and the file holds {len(self.index.pts)} frames.",
                next_move="The video is cut short or the index points past its end: restore the file.",
            )
        start = self._key_before(ordinal)
        # By presentation stamp first: by decoding stamp, MP4 and MKV with B-frames land a whole group too early.
        # MPEG-TS lands behind the key by presentation stamp: then the decoding stamp is right.
        # A cut that hides its first frames leads from a hidden key frame, before every stamp that the index lists.
        pts, dts, before = self.index.pts, self.index.dts, self._key_before(start - 1)
        tries = ((start, pts[start]), (start, dts[start]), (before, dts[before]), (0, dts[0]), (0, -_BEFORE_ALL))
        for key, stamp in tries:
            if self._next is None or not key <= self._next <= ordinal:
                self._seek(key, int(stamp))
            found = self._decode_until(ordinal)
            if found is not None:
                self._last = (ordinal, threading.get_ident(), found)
                return found
            self._next = None
        raise DamagedData(self.path, f"frame {ordinal} cannot be decoded.", next_move="Restore the file.")

    def _key_before(self, ordinal: int) -> int:
        position = int(np.searchsorted(self._keys, ordinal, side="right")) - 1
        return int(self._keys[position]) if position >= 0 else 0

    def _seek(self, key: int, stamp: int) -> None:
        try:
            self._container.seek(stamp, stream=self._stream, backward=True, any_frame=False)
        except self._errors as error:
            raise DamagedData(self.path, f"seeking to frame {key} failed: {error}.") from None
        self._coming = self._container.decode(self._stream)
        self._next = key

    def _decode_until(self, ordinal: int) -> Any | None:
        target = int(self.index.pts[ordinal])
        try:
            for frame in self._coming:
                pts = frame.pts if frame.pts is not None else frame.dts
                if pts is None or pts < target:
                    continue
                if pts > target:
                    return None
                if frame.is_corrupt:
                    self._next = None
                    raise DamagedData(self.path, f"frame {ordinal} is corrupt.", next_move="Restore the file.")
                self._next = ordinal + 1
                return frame
        except self._errors as error:
            # The decoder ended with the error: whoever asks next must seek.
            self._next = None
            raise DamagedData(
                self.path, f"frame {ordinal} cannot be decoded: {error}.", next_move="Restore the file."
            ) from None
        return None


_decoders: OrderedDict[FileKey, _Decoder] = OrderedDict()
_decoders_lock = threading.Lock()


def _decoder(path: Path) -> _Decoder:
    key, index = keyed_index(path)
    with _decoders_lock:
        decoder = _decoders.pop(key, None) or _Decoder(path, index)
        _decoders[key] = decoder
        while len(_decoders) > OPEN_DECODERS:
            _, oldest = _decoders.popitem(last=False)
            oldest.close()
    return decoder


def forget() -> None:
    """Close the open decoders and drop the indexes in memory: files may then be moved or deleted."""
    with _decoders_lock:
        for decoder in _decoders.values():
            decoder.close()
        _decoders.clear()
    forget_indexes()


def luma_grid(frame: Any, points: int) -> NDArray[np.uint8]:
    """Samples of a frame's brightness plane, at most `points` x `points`, without converting the frame."""
    name = frame.format.name
    if not name.startswith(("yuv", "gray", "nv")) or frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    step_y, step_x = -(-frame.height // points), -(-frame.width // points)
    return np.ascontiguousarray(rows[step_y // 2 :: step_y, step_x // 2 :: step_x])
