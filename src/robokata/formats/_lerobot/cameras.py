"""Cameras of a LeRobot dataset: what info.json says of their pictures, and the stream of a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robokata.core.clock import Clock
from robokata.core.stream import UNKNOWN_MEANING, Fact, Kind, Meaning, Role, Stream
from robokata.media.depth import depth_codes
from robokata.media.video import VideoFrames

HINT = "robokata"
"""Key of a feature in info.json under which we keep what the stream was: its name, whether it stands in rows whole."""


def is_shape(shape: Any) -> bool:
    """True for a list of whole numbers that are not negative."""
    return isinstance(shape, list) and all(isinstance(size, int) and size >= 0 for size in shape)


def picture_shape(feature: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """(H, W, C) of a picture feature, from its shape and the names of its axes; None where that is unclear."""
    shape, names = feature.get("shape"), feature.get("names")
    if not (is_shape(shape) and isinstance(shape, list) and len(shape) == 3):
        return None
    first_is_channel = isinstance(names, list) and names and str(names[0]).startswith("channel")
    if first_is_channel or (shape[0] in (1, 3) and shape[2] not in (1, 3)):
        return shape[1], shape[2], shape[0]
    return shape[0], shape[1], shape[2]


def video_info(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """What info.json says of a camera's video, without the prefix `video.` that some versions write and some do not."""
    said = feature.get("info") or feature.get("video_info") or {}
    return {str(name).removeprefix("video."): value for name, value in said.items()} if isinstance(said, dict) else {}


_SAID = {"codec": "codec", "pix_fmt": "pixel_format", "is_depth_map": "is_depth", "has_audio": "has_sound"}


def declared_media(feature: Mapping[str, Any]) -> dict[str, Any]:
    """What info.json says of a camera's pictures, in the words of `Stream.declared`."""
    info, shape = video_info(feature), picture_shape(feature)
    said: dict[str, Any] = {
        ours: info[theirs] for theirs, ours in _SAID.items() if isinstance(info.get(theirs), (str, bool))
    }
    if isinstance(info.get("fps"), (int, float)) and not isinstance(info["fps"], bool):
        said["rate_hz"] = float(info["fps"])
    sides = dict(zip(("height", "width", "channels"), shape, strict=True)) if shape is not None else {}
    for name in ("height", "width", "channels"):
        if isinstance(info.get(name), int) and not isinstance(info[name], bool):
            # Where both say something, the shape counts: loaders go by it.
            sides.setdefault(name, info[name])
    return {**sides, **said}


def is_depth(feature: Mapping[str, Any]) -> bool:
    """True where info.json declares a depth map."""
    return bool(video_info(feature).get("is_depth_map"))


def video_frames(
    file: Path, count: int, feature: Mapping[str, Any], *, span_s: tuple[float, float] | None = None
) -> VideoFrames:
    """The frames of a camera in its file. A depth map of one channel holds codes; of three, colours for people."""
    holds_codes = is_depth(feature) and declared_media(feature).get("channels", 1) == 1
    return VideoFrames(file, count, span_s=span_s, shape=picture_shape(feature), is_depth=holds_codes)


def feature_extra(feature: Mapping[str, Any]) -> dict[str, Any]:
    """What info.json says of a feature beside its type and our own hint."""
    return {key: value for key, value in feature.items() if key not in ("dtype", "shape", "names", HINT)}


def video_stream(name: str, feature: Mapping[str, Any], frames: VideoFrames, clock: Clock) -> Stream:
    """A camera whose pictures lie in a video; what codec that is, the file says."""
    return Stream(
        name,
        Kind.VIDEO,
        Role.DEPTH if is_depth(feature) else Role.CAMERA,
        clock,
        frames,
        meaning=depth_meaning(feature),
        encoding="video",
        extra=feature_extra(feature),
        declared=declared_media(feature),
    )


def depth_meaning(feature: Mapping[str, Any]) -> Meaning:
    """How the numbers of a depth map become metres, where that is declared."""
    codes = depth_codes(video_info(feature)) if is_depth(feature) else None
    return UNKNOWN_MEANING if codes is None else Meaning(unit=Fact("depth code"), normalisation=Fact(str(codes)))
