from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from checks.clocked_streams import abstentions, camera, episode, findings
from robokata.checks.frame_count_mismatch import check, plant
from robokata.core.finding import Level
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, tiny_episode


def test_a_span_that_is_too_short_in_a_file_that_goes_on_is_an_error(tmp_path: Path) -> None:
    barcode_video(tmp_path / "a.mp4", [Barcode(1, i) for i in range(90)])
    cam = camera(30).with_values(VideoFrames(tmp_path / "a.mp4", 30, span_s=(1.0, 1.0 + 27 / 30)))
    (finding,) = findings(check(episode(cam)))
    assert finding.level is Level.ERROR
    assert finding.message == (
        "cam: the index gives the episode 27 frames of a.mp4 for 30 rows; "
        "the last 3 rows get frames that belong to others"
    )
    assert (finding.start_s, finding.end_s) == pytest.approx((27 / 30, 29 / 30))


def test_a_file_of_one_episode_with_more_frames_than_rows_is_a_warning(tmp_path: Path) -> None:
    barcode_video(tmp_path / "a.mp4", [Barcode(1, i) for i in range(35)])
    (finding,) = findings(check(episode(camera(30).with_values(VideoFrames(tmp_path / "a.mp4", 30)))))
    assert finding.level is Level.WARNING
    assert finding.message == "cam: a.mp4 holds 35 frames for 30 rows"


@pytest.mark.parametrize("first", [0, 30, 60])
def test_exact_spans_of_a_packed_file_are_silent(tmp_path: Path, first: int) -> None:
    barcode_video(tmp_path / "a.mp4", [Barcode(1, i) for i in range(90)])
    span_s = (first / 30, (first + 30) / 30)
    cam = camera(30).with_values(VideoFrames(tmp_path / "a.mp4", 30, span_s=span_s))
    assert not list(check(episode(cam)))


def test_a_file_that_ends_early_is_a_truncation_and_no_mismatch(tmp_path: Path) -> None:
    barcode_video(tmp_path / "a.mp4", [Barcode(1, i) for i in range(25)])
    assert not list(check(episode(camera(30).with_values(VideoFrames(tmp_path / "a.mp4", 30)))))


def test_more_frames_in_a_shared_file_are_a_leak_and_no_mismatch() -> None:
    assert not list(check(episode(camera(30, frames_in_span=40, frames_in_file=200, first_frame=60))))


def test_a_video_at_another_rate_abstains() -> None:
    cam = camera(30, frames_in_span=15, frames_in_file=200, span_is_declared=True, rate_hz=Fraction(15))
    verdicts = list(check(episode(cam)))
    assert not findings(verdicts)
    assert [a.reason for a in abstentions(verdicts)] == [
        "cam: the video runs at another rate than the dataset, so its seconds count other frames"
    ]


def test_the_planted_mismatch_is_found_and_scales() -> None:
    for seed in range(20):
        sound = tiny_episode(seed, seed=seed)
        (finding,) = findings(check(plant(sound, np.random.default_rng(seed), 1.0)))
        assert (finding.measured, finding.expected) == (216, 240)
        (small,) = findings(check(plant(sound, np.random.default_rng(seed), 0.01)))
        assert small.measured == 239
        assert not list(check(sound))
