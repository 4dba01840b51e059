"""Packets that go from file to file: every frame is the one asked for, and no byte of it changes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media.foreign import open_gops
from robokata.core.errors import DamagedData
from robokata.core.selected_values import PickedPictures
from robokata.media.bare import packet_run
from robokata.media.clips import clip_of, joined
from robokata.media.cuts import Run, cut_of, places_of, run_of
from robokata.media.mp4_write import SplicedVideo
from robokata.media.packet_index import packet_index
from robokata.media.packets import VideoPackets
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, read_barcode

FRAMES = 40


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for codec, gop in (("libx264", 2), ("libx264", 12), ("libx264", 250), ("libsvtav1", 8), ("open", 10)):
        file = tmp_path_factory.mktemp("videos") / f"{codec}-{gop}.mp4"
        barcodes = [Barcode(7, frame) for frame in range(FRAMES)]
        if codec == "open":
            open_gops(file, barcodes, gop=gop)
        else:
            barcode_video(file, barcodes, codec=codec, gop=gop)
        made[file.stem] = file
    return made


def shown(file: Path) -> list[int]:
    with av.open(str(file)) as container:
        return [read_barcode(frame.to_ndarray(format="rgb24")).frame for frame in container.decode(video=0)]


def copied(file: Path, runs: list[Run], *, hides: bool, rate_hz: Fraction = Fraction(30)) -> list[int]:
    clips = [clip_of(run, file.parent, rate_hz=rate_hz) for run in runs]
    writer = SplicedVideo(file, clips[0], rate_hz=rate_hz)
    starts = [writer.add(clip, hides=hides) for clip in clips]
    writer.close()
    assert list(file.parent.iterdir()) == [file], "what was made on the way is deleted"
    return starts


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cut_presents_exactly_the_frames_asked_for(
    videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    video = videos[data.draw(st.sampled_from(sorted(videos)))]
    first = data.draw(st.integers(0, FRAMES - 1))
    count = data.draw(st.integers(1, FRAMES - first))
    out = tmp_path_factory.mktemp("cut") / "cut.mp4"
    assert copied(out, [Run(video, first, count)], hides=True) == [0]
    assert shown(out) == list(range(first, first + count))
    index = packet_index(out)
    assert (len(index.pts), index.frames_declared) == (count, count)
    frames = VideoFrames(out, count)
    ordinal = data.draw(st.integers(0, count - 1))
    assert read_barcode(frames[ordinal]).frame == first + ordinal


@pytest.mark.parametrize("name", ["libx264-2", "libx264-12", "libsvtav1-8", "open-10"])
def test_joined_runs_stand_where_they_are_said_to(videos: dict[str, Path], tmp_path: Path, name: str) -> None:
    runs = [Run(videos[name], first, count) for first, count in ((3, 6), (30, 10), (0, 1), (11, 13))]
    starts = copied(tmp_path / "out.mp4", runs, hides=False)
    for start, run in zip(starts, runs, strict=True):
        frames = VideoFrames(tmp_path / "out.mp4", run.frames, span_s=(start / 30, (start + run.frames) / 30))
        assert [read_barcode(picture).frame for picture in frames[:]] == list(range(run.first, run.first + run.frames))
    np.testing.assert_array_equal(np.diff(packet_index(tmp_path / "out.mp4").pts), 512)


def test_stamps_are_exact_at_rates_that_are_no_whole_numbers(videos: dict[str, Path], tmp_path: Path) -> None:
    rate_hz = Fraction(30000, 1001)
    copied(tmp_path / "out.mp4", [Run(videos["libx264-12"], 5, 20)], hides=True, rate_hz=rate_hz)
    index = packet_index(tmp_path / "out.mp4")
    assert [pts * index.time_base for pts in index.pts.tolist()] == [n / rate_hz for n in range(20)]
    assert shown(tmp_path / "out.mp4") == list(range(5, 25))


@pytest.mark.parametrize("name", ["libx264-2", "libx264-12", "libsvtav1-8", "open-10"])
def test_packets_of_messages_become_a_file(videos: dict[str, Path], tmp_path: Path, name: str) -> None:
    codec = packet_index(videos[name]).codec
    run = packet_run(VideoFrames(videos[name], FRAMES))
    assert run is not None
    packets = list(run.read())
    order = np.asarray(run.ranks)
    messages = VideoPackets(len(packets), packets.__getitem__, codec=codec, where="test", stamps=lambda: order)
    assert run_of(messages, np.arange(3, 20)) == Run(messages, 3, 17)
    copied(tmp_path / "out.mp4", [Run(messages, 3, 17)], hides=True)
    assert shown(tmp_path / "out.mp4") == list(range(3, 20))
    again = packet_run(VideoFrames(tmp_path / "out.mp4", 17))
    assert again is not None
    np.testing.assert_array_equal(VideoFrames(tmp_path / "out.mp4", 17)[:], messages[3:20])


def test_only_unbroken_runs_are_runs(videos: dict[str, Path]) -> None:
    frames = VideoFrames(videos["libx264-2"], 30, span_s=(5 / 30, 35 / 30))
    assert run_of(frames, np.arange(30)) == Run(videos["libx264-2"], 5, 30)
    picked = PickedPictures(frames, np.arange(4, 20))
    assert run_of(picked, np.arange(2, 10)) == Run(videos["libx264-2"], 11, 8)
    assert run_of(frames, np.asarray([0, 0, 1])) is None
    assert run_of(frames, np.asarray([], dtype=np.int64)) is None
    assert cut_of(Run(videos["libx264-2"], 35, 6)) is None


@pytest.mark.parametrize(("ending", "is_copied"), [("mkv", True), ("mov", True), ("avi", False), ("ts", False)])
def test_only_containers_that_hold_packets_as_mp4_does_are_copied_from(
    tmp_path: Path, ending: str, is_copied: bool
) -> None:
    file = tmp_path / f"video.{ending}"
    barcode_video(file, [Barcode(0, frame) for frame in range(5)], gop=1)
    assert places_of(file).can_be_copied is is_copied
    assert (cut_of(Run(file, 0, 5)) is not None) is is_copied


def test_a_file_that_becomes_shorter_while_it_is_copied_is_damage(videos: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "video.mp4"
    file.write_bytes(videos["libx264-2"].read_bytes())
    clip = clip_of(Run(file, 10, 5), tmp_path, rate_hz=Fraction(30))
    at = int(clip.offset[0])
    file.write_bytes(file.read_bytes()[: at + 3])
    with pytest.raises(DamagedData) as caught:
        list(clip.read())
    assert str(caught.value) == f"{file} at byte {at}: became shorter while it was copied."


def test_neighbours_that_share_packets_are_joined(videos: dict[str, Path], tmp_path: Path) -> None:
    clips = [clip_of(Run(videos["libx264-250"], first, 4), tmp_path, rate_hz=Fraction(30)) for first in (3, 7, 30)]
    assert clips[0].goes_on_with(clips[1])
    assert not clips[1].goes_on_with(clips[2])
    both = joined(clips[:2])
    assert (both.first, both.frames, both.lead) == (3, 8, clips[0].lead)
    assert b"".join(both.read()) == b"".join(
        clip_of(Run(videos["libx264-250"], 3, 8), tmp_path, rate_hz=Fraction(1)).read()
    )
