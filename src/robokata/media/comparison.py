"""Whether two picture streams show the same: by their coded bytes where both have them, else by decoding."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, RobokataError
from robokata.core.selected_values import PickedPictures
from robokata.core.values import Pictures, Values
from robokata.media.bare import PacketRun, packet_run
from robokata.media.clips import Clip, clip_of
from robokata.media.cuts import cut_of, run_of
from robokata.media.mp4 import plain_track
from robokata.media.packet_index import packet_index
from robokata.media.packets import VideoPackets
from robokata.media.video import VideoFrames

_RAW_BYTES_AT_ONCE = 64 * 2**20
"""Raw pixels of both sides that are held while they are compared."""
_DECODED_SHARE = 0.04
"""Pictures that a quick comparison decodes, besides the first and the last: one in 25."""

_PICTURES_IN_A_ROW = 32
"""Pictures at the start of a run of messages that are decoded one after the other: twice the longest reordering of
H.264 and H.265, whose picture buffers hold 16."""


class PictureComparison(NamedTuple):
    """What was compared of two picture streams, and the first thing in which they differ."""

    coded_bytes: int
    """Bytes of coded pictures or packets that were compared one by one."""
    pictures: int
    decoded: int
    """Pictures that were decoded out of the second stream."""
    worst_psnr_db: float | None = None
    """Lowest similarity of the decoded pictures, None where all are equal."""
    difference: str | None = None
    is_unreadable: bool = False
    """True where a picture of the second stream cannot be decoded and that of the first can."""


class _Coded(NamedTuple):
    """Coded bytes that are equal on both sides."""

    bytes: int
    is_proof: bool
    """True where a decoder needs nothing else; messages have no decoding stamps, so what they show must be seen."""


def compare_pictures(
    before: Pictures, after: Pictures, *, is_copy: bool = True, decode_all: bool = False, spot_check: bool = True
) -> PictureComparison:
    """Compare two streams of the same pictures; `after` is the one under suspicion.

    Coded pictures and packets are compared byte by byte: a decoder that is given the same bytes in the same order gives
    the same pictures. Then, where `spot_check` is set, the first and the last are decoded, of messages the first 32.
    Where the bytes of a copy
    (`is_copy`) differ, every picture is decoded; of pictures that were packed anew the first, the last and key pictures
    in between, on both sides. `decode_all` decodes every picture.
    """
    if len(before) != len(after):
        return PictureComparison(0, len(after), 0, difference=f"{len(after)} pictures instead of {len(before)}")
    count = len(before)
    if not count:
        return PictureComparison(0, 0, 0)
    coded = _equal_coded_bytes(before, after)
    if decode_all:
        return _decode(before, after, np.arange(count), 0 if coded is None else coded.bytes)
    if coded is not None:
        return _decode(before, after, _spots(count, coded, spot_check=spot_check), coded.bytes)
    if not _is_coded(before) and not _is_coded(after):
        return _compare_raw(before, after)
    is_suspect = is_copy and _is_coded(before) and _is_coded(after)
    return _decode(before, after, np.arange(count) if is_suspect else _sample(before, after), 0)


def _spots(count: int, coded: _Coded, *, spot_check: bool) -> NDArray[np.int64]:
    """Pictures to decode although their bytes are equal."""
    if not spot_check:
        return np.empty(0, np.int64)
    # In a row: a decoder that loses the order of packets fails behind the first pictures, not at a key frame.
    row = 1 if coded.is_proof else _PICTURES_IN_A_ROW
    return np.union1d(np.arange(min(count, row)), [count - 1])


def key_ordinals(pictures: Values) -> NDArray[np.int64]:
    """Pictures at which decoding may start, as ordinals of the stream, ascending; all where each stands alone.

    Raises:
        DamagedData: the media cannot be read.
    """
    if isinstance(pictures, PickedPictures):
        keys = key_ordinals(pictures.values)
        return np.flatnonzero(np.isin(pictures.picked, keys)).astype(np.int64)
    if isinstance(pictures, VideoFrames):
        span = packet_index(pictures.path).is_key[pictures.first : pictures.first + len(pictures)]
        return np.flatnonzero(span).astype(np.int64)
    if isinstance(pictures, VideoPackets):
        return np.sort(pictures.ranks[pictures.key_positions])
    return np.arange(len(pictures), dtype=np.int64)


def _sample(before: Pictures, after: Pictures) -> NDArray[np.int64]:
    """First (of messages some in a row), last, and key pictures between them, as many as `_DECODED_SHARE` allows."""
    count = len(before)
    keys = key_ordinals(before if _is_video(before) else after)
    keys = keys[(keys > 0) & (keys < count - 1)]
    most = min(len(keys), int(count * _DECODED_SHARE))
    between = keys[np.linspace(0, len(keys) - 1, most).astype(np.int64)] if most else keys[:0]
    row = np.arange(min(count, _PICTURES_IN_A_ROW if isinstance(_behind(after), VideoPackets) else 1))
    return np.unique(np.concatenate([row, between, [count - 1]]).astype(np.int64))


def _behind(pictures: Values) -> Values:
    while isinstance(pictures, PickedPictures):
        pictures = pictures.values
    return pictures


def _is_video(pictures: Values) -> bool:
    return isinstance(_behind(pictures), (VideoFrames, VideoPackets))


def _is_coded(pictures: Pictures) -> bool:
    return _is_video(pictures) or pictures.encoded(0) is not None


def _equal_coded_bytes(before: Pictures, after: Pictures) -> _Coded | None:
    """The coded bytes where both streams hold the same, None where they differ or one holds none."""
    if _is_video(before) and _is_video(after):
        return _equal_packets(before, after)
    if _is_video(before) or _is_video(after) or not (_is_coded(before) and _is_coded(after)):
        return None
    total = 0
    for index in range(len(before)):
        one, other = before.encoded(index), after.encoded(index)
        if one is None or other is None or one.data != other.data:
            return None
        total += len(one.data)
    return _Coded(total, is_proof=True)


def _equal_packets(before: Pictures, after: Pictures) -> _Coded | None:
    try:
        clips = _plain_clip(before), _plain_clip(after)
        if clips[0] is not None and clips[1] is not None and _is_same_cut(clips[0], clips[1]):
            total = _equal_pieces(clips[0], clips[1])
            return None if total is None else _Coded(total, is_proof=True)
        runs = packet_run(before), packet_run(after)
    except RobokataError:
        return None  # whoever decodes will name the place
    if runs[0] is None or runs[1] is None:
        return None
    total = _equal_runs(runs[0], runs[1])
    return None if total is None else _Coded(total, is_proof=False)


def _plain_clip(pictures: Pictures) -> Clip | None:
    run = run_of(pictures, np.arange(len(pictures), dtype=np.int64))
    if run is None or not isinstance(run.video, Path) or plain_track(run.video) is None:
        return None
    cut = cut_of(run)
    return None if cut is None else clip_of(run, run.video.parent, rate_hz=Fraction(1), cut=cut)


def _is_same_cut(one: Clip, other: Clip) -> bool:
    arrays = ((one.size_bytes, other.size_bytes), (one.slots, other.slots), (one.is_key, other.is_key))
    is_same_decoder = one.shape == other.shape and one.lead == other.lead and one.frames == other.frames
    return is_same_decoder and all(np.array_equal(a, b) for a, b in arrays)


def _equal_pieces(one: Clip, other: Clip) -> int | None:
    """Total of the packets' bytes where they are equal; packets may lie in other ranges of the two files."""
    checks = []
    for clip in (one, other):
        value = 0
        for piece in clip.read():
            value = zlib.crc32(piece, value)
        checks.append(value)
    return int(one.size_bytes.sum()) if checks[0] == checks[1] else None


