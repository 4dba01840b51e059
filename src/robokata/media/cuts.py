"""Which packets of a video show a run of its frames: what must be copied so that nothing is encoded again."""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData
from robokata.core.require import require
from robokata.core.selected_values import PickedPictures
from robokata.core.values import Pictures
from robokata.media.mp4 import plain_track
from robokata.media.packet_index import decoded_as, packet_index
from robokata.media.packets import VideoPackets, is_key
from robokata.media.parameter_sets import SETS, framed_units, sets_among, units
from robokata.media.video import VideoFrames
from robokata.runtime.cache import Arrays, cached_index

COPIED_CODECS = ("h264", "hevc", "av1", "vp9", "mpeg4")
"""Codecs whose packets mean the same in every mp4 file, and that PyAV's and torchcodec's decoders read there."""
RAW_FORMATS = {"h264": "h264", "hevc": "hevc", "av1": "obu"}
"""FFmpeg's demuxers of bare packets, by codec: they read the decoder's parameters out of the first key frame."""


class Run(NamedTuple):
    """Frames `first` .. `first + frames - 1` of a video, in the order in which they are shown."""

    video: Path | VideoPackets
    """A file, or packets that messages hold."""
    first: int
    frames: int


class Shape(NamedTuple):
    """What two files must share for the packets of both to stand in one."""

    codec: str
    width: int
    height: int
    pixel_format: str
    parameters: bytes
    """Parameter sets of the decoder (SPS, PPS, sequence header)."""


class Cut(NamedTuple):
    """The packets that show a run of frames, and what else they show."""

    positions: NDArray[np.int64]
    """Place in the file of each packet, in decoding order, (P,)."""
    slots: NDArray[np.int64]
    """Rank of each packet's frame among those of the cut, (P,)."""
    lead: int
    """Frames before the first wanted one: it cannot be decoded without them."""
    tail: int
    """Frames after the last wanted one that others refer to."""


def run_of(pictures: Pictures, picked: NDArray[np.int64]) -> Run | None:
    """The run of one video that `picked` pictures are, or None where they are no unbroken run of a video."""
    numbers = picked
    while isinstance(pictures, PickedPictures):
        numbers, pictures = pictures.picked[numbers], pictures.values
    if not len(numbers) or not np.all(np.diff(numbers) == 1):
        return None
    if isinstance(pictures, VideoPackets):
        return Run(pictures, int(numbers[0]), len(numbers))
    if not isinstance(pictures, VideoFrames):
        return None
    return Run(pictures.path, pictures.first + int(numbers[0]), len(numbers))


class Places(NamedTuple):
    """Where the packets of a video lie, and what they are."""

    rows: NDArray[np.int64]
    """pts, dts, is_key, is_hidden of each packet, (N, 4), in decoding order."""
    shape: Shape
    delay: int
    """Frames by which decoding runs ahead of showing, anywhere in the video."""
    size_bytes: int
    can_be_copied: bool
    """True where the packets mean the same in another mp4 file."""
    shown: NDArray[np.int64]
    """Place of each frame that is shown, in the order of showing."""


def places_of(video: Path | VideoPackets) -> Places:
    """The packets of a video, those that its edit list hides included; read once, those of files kept in the cache.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: it is no video.
    """
    if isinstance(video, VideoPackets):
        return _places_of_messages(video)
    path = video
    packet_index(path)  # refuses what is absent, damaged or too large
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    known = _places.get(key)
    if known is None:
        known = _places_of_track(path, stat.st_size)
        if known is None:
            known = _unpack(cached_index(path, "video-places-2", lambda: _scan(path)), stat.st_size)
        _places[key] = known
        while len(_places) > 64:
            _places.popitem(last=False)
    return known


_places: OrderedDict[tuple[str, int, int], Places] = OrderedDict()


def _places_of_track(path: Path, size_bytes: int) -> Places | None:
    """The packets out of the file's own tables; None where FFmpeg must read it packet by packet."""
    track = plain_track(path)
    decoded = None if track is None else decoded_as(path, track)
    if track is None or decoded is None:
        return None
    rows = np.column_stack([track.pts, track.dts, track.is_key, np.zeros(len(track.pts), np.int64)]).astype(np.int64)
    shape = Shape(decoded.codec, decoded.width, decoded.height, decoded.pixel_format, decoded.parameters)
    return Places(rows, shape, _delay(rows), size_bytes, decoded.codec in COPIED_CODECS, _shown(rows))


