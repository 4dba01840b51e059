"""What only the container of a video knows: how its pictures are to be shown, and what lies beside them."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from robokata.core.errors import DamagedData, Unsupported
from robokata.core.require import require
from robokata.core.selected_values import PickedPictures
from robokata.core.stream import Stream
from robokata.core.values import Values
from robokata.media.mp4 import MAX_MOVIE_BYTES, VISUAL_ENTRY, boxes, matrix_at, plain_track
from robokata.media.packet_index import OPENING, packet_index
from robokata.media.video import VideoFrames
from robokata.runtime.cache import Arrays, cached_index

DISPLAY = "display"
"""Key of a stream's `extra`: a table of any of the following."""
MATRIX = "display_matrix"
"""Nine whole numbers, as `tkhd` of ISO 14496-12 holds them."""
ASPECT = "pixel_aspect_ratio"
"""Width and height of a pixel."""
CROP = "clean_aperture"
"""Eight whole numbers, as `clap` holds them: width, height and offsets of the part to show, as fractions."""
LEFT_OUT = "tracks_left_out"
"""Key of a stream's `extra`: the tracks of its file that an episode does not take, where that was said before."""
_KINDS = {b"soun": "sound", b"vide": "another video", b"tmcd": "time code", b"meta": "metadata"}
_KINDS |= dict.fromkeys((b"text", b"sbtl", b"subt", b"clcp"), "subtitles")
"""Handlers of ISO 14496-12 and of QuickTime, in words."""
_TYPES = {"audio": "sound", "video": "another video", "subtitle": "subtitles", "attachment": "attached file"}
"""FFmpeg's kinds of streams, in words."""


class ContainerFacts(NamedTuple):
    """What a bare stream of packets lacks, and what pictures out of it lack."""

    display: Mapping[str, list[int]]
    """How players show the pictures where that is not as they are stored: any of MATRIX, ASPECT, CROP."""
    other_tracks: tuple[str, ...]
    """The tracks beside the pictures, in words: `sound (mp4a)`."""


_NOTHING = ContainerFacts({}, ())


def container_facts(values: Values) -> ContainerFacts:
    """What the container behind pictures knows; nothing where they come out of none, or it cannot be read."""
    while isinstance(values, PickedPictures):
        values = values.values
    if not isinstance(values, VideoFrames):
        return _NOTHING
    try:
        return _facts_of_file(values.path)
    except (DamagedData, Unsupported, FileNotFoundError):
        return _NOTHING  # an absent or broken file is told by who reads its pictures


class WithDisplay(NamedTuple):
    """A stream of pictures that says itself how it is to be shown."""

    stream: Stream
    tracks: tuple[str, ...]
    """What lies beside the pictures in their container, in words."""
    note: str
    """How players show the pictures, "" where it is as they are stored."""


def with_display(stream: Stream) -> WithDisplay:
    """A stream whose `extra` says under DISPLAY what only its video's container knows."""
    if not stream.is_picture:
        return WithDisplay(stream, (), "")
    display, others = container_facts(stream.values)
    known = stream.extra.get(LEFT_OUT, ())
    tracks = tuple(track for track in others if track not in known)
    if not display:
        return WithDisplay(stream, tracks, _in_words(display_of(stream)))
    return WithDisplay(replace(stream, extra={**stream.extra, DISPLAY: dict(display)}), tracks, _in_words(display))


def display_of(stream: Stream) -> Mapping[str, list[int]]:
    """How players show the pictures: what their container says, or else said before they came out of one."""
    said = container_facts(stream.values).display or stream.extra.get(DISPLAY, {})
    sizes = {MATRIX: 9, ASPECT: 2, CROP: 8}
    if not isinstance(said, Mapping):
        return {}
    return {
        name: list(said[name])
        for name, size in sizes.items()
        if isinstance(said.get(name), (list, tuple))
        and len(said[name]) == size
        and all(isinstance(number, int) and -(2**31) <= number < 2**31 for number in said[name])
    }


def _in_words(display: Mapping[str, list[int]]) -> str:
    """`players show its pictures turned by 90 degrees clockwise; here they are as they are stored.`"""
    parts = []
    if MATRIX in display:
        parts.append(turn_in_words(display[MATRIX]))
    if ASPECT in display:
        parts.append("with pixels of {}:{}".format(*display[ASPECT]))
    if CROP in display:
        width, by_width, height, by_height = display[CROP][:4]
        parts.append(f"cut to {width / (by_width or 1):.4g} x {height / (by_height or 1):.4g}")
    return f"players show its pictures {', '.join(parts)}; here they are as they are stored." if parts else ""


def turn_in_words(matrix: tuple[int, ...] | list[int]) -> str:
    """What a display matrix does: `turned by 90 degrees`, `mirrored`."""
    a, b, c, d = (matrix[n] / 0x10000 for n in (0, 1, 3, 4))
    is_mirrored = a * d - b * c < 0
    a, b = (-a, -b) if is_mirrored else (a, b)
    degrees = round(math.degrees(math.atan2(b, a))) % 360
    turned = f"turned by {degrees} degrees clockwise" if degrees else ""
    return " and ".join(part for part in (turned, "mirrored" if is_mirrored else "") if part) or "scaled"


def _facts_of_file(path: Path) -> ContainerFacts:
    track = plain_track(path)
    if track is not None:
        return ContainerFacts(_display(track.matrix, memoryview(track.entry)), ())
    packet_index(path)  # refuses what is absent, damaged or too large
    said = json.loads(str(cached_index(path, "video-container-1", lambda: _read(path))["facts"]))
    return ContainerFacts(said["display"], tuple(said["other_tracks"]))


