from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from checks.clocked_streams import abstentions, camera, episode, findings
from robokata.checks.frame_count_mismatch import gather, judge, plant
from robokata.core.contracts import Gathered
from robokata.core.episode import Episode
from robokata.core.finding import Level, Verdict
from robokata.core.source import EpisodeList
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video, tiny_source


def check(*episodes: Episode) -> list[Verdict]:
    source = EpisodeList(list(episodes))
    return list(judge([Gathered(e.id, gather(e)) for e in episodes], source.facts()))


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


def packed(tmp_path: Path, *spans_s: tuple[float, float], rows: int = 30) -> list[Episode]:
    """Episodes of one packed file, each with its span."""
    barcode_video(tmp_path / "a.mp4", [Barcode(1, i) for i in range(rows * len(spans_s))])
    frames = [VideoFrames(tmp_path / "a.mp4", rows, span_s=span_s) for span_s in spans_s]
    return [replace(episode(camera(rows).with_values(f)), id=str(n)) for n, f in enumerate(frames)]


def test_an_index_that_counts_to_the_last_frame_is_one_warning_for_all_episodes(tmp_path: Path) -> None:
    (finding,) = findings(check(*packed(tmp_path, (0.0, 29 / 30), (1.0, 59 / 30), (2.0, 89 / 30))))
    assert (finding.level, finding.episode) == (Level.WARNING, None)
    assert finding.message == (
        "cam: the index's spans end 1 frame before the rows do in all episodes (episode 0: 29 for 30 rows); the files "
        "hold a frame for every row, and no other checked episode claims it"
    )


def test_a_short_span_in_a_file_of_its_own_is_a_warning(tmp_path: Path) -> None:
    (finding,) = findings(check(*packed(tmp_path, (0.0, 27 / 30))))
    assert (finding.level, finding.measured, finding.expected) == (Level.WARNING, 27, 30)


def test_frames_that_the_next_episode_claims_are_an_error_that_names_it(tmp_path: Path) -> None:
    (finding,) = findings(check(*packed(tmp_path, (0.0, 29 / 30), (29 / 30, 59 / 30))))
    assert (finding.level, finding.episode) == (Level.ERROR, "0")
    assert finding.message.endswith("the last 1 rows get frames that belong to episode 1")


def test_the_planted_mismatch_is_found_and_scales() -> None:
    for seed in range(20):
        sound = tiny_source(2, seed=seed)
        spoilt = plant(sound, np.random.default_rng(seed), 1.0)
        (finding,) = findings(check(*spoilt.episodes.values()))
        assert (finding.measured, finding.expected, finding.level) == (108, 120, Level.ERROR)
        (small,) = findings(check(*plant(sound, np.random.default_rng(seed), 0.01).episodes.values()))
        assert small.measured == 119
        assert not check(*sound.episodes.values())
