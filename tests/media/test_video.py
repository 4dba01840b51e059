"""Tests of video: every ordinal is the frame it says, whatever the codec, the order of asking, or the damage."""

from __future__ import annotations

import gc
import os
import resource
import shutil
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from media.foreign import open_gops
from robokata.core.errors import DamagedData, MediaMissing, TooLarge, Unsupported
from robokata.media import packet_index as packet_indexes
from robokata.media import video
from robokata.media.encode import encode_video
from robokata.media.images import luma_of
from robokata.media.luma_summary import glance
from robokata.media.packet_index import packet_index
from robokata.media.video import VideoFrames, forget
from robokata.testing import Barcode, barcode_picture, barcode_video, read_barcode

FRAMES = 60
KINDS = [
    ("libx264", 1, "mp4"),
    ("libx264", 2, "mp4"),
    ("libx264", 12, "mp4"),
    ("libx264", 250, "mp4"),
    ("libx264", 12, "mkv"),
    ("libsvtav1", 2, "mp4"),
    ("libsvtav1", 30, "mp4"),
    ("mpeg4", 12, "mp4"),
    ("mpeg2video", 12, "ts"),
    ("libx265", 12, "mp4"),
    ("open gops", 12, "mp4"),
    ("libvpx-vp9", 12, "webm"),
]


@pytest.fixture(autouse=True)
def _closed_afterwards() -> Any:
    forget()
    yield
    forget()