def _read(path: Path) -> Arrays:
    with path.open("rb") as file:
        movie = _movie(file)
    facts = None
    if movie is not None:
        try:
            facts = _facts_of_movie(movie)
        except (ValueError, struct.error, IndexError, KeyError):
            facts = None
    facts = facts or _facts_by_ffmpeg(path)
    return {"facts": np.asarray(json.dumps(facts._asdict()))}


def _movie(file: BinaryIO) -> memoryview | None:
    """The content of `moov`, wherever it lies; None where the file is of another family."""
    end, at = file.seek(0, 2), 0
    while at + 16 <= end:
        file.seek(at)
        size, kind, long_size = struct.unpack(">I4sQ", file.read(16))
        head, size = (16, long_size) if size == 1 else (8, size or end - at)
        if size < head or not kind.strip().isalnum():
            return None
        if kind == b"moov":
            file.seek(at + head)
            return memoryview(file.read(size - head)) if size <= MAX_MOVIE_BYTES else None
        at += size
    return None


def _facts_of_movie(movie: memoryview) -> ContainerFacts:
    parts = list(boxes(movie))
    whole = next(matrix_at(content, before_end=64) for kind, content in parts if kind == b"mvhd")
    tracks = [_Track.read(content) for kind, content in parts if kind == b"trak"]
    ours = next(number for number, track in enumerate(tracks) if track.kind == b"vide")
    matrix = tracks[ours].matrix if whole is None else _product(tracks[ours].matrix, whole)
    others = [track.words for number, track in enumerate(tracks) if number != ours]
    return ContainerFacts(_display(matrix, tracks[ours].entry), tuple(others))


class _Track(NamedTuple):
    kind: bytes
    matrix: tuple[int, ...] | None
    entry: memoryview

    @classmethod
    def read(cls, track: memoryview) -> _Track:
        found = dict(_leaves(track))
        size = struct.unpack_from(">I", found[b"stsd"], 8)[0] if len(found[b"stsd"]) >= 16 else 0
        entry = found[b"stsd"][8 : 8 + size]
        return cls(bytes(found[b"hdlr"][8:12]), matrix_at(found[b"tkhd"], before_end=44), entry)

    @property
    def words(self) -> str:
        codec = bytes(self.entry[4:8]).decode("ascii", "replace").strip()
        return f"{_KINDS.get(self.kind, 'data')} ({codec})" if codec else _KINDS.get(self.kind, "data")


def _leaves(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Boxes of a track that hold no boxes of their own; of two of a kind the first comes last."""
    for kind, content in reversed(list(boxes(data))):
        if kind in (b"mdia", b"minf", b"stbl"):
            yield from _leaves(content)
        else:
            yield kind, content


def _product(first: tuple[int, ...] | None, second: tuple[int, ...]) -> tuple[int, ...]:
    """Both matrices one after the other; the last column counts in 2.30, the others in 16.16."""
    if first is None:
        return second
    one, two = (np.asarray(m, np.float64).reshape(3, 3) / ([65536.0, 65536.0, 2.0**30]) for m in (first, second))
    made = one @ two * [65536.0, 65536.0, 2.0**30]
    return tuple(round(number) for number in made.ravel())


def _display(matrix: tuple[int, ...] | None, entry: memoryview) -> dict[str, list[int]]:
    inside = {kind: content for kind, content in _boxes_of_entry(entry) if kind in (b"pasp", b"clap")}
    found = {} if matrix is None else {MATRIX: list(matrix)}
    if b"pasp" in inside:
        width, height = struct.unpack_from(">II", inside[b"pasp"])
        found |= {ASPECT: [width, height]} if width != height and width and height else {}
    if b"clap" in inside:
        found[CROP] = list(struct.unpack_from(">8i", inside[b"clap"]))
    return found


def _boxes_of_entry(entry: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    try:
        yield from boxes(entry[VISUAL_ENTRY:])
    except ValueError:
        return  # QuickTime ends some entries with four zeros


def _facts_by_ffmpeg(path: Path) -> ContainerFacts:
    av = require("av", extra="video")
    try:
        with av.open(str(path), options=OPENING, metadata_errors="replace") as container:
            ours = container.streams.video[0]
            others = tuple(_stream_in_words(s) for s in container.streams if s.index != ours.index)
            frame = next(container.decode(ours), None)
            turn = 0 if frame is None else int(frame.rotation)
            aspect = ours.sample_aspect_ratio
    except (av.error.FFmpegError, ValueError, OSError, IndexError) as error:
        raise DamagedData(path, f"cannot be opened as a video: {error}.") from None
    display: dict[str, Any] = {MATRIX: _matrix_of_turn(turn)} if turn else {}
    if aspect and aspect != 1:
        display[ASPECT] = [aspect.numerator, aspect.denominator]
    return ContainerFacts(display, others)


def _matrix_of_turn(degrees_anticlockwise: int) -> list[int]:
    angle = math.radians(-degrees_anticlockwise)
    cos, sin = round(math.cos(angle) * 0x10000), round(math.sin(angle) * 0x10000)
    return [cos, sin, 0, -sin, cos, 0, 0, 0, 0x40000000]


def _stream_in_words(stream: Any) -> str:
    kind = _TYPES.get(stream.type, "data")
    codec = None if stream.codec_context is None else stream.codec_context.codec.canonical_name
    return f"{kind} ({codec})" if codec else kind
