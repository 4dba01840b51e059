"""Our reading of mp4's own tables beside FFmpeg's pass over all packets: the oracle of every number."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robokata.core.errors import RobokataError
from robokata.media.clips import clip_of
from robokata.media.cuts import Run, places_of
from robokata.media.mp4 import plain_track
from robokata.media.mp4_write import SplicedVideo, write_clip
from robokata.media.packet_index import packet_index
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, read_barcode


def as_ffmpeg_says(file: Path) -> list[tuple[int, int, bool, int, int]]:
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.size]
        assert not any(packet.is_discard for packet in packets)
        return [(p.pts, p.dts, p.is_keyframe, p.size, p.pos) for p in packets]  # type: ignore[misc]


def as_we_say(file: Path) -> list[tuple[int, int, bool, int, int]]:
    track = plain_track(file)
    assert track is not None
    columns = (track.pts, track.dts, track.is_key, track.size_bytes, track.offset)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def encoded(file: Path, *, codec: str, gop: int, rate_hz: Fraction, frames: int, b_frames: int, flags: str) -> None:
    rng = np.random.default_rng(0)
    with av.open(str(file), "w", format="mp4", options={"movflags": flags} if flags else {}) as container:
        options = {"g": str(gop), "bf": str(b_frames)}
        options |= {"x265-params": "pools=none:frame-threads=1:log-level=none:ctu=32"}
        stream = container.add_stream(codec, rate=rate_hz, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(frames):
            picture = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, 1 / rate_hz
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    codec=st.sampled_from(["libx264", "libx265", "mpeg4"]),
    gop=st.integers(1, 30),
    rate_hz=st.sampled_from([Fraction(5), Fraction(30), Fraction(50), Fraction(30000, 1001)]),
    frames=st.integers(1, 40),
    b_frames=st.integers(0, 3),
    flags=st.sampled_from(["", "faststart"]),
)
def test_the_tables_of_a_plain_file_say_what_ffmpeg_says(
    tmp_path: Path, codec: str, gop: int, rate_hz: Fraction, frames: int, b_frames: int, flags: str
) -> None:
    file = tmp_path / "video.mp4"
    # With B-frames, mpeg4's encoder fails on one frame, and x265 gives one or two a decoding time out of chance memory.
    frames = frames if codec == "libx264" else frames + 3
    encoded(file, codec=codec, gop=gop, rate_hz=rate_hz, frames=frames, b_frames=b_frames, flags=flags)
    assert as_we_say(file) == as_ffmpeg_says(file)
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        index, shape = packet_index(file), places_of(file).shape
        assert (index.time_base, index.average_rate_hz) == (stream.time_base, stream.average_rate)
        assert (index.frames_declared, index.codec) == (stream.frames, stream.codec_context.codec.canonical_name)
        assert (shape.width, shape.height, shape.pixel_format) == (96, 64, stream.codec_context.pix_fmt)
        assert shape.parameters == bytes(stream.codec_context.extradata or b"")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rate_hz=st.sampled_from([Fraction(10), Fraction(30), Fraction(30000, 1001)]))
def test_what_is_spliced_is_plain_and_says_the_same_to_ffmpeg(
    tmp_path: Path, data: st.DataObject, rate_hz: Fraction
) -> None:
    source, out = tmp_path / "source.mp4", tmp_path / "out.mp4"
    gop, b_frames = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 3))
    encoded(source, codec="libx264", gop=gop, rate_hz=Fraction(30), frames=24, b_frames=b_frames, flags="")
    spans = data.draw(st.lists(st.tuples(st.integers(0, 23), st.integers(1, 24)), min_size=1, max_size=4))
    clips = [clip_of(Run(source, a, min(n, 24 - a)), tmp_path, rate_hz=rate_hz) for a, n in spans]
    writer = SplicedVideo(out, clips[0], rate_hz=rate_hz)
    starts = [writer.add(clip, hides=False) for clip in clips]
    writer.close()
    assert as_we_say(out) == as_ffmpeg_says(out)
    stamps = [pts * packet_index(out).time_base for pts in packet_index(out).pts.tolist()]
    assert stamps == [n / rate_hz for n in range(len(stamps))]
    with av.open(str(source)) as before, av.open(str(out)) as after:
        wanted = [frame.to_ndarray() for frame in before.decode(video=0)]
        shown = [frame.to_ndarray() for frame in after.decode(video=0)]
    for start, clip in zip(starts, clips, strict=True):
        assert clip.first is not None
        for row in range(clip.frames):
            np.testing.assert_array_equal(shown[start + row], wanted[clip.first + row])


def changed(file: Path, kind: bytes, change: bytes) -> Path:
    """A copy in which the content of the first box of a kind starts differently."""
    data = bytearray(file.read_bytes())
    at = data.index(kind) + 4
    data[at : at + len(change)] = change
    out = file.with_name("changed.mp4")
    out.write_bytes(data)
    return out


@pytest.fixture
def video(tmp_path: Path) -> Path:
    file = tmp_path / "video.mp4"
    barcode_video(file, [Barcode(1, frame) for frame in range(12)], gop=4)
    return file


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (b"stsz", struct.pack(">III", 0, 0, 10**9)),  # more packets than the file could hold
        (b"stts", struct.pack(">IIII", 0, 1, 2**32 - 1, 1)),
        (b"stco", struct.pack(">III", 0, 1, 2**32 - 1)),  # past the end
        (b"elst", struct.pack(">IIIi", 0, 1, 100, 512)),  # starts late: hides a frame
        (b"mdhd", struct.pack(">IIII", 0, 0, 0, 0)),  # no ticks
        (b"mdhd", struct.pack(">IIII", 0, 0, 0, 2**31 + 15360)),  # a negative number of them for FFmpeg
        (b"stsd", struct.pack(">II", 0, 2)),
        (b"trak", struct.pack(">I4s", 8, b"trak")),
    ],
)
def test_a_file_that_is_not_plain_is_left_to_ffmpeg(video: Path, kind: bytes, change: bytes) -> None:
    assert plain_track(video) is not None
    assert plain_track(changed(video, kind, change)) is None


def test_a_file_that_hides_frames_is_left_to_ffmpeg(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    write_clip(out, clip_of(Run(video, 6, 4), tmp_path, rate_hz=Fraction(30)), rate_hz=Fraction(30))
    assert plain_track(out) is None
    assert len(packet_index(out).pts) == 4
    with av.open(str(out)) as container:
        frames = [read_barcode(frame.to_ndarray(format="rgb24")).frame for frame in container.decode(video=0)]
    assert frames == [6, 7, 8, 9]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_in_the_tables_is_damage_or_what_ffmpeg_sees_too(
    video: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = bytearray(video.read_bytes())
    start = whole.index(b"moov")
    whole[data.draw(st.integers(start, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    out = tmp_path / "flipped.mp4"
    out.write_bytes(whole)
    track = plain_track(out)
    if track is None:
        return
    try:
        index = packet_index(out)
    except RobokataError:
        return
    try:
        said = as_ffmpeg_says(out)
    except (av.error.FFmpegError, ValueError):
        return
    if len(index.pts) != len(said):
        # FFmpeg gives up at the first packet that is none; then none of these frames may be shown.
        with pytest.raises(RobokataError):
            VideoFrames(out, len(index.pts))[:]
        return
    np.testing.assert_array_equal(np.sort([row[0] for row in said]), index.pts)