@pytest.fixture(scope="session", params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    codec, gop, ending = request.param
    path = tmp_path_factory.mktemp("coded") / f"{codec}.{ending}"
    barcodes = [Barcode(1, frame) for frame in range(FRAMES)]
    if codec == "open gops":
        open_gops(path, barcodes, gop=gop)
    else:
        barcode_video(path, barcodes, codec=codec, gop=gop)
    return path


def h264(path: Path, *, episode: int = 0, frames: int = FRAMES, gop: int = 12) -> Path:
    barcode_video(path, [Barcode(episode, frame) for frame in range(frames)], gop=gop)
    return path


def shown(pictures: Any) -> list[int]:
    return [read_barcode(picture).frame for picture in pictures]


def test_random_access_gives_the_frame_asked_for(coded: Path) -> None:
    frames = VideoFrames(coded, FRAMES)
    asked = np.random.default_rng(0).integers(0, FRAMES, 60)
    assert [read_barcode(frames[int(ordinal)]).frame for ordinal in asked] == asked.tolist()


def test_forward_backward_and_repeated_access_agree(coded: Path) -> None:
    frames = VideoFrames(coded, FRAMES)
    assert shown(frames[:]) == list(range(FRAMES))
    assert shown(frames[::-1]) == list(range(FRAMES))[::-1]
    repeated = np.asarray([7, 7, 8, 7, FRAMES - 1, -1, 0])
    assert shown(frames[repeated]) == [7, 7, 8, 7, FRAMES - 1, FRAMES - 1, 0]
    assert frames[5:5].shape == (0, 64, 64, 3)


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_the_same_pictures_give_the_same_file(tmp_path: Path, codec: str, size: int) -> None:
    """x264 and x265 with their defaults write what the memory happens to hold: it is filled with chance."""
    held, rng = [], np.random.default_rng(0)
    for number in range(20):
        rubbish = [rng.integers(0, 256, length, np.uint8) for length in rng.integers(100, 200_000, 50)]
        del rubbish
        path = tmp_path / f"{number}.mp4"
        barcode_video(path, [Barcode(1, frame) for frame in range(24)], codec=codec, height=size, width=size)
        held.append(path.read_bytes())
    assert len(set(held)) == 1


@pytest.mark.parametrize("size", [64, 256])
def test_clips_of_one_and_two_frames_are_written_by_every_encoder(tmp_path: Path, size: int) -> None:
    rng = np.random.default_rng(0)
    for number in range(60):
        # x265 with B-frames takes their decoding time out of memory that nobody wrote.
        rubbish = [rng.integers(0, 256, length, np.uint8) for length in rng.integers(100, 200_000, 50)]
        del rubbish
        for codec in ("libx264", "libx265", "libsvtav1"):
            path, count = tmp_path / f"{codec}.mp4", 1 + number % 2
            barcode_video(path, [Barcode(1, frame) for frame in range(count)], codec=codec, height=size, width=size)
            assert packet_index(path).pts.tolist() == [n * packet_index(path).pts[-1] for n in range(count)]


@pytest.mark.parametrize(("height", "width"), [(48, 200), (200, 48), (40, 40), (63, 64)])
def test_pictures_too_small_for_x265_are_refused_before_it_breaks_the_heap(
    tmp_path: Path, height: int, width: int
) -> None:
    with pytest.raises(Unsupported, match=f"{width}x{height}.*Choose libsvtav1"):
        barcode_video(tmp_path / "a.mp4", [Barcode(0, 0)], codec="libx265", height=height, width=width)


def test_the_index_knows_every_frame(coded: Path) -> None:
    index = packet_index(coded)
    assert len(index.pts) == FRAMES
    assert np.all(np.diff(index.pts) > 0)
    assert index.is_key[0]
    assert index.frames_declared in (None, FRAMES)
    assert (index.width, index.height) == (64, 64)


def test_open_gops_are_really_in_the_test(tmp_path: Path) -> None:
    """In an open GOP pictures after a key frame in the file come before it on the screen."""
    path = tmp_path / "open.mp4"
    open_gops(path, [Barcode(0, frame) for frame in range(FRAMES)], gop=12)
    index = packet_index(path)
    in_file = np.argsort(index.dts)
    leading = [n for key in np.flatnonzero(index.is_key) for n in in_file[np.argmax(in_file == key) :] if n < key]
    assert leading, "x265 writes open GOPs unless told otherwise"
    frames = VideoFrames(path, FRAMES)
    for ordinal in leading:
        forget()
        assert read_barcode(frames[int(ordinal)]).frame == ordinal


@pytest.mark.parametrize("rate_hz", [Fraction(30), Fraction(30000, 1001), Fraction(10)])
def test_episodes_packed_into_one_file_do_not_leak_into_each_other(tmp_path: Path, rate_hz: Fraction) -> None:
    lengths = [17, 1, 40, 23]
    path = tmp_path / "packed.mp4"
    codes = [Barcode(episode, frame) for episode, length in enumerate(lengths) for frame in range(length)]
    barcode_video(path, codes, rate_hz=rate_hz)
    at = 0
    for episode, length in enumerate(lengths):
        span_s = (float(at / rate_hz), float((at + length) / rate_hz))
        frames = VideoFrames(path, length, span_s=span_s)
        assert [read_barcode(picture) for picture in frames[:]] == [(episode, frame) for frame in range(length)]
        media = frames.media()
        assert (media.first_frame, media.frames_in_span, media.frames_in_file) == (at, length, sum(lengths))
        assert (media.span_is_declared, media.frames_expected, media.rate_hz) == (True, length, rate_hz)
        at += length


def test_a_span_past_the_end_of_the_file_holds_the_frames_that_are_there(tmp_path: Path) -> None:
    frames = VideoFrames(h264(tmp_path / "short.mp4"), 30, span_s=(50 / 30, 80 / 30))
    assert frames.media().frames_in_span == 10
    assert shown(frames[:10]) == list(range(50, 60))
    with pytest.raises(DamagedData) as caught:
        frames[10]
    assert str(caught.value) == (
        f"{frames.path}: frame 60 is asked for, and the file holds 60 frames. "
        "The video is cut short or the index points past its end: restore the file."
    )


def with_stamps(path: Path, first: int) -> Path:
    """A copy of a video whose stamps start at `first` frames."""
    shifted = path.with_name(f"from_{first}.mp4")
    with av.open(str(path)) as source, av.open(str(shifted), "w", options={"movflags": "use_metadata_tags"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                step = int(1 / (30 * packet.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts + first * step, packet.dts + first * step, stream
                target.mux(packet)
    return shifted


def test_stamps_need_not_start_at_zero(tmp_path: Path) -> None:
    path = with_stamps(h264(tmp_path / "zero.mp4"), 25)
    index = packet_index(path)
    assert index.seconds(0) == pytest.approx(25 / 30, abs=0.001)
    frames = VideoFrames(path, FRAMES)
    assert shown(frames[::-1]) == list(range(FRAMES))[::-1]
    later = VideoFrames(path, 5, span_s=(35 / 30, 40 / 30))
    assert shown(later[:]) == [10, 11, 12, 13, 14], "a span is in the file's own time"


def cut_without_coding(path: Path, first: int) -> Path:
    """A clip that starts inside a GOP: decoding must start before what is shown (an edit list hides the rest)."""
    clip = path.with_name("clip.mp4")
    with av.open(str(path)) as source, av.open(str(clip), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                step = int(1 / (30 * packet.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts - first * step, packet.dts - first * step, stream
                target.mux(packet)
    return clip


def test_frames_that_an_edit_list_hides_are_not_counted(tmp_path: Path) -> None:
    clip = cut_without_coding(h264(tmp_path / "whole.mp4"), 5)
    index = packet_index(clip)
    frames = VideoFrames(clip, len(index.pts))
    assert shown(frames[:]) == list(range(FRAMES - len(index.pts), FRAMES))
    assert index.frames_declared in (None, len(index.pts))
    assert shown(frames[::-1]) == shown(frames[:])[::-1]


def test_a_cut_mkv_keeps_the_frames_before_the_cut(tmp_path: Path) -> None:
    path = h264(tmp_path / "cut.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = VideoFrames(path, FRAMES)
    kept = frames.media().frames_in_file
    assert kept is not None
    assert 10 < kept < FRAMES
    # The last packet may itself be cut.
    assert shown(frames[: kept - 1]) == list(range(kept - 1))
    seen = glance(frames)
    assert kept - 1 <= len(seen.grids) <= kept
    assert seen.damage is not None
    assert seen.damage.startswith(f"{path}: frame {len(seen.grids)} ")


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 50, "half"], ids=["empty", "text", "cut mp4"])
def test_what_is_no_video_is_damage_that_names_the_file(tmp_path: Path, content: bytes | str) -> None:
    path = h264(tmp_path / "broken.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if isinstance(content, str) else content)
    frames = VideoFrames(path, FRAMES)
    with pytest.raises(DamagedData) as caught:
        frames[0]
    assert str(caught.value).startswith(f"{path}: cannot be opened as a video: ")
    assert str(caught.value).endswith(" Restore it, or record the episode again.")
    media = frames.media()
    assert (media.problem, media.codec, media.frames_in_span) == (str(caught.value), None, 0)
    assert (media.is_absent, media.frames_expected) == (False, FRAMES)


@pytest.mark.parametrize(
    ("is_folder", "said"), [(False, "the file does not exist."), (True, "a folder, where a video file is expected.")]
)
def test_a_missing_file_is_told_as_missing(tmp_path: Path, is_folder: bool, said: str) -> None:
    path = tmp_path / "absent.mp4"
    if is_folder:
        path.mkdir()
    frames = VideoFrames(path, 3)
    with pytest.raises(MediaMissing) as caught:
        frames[0]
    assert str(caught.value).startswith(f"{path}: {said} Restore it from the original.")
    assert (frames.media().problem, frames.media().is_absent) == (said, True)


def test_a_header_that_claims_absurd_pictures_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "absurd.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(48, 32, "yuv420p")))
        container.mux(stream.encode(None))
    sound = path.read_bytes()
    at = sound.index(b"strf") + 12  # BITMAPINFOHEADER: size, then width and height
    path.write_bytes(sound[:at] + (16_000).to_bytes(4, "little") * 2 + sound[at + 8 :])
    with pytest.raises(TooLarge) as caught:
        packet_index(path)
    assert str(caught.value) == f"{path}: the header claims frames of 16000 x 16000."
    path.write_bytes(sound[:at] + (2**31 - 1).to_bytes(4, "little") * 2 + sound[at + 8 :])
    with pytest.raises(DamagedData):
        packet_index(path)


def test_sound_only_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(DamagedData) as caught:
        packet_index(path)
    assert str(caught.value) == f"{path}: the file holds no video stream. Restore it from the original."


def test_damage_inside_costs_its_group_of_pictures_and_no_other(tmp_path: Path) -> None:
    path = h264(tmp_path / "holed.mp4")
    index = packet_index(path)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    victim = packets[int(np.flatnonzero([p.is_keyframe for p in packets])[2])]
    place = data.index(bytes(victim)) + 4
    data[place : place + victim.size - 4] = b"\xff" * (victim.size - 4)
    path.write_bytes(data)
    keys = [*np.flatnonzero(index.is_key).tolist(), FRAMES]
    # Up to three B-frames before the damaged key frame wait for it in the decoder.
    sound = [n for n in range(FRAMES) if not keys[2] - 3 <= n < keys[3]]
    frames = VideoFrames(path, FRAMES)
    wrong, lost = [], []
    for ordinal in np.random.default_rng(1).permutation(FRAMES).tolist():
        try:
            if read_barcode(frames[ordinal]).frame != ordinal:
                wrong.append(ordinal)
        except DamagedData:
            lost.append(ordinal)
    assert wrong == []
    assert set(lost) <= set(range(FRAMES)) - set(sound), "frames of sound groups are read, before and after errors"
    assert lost, "the damage is noticed"


def test_a_file_replaced_between_two_accesses_is_read_anew(tmp_path: Path) -> None:
    path = h264(tmp_path / "now.mp4", episode=1)
    whole, span = VideoFrames(path, 30), VideoFrames(path, 10, span_s=(1.0, 4 / 3))
    assert (read_barcode(whole[20]), read_barcode(span[0])) == ((1, 20), (1, 30))
    later = tmp_path / "later.mp4"
    barcode_video(later, [Barcode(2, frame) for frame in range(90)], rate_hz=Fraction(60))
    os.replace(later, path)
    assert (read_barcode(whole[20]), read_barcode(span[0])) == ((2, 20), (2, 60))
    assert whole.media().frames_in_file == 90


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_many_files_keep_a_bounded_number_open_and_forget_closes_all(tmp_path: Path) -> None:
    h264(tmp_path / "0.mp4", frames=20)
    before = open_files()
    cameras = [VideoFrames(Path(shutil.copy(tmp_path / "0.mp4", tmp_path / f"{n}.mp4")), 20) for n in range(1, 21)]
    for ordinal in (3, 17, 5):
        assert [read_barcode(camera[ordinal]).frame for camera in cameras] == [ordinal] * 20
    assert open_files() - before == video.OPEN_DECODERS
    forget()
    assert open_files() == before
    assert read_barcode(cameras[0][7]).frame == 7


def test_more_files_than_decoders_can_be_read_side_by_side(tmp_path: Path) -> None:
    h264(tmp_path / "0.mp4", frames=12)
    count = video.OPEN_DECODERS + 3
    cameras = [
        VideoFrames(Path(shutil.copy(tmp_path / "0.mp4", tmp_path / f"{n}.mp4")), 12) for n in range(1, count + 1)
    ]
    alone = [grid.copy() for grid in cameras[0].luma(16)]
    for row, grids in enumerate(zip(*(camera.luma(16) for camera in cameras), strict=True)):
        for grid in grids:
            np.testing.assert_array_equal(grid, alone[row])


def test_forgetting_in_the_middle_of_a_look_does_not_end_it(tmp_path: Path) -> None:
    look = VideoFrames(h264(tmp_path / "looked.mp4", frames=12), 12).luma(16)
    next(look)
    forget()
    assert len(list(look)) == 11


def test_threads_may_share_a_file(tmp_path: Path) -> None:
    frames = VideoFrames(h264(tmp_path / "shared.mp4"), FRAMES)
    wrong: list[tuple[int, int]] = []

    def read(seed: int) -> None:
        for ordinal in np.random.default_rng(seed).integers(0, FRAMES, 40).tolist():
            seen = read_barcode(frames[ordinal]).frame
            if seen != ordinal:
                wrong.append((ordinal, seen))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_threads_may_ask_for_the_same_frames(tmp_path: Path) -> None:
    frames = VideoFrames(h264(tmp_path / "shared.mp4"), FRAMES)
    wrong: list[int] = []

    def read(seed: int) -> None:
        asked = np.random.default_rng(seed).integers(0, 2, 150).tolist()
        wrong.extend(ordinal for ordinal in asked if read_barcode(frames[ordinal]).frame != ordinal)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_luma_is_the_brightness_of_the_decoded_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 220, (10, 6, 8, 3), np.uint8)
    path = tmp_path / "colour.mp4"
    encode_video(
        path, np.kron(coarse, np.ones((1, 16, 16, 1), np.uint8)), rate_hz=Fraction(30), codec="libx264", crf=10
    )
    frames = VideoFrames(path, 10)
    grids = np.stack(list(frames.luma(16)))
    bright = np.stack([luma_of(picture) for picture in frames[:]])
    decoded = bright[:, 3::6, 4::8].astype(float)
    assert grids.shape == decoded.shape == (10, 16, 16)
    # The plane has limited range (16..235) and the picture full range: they differ by this line and by rounding.
    expected = 16 + decoded * (235 - 16) / 255
    assert np.abs(grids - expected).mean() < 2
    assert np.corrcoef(grids.ravel(), decoded.ravel())[0, 1] > 0.99


def test_reading_in_order_seeks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = h264(tmp_path / "order.mp4")
    seeks: list[int] = []
    seek = video._Decoder._seek
    monkeypatch.setattr(video._Decoder, "_seek", lambda self, key, at: seeks.append(key) or seek(self, key, at))
    frames = VideoFrames(path, FRAMES)
    for ordinal in range(FRAMES):
        frames[ordinal]
    assert seeks == [0]
    assert len(list(frames.luma(8))) == FRAMES
    assert seeks == [0, 0]


def test_the_memory_stays_flat_over_thousands_of_accesses(tmp_path: Path) -> None:
    path = tmp_path / "small.mp4"
    pictures = (barcode_picture(0, frame, height=240, width=320) for frame in range(30))
    encode_video(path, pictures, rate_hz=Fraction(30), codec="libx264", gop=2)
    frames, rng = VideoFrames(path, 30), np.random.default_rng(0)
    for ordinal in rng.integers(0, 30, 300).tolist():
        frames[ordinal]
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for ordinal in rng.integers(0, 30, 2700).tolist():
        frames[ordinal]
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    # One leaked picture per access would be 600 MiB.
    assert grown_kib < 20 * 1024


def test_the_index_survives_in_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = h264(tmp_path / "kept.mp4")
    first = packet_index(path)
    forget()
    monkeypatch.setattr(packet_indexes, "_scan", lambda path: pytest.fail("the packets were read again"))
    again = packet_index(path)
    assert again is not first
    np.testing.assert_array_equal(again.pts, first.pts)
    assert again[4:] == first[4:]


def test_a_declared_shape_costs_no_opening(tmp_path: Path) -> None:
    frames = VideoFrames(tmp_path / "absent.mp4", 5, shape=(48, 64, 3))
    assert (frames.shape, frames.dtype, len(frames), frames.encoded(0)) == ((5, 48, 64, 3), np.uint8, 5, None)
    assert repr(frames) == "VideoFrames(absent.mp4, 5 frames)"
    assert repr(VideoFrames(tmp_path / "a.mp4", 5, span_s=(1.5, 2))) == "VideoFrames(a.mp4, 5 frames from 1.500 s)"


def test_the_nearest_frame_to_a_time_and_the_one_after_the_last(tmp_path: Path) -> None:
    index = packet_index(h264(tmp_path / "timed.mp4", frames=30))
    asked = (-1.0, 0.0, 0.016, 0.018, 0.5, 29 / 30 + 0.016, 1.0, 9.0)
    assert [index.ordinal_at(time_s) for time_s in asked] == [0, 0, 0, 1, 15, 29, 30, 30]


def test_a_playlist_called_mp4_opens_no_other_file(tmp_path: Path) -> None:
    barcode_video(tmp_path / "real.mp4", [Barcode(0, i) for i in range(4)])
    path = tmp_path / "x.mp4"
    path.write_text("ffconcat version 1.0\nfile real.mp4\n")
    with pytest.raises(DamagedData):
        packet_index(path)


def test_a_pipe_in_the_place_of_a_video_is_told_and_not_waited_on(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    os.mkfifo(path)
    with pytest.raises(DamagedData) as caught:
        packet_index(path)
    assert str(caught.value) == f"{path}: a device or a pipe, where a video file is expected. Restore the file."
