from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.clocked_streams import abstentions, camera, episode, findings
from robokata.checks.leaked_frames import check, plant
from robokata.core.clock import grid_clock
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.core.values import ArrayValues
from robokata.media.images import RawImages
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, tiny_episode

CAMERA = "observation.images.front"


def _with_pictures(sound: Episode, pictures: NDArray[np.uint8]) -> Episode:
    values = RawImages(ArrayValues(pictures), where="edited")
    return sound.with_stream(sound.streams[CAMERA].with_values(values))


def _pictures(sound: Episode) -> NDArray[np.uint8]:
    return np.array(sound.streams[CAMERA].values[:])


def _spliced(seed: int) -> Episode:
    """The last 1.5 s show another take, from a moment at which this robot rests."""
    sound = tiny_episode(0, seed=seed)
    pictures = _pictures(sound)
    pictures[195:] = _pictures(tiny_episode(0, seed=seed + 100))[20 : 20 + len(pictures) - 195]
    return _with_pictures(sound, pictures)


def test_frames_that_belong_to_no_row_are_an_error_by_count(tmp_path: Path) -> None:
    barcode_video(tmp_path / "a.mp4", [Barcode(1, i) for i in range(90)])
    cam = camera(30).with_values(VideoFrames(tmp_path / "a.mp4", 30, span_s=(0.0, 40 / 30)))
    (finding,) = findings(check(episode(cam)))
    assert finding.level is Level.ERROR
    assert finding.message == (
        "cam: the episode has 30 rows, and its span of a.mp4 holds 40 frames: 10 belong to no row"
    )


def test_one_frame_more_is_a_warning() -> None:
    told = camera(30, frames_in_span=31, frames_in_file=200, first_frame=60)
    assert [f.level for f in findings(check(episode(told)))] == [Level.WARNING]


def test_more_frames_in_a_file_of_its_own_are_no_leak() -> None:
    assert not findings(check(episode(camera(30, frames_in_span=40, frames_in_file=40))))


def test_a_video_at_another_rate_abstains() -> None:
    cam = camera(30, frames_in_span=60, frames_in_file=200, span_is_declared=True, rate_hz=Fraction(60))
    assert [a.reason for a in abstentions(check(episode(cam)))] == [
        "cam: the video runs at another rate than the dataset, so its seconds count other frames"
    ]


def test_a_cut_to_another_take_is_a_warning_at_the_cut() -> None:
    found = [findings(check(_spliced(seed))) for seed in range(10)]
    located = [f[0] for f in found if f]
    # The rest abstains: at picture 195 some of these robots are in their fastest motion.
    assert len(located) >= 7
    assert {f.level for f in located} == {Level.WARNING}
    assert all(f.start_s == pytest.approx(195 / 30, abs=0.05) for f in located)


def test_a_light_that_is_switched_is_no_cut() -> None:
    sound = tiny_episode(0, seed=3)
    pictures = _pictures(sound)
    pictures[120:] = (pictures[120:] * 0.5 + 10).astype(np.uint8)
    assert not findings(check(_with_pictures(sound, pictures)))


def test_a_single_broken_frame_is_no_cut() -> None:
    sound = tiny_episode(0, seed=3)
    pictures = _pictures(sound)
    pictures[120] = np.random.default_rng(0).integers(0, 255, pictures[120].shape)
    assert not findings(check(_with_pictures(sound, pictures)))


def test_a_frozen_camera_that_catches_up_is_no_cut() -> None:
    sound = tiny_episode(0, seed=3)
    pictures = _pictures(sound)
    pictures[60:120] = pictures[60]
    assert not findings(check(_with_pictures(sound, pictures)))


def test_a_covered_camera_is_no_cut() -> None:
    sound = tiny_episode(0, seed=3)
    pictures = _pictures(sound)
    pictures[:60] = 3
    assert not findings(check(_with_pictures(sound, pictures)))


def test_a_cut_without_a_robot_to_compare_with_abstains() -> None:
    spliced = next(e for e in map(_spliced, range(10)) if findings(check(e)))
    alone = replace(spliced, streams={CAMERA: spliced.streams[CAMERA]})
    (abstention,) = abstentions(check(alone))
    assert abstention.reason.endswith("and there are no robot numbers to compare with")


@pytest.mark.parametrize("count", [0, 1, 2, 29])
def test_a_few_pictures_say_nothing(count: int) -> None:
    assert not list(check(episode(camera(count))))


def test_the_planted_leak_is_found() -> None:
    for seed in range(20):
        sound = tiny_episode(seed, seed=seed)
        (finding,) = findings(check(plant(sound, np.random.default_rng(seed), 1.0)))
        assert (finding.measured, finding.expected, finding.level) == (264, 240, Level.ERROR)
        assert not list(check(sound))


def test_takes_in_one_packed_video_are_found_as_cuts(shared_data: Path) -> None:
    """900 frames of three episodes as if they were one: the two borders are real cuts of one scene."""
    path = shared_data / "foreign-writers" / "lerobot-v3.0-av1" / "videos" / "observation.images.top"
    frames = VideoFrames(path / "chunk-000" / "file-000.mp4", 900)
    joints = np.sin(np.arange(900) / 7.0)[:, np.newaxis] * np.ones(6)
    robot = tiny_episode(0).streams["observation.state"]
    clock = grid_clock(900, Fraction(30))
    robot = robot.with_values(ArrayValues(joints.astype(np.float32)), clock=clock)
    merged = episode(replace(camera(900), clock=clock, values=frames), robot)
    (finding,) = findings(check(merged))
    assert finding.start_s == pytest.approx(10.0, abs=0.05)
