"""Frames of a video file, addressed by ordinal through our own packet index.

No float time decides which frame you get: the index lists the presentation stamps of all packets, a
frame's ordinal is the rank of its stamp, and decoding stops at exactly that stamp.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from stat import S_ISDIR
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.cache import Arrays, cached_index
from robokata.core.errors import DamagedData, MediaMissing, TooLarge, Unsupported
from robokata.core.require import require
from robokata.core.values import EncodedPicture, Index, Media, ordinals

MAX_PIXELS = 8192 * 8192
"""Largest picture that is decoded: twice an 8K frame. A header that claims more is damaged or hostile."""
MAX_FRAMES = 20_000_000
"""Most packets that one file may index: 7 days at 30 Hz."""
OPEN_DECODERS = 8
"""Decoders kept open per process: the cameras of one bimanual robot. Each holds some tens of megabytes."""
_INDEX_KIND = "video-packets-2"


class PacketIndex(NamedTuple):
    """What one pass over the packets of a video tells, in presentation order."""

    pts: NDArray[np.int64]
    """Presentation stamps, (N,), strictly rising, in units of `time_base`."""
    is_key: NDArray[np.bool_]
    """(N,): decoding may start at this frame."""
    dts: NDArray[np.int64]
    """Decoding stamps, (N,): what seeking goes by."""
    size_bytes: NDArray[np.int64]
    """Encoded size of each frame, (N,)."""
    time_base: Fraction
    codec: str
    width: int
    height: int
    pixel_format: str
    frames_declared: int | None
    """Frames that the container's header promises to show, None where it promises nothing."""
    average_rate_hz: Fraction | None

    def seconds(self, ordinal: int) -> float:
        """Presentation time of a frame, from the file's own zero."""
        return float(self.pts[ordinal] * self.time_base)

    def ordinal_at(self, time_s: float) -> int:
        """Ordinal of the frame whose stamp is nearest to a time: for formats that declare spans in float seconds."""
        stamps = self.pts * float(self.time_base)
        right = int(np.searchsorted(stamps, time_s))
        if right == 0:
            return 0
        if right == len(stamps):
            # Past the last frame by more than half a period: the ordinal that a next frame would have.
            period_s = (stamps[-1] - stamps[0]) / (len(stamps) - 1) if len(stamps) > 1 else np.inf
            return right - 1 if time_s - stamps[-1] < period_s / 2 else right
        return right if stamps[right] - time_s < time_s - stamps[right - 1] else right - 1


_Key = tuple[str, int, int]
"""A state of a file: path, size, time of change. A replaced file is another one."""
_index_memory: OrderedDict[_Key, PacketIndex] = OrderedDict()


def packet_index(path: Path) -> PacketIndex:
    """Index of the first video stream of a file; built once, kept in memory and in the cache folder.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: it is no video, or its packets carry no usable stamps.
        TooLarge: it claims pictures or a number of packets beyond all reason.
    """
    return _keyed_index(path)[1]


def _keyed_index(path: Path) -> tuple[_Key, PacketIndex]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
    if S_ISDIR(stat.st_mode):
        raise MediaMissing(path, "a folder, where a video file is expected.", next_move="Restore it from the original.")
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    known = _index_memory.get(key)
    if known is None:
        known = _unpack(cached_index(path, _INDEX_KIND, lambda: _scan(path)))
        _index_memory[key] = known
        while len(_index_memory) > 64:
            _index_memory.popitem(last=False)
    return key, known


class VideoFrames:
    """A run of frames of one video file as the pictures of a stream: (T, H, W, C).

    `first` and `count` come from the dataset's table. What the file really holds is `media()`; asking for
    a frame that the file lacks raises DamagedData with the frame's number.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        *,
        span_s: tuple[float, float] | None = None,
        shape: tuple[int, int, int] | None = None,
    ) -> None:
        self.path, self.count = path, count
        self.span_s = span_s
        """Seconds of the file that the dataset's index gives to the episode; None: the whole file is its own."""
        self._declared_shape = shape
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
        if self._declared_shape is not None:
            return (self.count, *self._declared_shape)
        index = packet_index(self.path)
        return (self.count, index.height, index.width, 1 if index.pixel_format.startswith("gray") else 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, self.count)
        pictures = [frame.to_ndarray(format="rgb24") for frame in self._frames(wanted + self.first)]
        if isinstance(index, (int, np.integer)):
            return np.asarray(pictures[0])
        if not pictures:
            return np.empty((0, *self.shape[1:]), np.uint8)
        return np.stack(pictures)

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
        )

    def luma(self, points: int) -> Iterator[NDArray[np.uint8]]:
        """Every frame as a grey grid of at most `points` x `points` samples, one pass, no colour conversion.

        Raises:
            DamagedData: the file lacks a frame, or a frame cannot be decoded.
        """
        for frame in self._frames(np.arange(self.first, self.first + self.count)):
            yield _luma_grid(frame, points)

    def _frames(self, wanted: NDArray[np.int64]) -> Iterator[Any]:
        decoder = _decoder(self.path)
        for ordinal in wanted:
            # Between two frames the caller may open more files than decoders are kept: then ours was closed.
            while (frame := decoder.frame(int(ordinal))) is None:
                decoder = _decoder(self.path)
            yield frame


