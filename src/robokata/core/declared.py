"""What an index says of streams, beside what their file holds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
from robokata.core.intrinsics import intrinsics_in
from robokata.core.source import Declaration
from robokata.core.stream import Role, Stream
from robokata.core.values import Media

_CODECS = {
    **dict.fromkeys(("libx264", "x264", "avc", "avc1", "h264_nvenc"), "h264"),
    **dict.fromkeys(("libx265", "x265", "h265", "hev1", "hvc1", "hevc_nvenc"), "hevc"),
    **dict.fromkeys(("libsvtav1", "libaom-av1", "av01", "libdav1d"), "av1"),
    **dict.fromkeys(("libvpx-vp9", "vp09"), "vp9"),
    "mp4v": "mpeg4",
}
"""Other names that writers use, encoders among them, for FFmpeg's names of codecs."""

_RATE_ROUNDING = 0.01
"""1 %: half of what separates 24 from 23.976 and 30 from 29.97 would pass, 25 and 24 are apart."""


def stream_declarations(stream: Stream) -> Iterator[Declaration]:
    """Every statement of an index about a stream, beside what its file, or its first picture, holds.

    Nothing is said of media that cannot be opened: others report those.
    """
    if stream.is_picture:
        yield from picture_declarations(stream)
    elif "samples" in stream.declared:
        where = str(stream.declared.get("where", "the index"))
        yield Declaration("samples", stream.declared["samples"], len(stream), where)


def picture_declarations(stream: Stream) -> Iterator[Declaration]:
    """Every statement about a stream's pictures, beside what the file or the first picture holds."""
    if not stream.is_picture or not len(stream):
        return
    try:
        media, shape = stream.pictures.media(), stream.shape
    except RobokataError:
        return
    if media.problem is not None or media.is_absent:
        return
    found: dict[str, Any] = dict(zip(("height", "width", "channels"), (*shape, 1)[:3], strict=True))
    yield from _calibrations(stream, found["width"], found["height"], media.path)
    if stream.declared.get("channels") == media.channels is not None:
        found["channels"] = media.channels  # with transparency, which is not decoded
    found |= {
        "codec": None if media.codec == "raw" else media.codec,
        "bits": media.bits,
        "frames": media.frames_in_file,
        "pixel_format": _in_words_of_file("pixel_format", media.pixel_format),
        "is_depth": _is_depth(stream, media),
    }
    # What writers round (29.97 for 30000/1001) is one rate; other differences are another.
    if media.rate_hz is not None and isinstance(rate_hz := stream.declared.get("rate_hz"), float):
        is_same = math.isclose(rate_hz, float(media.rate_hz), rel_tol=_RATE_ROUNDING)
        found["rate_hz"] = rate_hz if is_same else round(float(media.rate_hz), 3)
    # Only a file of a video has tracks that could hold sound.
    found["has_sound"] = None if media.frames_in_file is None else media.sound is not None
    if media.turn is not None:
        hint = "OpenCV turns such pictures; PIL, TensorFlow, LeRobot and Robokata do not"
        yield Declaration("orientation", media.turn, "as the pixels lie", media.path, hint)
    for name, declared in stream.declared.items():
        if found.get(name) is not None:
            hint = f"sound track: {media.sound}" if name == "has_sound" and media.sound else ""
            yield Declaration(name, _in_words_of_file(name, declared), found[name], media.path, hint)


def _calibrations(stream: Stream, width: int, height: int, where: str) -> Iterator[Declaration]:
    """What the intrinsics that lie with a camera say of its pictures."""
    stated = [stream.declared["intrinsics"]] if "intrinsics" in stream.declared else intrinsics_in(stream.extra)
    for one in stated:
        found = f"{width} x {height}"
        yield Declaration("intrinsics", one.contradiction(width, height) or found, found, where)


def false_declarations(episodes: Iterable[Episode]) -> Iterator[Declaration]:
    """What the index says of the streams of some episodes and their files contradict, each stream's once."""
    seen = set()
    for episode in episodes:
        for stream in episode.streams.values():
            for stated in stream_declarations(stream):
                subject = f"{stated.subject} of {stream.name}"
                if not stated.holds and subject not in seen:
                    seen.add(subject)
                    yield replace(stated, subject=subject)


def _is_depth(stream: Stream, media: Media) -> bool:
    # Grey levels of more than 8 bits are no light for the eye; 8 bits do not tell.
    is_deep_grey = (media.pixel_format or "").startswith("gray") and stream.values.dtype.itemsize > 1
    return is_deep_grey or stream.role is Role.DEPTH


def _in_words_of_file(name: str, declared: object) -> object:
    """The declared value as the file would say it: encoders and codecs have several names."""
    if name == "codec" and isinstance(declared, str):
        return _CODECS.get(declared.lower(), declared.lower())
    # Full range is a property of the pixels, which older names put into the format.
    return declared.replace("yuvj", "yuv") if name == "pixel_format" and isinstance(declared, str) else declared
