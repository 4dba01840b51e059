"""Videos as people have them, into every format: pictures come back as PyAV shows them, or the plan told the loss."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from media import odd_videos as odd
from media.odd_videos import (
    FRAMES,
    edit,
    encode,
    entry_box,
    in_band,
    name_entry,
    shown,
    turn,
    two_encoders,
    without_vui,
)
from robokata.conversion.convert import convert, plan_conversion
from robokata.core.clock import grid_clock
from robokata.core.detection import open_source
from robokata.core.episode import Episode
from robokata.core.errors import Unsupported
from robokata.core.layout import LossReport
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.video import VideoFrames

CAMERA = "observation.images.cam"
B = {"bf": "2", "b_strategy": "0"}
"""Frames that are shown in another order than they are decoded."""
LONG = {"g": "300"}
"""One key frame."""


def full_range(stream: Any) -> None:
    stream.codec_context.color_range = 2


def colours(range_flag: int) -> bytes:
    return b"nclx" + struct.pack(">HHHB", 1, 1, 1, range_flag)


# What each file becomes in MCAP and in LeRobot v3: c copied, d decoded, n to 8 bits, r re-encoded (told as loss).
VIDEOS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "plain.mp4": ("cc", encode),
    "b_frames.mp4": ("cc", lambda f: encode(f, **B)),
    "b_frames.mov": ("cc", lambda f: encode(f, **B)),
    "b_frames.mkv": ("cc", lambda f: encode(f, **B)),
    "b_frames.ts": ("cr", lambda f: encode(f, **B)),
    "b_pyramid.mp4": ("cc", lambda f: encode(f, bf="3", b_strategy="0", b_pyramid="normal")),
    "plain.avi": ("cr", encode),
    "fragments.mp4": ("cc", lambda f: encode(f, flags="frag_keyframe+empty_moov+default_base_moof", **B)),
    "open_groups.mp4": ("cc", lambda f: encode(f, **B, **{"x264-params": "open-gop=1"})),
    "intra_refresh.mp4": ("cc", lambda f: encode(f, **LONG, **{"x264-params": "intra-refresh=1"})),
    "hidden_key.mp4": ("cc", lambda f: edit(encode(f, **LONG), (1, FRAMES - 1))),
    "hidden_key_b.mp4": ("cc", lambda f: edit(encode(f, **LONG, **B), (1, FRAMES - 1))),
    "hidden_ends.mp4": ("cc", lambda f: edit(encode(f, **B), (4, FRAMES - 5))),
    "delay.mp4": ("cc", lambda f: edit(encode(f, **B), (None, 6), (0, FRAMES))),
    "two_edits.mp4": ("cr", lambda f: edit(encode(f, **B), (0, 4), (8, 4))),
    "repeat.mp4": ("cr", lambda f: edit(encode(f, **B), (0, 6), (0, 6))),
    "swap.mp4": ("cc", lambda f: edit(encode(f), (6, 6), (0, 6))),
    "swap_b.mp4": ("cr", lambda f: edit(encode(f, **B), (7, 4), (1, 4))),
    "turned_90.mp4": ("cc", lambda f: turn(encode(f), odd.QUARTER_TURN)),
    "turned_180.mov": ("cc", lambda f: turn(encode(f, **B), odd.HALF_TURN)),
    "turned_270.mp4": ("cc", lambda f: turn(encode(f), odd.THREE_QUARTERS)),
    "mirrored.mp4": ("cc", lambda f: turn(encode(f), odd.MIRROR)),
    "turned_movie.mp4": ("cc", lambda f: turn(encode(f), odd.QUARTER_TURN, whole_movie=True)),
    "turned_hidden.mp4": ("cc", lambda f: turn(edit(encode(f, **LONG, **B), (1, FRAMES - 1)), odd.QUARTER_TURN)),
    "hevc.mp4": ("cc", lambda f: encode(f, codec="libx265")),
    "hevc_b.mkv": ("cc", lambda f: encode(f, codec="libx265", **B)),
    "hev1.mp4": ("cc", lambda f: name_entry(encode(f, codec="libx265", **B), b"hev1")),
    "hevc_10.mp4": ("cc", lambda f: encode(f, codec="libx265", pixels="yuv420p10le", **B)),
    "av1.mp4": ("cc", lambda f: encode(f, codec="libsvtav1", preset="10")),
    "av1.webm": ("cc", lambda f: encode(f, codec="libsvtav1", preset="10")),
    "vp9.webm": ("cc", lambda f: encode(f, codec="libvpx-vp9", **{"auto-alt-ref": "1", "lag-in-frames": "10"})),
    "vp9.mp4": ("cc", lambda f: encode(f, codec="libvpx-vp9")),
    "vp9_444.webm": ("cc", lambda f: encode(f, codec="libvpx-vp9", pixels="yuv444p")),
    "vp8.webm": ("dr", lambda f: encode(f, codec="libvpx")),
    "mpeg4.mp4": ("cc", lambda f: encode(f, codec="mpeg4")),
    "mpeg4_b.mp4": ("cc", lambda f: encode(f, codec="mpeg4", **B)),
    "mpeg4_b.avi": ("cr", lambda f: encode(f, codec="mpeg4", **B)),
    "mpeg4_b.mkv": ("cc", lambda f: encode(f, codec="mpeg4", **B)),
    "mjpeg.avi": ("dr", lambda f: encode(f, codec="mjpeg", pixels="yuvj420p")),
    "prores.mov": ("nr", lambda f: encode(f, codec="prores_ks", pixels="yuv422p10le")),
    "ffv1.mkv": ("dr", lambda f: encode(f, codec="ffv1")),
    "h264_444.mp4": ("cc", lambda f: encode(f, pixels="yuv444p")),
    "h264_422.mkv": ("cc", lambda f: encode(f, pixels="yuv422p", **B)),
    "h264_10.mp4": ("cc", lambda f: encode(f, pixels="yuv420p10le", **B)),
    "odd_size.mp4": ("cc", lambda f: encode(f, size=(75, 61), pixels="yuv444p")),
    "cropped.mp4": ("cc", lambda f: encode(f, size=(78, 62))),
    "full_range.mp4": ("cc", lambda f: encode(f, setup=full_range)),
    "full_range_of_container.mp4": ("cc", lambda f: entry_box(encode(f), b"colr", colours(0x80))),
    "colours_of_container.mp4": ("cc", lambda f: entry_box(encode(f), b"colr", colours(0))),
    "hevc_colours_of_container.mp4": ("cc", lambda f: entry_box(encode(f, codec="libx265"), b"colr", colours(0x80))),
    "mpeg4_colours_of_container.mp4": ("dc", lambda f: entry_box(encode(f, codec="mpeg4"), b"colr", colours(0x80))),
    "wide_pixels.mp4": ("cc", lambda f: entry_box(encode(f), b"pasp", struct.pack(">II", 4, 3))),
    "aperture.mp4": ("cc", lambda f: entry_box(encode(f), b"clap", struct.pack(">8I", 64, 1, 48, 1, 0, 1, 0, 1))),
    "late.mkv": ("cc", lambda f: encode(f, stamps=list(range(100, 100 + FRAMES)), **B)),
    "uneven.mp4": (
        "cc",
        lambda f: encode(f, stamps=[0, 1, 2, 5, 6, 10, 11, 12, 20, 21, 22, 30], ticks=Fraction(1, 90), **B),
    ),
    "fine_ticks.mp4": (
        "cc",
        lambda f: encode(f, stamps=[333333 * n for n in range(FRAMES)], ticks=Fraction(1, 10_000_000)),
    ),
    "in_band.mp4": ("cc", lambda f: in_band(encode(f, **B, **{"x264-params": "repeat-headers=1"}))),
    "two_encoders.ts": ("cr", lambda f: two_encoders(f, coder="0", profile="main")),
    "two_encoders.mkv": ("cc", lambda f: two_encoders(f, coder="0", profile="main")),
    "no_vui.mp4": ("cc", lambda f: without_vui(encode(f, profile="main", **B), vui_at=49)),
    "no_vui_high.mp4": ("cc", lambda f: without_vui(encode(f, **B), vui_at=56)),
    "no_vui_pyramid.mp4": (
        "cc",
        lambda f: without_vui(encode(f, bf="5", b_strategy="0", b_pyramid="normal"), vui_at=56),
    ),
    "one_frame.mp4": ("cc", lambda f: encode(f, frames=1)),
    "one_frame_b.mkv": ("cc", lambda f: encode(f, frames=1, **B)),
}
WAYS = {"c": ("copied", "carried"), "d": ("decoded",), "n": ("narrowed",), "r": ("re-encoded",)}


def source_of(video: Path) -> EpisodeList:
    count = len(shown(video))
    clock = grid_clock(count, odd.RATE_HZ)
    numbers = ArrayValues(np.arange(count * 6, dtype=np.float32).reshape(count, 6))
    frames = VideoFrames(video, count)
    streams = [
        Stream(CAMERA, Kind.VIDEO, Role.CAMERA, clock, frames, encoding=frames.media().codec),
        Stream("observation.state", Kind.TENSOR, Role.STATE, clock, numbers, channels=tuple("abcdef")),
        Stream("action", Kind.TENSOR, Role.ACTION, clock, numbers, channels=tuple("abcdef")),
    ]
    return EpisodeList([Episode("e", {s.name: s for s in streams}, declared_rate_hz=odd.RATE_HZ)])


def converted(video: Path, target: str) -> tuple[LossReport, Path]:
    source, out = source_of(video), video.parent / f"out_{target}{'.mcap' if target == 'mcap' else ''}"
    report = plan_conversion(source, target, workers=1)
    convert(source, out, target, report=report, accept_loss=True, workers=1)
    return report, out


def way(report: LossReport) -> str:
    return next(loss.way.value for loss in report.losses if loss.stream == CAMERA)


def camera_of(out: Path) -> Stream:
    source = open_source(out)
    return source.episode(source.keys()[0]).stream(CAMERA)


def same_pictures(found: Any, wanted: list[Any]) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def decoded_bare(file: Path) -> list[Any]:
    """What a decoder gives that knows the messages alone, without the pictures that are said to be not shown."""
    topic = "/" + CAMERA.replace(".", "/")
    with file.open("rb") as opened:
        reader = make_reader(opened, decoder_factories=[DecoderFactory()])
        found = [one.decoded_message for one in reader.iter_decoded_messages(topics=[topic], log_time_order=False)]
        samples = json.loads({m.name: m.metadata for m in reader.iter_metadata()}["robokata/samples"]["samples"])
    codec = {"h265": "hevc", "av1": "libdav1d"}.get(found[0].format, found[0].format)
    context, frames = av.CodecContext.create(codec, "r"), []
    for message in found:
        packet = av.Packet(len(message.data))
        packet.update(bytes(message.data))
        frames += context.decode(packet)
    frames += context.decode(None)
    stamps = [(m.timestamp.sec, m.timestamp.nanosec, n) for n, m in enumerate(found)]
    shown_as = sorted(range(len(found)), key=stamps.__getitem__)
    hidden = {shown_as.index(number) for number in samples[topic].get("not_shown", [])}
    return [f.to_ndarray(format="rgb24") for n, f in enumerate(frames) if n not in hidden]


@pytest.mark.parametrize("name", VIDEOS)
def test_messages_alone_decode_to_the_pictures_of_the_file(tmp_path: Path, name: str) -> None:
    video = VIDEOS[name][1](tmp_path / name)
    wanted = shown(video)
    report, out = converted(video, "mcap")
    assert way(report) in WAYS[VIDEOS[name][0][0]]
    same_pictures(camera_of(out).values[:], wanted)
    if way(report) in WAYS["c"]:
        same_pictures(decoded_bare(out), wanted)


@pytest.mark.parametrize("name", VIDEOS)
def test_lerobot_shows_the_pictures_of_the_file_or_says_that_it_encodes_them(tmp_path: Path, name: str) -> None:
    video = VIDEOS[name][1](tmp_path / name)
    wanted = shown(video)
    report, out = converted(video, "lerobot_v3")
    assert way(report) in WAYS[VIDEOS[name][0][1]]
    if way(report) == "copied":
        same_pictures(camera_of(out).values[:], wanted)
    else:
        loss = next(loss for loss in report.losses if loss.stream == CAMERA)
        assert loss.is_lossy
        assert loss.psnr_db is not None
        assert len(camera_of(out)) == len(wanted)


@pytest.mark.parametrize("name", [name for name in VIDEOS if VIDEOS[name][0][0] == "c"])
def test_messages_become_a_file_with_the_same_pictures_or_it_is_said_that_they_are_encoded(
    tmp_path: Path, name: str
) -> None:
    video = VIDEOS[name][1](tmp_path / name)
    _, out = converted(video, "mcap")
    back, source = tmp_path / "back", open_source(out)
    report = plan_conversion(source, "lerobot_v2", workers=1)
    convert(source, back, "lerobot_v2", report=report, accept_loss=True, workers=1)
    if way(report) == "copied":
        same_pictures(shown(next(back.rglob("*.mp4"))), shown(video))
    else:
        assert report.is_lossy
        assert len(shown(next(back.rglob("*.mp4")))) == len(shown(video))


@pytest.mark.parametrize("target", ["lerobot_v2", "rlds", "zarr_replay", "robomimic_hdf5", "aloha_hdf5"])
@pytest.mark.parametrize("name", ["turned_hidden.mp4", "b_frames.mkv", "two_edits.mp4", "full_range_of_container.mp4"])
def test_other_formats_hold_the_pictures_of_the_file(tmp_path: Path, name: str, target: str) -> None:
    video = VIDEOS[name][1](tmp_path / name)
    report, out = converted(video, target)
    found = camera_of(out).values[:]
    if way(report) == "re-encoded":
        assert len(found) == len(shown(video))
    else:
        same_pictures(found, shown(video))


TURNS = ["turned_90.mp4", "turned_180.mov", "turned_270.mp4", "mirrored.mp4", "turned_movie.mp4", "turned_hidden.mp4"]


def rotation(file: Path) -> int:
    with av.open(str(file)) as container:
        return next(container.decode(video=0)).rotation


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("target", ["lerobot_v3", "lerobot_v2"])
def test_the_turn_of_a_file_stands_in_the_file_that_it_becomes(tmp_path: Path, name: str, target: str) -> None:
    video = VIDEOS[name][1](tmp_path / name)
    report, out = converted(video, target)
    copy = next(out.rglob("*.mp4"))
    assert rotation(copy) == rotation(video)
    words = "mirrored" if name.startswith("mirrored") else f"turned by {-rotation(video) % 360} degrees clockwise"
    assert any(f"{CAMERA}: players show its pictures {words}" in note for note in report.notes)


@pytest.mark.parametrize("target", ["mcap", "zarr_replay"])
def test_the_turn_of_a_file_comes_back_from_formats_that_have_no_place_for_it(tmp_path: Path, target: str) -> None:
    video = VIDEOS["turned_hidden.mp4"][1](tmp_path / "turned_hidden.mp4")
    _, out = converted(video, target)
    assert camera_of(out).extra["display"] == {"display_matrix": list(odd.QUARTER_TURN)}
    back = tmp_path / "back"
    convert(open_source(out), back, "lerobot_v3", options={"pictures": "video"}, accept_loss=True, workers=1)
    assert rotation(next(back.rglob("*.mp4"))) == rotation(video)


def test_clips_that_are_shown_in_different_ways_lie_in_files_of_their_own(tmp_path: Path) -> None:
    videos = [encode(tmp_path / "a.mp4"), turn(encode(tmp_path / "b.mp4"), odd.QUARTER_TURN)]
    videos += [entry_box(encode(tmp_path / "c.mp4"), b"pasp", struct.pack(">II", 4, 3)), encode(tmp_path / "d.mp4")]
    episodes = [source_of(video).episode("e") for video in videos]
    source = EpisodeList(
        [e.__class__(f"e{n}", e.streams, declared_rate_hz=odd.RATE_HZ) for n, e in enumerate(episodes)]
    )
    convert(source, tmp_path / "out", "lerobot_v3", workers=1)
    files = sorted((tmp_path / "out").rglob("*.mp4"))
    assert [rotation(file) for file in files] == [0, -90, 0, 0]
    back = open_source(tmp_path / "out")
    for key, video in zip(back.keys(), videos, strict=True):
        same_pictures(back.episode(key).stream(CAMERA).values[:], shown(video))


@pytest.mark.parametrize(
    ("name", "options", "track"),
    [
        ("sound.mp4", {"tracks": ["sound"]}, "sound (mp4a)"),
        ("sound_first.mp4", {"tracks": ["sound"], "sound_first": True, **B}, "sound (mp4a)"),
        ("sound.mkv", {"tracks": ["sound"]}, "sound (aac)"),
        ("two.mp4", {"tracks": ["video"]}, "another video (mp4v)"),
    ],
)
@pytest.mark.parametrize("target", ["mcap", "lerobot_v3", "zarr_replay", "rerun_rrd"])
def test_a_track_beside_the_pictures_is_a_line_of_the_loss_report(
    tmp_path: Path, name: str, options: dict[str, Any], track: str, target: str
) -> None:
    report = plan_conversion(source_of(encode(tmp_path / name, **options)), target, workers=1)
    lost = [(loss.stream, loss.way.value) for loss in report.losses if loss.stream.startswith(f"{CAMERA}: ")]
    assert lost == [(f"{CAMERA}: {track}", "dropped")]
    assert report.is_lossy


def test_avi_with_b_frames_of_h264_is_refused_because_nothing_says_their_order(tmp_path: Path) -> None:
    video = encode(tmp_path / "video.avi", **B)
    frames = VideoFrames(video, FRAMES)
    assert "AVI has no stamps that say the order" in str(frames.media().problem)
    with pytest.raises(Unsupported, match="B-frames"):
        frames[0]