def _shown(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    shown = np.flatnonzero(rows[:, 3] == 0)
    return shown[np.argsort(rows[shown, 0], kind="stable")]


def _delay(rows: NDArray[np.int64]) -> int:
    ranks = np.argsort(np.argsort(rows[:, 0], kind="stable"), kind="stable")
    return int(np.max(np.arange(len(rows)) - ranks, initial=0))


def _scan(path: Path) -> Arrays:
    av = require("av", extra="video")
    rows, keys, is_uniform = [], list[frozenset[bytes]](), True
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            for packet in container.demux(stream):
                if packet.size:
                    is_uniform &= packet.pts is not None and not packet.has_sidedata("new_extradata")
                    keys += [_sets_in(bytes(packet), context)] if packet.is_keyframe else []
                    pts = packet.pts or 0
                    dts = pts if packet.dts is None else packet.dts
                    rows.append((pts, dts, packet.is_keyframe, packet.is_discard))
            codec, parameters = str(context.codec.canonical_name), bytes(context.extradata or b"")
            is_uniform = is_uniform and _is_one_stream(keys, parameters)
            can_be_copied = is_uniform and _means_the_same_in_mp4(container.format.name, codec, parameters)
            facts = [codec, str(context.width), str(context.height), str(context.pix_fmt), str(int(can_be_copied))]
    except (av.error.FFmpegError, ValueError, OSError, IndexError) as error:
        raise DamagedData(path, f"its packets cannot be read: {error}.") from None
    return {
        "rows": np.asarray(rows, np.int64).reshape(-1, 4),
        "facts": np.asarray(facts),
        "parameters": np.frombuffer(parameters, np.uint8),
    }


def _sets_in(data: bytes, context: Any) -> frozenset[bytes]:
    """Parameter sets in a key frame of a stream whose units stand behind their lengths."""
    codec, parameters = str(context.codec.canonical_name), bytes(context.extradata or b"")
    length_at = {"h264": 4, "hevc": 21}.get(codec)
    if length_at is None or not parameters.startswith(b"\x01") or len(parameters) <= length_at:
        return frozenset()
    return sets_among(framed_units(data, length_bytes=(parameters[length_at] & 3) + 1), codec)


def _is_one_stream(keys: Iterable[frozenset[bytes]], parameters: bytes) -> bool:
    """True where each key frame brings its parameter sets, or none brings others than the file has.

    Sets that change on the way would else hold for the clips that are put behind them.
    """
    found = list(keys)
    return all(found) or all(one in parameters for sets in found for one in sets)


_FRAMED = {"h264": b"\x01", "hevc": b"\x01", "av1": b"\x81", "vp9": b"", "mpeg4": b"\x00\x00\x01"}
"""First bytes of a decoder's parameters as mp4 holds them; Matroska holds the same, or start codes."""


def _means_the_same_in_mp4(container: str, codec: str, parameters: bytes) -> bool:
    # MPEG-TS and AVI hold H.264 with start codes, and the muxer would rewrite every packet.
    if codec not in COPIED_CODECS or is_packed(codec, parameters):
        return False
    is_framed = parameters.startswith(_FRAMED[codec])
    return "mp4" in container or ("matroska" in container and is_framed)


def is_packed(codec: str, parameters: bytes) -> bool:
    """True for MPEG-4 of DivX and XviD that puts two pictures into one packet, and says so in its parameters."""
    return codec == "mpeg4" and re.search(rb"DivX\d+(b|Build)\d+p", parameters) is not None


def _places_of_messages(video: VideoPackets) -> Places:
    known = _message_places.get(id(video))
    if known is None or known[0] is not video:
        known = _message_places[id(video)] = (video, _look_at(video))
        while len(_message_places) > 8:
            _message_places.popitem(last=False)
    return known[1]


_message_places: OrderedDict[int, tuple[VideoPackets, Places]] = OrderedDict()


def _look_at(video: VideoPackets) -> Places:
    rows, size, template = np.zeros((len(video), 4), np.int64), 0, b""
    keys: list[frozenset[bytes]] = []
    for number in range(len(video)):
        data = video.load(number)
        has_key = is_key(data, video.codec)
        template = data if has_key and not template else template
        if has_key and video.codec in SETS:
            keys.append(sets_among((unit for _, unit in units(data)), video.codec))
        rows[number] = (0, number, has_key, False)
        size += len(data)
    rows[:, 0] = video.ranks
    if not template or video.codec not in RAW_FORMATS:
        return Places(rows, Shape(video.codec, 0, 0, "", b""), 0, size, False, _shown(rows))
    with open_bare(template, video) as container:
        context = container.streams.video[0].codec_context
        parameters = bytes(context.extradata or b"")
        shape = Shape(video.codec, context.width, context.height, str(context.pix_fmt), parameters)
    delay = int(np.max(np.arange(len(rows)) - rows[:, 0], initial=0))
    is_uniform = _is_one_stream(keys, parameters)
    return Places(rows, shape, delay, size, bool(shape.width and parameters) and is_uniform, _shown(rows))


def open_bare(packet: bytes, video: VideoPackets) -> Any:
    """A key frame as an open container: it tells the decoder's parameters.

    Raises:
        DamagedData: it is none.
    """
    av = require("av", extra="video")
    try:
        # The demuxer of AV1 wants the temporal delimiter that messages leave out (AV1 specification, 5.6).
        head = b"\x12\x00" if video.codec == "av1" else b""
        return av.open(io.BytesIO(head + packet), format=RAW_FORMATS[video.codec])
    except (av.error.FFmpegError, ValueError) as error:
        raise DamagedData(video.where, f"its first key frame cannot be read: {error}.") from None


def _unpack(arrays: Arrays, size_bytes: int) -> Places:
    codec, width, height, pixel_format, can_be_copied = (str(fact) for fact in arrays["facts"])
    shape = Shape(codec, int(width), int(height), pixel_format, arrays["parameters"].tobytes())
    rows = arrays["rows"]
    return Places(rows, shape, _delay(rows), size_bytes, can_be_copied == "1", _shown(rows))


class Taken(NamedTuple):
    """The packets that a run needs, and the pictures that a decoder makes of them."""

    positions: NDArray[np.int64]
    """Place in the file of each packet, in decoding order, (P,)."""
    slots: NDArray[np.int64]
    """Rank of each packet's picture among those of the packets, (P,)."""
    picked: NDArray[np.int64]
    """Rank of each wanted frame, (T,)."""


def taken_packets(
    places: Places, run: Run, *, starts_at: Callable[[int], bool] = lambda position: True
) -> Taken | None:
    """The packets from a key frame on that show a run, those included that are only decoded; None where no key frame
    leads to it. `starts_at` says whether decoding may start at a packet that the container calls a key frame.
    """
    pts, _, is_key, is_hidden = places.rows.T
    wanted = places.shown[run.first : run.first + run.frames]
    if len(wanted) < run.frames or not run.frames:
        return None
    keys = np.flatnonzero(is_key == 1)
    keys = keys[(pts[keys] <= pts[wanted[0]]) & (keys <= wanted.min())][::-1]
    key = next((int(key) for key in keys if starts_at(int(key))), None)
    if key is None:
        return None
    taken = np.arange(key, wanted.max() + 1)
    # Frames that stand behind the key frame and are shown before it refer to what lies before the cut.
    group = np.cumsum(is_key[taken])
    taken = taken[(pts[taken] >= pts[key]) | (group > 1)]
    group = np.cumsum(is_key[taken])
    # What an edit list hides has stamps that other edits use too: there only those within one group tell an order.
    order = np.lexsort((pts[taken], group)) if is_hidden[taken].any() else np.argsort(pts[taken], kind="stable")
    slots = np.empty_like(order)
    slots[order] = np.arange(len(order))
    picked = slots[np.searchsorted(taken, wanted)]
    if not np.all(np.diff(picked) > 0):
        return None
    return Taken(taken, slots, picked)


def cut_of(run: Run) -> Cut | None:
    """The packets that show a run, or None where they cannot be copied, or show others in between.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: it is no video.
    """
    places = places_of(run.video)
    taken = taken_packets(places, run) if places.can_be_copied else None
    if taken is None or taken.picked[-1] - taken.picked[0] != run.frames - 1:
        return None
    return Cut(taken.positions, taken.slots, int(taken.picked[0]), len(taken.slots) - 1 - int(taken.picked[-1]))
