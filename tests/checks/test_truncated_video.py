from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from checks.clocked_streams import abstentions, camera, episode, findings
from robokata.checks.truncated_video import check, plant
from robokata.core.errors import DamagedData
from robokata.core.finding import Level
from robokata.core.stream import Kind, Stream
from robokata.media.images import EncodedImages
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, tiny_episode
from robokata.testing.barcode import barcode_picture


def _video(path: Path, frames: int = 60) -> Path:
    barcode_video(path, [Barcode(1, i) for i in range(frames)])
    return path


def _remuxed(path: Path, target: Path, *, hidden_frames: int = 0, **options: str) -> Path:
    """The same packets in a new file; the first `hidden_frames` are kept and hidden by an edit list."""
    with av.open(str(path)) as source, av.open(str(target), "w", options=options) as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        shift = int(Fraction(hidden_frames, 30) / stream.time_base)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, copy
                out.mux(packet)
    return target


def _of(path: Path, count: int, span_s: tuple[float, float] | None = None) -> Stream:
    return camera(count).with_values(VideoFrames(path, count, span_s=span_s))


def test_a_file_cut_at_70_percent_is_an_error_at_the_first_lost_picture(tmp_path: Path) -> None:
    whole = _remuxed(_video(tmp_path / "a.mp4"), tmp_path / "b.mp4", movflags="faststart")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    (finding,) = findings(check(episode(_of(cut, 60))))
    held = finding.measured
    assert isinstance(held, int)
    assert finding.level is Level.ERROR
    assert finding.message == (
        f"cam: cut.mp4 holds {held} frames of the 60 that its header promises, and the episode needs 60; "
        f"the last {60 - held} pictures are not there"
    )
    assert (finding.start_s, finding.end_s) == pytest.approx((held / 30, 59 / 30))


def test_a_sound_file_that_is_too_short_for_the_table_gives_both_numbers(tmp_path: Path) -> None:
    (finding,) = findings(check(episode(_of(_video(tmp_path / "a.mp4", 55), 60))))
    assert finding.message == (
        "cam: a.mp4 holds 55 frames, and the episode needs 60; the last 5 pictures are not there"
    )


def test_of_a_shared_file_only_the_episode_whose_frames_are_gone_is_named(tmp_path: Path) -> None:
    path = _video(tmp_path / "a.mp4", 55)
    assert not list(check(episode(_of(path, 30, span_s=(0.0, 1.0)))))
    (finding,) = findings(check(episode(_of(path, 30, span_s=(1.0, 2.0)))))
    assert finding.message == (
        "cam: a.mp4 holds 55 frames, and the episode needs 30 from its frame 30 on; the last 5 pictures are not there"
    )


def test_frames_that_an_edit_list_hides_are_not_missed(tmp_path: Path) -> None:
    clip = _remuxed(_video(tmp_path / "a.mp4"), tmp_path / "b.mp4", hidden_frames=5, avoid_negative_ts="disabled")
    with av.open(str(clip)) as container:
        assert container.streams.video[0].frames == 60
    assert not list(check(episode(_of(clip, 55))))


def test_a_cut_file_that_holds_what_the_episode_needs_is_a_warning() -> None:
    told = camera(50, frames_in_file=55, frames_declared_by_container=60)
    (finding,) = findings(check(episode(told)))
    assert finding.level is Level.WARNING
    assert finding.message == (
        "cam: file-000.mp4 is cut: its header promises 60 frames and it holds 55; "
        "the 50 that the episode needs are among them"
    )


def test_pictures_that_stop_being_decodable_are_an_error_with_the_reason() -> None:
    good = _png()
    blobs = [good] * 20 + [good[: len(good) // 2]] + [good] * 9
    cam = camera(30).with_values(EncodedImages(30, blobs.__getitem__, where="rows"))
    (finding,) = findings(check(episode(cam)))
    assert finding.message.startswith("cam: decoding stops after 20 of 30 pictures: rows, picture 20: ")
    assert finding.start_s == pytest.approx(20 / 30)


def test_pictures_of_another_size_are_no_truncation() -> None:
    blobs = [_png()] * 20 + [_png(40)] * 10
    verdicts = list(check(episode(camera(30).with_values(EncodedImages(30, blobs.__getitem__, where="rows")))))
    assert not findings(verdicts)
    assert [a.reason for a in abstentions(verdicts)] == [
        "cam: rows, picture 20: the picture is 40 x 40, channels: 3, bits: 8; the first of the stream is 64 x 64, "
        "channels: 3, bits: 8. Leave the camera out (--without), or the episode."
    ]


def test_a_broken_still_picture_is_left_to_unreadable_data() -> None:
    good = _png()
    blobs = [good] * 20 + [good[: len(good) // 2]] * 10
    stills = camera(30).with_values(EncodedImages(30, blobs.__getitem__, where="rows"))
    assert not list(check(episode(replace(stills, kind=Kind.IMAGE))))


def test_what_cannot_be_opened_is_left_to_the_engine(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    assert not list(check(episode(_of(tmp_path / "broken.mp4", 30))))
    assert not list(check(episode(_of(tmp_path / "absent.mp4", 30))))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_pictures_say_nothing(count: int) -> None:
    assert not list(check(episode(camera(count))))


def test_the_planted_cut_is_found_and_its_pictures_raise() -> None:
    for seed in range(20):
        sound = tiny_episode(seed, seed=seed)
        planted = plant(sound, np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(planted))
        assert finding.level is Level.ERROR
        assert not list(check(sound))
    pictures = planted.streams["observation.images.front"].pictures
    assert len(list(_until_damage(pictures.luma(8)))) == finding.measured
    with pytest.raises(DamagedData):
        pictures[-1]


def _png(side: int = 64) -> bytes:
    codec = av.CodecContext.create("png", "w")
    codec.width = codec.height = side
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1, 30)
    picture = np.ascontiguousarray(barcode_picture(1, 2)[:side, :side])
    packets = [*codec.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")), *codec.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def _until_damage(grids):  # type: ignore[no-untyped-def]
    try:
        yield from grids
    except DamagedData:
        return
