"""What an index says of pictures, beside what their file holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
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


def picture_declarations(stream: Stream) -> Iterator[Declaration]:
    """Every statement of the index about a stream's pictures, beside what the file or the first picture holds.

    Nothing is said of media that cannot be opened: others report those.
    """
    if not stream.declared or not stream.is_picture or not len(stream):
        return
    try:
        media, shape = stream.pictures.media(), stream.shape
    except RobokataError:
        return
    if media.problem is not None or media.is_absent:
        return
    found: dict[str, Any] = dict(zip(("height", "width", "channels"), (*shape, 1)[:3], strict=True))
    found |= {
        "codec": None if media.codec == "raw" else media.codec,
        "pixel_format": _in_words_of_file("pixel_format", media.pixel_format),
        "is_depth": _is_depth(stream, media),
    }
    # Only a file of a video has tracks that could hold sound.
    found["has_sound"] = None if media.frames_in_file is None else media.sound is not None
    for name, declared in stream.declared.items():
        if found.get(name) is not None:
            hint = f"sound track: {media.sound}" if name == "has_sound" and media.sound else ""
            yield Declaration(name, _in_words_of_file(name, declared), found[name], media.path, hint)


def false_picture_declarations(episodes: Iterable[Episode]) -> Iterator[Declaration]:
    """What the index says of the pictures of some episodes and their files contradict, each camera's once."""
    seen = set()
    for episode in episodes:
        for stream in episode.pictures():
            for stated in picture_declarations(stream):
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
