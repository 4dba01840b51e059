"""Depth pictures as a ROS 2 camera publishes them: raw, and packed by compressed_depth_image_transport."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mcap.writer import Writer
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_typestore

START_NS = 1_700_000_000_000_000_000
PACKED, RAW = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
QUANTISED = (100 * 101.0, 1 - 100 * 101.0 / 10)
"""A and B for the transport's own defaults: quantisation 100, and 10 m at most."""


def truth_m(count: int = 6) -> NDArray[np.float32]:
    """Depth, (T, H, W) in metres, with a patch that was not measured."""
    rows, columns = np.mgrid[0:24, 0:32]
    depth = np.stack([0.4 + 5 * np.abs(np.sin(rows / 9 + columns / 7 + t / 3)) for t in range(count)]).astype("f4")
    depth[:, 3:6, 4:12] = np.nan
    return depth


def codes(depth_m: NDArray[np.float32], quantised: tuple[float, float] = QUANTISED) -> NDArray[np.uint16]:
    """What the transport makes of metres: inverse depth, cut off to 16 bits, 0 where none was measured."""
    code = np.float32(quantised[0]) / np.nan_to_num(depth_m, nan=1.0) + np.float32(quantised[1])
    return np.where(np.isnan(depth_m), 0, code).astype(np.uint16)


def millimetres(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    return np.nan_to_num(depth_m * 1000).astype(np.uint16)


def pack(picture: NDArray[np.uint16], codec: str, quantised: tuple[float, float] = (0.0, 0.0)) -> bytes:
    """The bytes of one message, with the 12 bytes of the transport before the picture."""
    head = struct.pack("<iff", 0, *quantised)
    if codec == "png":
        return head + cv2.imencode(".png", picture)[1].tobytes()
    rows, columns = picture.shape
    return head + struct.pack("<II", columns, rows) + rvl(picture.ravel().tolist())


def rvl(pixels: list[int]) -> bytes:
    """RVL as its paper describes it, one number after the other."""
    nibbles: list[int] = []

    def put(value: int) -> None:
        while True:
            value, low = value >> 3, value & 7
            nibbles.append(low | 8 if value else low)
            if not value:
                return

    at = before = 0
    while at < len(pixels):
        end = next((i for i in range(at, len(pixels)) if pixels[i]), len(pixels))
        put(end - at)
        at, end = end, next((i for i in range(end, len(pixels)) if not pixels[i]), len(pixels))
        put(end - at)
        for pixel in pixels[at:end]:
            step, before = pixel - before, pixel
            put(2 * step if step >= 0 else -2 * step - 1)
        at = end
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{n:x}" for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)]
    return struct.pack(f"<{len(words)}I", *words)


def write_depth_log(path: Path, topics: dict[str, tuple[str, list[Any]]], *, period_ns: int = 50_000_000) -> Path:
    """Topics by name, each with its `format` and the bytes (packed) or the arrays (raw) of its messages."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("ros2", "robokata tests")
        for topic, (said, pictures) in topics.items():
            kind = RAW if isinstance(pictures[0], np.ndarray) else PACKED
            schema = writer.register_schema(kind, "ros2msg", store.generate_msgdef(kind, ros_version=2)[0].encode())
            channel = writer.register_channel(topic, "cdr", schema)
            for number, picture in enumerate(pictures):
                now = START_NS + number * period_ns
                stamp = types["builtin_interfaces/msg/Time"](sec=now // 10**9, nanosec=now % 10**9)
                header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
                if kind == RAW:
                    size = {"height": picture.shape[0], "width": picture.shape[1], "step": picture[0].nbytes}
                    data = picture.view(np.uint8).ravel()
                    message = types[RAW](header=header, encoding=said, is_bigendian=0, data=data, **size)
                else:
                    message = types[PACKED](header=header, format=said, data=np.frombuffer(picture, np.uint8))
                writer.add_message(channel, now, bytes(store.serialize_cdr(message, kind)), now)
        writer.finish()
    return path


def write_every_depth(path: Path) -> Path:
    """Metres and millimetres, raw, as PNG and as RVL."""
    depth = truth_m()
    whole, quantised = [millimetres(d) for d in depth], [codes(d) for d in depth]
    topics: dict[str, tuple[str, list[Any]]] = {
        "/metres/depth/raw": ("32FC1", list(depth)),
        "/mm/depth/raw": ("16UC1", whole),
    }
    for codec in ("png", "rvl"):
        said = f"32FC1; compressedDepth {codec}"
        topics[f"/metres/{codec}"] = (said, [pack(c, codec, QUANTISED) for c in quantised])
        topics[f"/mm/{codec}"] = (f"16UC1; compressedDepth {codec}", [pack(w, codec) for w in whole])
    return write_depth_log(path, topics)
