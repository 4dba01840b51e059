"""Pictures in the messages of a robot log, read one message at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock, Reading
from robokata.core.errors import DamagedData, TooLarge, Unsupported
from robokata.core.stream import UNDECODABLE, Kind, Stream
from robokata.core.values import Index, IndexedValues, Values, ordinals
from robokata.formats._logs.depth import UNITS as DEPTH_UNITS
from robokata.formats._logs.depth import DepthImages, encoding_of, quantisation
from robokata.media.images import EncodedImages, RawImages, probe
from robokata.media.packet_index import MAX_PIXELS
from robokata.media.packets import VideoPackets, decodable_packets


class _Layout(NamedTuple):
    """How one pixel of a raw image lies in memory, and how it is handed out."""

    dtype: str
    channels: int
    order: tuple[int, ...] | None = None
    """Channels as red, green, blue; None where they are in order, or have none."""
    scale: float = 1.0
    """Brings the numbers to 0..255 for a look at the brightness."""


_LAYOUTS: Mapping[str, _Layout] = {
    "rgb8": _Layout("u1", 3),
    "rgba8": _Layout("u1", 4),
    "bgr8": _Layout("u1", 3, (2, 1, 0)),
    "bgra8": _Layout("u1", 4, (2, 1, 0, 3)),
    "8UC3": _Layout("u1", 3),
    "8UC4": _Layout("u1", 4),
    "mono8": _Layout("u1", 1),
    "8UC1": _Layout("u1", 1),
    "mono16": _Layout("u2", 1),
    "16UC1": _Layout("u2", 1),
    # 25.5: metres of an indoor depth camera, 10 m is white.
    "32FC1": _Layout("f4", 1, scale=25.5),
}
"""Encodings of sensor_msgs/image_encodings.hpp that are plain arrays; Bayer and YUV stay messages."""


class TopicView(Protocol):
    """What this module needs to know of a topic."""

    @property
    def samples(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def where(self) -> str: ...
    @property
    def topic(self) -> Any: ...
    @property
    def log(self) -> Any: ...
    @property
    def number(self) -> int: ...
    @property
    def stream(self) -> Callable[..., Stream]: ...
    def parts(self, number: int) -> Mapping[str, Any]: ...


class MessageValues:
    """Messages as bytes, read one by one. A class, because numpy would cut the zeros off their ends."""

    dtype: np.dtype[Any] = np.dtype(object)

    def __init__(self, count: int, load: Callable[[int], bytes]) -> None:
        self._count, self._load = count, load

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._count,)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Index) -> NDArray[Any]:
        wanted = ordinals(index, self._count)
        out = np.empty(len(wanted), object)
        for row, number in enumerate(wanted):
            out[row] = self._load(int(number))
        return out.reshape(()) if isinstance(index, (int, np.integer)) else out

    def __repr__(self) -> str:
        return f"MessageValues({self._count})"


_OPENCV = re.compile(r"(8|16|32|64)([USF])C([1-9])")
"""Names such as `32FC3` that image_encodings.hpp gives to OpenCV's matrices."""


