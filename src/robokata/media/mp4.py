"""Where the packets of a plain mp4 file lie, out of its own tables: no packet is read for that.

Plain is what recorders and encoders write: one video track, no fragments, at most one edit that shows every frame from
zero on. There the tables of ISO 14496-12 say what FFmpeg says after a pass over all packets, a tenth of a millisecond
later. Of any other file nothing is said here, and FFmpeg is asked.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_MOVIE_BYTES = 256 * 2**20
"""Largest table of contents that is read: 16 bytes per packet, for more packets than `packet_index` takes."""
SAMPLE_ENTRIES = (b"avc1", b"hvc1", b"hev1", b"av01", b"vp09", b"mp4v")
"""H.264, H.265, AV1, VP9 and MPEG-4 with the decoder's parameters in the table of contents."""
_CONTAINERS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl")
_TABLES = (b"stsd", b"stts", b"ctts", b"stss", b"stsz", b"stsc", b"stco", b"co64", b"sdtp", b"sgpd", b"sbgp")
_IDENTITY = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
VISUAL_ENTRY = 86
"""Bytes of a visual sample entry before its boxes (ISO 14496-12, 12.1.3)."""


class Track(NamedTuple):
    """The video track of a plain mp4 file. Packets in decoding order."""

    entry: bytes
    """The sample entry: codec, size, the decoder's parameters. Without its bit rate, which differs between files."""
    ticks_per_s: int
    offset: NDArray[np.int64]
    """First byte of each packet, (N,)."""
    size_bytes: NDArray[np.int64]
    pts: NDArray[np.int64]
    """Presentation stamps in ticks as FFmpeg gives them, the edit taken off, (N,)."""
    dts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    duration: int
    """Ticks of all packets together."""
    matrix: tuple[int, ...] | None
    """How players turn or mirror the pictures: the nine numbers of `tkhd`, None where they show them as they are."""

    @property
    def rate_hz(self) -> Fraction:
        """Average rate, as FFmpeg computes it."""
        return Fraction(self.ticks_per_s * len(self.pts), self.duration)


class _NotPlain(Exception):
    """The file says something that only FFmpeg should interpret."""


_KEPT_TRACKS = 64
_tracks: OrderedDict[tuple[str, int, int], Track | None] = OrderedDict()


def plain_track(path: Path) -> Track | None:
    """The track of a plain mp4 file; None where the file is none, is more than that, or is damaged.

    Raises:
        FileNotFoundError: nothing lies there.
    """
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _tracks:
        _tracks[key] = _read(path)
        while len(_tracks) > _KEPT_TRACKS:
            _tracks.popitem(last=False)
    return _tracks[key]


def forget_tracks() -> None:
    """Drop what was read: files may then be moved or deleted."""
    _tracks.clear()


def _read(path: Path) -> Track | None:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            return _track(_movie(file, size), size)
    except (_NotPlain, OSError, ValueError, KeyError, IndexError, struct.error):
        return None


