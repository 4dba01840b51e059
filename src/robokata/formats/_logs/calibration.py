"""Calibration topics of a log: which pictures they belong to, and of which size they say those are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from robokata.core.errors import DamagedData, Unsupported
from robokata.core.intrinsics import Intrinsics, intrinsics
from robokata.core.stream import Stream
from robokata.formats._logs.streams import View

_TYPES = ("CameraInfo", "CameraCalibration")
_TRANSPORTS = re.compile(r"/(compressed|compressedDepth|theora|ffmpeg|zstd|foxglove|h264|h265)$")


def with_calibrations(streams: Mapping[str, Stream], views: Iterable[View]) -> dict[str, Stream]:
    """The streams, the pictures of which say what the calibration beside them is of."""
    calibrations = {v.topic.name: v for v in views if v.samples and v.type.partition("/")[2] in _TYPES}
    out = dict(streams)
    for name, stream in streams.items():
        view = calibrations.get(calibration_topic(name)) if stream.is_picture else None
        stated = None if view is None else _stated(view)
        if stated is not None:
            out[name] = replace(stream, declared={**stream.declared, "intrinsics": stated})
    return out


def calibration_topic(pictures: str) -> str:
    """The topic of the calibration, as image_transport derives it from that of the pictures (getCameraInfoTopic).

    librealsense's recorder has `<stream>/info/camera_info` beside `<stream>/image/data`.
    """
    plain = _TRANSPORTS.sub("", pictures)
    if plain.endswith("/image/data"):
        return plain.removesuffix("image/data") + "info/camera_info"
    return plain.rpartition("/")[0] + "/camera_info"


def _stated(view: View) -> Intrinsics | None:
    """What the first message says: of the part of the sensor that is read out, where it names one."""
    try:
        said = view.parts(0)
    except (DamagedData, Unsupported):
        return None
    found = intrinsics(said)
    if found is None or found.size is None:
        return None
    width, height = (_count(said, f"roi.{name}") or size for name, size in zip(_SIDES, found.size, strict=True))
    # sensor_msgs/CameraInfo: width and height are of the whole sensor, before binning and the region of interest.
    across, down = (max(1, _count(said, f"binning_{axis}")) for axis in "xy")
    return Intrinsics((width // across, height // down), None)


_SIDES = ("width", "height")


def _count(said: Mapping[str, Any], name: str) -> int:
    value = said.get(name, 0)
    return int(value) if isinstance(value, int) and value > 0 else 0