def _layout_of(encoding: str) -> _Layout | None:
    if encoding in _LAYOUTS:
        return _LAYOUTS[encoding]
    named = _OPENCV.fullmatch(encoding)
    if named is None or named[1] + named[2] in ("8F", "64U", "64S"):
        return None
    return _Layout({"U": "u", "S": "i", "F": "f"}[named[2]] + str(int(named[1]) // 8), int(named[3]))


_VIDEO_CODECS: Mapping[str, str] = {
    **{"h264": "h264", "h265": "hevc", "hevc": "hevc", "av1": "av1", "vp9": "vp9"},
    # No word of foxglove's: only our own files hold it, so that old clips need not be encoded again.
    "mpeg4": "mpeg4",
}
"""Words of CompressedVideo, as FFmpeg calls them."""


def is_picture_type(bare: str) -> bool:
    """True for the message types that hold one picture each."""
    return bare in ("CompressedImage", "CompressedVideo", "Image", "RawImage")


def picture_stream(view: TopicView) -> Stream | None:
    """The topic as pictures, or None where it holds none, or none that is read (then it stays messages)."""
    bare = view.type.partition("/")[2]
    if not is_picture_type(bare) or view.log.decoders[view.number] is None:
        return None
    try:
        first = view.parts(0)
    except (DamagedData, Unsupported):
        return None
    if not isinstance(first.get("data"), bytes):
        return None
    if bare in ("Image", "RawImage"):
        return _raw_stream(view, first)
    said = str(first.get("format", ""))
    if said.lower() in _VIDEO_CODECS:  # Some drivers of ROS put packets into CompressedImage.
        return _video_stream(view, said, _VIDEO_CODECS[said.lower()])
    return _encoded_stream(view, first)


def _video_stream(view: TopicView, said: str, codec: str) -> Stream:
    """One packet per message; the pictures are in the order in which they are shown, and so are the header stamps."""

    def load(number: int) -> bytes:
        data = view.parts(number).get("data")
        return data if isinstance(data, bytes) else b""

    rows = decodable_packets(view.samples, load, codec)
    lost = view.samples - len(rows)

    def stamps() -> NDArray[np.int64] | None:
        times_ns = view.log.data(view.number).header_ns
        return None if times_ns is None else times_ns[rows]

    values = VideoPackets(len(rows), lambda i: load(int(rows[i])), codec=codec, where=view.where, stamps=stamps)
    words = f"{lost} of {view.samples} pictures of {view.topic.name} cannot be decoded and are left out"
    stream = view.stream(
        view.topic.name,
        values,
        kind=Kind.VIDEO,
        encoding=values.codec,
        extra={"format": said},
        oddities={UNDECODABLE: f"{words}: the recording begins between two key frames"} if lost else {},
        rows=rows if lost else None,
        is_optional=False,
    )
    if stream.extra.get("clock") != "header" or values.codec not in ("h264", "hevc"):
        return stream
    clock = stream.clock

    def shown() -> Reading:
        return Reading(clock.places[values.positions], clock.quality)

    return replace(stream, clock=Clock(len(clock), shown))


def _encoded_stream(view: TopicView, first: Mapping[str, Any]) -> Stream:
    said = str(first.get("format", ""))
    if "compressedDepth" in said:
        return _depth_stream(view, said, first["data"])
    try:
        codec = probe(first["data"], where=view.where).codec
    except (DamagedData, Unsupported) as reason:
        if "jp" not in said and "png" not in said:
            # A codec that we do not know: a message is no picture of its own.
            return _unread_stream(view, said, reason)
        codec = "jpeg" if "jp" in said else "png"
    values = EncodedImages(view.samples, lambda i: _packed(view, i), where=view.where)
    return view.stream(view.topic.name, values, kind=Kind.IMAGE, encoding=codec, extra={"format": said})


def _depth_stream(view: TopicView, said: str, first: bytes) -> Stream:
    """Depth of compressed_depth_image_transport: (T, H, W) as of a raw depth picture, never the codes behind it."""
    extra: dict[str, Any] = {"format": said}
    try:
        encoding, codec = encoding_of(said)
        if encoding == "32FC1":
            extra["depth_quantisation"] = quantisation(first, where=view.where)._asdict()
        values = DepthImages(view.samples, lambda i: _packed(view, i), encoding=encoding, codec=codec, where=view.where)
    except (DamagedData, Unsupported) as reason:
        return _unread_stream(view, said, reason)
    return view.stream(
        view.topic.name, values, kind=Kind.IMAGE, encoding=codec, unit=DEPTH_UNITS[encoding], extra=extra
    )


def _unread_stream(view: TopicView, said: str, reason: Exception) -> Stream:
    messages = MessageValues(view.samples, lambda i: bytes(view.log.message(view.number, i).data))
    extra = {"format": said, "why": str(reason)}
    return view.stream(view.topic.name, messages, kind=Kind.MESSAGE, encoding=said or None, extra=extra)


def _packed(view: TopicView, number: int) -> bytes:
    """The bytes of an encoded picture."""
    data = view.parts(number).get("data")
    if not isinstance(data, bytes):
        raise DamagedData(f"{view.where}, message {number}", "the message holds no picture.")
    return data


def _raw_stream(view: TopicView, first: Mapping[str, Any]) -> Stream | None:
    encoding = str(first.get("encoding", ""))
    layout = _layout_of(encoding)
    extra = {"image_encoding": encoding}
    if layout is None:
        messages = MessageValues(view.samples, lambda i: bytes(view.log.message(view.number, i).data))
        return view.stream(view.topic.name, messages, kind=Kind.MESSAGE, encoding=f"raw:{encoding}", extra=extra)
    height, width = int(first["height"]), int(first["width"])
    if not 0 < height * width <= MAX_PIXELS:
        raise TooLarge(view.where, f"an image claims {width} x {height} pixels.")
    # Depth has no channels; grey pictures keep theirs.
    flat = layout.dtype != "u1" and layout.channels == 1
    shape = (view.samples, height, width) if flat else (view.samples, height, width, layout.channels)

    def load(number: int) -> NDArray[Any]:
        return unpacked(view.parts(number), layout, (height, width, encoding), f"{view.where}, message {number}")

    values: Values = IndexedValues(shape, layout.dtype, load)
    images = RawImages(values, where=view.where, scale=layout.scale)
    # 16 bits of one channel are infrared too: only where the topic says depth do they count millimetres (REP 118).
    unit = DEPTH_UNITS.get(encoding) if "depth" in view.topic.name.lower() else None
    return view.stream(view.topic.name, images, kind=Kind.IMAGE, encoding="raw", unit=unit, extra=extra)


def unpacked(parts: Mapping[str, Any], layout: _Layout, expected: tuple[int, int, str], where: str) -> NDArray[Any]:
    """One raw image as an array (H, W, C), or (H, W) for depth, colours as red, green, blue.

    Raises:
        DamagedData: the image is not like the first, or its bytes do not hold its pixels.
    """
    lacking = [name for name in ("height", "width", "encoding", "step", "data") if parts.get(name) is None]
    if lacking:
        raise DamagedData(where, f"the message has no {lacking[0]}, and is no image.")
    height, width, encoding = expected
    found = (int(parts["height"]), int(parts["width"]), str(parts["encoding"]))
    if found != expected:
        raise DamagedData(
            where, f"the image is {found[1]} x {found[0]} {found[2]}, the first {width} x {height} {encoding}."
        )
    item = np.dtype((">" if parts.get("is_bigendian") else "<") + layout.dtype)
    row_bytes = width * layout.channels * item.itemsize
    step, data = int(parts["step"]), parts["data"]
    if step < row_bytes or step * (height - 1) + row_bytes > len(data):
        raise DamagedData(
            where, f"{len(data)} bytes with rows of {step} cannot hold {width} x {height} pixels of {encoding}."
        )
    whole = np.frombuffer(data, np.uint8)
    if len(data) >= step * height:
        rows = whole[: step * height].reshape(height, step)[:, :row_bytes]
    else:
        rows = np.stack([whole[y * step : y * step + row_bytes] for y in range(height)])
    pixels = np.ascontiguousarray(rows).view(item).reshape(height, width, layout.channels)
    if layout.order is not None:
        pixels = pixels[..., list(layout.order)]
    pixels = pixels.astype(layout.dtype, copy=False)
    return pixels[..., 0] if layout.dtype != "u1" and layout.channels == 1 else pixels