def _movie(file: BinaryIO, end: int) -> memoryview:
    """The content of the box `moov`."""
    at = 0
    found: memoryview | None = None
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        if size == 0:
            size = end - at
        if size < head or at + size > end or kind in (b"moof", b"sidx", b"uuid"):
            raise _NotPlain
        if at == 0 and kind != b"ftyp":
            raise _NotPlain
        if kind == b"moov":
            if found is not None or size > MAX_MOVIE_BYTES:
                raise _NotPlain
            file.seek(at + head)
            found = memoryview(file.read(size - head))
        at += size
    if found is None or at != end:
        raise _NotPlain
    return found


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each box.

    Raises:
        ValueError: the size of one is none.
    """
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise ValueError(f"a box of {size} bytes")
        yield kind, data[at + 8 : at + size]
        at += size


def _tree(data: memoryview) -> dict[bytes, memoryview]:
    """All boxes below `moov` by kind; a kind that comes twice is not plain."""
    found: dict[bytes, memoryview] = {}
    for kind, content in boxes(data):
        inside = _tree(content) if kind in _CONTAINERS else {kind: content}
        if kind == b"mvex" or found.keys() & (inside.keys() - {b"free", b"skip", b"udta", b"meta"}):
            raise _NotPlain
        found |= inside
        if kind == b"stbl" and not set(inside) <= set(_TABLES):
            raise _NotPlain
    return found


def _track(movie: memoryview, size_of_file: int) -> Track:
    tree = _tree(movie)
    if bytes(tree[b"hdlr"][8:12]) != b"vide" or b"sgpd" in tree or b"sbgp" in tree:
        raise _NotPlain
    # A movie that is turned as a whole: FFmpeg multiplies both matrices.
    if matrix_at(tree[b"mvhd"], before_end=64) is not None:
        raise _NotPlain
    matrix = matrix_at(tree[b"tkhd"], before_end=44)
    sizes = _sizes(tree[b"stsz"], size_of_file)
    count = len(sizes)
    lengths = _run_lengths(tree[b"stts"], count)
    ends = np.cumsum(lengths)
    late = _run_lengths(tree[b"ctts"], count, is_signed=True) if b"ctts" in tree else np.zeros(count, np.int64)
    if not count or (lengths <= 0).any() or (late < 0).any():
        raise _NotPlain
    dts = ends - lengths
    ticks_per_s = _time_scale(tree[b"mdhd"])
    start = _start(tree, dts + late, ticks_per_s)
    offset = _offsets(tree, sizes)
    if offset.min() < 8 or (offset + sizes).max() > size_of_file or (sizes <= 0).any():
        raise _NotPlain
    is_key = np.full(count, b"stss" not in tree)
    if b"stss" in tree:
        is_key[_numbers(tree[b"stss"], 1)[:, 0] - 1] = True
    entry = _entry(tree[b"stsd"])
    return Track(entry, ticks_per_s, offset, sizes, dts + late - start, dts - start, is_key, int(ends[-1]), matrix)


def matrix_at(header: memoryview, *, before_end: int) -> tuple[int, ...] | None:
    """The matrix of `tkhd` or `mvhd`, None where it changes nothing."""
    found = struct.unpack_from(">9i", header, len(header) - before_end)
    return None if found == _IDENTITY else found


def _entry(table: memoryview) -> bytes:
    """The only sample entry, without the bit rate that encoders add."""
    (count,) = struct.unpack_from(">I", table, 4)
    (size,) = struct.unpack_from(">I", table, 8)
    entry = bytes(table[8 : 8 + size])
    if count != 1 or size != len(entry) or entry[4:8] not in SAMPLE_ENTRIES:
        raise _NotPlain
    inside = list(boxes(memoryview(entry)[VISUAL_ENTRY:]))
    if sum(len(content) + 8 for _, content in inside) != len(entry) - VISUAL_ENTRY:
        raise _NotPlain
    kept = b"".join(struct.pack(">I4s", len(c) + 8, kind) + bytes(c) for kind, c in inside if kind != b"btrt")
    return struct.pack(">I", VISUAL_ENTRY + len(kept)) + entry[4:VISUAL_ENTRY] + kept


def _time_scale(header: memoryview) -> int:
    (scale,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
    if not 0 < scale < 2**31:  # FFmpeg reads it with a sign
        raise _NotPlain
    return int(scale)


def _start(tree: Mapping[bytes, memoryview], shown_at: NDArray[np.int64], ticks_per_s: int) -> int:
    """The tick at which the only edit starts; an edit that hides a frame is not plain (ISO 14496-12, 8.6.6)."""
    if b"elst" not in tree:
        return 0
    edits = tree[b"elst"]
    version, count = edits[0], struct.unpack_from(">I", edits, 4)[0]
    duration, start, rate = struct.unpack_from(">QqI" if version == 1 else ">IiI", edits, 8)
    lasts = duration * ticks_per_s // _time_scale(tree[b"mvhd"])
    # FFmpeg moves what starts later than its edit to zero, and hides what starts before it or ends after it.
    if count != 1 or rate != 0x10000 or start != shown_at.min() or shown_at.max() >= start + lasts:
        raise _NotPlain
    return int(start)


def _sizes(table: memoryview, size_of_file: int) -> NDArray[np.int64]:
    constant, count = struct.unpack_from(">II", table, 4)
    if constant * count > size_of_file:
        raise _NotPlain
    if constant:
        return np.full(count, constant, np.int64)
    sizes = np.frombuffer(table, ">u4", count=count, offset=12)
    return sizes.astype(np.int64)


def _numbers(table: memoryview, width: int) -> NDArray[np.int64]:
    (count,) = struct.unpack_from(">I", table, 4)
    return np.frombuffer(table, ">u4", count=count * width, offset=8).reshape(count, width).astype(np.int64)


def _run_lengths(table: memoryview, count: int, *, is_signed: bool = False) -> NDArray[np.int64]:
    """One number per packet out of a table of (how many, number)."""
    pairs = _numbers(table, 2)
    numbers = pairs[:, 1]
    if is_signed and table[0] == 1:
        numbers = numbers.astype(np.uint32).astype(np.int32).astype(np.int64)
    # Summed before they are repeated: a damaged count must not take memory.
    if (pairs[:, 0] > count).any() or pairs[:, 0].sum() != count:
        raise _NotPlain
    return np.repeat(numbers, pairs[:, 0])


def _offsets(tree: Mapping[bytes, memoryview], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """First byte of each packet: that of its chunk, and the sizes of the packets before it in the chunk."""
    if (b"stco" in tree) == (b"co64" in tree):
        raise _NotPlain
    if b"stco" in tree:
        chunks = _numbers(tree[b"stco"], 1)[:, 0]
    else:
        (count,) = struct.unpack_from(">I", tree[b"co64"], 4)
        chunks = np.frombuffer(tree[b"co64"], ">u8", count=count, offset=8).astype(np.int64)
    runs = _numbers(tree[b"stsc"], 3)
    first = np.append(runs[:, 0], len(chunks) + 1)
    if first[0] != 1 or (np.diff(first) <= 0).any() or (runs[:, 2] != 1).any():
        raise _NotPlain
    held = np.repeat(runs[:, 1], np.diff(first))
    if (held > len(sizes)).any() or held.sum() != len(sizes) or (held <= 0).any():
        raise _NotPlain
    before = np.cumsum(sizes) - sizes
    starts = np.cumsum(held) - held
    return np.asarray(np.repeat(chunks - before[starts], held) + before)