def _equal_runs(one: PacketRun, other: PacketRun) -> int | None:
    """The same units of the same packets in the same order, with the same parameter sets, whatever frames them."""
    if one.codec != other.codec or not np.array_equal(one.picked, other.picked):
        return None
    if not np.array_equal(one.ranks, other.ranks):
        return None
    total, sets = 0, (set[bytes](), set[bytes]())
    for first, second in zip_longest(one.read(), other.read()):
        if first is None or second is None:
            return None
        if first != second:
            bare = [_bare(data, one.codec, known) for data, known in zip((first, second), sets, strict=True)]
            if bare[0] != bare[1]:
                return None
        total += len(second)
    return total if sets[0] == sets[1] else None


_PARAMETERS: Mapping[str, Callable[[int], bool]] = {
    "h264": lambda head: head & 0x1F in (7, 8, 9),
    "hevc": lambda head: 32 <= head >> 1 & 0x3F <= 35,
}
"""Units that may stand in every packet or once before all: parameter sets, and delimiters (ITU-T H.264 table 7-1)."""


def _bare(data: bytes, codec: str, parameters: set[bytes]) -> list[bytes]:
    """The units of a packet without its parameter sets, which are collected."""
    is_parameter = _PARAMETERS.get(codec)
    if is_parameter is None:
        return [data]
    units = [unit.rstrip(b"\0") for unit in data.split(b"\x00\x00\x01")]
    kept = []
    for unit in units:
        if unit and is_parameter(unit[0]):
            parameters.add(unit)
        elif unit:
            kept.append(unit)
    return kept


