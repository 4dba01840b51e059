"""A stream of pictures in a Rerun recording: encoded bytes and packets as they are, everything else as PNG."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import rate_fraction
from robokata.core.errors import Unsupported
from robokata.core.layout import Place, Way, way_of_pixels
from robokata.core.stream import Role, Stream
from robokata.formats._rerun.recording import RerunRecording, Times, split, timelines_of
from robokata.media.bare import PacketRun, packet_run
from robokata.media.clips import clip_of, tidy_entry
from robokata.media.cuts import Run, cut_of, run_of
from robokata.media.depth import DepthCodes, depth_codes
from robokata.media.encode import encode_png
from robokata.media.mp4_write import SplicedVideo

_CODECS = {"h264": "H264", "hevc": "H265", "av1": "AV1", "vp9": "VP9"}
_MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_BLOCK = 32
"""Pictures sent at a time: 30 MB of raw 640 x 480."""
_FALLBACK_HZ = Fraction(30)
"""Rate of a cut where the stream has none: its frames are referred to by their place, and shown at their own times."""


class Form(Enum):
    """What a stream of pictures becomes."""

    PACKETS = "video packets"
    """A `VideoStream`: packets in the order in which they are shown."""
    MOVIE = "a cut of the video"
    """An `AssetVideo` with references to its frames: packets that come in another order than their pictures."""
    ENCODED = "encoded pictures"
    PNG = "PNG"
    DEPTH = "raw depth"
    METRES = "depth in metres, float32, out of its codes"


class Chosen(NamedTuple):
    """The form of one stream, and what it takes."""

    form: Form
    packets: PacketRun | None = None
    run: Run | None = None


def chosen(stream: Stream) -> Chosen:
    """The form in which a stream goes into a recording.

    Raises:
        DamagedData: its pictures cannot be read.
    """
    pictures = stream.pictures
    if _codes(stream) is not None and len(stream):
        return Chosen(Form.METRES)
    # A viewer shows packets as colours of 8 bits: levels of more bits go as pictures.
    packets = packet_run(pictures) if len(stream) and pictures.dtype == np.uint8 else None
    if packets is not None and packets.codec in _CODECS:
        if np.all(np.diff(packets.ranks) > 0):
            return Chosen(Form.PACKETS, packets)
        run = run_of(pictures, np.arange(len(stream), dtype=np.int64))
        if run is not None and cut_of(run) is not None:
            return Chosen(Form.MOVIE, run=run)
    encoded = pictures.encoded(0) if len(stream) else None
    if encoded is not None and encoded.codec in _MEDIA_TYPES:
        return Chosen(Form.ENCODED)
    is_plain = pictures.dtype in (np.uint8, np.uint16) and stream.shape[2:] in ((), (1,), (3,))
    return Chosen(Form.PNG if is_plain else Form.DEPTH)


def place_of_pictures(stream: Stream, entity: str) -> Place:
    """Where a stream of pictures goes.

    Raises:
        DamagedData: its pictures cannot be read.
    """
    if not len(stream):
        return Place(stream.name, None, Way.DROPPED, "holds no picture")
    media = stream.pictures.media()
    if media.is_absent:
        return Place(stream.name, None, Way.DROPPED, f"its file is not there: {media.path}")
    form = chosen(stream).form
    if form is Form.DEPTH and (stream.values.dtype.kind not in "fiu" or stream.shape[2:] not in ((), (1,))):
        return Place(
            stream.name, None, Way.DROPPED, f"Rerun shows no {stream.values.dtype}{list(stream.shape)} pictures"
        )
    if form is Form.METRES:
        return Place(stream.name, entity, Way.DECODED, f"as {form.value}")
    is_raw = media.codec in (None, "raw")
    if form is Form.PNG and not is_raw:
        return Place(stream.name, entity, *way_of_pixels(media, f"as {form.value}"))
    return Place(stream.name, entity, Way.COPIED, f"as {form.value}")


def put_pictures(recording: RerunRecording, entity: str, stream: Stream) -> None:
    """Write a stream of pictures.

    Raises:
        DamagedData: a picture cannot be read.
    """
    form, packets, run = chosen(stream)
    if packets is not None:
        _put_packets(recording, entity, stream, packets)
    elif run is not None:
        _put_movie(recording, entity, stream, run)
    elif form is Form.ENCODED:
        _put_encoded(recording, entity, stream)
    elif form is Form.PNG:
        _put_png(recording, entity, stream)
    else:
        _put_depth(recording, entity, stream, _codes(stream) if form is Form.METRES else None)


def _put_packets(recording: RerunRecording, entity: str, stream: Stream, packets: PacketRun) -> None:
    rr = recording.rr
    recording.put_static(entity, rr.VideoStream.columns(codec=[getattr(rr.VideoCodec, _CODECS[packets.codec])]))
    times = packet_times(packets, timelines_of(stream))
    start, block = 0, []
    for data in packets.read():
        block.append(data)
        if len(block) == _BLOCK:
            recording.put(entity, split(times, slice(start, start + len(block))), rr.VideoStream.columns(sample=block))
            start, block = start + len(block), []
    if block:
        recording.put(entity, split(times, slice(start, start + len(block))), rr.VideoStream.columns(sample=block))


def packet_times(packets: PacketRun, times: Times) -> dict[str, NDArray[np.int64]]:
    """When each packet is shown, (K,): at the first sample that is its picture.

    A packet that is no sample, but that others refer to, stands a nanosecond (of steps: one) after the one before it;
    those before the first sample as far before it. So every packet has a time of its own, and none of a sample moves.
    """
    shown, first = np.unique(packets.picked, return_index=True)
    own = np.searchsorted(shown, np.arange(len(packets.ranks)), side="right") - 1
    lead = int(shown[0]) if len(shown) else 0
    out = {}
    for name, at in times.items():
        base = at[first][np.maximum(own, 0)]
        offset = np.arange(len(packets.ranks)) - np.where(own >= 0, shown[np.maximum(own, 0)], lead)
        out[name] = (base + offset).astype(np.int64)
    return out


def _put_movie(recording: RerunRecording, entity: str, stream: Stream, run: Run) -> None:
    rr = recording.rr
    with tempfile.TemporaryDirectory(dir=recording.path.parent) as folder:
        file = Path(folder) / "cut.mp4"
        rate_hz = rate_fraction(stream.clock.rate_hz() or 0) or _FALLBACK_HZ
        clip = clip_of(run, Path(folder), rate_hz=rate_hz)
        clip = clip._replace(entry=tidy_entry(clip.entry))
        video = SplicedVideo(file, clip, rate_hz=rate_hz)
        video.add(clip, hides=False)
        video.close()
        data = file.read_bytes()
    movie = rr.AssetVideo(contents=data, media_type="video/mp4")
    try:
        stamps_ns = movie.read_frame_timestamps_nanos()
    except RuntimeError as error:
        raise Unsupported(
            f"stream {stream.name}: Rerun cannot read its video ({error}). Leave it out (--without)."
        ) from None
    frames_ns = np.asarray(stamps_ns)[clip.lead :][: len(stream)]
    recording.put_static(entity, rr.AssetVideo.columns(blob=[data], media_type=["video/mp4"]))
    recording.put(entity, timelines_of(stream), rr.VideoFrameReference.columns_nanos(frames_ns))


def _put_encoded(recording: RerunRecording, entity: str, stream: Stream) -> None:
    rr, times, pictures = recording.rr, timelines_of(stream), stream.pictures
    for rows in _blocks(len(stream)):
        found = [pictures.encoded(row) for row in rows]
        # A picture among them that is raw, or of a codec that Rerun does not show, becomes PNG.
        held = [
            (e.data, _MEDIA_TYPES[e.codec])
            if e is not None and e.codec in _MEDIA_TYPES
            else (encode_png(np.asarray(pictures[row])), "image/png")
            for row, e in zip(rows, found, strict=True)
        ]
        columns = rr.EncodedImage.columns(blob=[data for data, _ in held], media_type=[kind for _, kind in held])
        recording.put(entity, split(times, slice(rows[0], rows[-1] + 1)), columns)


def _put_png(recording: RerunRecording, entity: str, stream: Stream) -> None:
    rr, times = recording.rr, timelines_of(stream)
    is_depth = stream.values.dtype == np.uint16 and stream.shape[2:] in ((), (1,))
    image = rr.EncodedDepthImage if is_depth else rr.EncodedImage
    for rows in _blocks(len(stream)):
        block = np.asarray(stream.values[rows[0] : rows[-1] + 1])
        columns = image.columns(blob=[encode_png(picture) for picture in block], media_type=["image/png"] * len(rows))
        recording.put(entity, split(times, slice(rows[0], rows[-1] + 1)), columns)


def _codes(stream: Stream) -> DepthCodes | None:
    """How the codes of a depth stream become metres, None where it holds none."""
    info = stream.extra.get("info")
    is_code = stream.role is Role.DEPTH and stream.values.dtype.kind == "u" and stream.shape[2:] in ((), (1,))
    return depth_codes(info) if is_code and isinstance(info, dict) else None


def _put_depth(recording: RerunRecording, entity: str, stream: Stream, codes: DepthCodes | None) -> None:
    rr, times = recording.rr, timelines_of(stream)
    height, width = stream.shape[:2]
    kind = rr.ChannelDatatype.from_np_dtype(stream.values.dtype if codes is None else np.dtype(np.float32))
    layout = rr.components.ImageFormat(width=width, height=height, color_model="L", channel_datatype=kind)
    for rows in _blocks(len(stream)):
        block = np.ascontiguousarray(stream.values[rows[0] : rows[-1] + 1])
        block = block if codes is None else codes.metres(block)
        columns = rr.DepthImage.columns(buffer=[p.tobytes() for p in block], format=[layout] * len(rows))
        recording.put(entity, split(times, slice(rows[0], rows[-1] + 1)), columns)


def _blocks(count: int) -> Iterator[range]:
    return (range(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))
