"""What the tests of both LeRobot writers ask of what was written."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from robokata.core.clock import grid_clock
from robokata.core.episode import Episode
from robokata.core.source import Source
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.images import EncodedImages, RawImages
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_picture, barcode_video, read_barcode

CAMERA = "observation.images.front"


def barcode_episode(number: int, steps: int, *, rate_hz: int = 30) -> Episode:
    """Three actions and a raw camera whose pictures say which they are."""
    clock = grid_clock(steps, Fraction(rate_hz))
    action = np.random.default_rng(number).normal(size=(steps, 3)).astype(np.float32)
    pictures = np.stack([barcode_picture(number, frame) for frame in range(steps)])
    streams = [
        Stream("action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(action)),
        Stream(CAMERA, Kind.IMAGE, Role.CAMERA, clock, RawImages(ArrayValues(pictures), where="test")),
    ]
    return Episode(str(number), {s.name: s for s in streams}, declared_rate_hz=Fraction(rate_hz))


def packed_episodes(path: Path, lengths: list[int], *, codec: str = "libx264", gop: int = 2) -> list[Episode]:
    """Episodes whose cameras are spans of one video, as LeRobot v3.0 packs them."""
    codes = [Barcode(n, f) for n, length in enumerate(lengths) for f in range(length)]
    barcode_video(path, codes, codec=codec, gop=gop)
    episodes, first = [], 0
    for number, length in enumerate(lengths):
        span_s = (first / 30, (first + length) / 30)
        frames = VideoFrames(path, length, span_s=span_s)
        episode = barcode_episode(number, length)
        camera = episode.stream(CAMERA)
        video = Stream(CAMERA, Kind.VIDEO, Role.CAMERA, camera.clock, frames, encoding="h264")
        episodes.append(episode.with_stream(video))
        first += length
    return episodes


def encoded_episode(blobs: list[bytes]) -> Episode:
    """An episode whose camera gives these bytes."""
    episode = barcode_episode(0, len(blobs))
    camera = episode.stream(CAMERA)
    return episode.with_stream(camera.with_values(EncodedImages(len(blobs), blobs.__getitem__, where="test")))


def assert_same(back: Episode, original: Episode, *, but: tuple[str, ...] = ()) -> None:
    """Names, values to the bit, types, clocks to the nanosecond, and everything said of the episode."""
    assert set(back.streams) == set(original.streams)
    for name, stream in original.streams.items():
        if stream.role is Role.BOOKKEEPING:
            continue  # every dataset counts its own rows
        found = back.stream(name)
        assert (found.kind, found.role, found.channels, found.meaning) == (
            *(stream.kind, stream.role, stream.channels, stream.meaning),
        )
        assert found.clock.quality is stream.clock.quality
        assert found.clock.declared_rate_hz == stream.clock.declared_rate_hz
        np.testing.assert_array_equal(found.clock.times_ns, stream.clock.times_ns)
        if name not in but:
            assert found.values.dtype == stream.values.dtype
            np.testing.assert_array_equal(found.values[:], stream.values[:], err_msg=name)
    facts = ("instructions", "annotations", "outcome", "origin", "embodiment", "declared_rate_hz", "declared_steps")
    for what in facts:
        assert getattr(back, what) == getattr(original, what)


def all_episodes(source: Source) -> list[Episode]:
    return [source.episode(key) for key in source.keys()]


def shown_by_ffmpeg(file: Path) -> list[Barcode]:
    """Every frame that plain decoding presents, without our index."""
    with av.open(str(file)) as container:
        return [read_barcode(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def shown_times_s(file: Path) -> list[float]:
    with av.open(str(file)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def packets_of(files: list[Path]) -> list[bytes]:
    out = []
    for file in files:
        with av.open(str(file)) as container:
            out += [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return out


def broken(source: Any) -> dict[str, tuple[Any, Any]]:
    return {d.subject: (d.declared, d.found) for d in source.facts().declarations if not d.holds}