class _Decoder:
    """One open file and where its decoder stands. A class, because going on is 10x cheaper than seeking."""

    def __init__(self, path: Path, index: PacketIndex) -> None:
        self.path, self.index = path, index
        self._lock = threading.Lock()
        self._is_closed = False
        av = require("av", extra="video")
        self._errors = av.error.FFmpegError
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        # One thread: H.264 of robot size decodes slower with frame threads, and the engine already runs one
        # process per core.
        self._stream.codec_context.thread_count = 1
        self._keys = np.flatnonzero(index.is_key)
        self._coming: Iterator[Any] = iter(())
        self._next: int | None = None
        self._last: tuple[int, Any] | None = None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._container.close()

    def frame(self, ordinal: int) -> Any | None:
        """One frame, or None where the decoder was closed meanwhile."""
        with self._lock:
            return None if self._is_closed else self._frame(ordinal)

    def _frame(self, ordinal: int) -> Any:
        if self._last is not None and self._last[0] == ordinal:
            return self._last[1]
        if not 0 <= ordinal < len(self.index.pts):
            raise DamagedData(
                self.path,
                f"frame {ordinal} is asked for, and the file holds {len(self.index.pts)} frames.",
                next_move="The video is cut short or the index points past its end: restore the file.",
            )
        start = self._key_before(ordinal)
        for attempt_start in (start, self._key_before(start - 1), 0):
            if self._next is None or not attempt_start <= self._next <= ordinal:
                self._seek(attempt_start)
            found = self._decode_until(ordinal)
            if found is not None:
                self._last = (ordinal, found)
                return found
            self._next = None
        raise DamagedData(self.path, f"frame {ordinal} cannot be decoded.", next_move="Restore the file.")

    def _key_before(self, ordinal: int) -> int:
        position = int(np.searchsorted(self._keys, ordinal, side="right")) - 1
        return int(self._keys[position]) if position >= 0 else 0

    def _seek(self, key: int) -> None:
        try:
            self._container.seek(int(self.index.dts[key]), stream=self._stream, backward=True, any_frame=False)
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


_decoders: OrderedDict[_Key, _Decoder] = OrderedDict()
_decoders_lock = threading.Lock()


def _decoder(path: Path) -> _Decoder:
    key, index = _keyed_index(path)
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
    _index_memory.clear()


def _luma_grid(frame: Any, points: int) -> NDArray[np.uint8]:
    """Samples of a frame's brightness plane, at most `points` x `points`, without converting the frame."""
    name = frame.format.name
    if not name.startswith(("yuv", "gray", "nv")) or frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    step_y, step_x = -(-frame.height // points), -(-frame.width // points)
    return np.ascontiguousarray(rows[step_y // 2 :: step_y, step_x // 2 :: step_x])


def _scan(path: Path) -> Arrays:
    """One pass over the packets of a file."""
    av = require("av", extra="video")
    # Silence: a damaged file is told once, by us, and not by hundreds of lines of the library's own.
    av.logging.set_level(av.logging.PANIC)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DamagedData(path, "the file holds no video stream.", next_move="Restore it from the original.")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise DamagedData(path, "the header names no known codec.", next_move="Restore it from the original.")
            if context.width * context.height > MAX_PIXELS:
                raise TooLarge(path, f"the header claims frames of {context.width} x {context.height}.")
            packets, hidden = _packets(path, container, stream)
            facts = _stream_facts(stream, context, hidden)
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise DamagedData(
            path, f"cannot be opened as a video: {error}.", next_move="Restore it, or record the episode again."
        ) from None
    stamps = packets[:, 0]
    order = np.argsort(stamps, kind="stable")
    if len(order) and np.any(np.diff(stamps[order]) == 0):
        raise DamagedData(path, "two frames of the video carry the same presentation stamp.")
    return {"packets": packets[order], "facts": np.asarray(facts)}


def _stream_facts(stream: Any, context: Any, hidden: int) -> list[str]:
    rate = stream.average_rate
    # An edit list hides frames that the header counts: a clip cut without re-encoding is whole all the same.
    declared = max(0, int(stream.frames or 0) - hidden)
    return [
        str(Fraction(stream.time_base)),
        str(context.codec.canonical_name),
        str(context.width),
        str(context.height),
        str(context.pix_fmt or "unknown"),
        str(declared),
        str(Fraction(rate)) if rate else "0",
    ]


class _Packets(NamedTuple):
    rows: NDArray[np.int64]
    """pts, dts, is_key, size of each packet that becomes a frame, (N, 4), in decoding order."""
    hidden: int
    """Packets that the container tells players to decode and not to show."""


def _packets(path: Path, container: Any, stream: Any) -> _Packets:
    rows: list[tuple[int, int, int, int]] = []
    hidden = 0
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
            hidden += packet.size != 0
            continue
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            raise DamagedData(path, f"packet {len(rows)} of the video carries no time stamp.")
        dts = packet.dts if packet.dts is not None else pts
        rows.append((pts, dts, int(packet.is_keyframe), packet.size))
        if len(rows) > MAX_FRAMES:
            raise TooLarge(path, f"the file holds more than {MAX_FRAMES} packets.")
    return _Packets(np.asarray(rows, dtype=np.int64).reshape(-1, 4), hidden)


def _unpack(arrays: Arrays) -> PacketIndex:
    packets, facts = arrays["packets"], [str(fact) for fact in arrays["facts"]]
    return PacketIndex(
        pts=packets[:, 0],
        is_key=packets[:, 2].astype(bool),
        dts=packets[:, 1],
        size_bytes=packets[:, 3],
        time_base=Fraction(facts[0]),
        codec=facts[1],
        width=int(facts[2]),
        height=int(facts[3]),
        pixel_format=facts[4],
        frames_declared=int(facts[5]) or None,
        average_rate_hz=Fraction(facts[6]) or None,
    )