def _compare_raw(before: Pictures, after: Pictures) -> PictureComparison:
    """Pixels that lie raw on both sides: all of them."""
    count = len(before)
    size = int(np.prod(before.shape[1:], dtype=np.int64)) * before.dtype.itemsize
    step = max(1, _RAW_BYTES_AT_ONCE // max(1, 2 * size))
    for start in range(0, count, step):
        one, other = _plain_grey(before[start : start + step]), _plain_grey(after[start : start + step])
        if one.shape != other.shape or one.dtype != other.dtype:
            found, expected = f"{other.dtype}{list(other.shape[1:])}", f"{one.dtype}{list(one.shape[1:])}"
            return PictureComparison(0, count, start, difference=f"pictures are {found} instead of {expected}")
        is_equal = [np.array_equal(a, b, equal_nan=one.dtype.kind == "f") for a, b in zip(one, other, strict=True)]
        if not all(is_equal):
            at = start + is_equal.index(False)
            return PictureComparison(0, count, at, _psnr(before[at], after[at]), difference=_unequal(at))
    return PictureComparison(0, count, count)


def _decode(
    before: Pictures, after: Pictures, wanted: Sequence[int] | NDArray[np.int64], coded: int
) -> PictureComparison:
    difference, worst, decoded = None, None, 0
    for ordinal, one, other in _decoded_pairs(before, after, wanted):
        if isinstance(other, DamagedData):
            if isinstance(one, DamagedData):
                continue  # the source's own damage, copied as it is
            reason = f"picture {ordinal} cannot be decoded: {other.reason}"
            return PictureComparison(coded, len(after), decoded, worst, reason, is_unreadable=True)
        decoded += 1
        if isinstance(one, DamagedData):
            continue
        if one.shape != other.shape or one.dtype != other.dtype:
            found, expected = f"{other.dtype}{list(other.shape)}", f"{one.dtype}{list(one.shape)}"
            reason = f"picture {ordinal} is {found} instead of {expected}"
            return PictureComparison(coded, len(after), decoded, worst, reason)
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            similarity = _psnr(one, other)
            worst = similarity if worst is None else min(worst, similarity)
            difference = difference or _unequal(ordinal)
    return PictureComparison(coded, len(after), decoded, worst, difference)


def _decoded_pairs(
    before: Pictures, after: Pictures, wanted: Sequence[int] | NDArray[np.int64]
) -> Iterator[tuple[int, Any, Any]]:
    for ordinal in map(int, wanted):
        yield ordinal, _picture(before, ordinal), _picture(after, ordinal)


def _picture(pictures: Pictures, ordinal: int) -> NDArray[Any] | DamagedData:
    try:
        picture: NDArray[Any] = _plain_grey(np.asarray(pictures[ordinal])[None])[0]
    except DamagedData as damage:
        return damage
    return picture


def _plain_grey(pictures: NDArray[Any]) -> NDArray[Any]:
    """Pictures of one channel, (T, H, W, 1), as (T, H, W): formats with an axis for channels show the same pictures
    as those without."""
    return pictures[..., 0] if pictures.ndim == 4 and pictures.shape[3] == 1 else pictures


def _unequal(ordinal: int) -> str:
    return f"picture {ordinal} shows something else"


def _psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Peak signal-to-noise ratio in dB over the range of the type (of the values, for floats)."""
    if one.shape != other.shape:
        return 0.0
    is_float = one.dtype.kind == "f"
    peak = float(np.nanmax(np.abs(one), initial=1.0)) if is_float else float(np.iinfo(one.dtype).max)
    error = float(np.nanmean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else cast(float, 10 * np.log10(peak**2 / error))
