"""Where the frames of a video lie in its file: one pass over the packets, and frames called by their rank."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, MediaMissing, TooLarge, Unsupported
from robokata.core.require import require
from robokata.media.mp4 import Track, forget_tracks, plain_track
from robokata.media.parameter_sets import has_b_slices
from robokata.runtime.cache import Arrays, cached_index

MAX_PIXELS = 8192 * 8192
"""Largest picture that is decoded: twice an 8K frame. A header that claims more is damaged or hostile."""
MAX_FRAMES = 20_000_000
"""Most packets that one file may index: 7 days at 30 Hz."""
OPENING = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts",
    "protocol_whitelist": "file",
}
"""Containers of video that FFmpeg may take a file for. It goes by content: a text file called x.mp4 could be a playlist
that makes it open other files, or other machines' files."""
_INDEX_KIND = "video-packets-4"


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
    sound: str | None = None
    """The first sound track beside the pictures (`aac, 16000 Hz, mono`), None where there is none."""

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


FileKey = tuple[str, int, int]
"""A state of a file: path, size, time of change. A replaced file is another one."""
_index_memory: OrderedDict[FileKey, PacketIndex] = OrderedDict()


def packet_index(path: Path) -> PacketIndex:
    """Index of the first video stream of a file; built once, kept in memory and in the cache folder.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: it is no video, or its packets carry no usable stamps.
        TooLarge: it claims pictures or a number of packets beyond all reason.
        Unsupported: nothing in it says in which order its frames are shown.
    """
    return keyed_index(path)[1]


def keyed_index(path: Path) -> tuple[FileKey, PacketIndex]:
    """The index, and the state of the file that it belongs to: path, size and time of change.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: it is no video, or its packets carry no usable stamps.
        TooLarge: it claims pictures or a number of packets beyond all reason.
        Unsupported: nothing in it says in which order its frames are shown.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
    if S_ISDIR(stat.st_mode):
        raise MediaMissing(path, "a folder, where a video file is expected.", next_move="Restore it from the original.")
    if not S_ISREG(stat.st_mode):
        # A pipe would be waited on for ever.
        raise DamagedData(path, "a device or a pipe, where a video file is expected.", next_move="Restore the file.")
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    known = _index_memory.get(key)
    if known is None:
        known = _index_of_track(path) or _unpack(cached_index(path, _INDEX_KIND, lambda: _scan(path)))
        _index_memory[key] = known
        while len(_index_memory) > 64:
            _index_memory.popitem(last=False)
    return key, known


def forget_indexes() -> None:
    """Drop the indexes in memory; those in the cache folder stay."""
    _index_memory.clear()
    forget_tracks()


class Decoded(NamedTuple):
    """What FFmpeg says of a video before it reads a packet."""

    codec: str
    width: int
    height: int
    pixel_format: str
    parameters: bytes
    """Parameter sets of the decoder, which FFmpeg calls extradata."""


_decoded: OrderedDict[bytes, Decoded] = OrderedDict()
"""By sample entry: the decoder's parameters decide, and the files of one camera share them."""


def decoded_as(path: Path, track: Track) -> Decoded | None:
    """How FFmpeg decodes a plain file, None where it has something to say against it. Asked once per sample entry."""
    known = _decoded.get(track.entry)
    if known is None:
        av = require("av", extra="video")
        try:
            with av.open(str(path), options=OPENING, metadata_errors="replace") as container:
                context = container.streams.video[0].codec_context
                known = Decoded(
                    str(context.codec.canonical_name),
                    context.width,
                    context.height,
                    str(context.pix_fmt or "unknown"),
                    bytes(context.extradata or b""),
                )
        except (av.error.FFmpegError, ValueError, OSError, IndexError, AttributeError):
            return None
        if not 0 < known.width * known.height <= MAX_PIXELS:
            return None
        _decoded[track.entry] = known
        while len(_decoded) > 64:
            _decoded.popitem(last=False)
    return known


def _index_of_track(path: Path) -> PacketIndex | None:
    """The index out of the file's own tables; None where FFmpeg must read it packet by packet."""
    track = plain_track(path)
    if track is None or len(track.pts) > MAX_FRAMES:
        return None
    order = np.argsort(track.pts, kind="stable")
    decoded = decoded_as(path, track)
    if decoded is None or np.any(np.diff(track.pts[order]) == 0):
        return None
    return PacketIndex(
        pts=track.pts[order],
        is_key=track.is_key[order],
        dts=track.dts[order],
        size_bytes=track.size_bytes[order],
        time_base=Fraction(1, track.ticks_per_s),
        codec=decoded.codec,
        width=decoded.width,
        height=decoded.height,
        pixel_format=decoded.pixel_format,
        frames_declared=len(order),
        average_rate_hz=track.rate_hz,
    )


def _scan(path: Path) -> Arrays:
    """One pass over the packets of a file."""
    av = require("av", extra="video")
    try:
        with av.open(str(path), options=OPENING, metadata_errors="replace") as container:
            if not container.streams.video:
                raise DamagedData(path, "the file holds no video stream.", next_move="Restore it from the original.")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise DamagedData(path, "the header names no known codec.", next_move="Restore it from the original.")
            if context.width * context.height > MAX_PIXELS:
                raise TooLarge(path, f"the header claims frames of {context.width} x {context.height}.")
            if context.width * context.height == 0:
                raise DamagedData(path, "the header claims frames without pixels.", next_move="Restore the file.")
            packets, hidden = _packets(path, container, stream)
            facts = [*_stream_facts(stream, context, hidden), _sound(container)]
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise DamagedData(
            path, f"cannot be opened as a video: {error}.", next_move="Restore it, or record the episode again."
        ) from None
    stamps = packets[:, 0]
    order = np.argsort(stamps, kind="stable")
    if len(order) and np.any(np.diff(stamps[order]) == 0):
        raise DamagedData(path, "two frames of the video carry the same presentation stamp.")
    return {"packets": packets[order], "facts": np.asarray(facts)}


def _refuse_reordered(path: Path, codec: str, data: bytes) -> None:
    """AVI numbers packets and not pictures: with B-frames of H.264 nobody can tell which frame is shown when."""
    if codec == "h264" and has_b_slices(data):
        raise Unsupported(
            f"{path}: an AVI file with {codec} video whose frames are not shown in the order of their packets "
            f"(B-frames), and AVI has no stamps that say the order. Write it into another container with an encoder "
            f"(ffmpeg -i {path.name} -crf 16 out.mp4)."
        )


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


def _sound(container: Any) -> str:
    """The first sound track in words, "" where there is none."""
    for track in container.streams.audio[:1]:
        context = track.codec_context
        if context is None:
            return "unknown codec"
        return f"{context.codec.canonical_name}, {context.sample_rate} Hz, {context.layout.name}"
    return ""


class _Packets(NamedTuple):
    rows: NDArray[np.int64]
    """pts, dts, is_key, size of each packet that becomes a frame, (N, 4), in decoding order."""
    hidden: int
    """Packets that the container tells players to decode and not to show."""


def _packets(path: Path, container: Any, stream: Any) -> _Packets:
    rows: list[tuple[int, int, int, int]] = []
    hidden = 0
    codec = str(stream.codec_context.codec.canonical_name) if "avi" in container.format.name else ""
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
            hidden += packet.size != 0
            continue
        _refuse_reordered(path, codec, bytes(packet) if codec == "h264" else b"")
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
        sound=facts[7] or None,
    )
