"""Poses, widths and latency against what was rendered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import Clean, short

from robokata.collection.umi.board import Board
from robokata.collection.umi.episode import width_signal
from robokata.collection.umi.latency import latency_between
from robokata.collection.umi.rig import Gates, Rig
from robokata.collection.umi.track import ClipTrack, track_video
from robokata.geometry.poses import angles_between_rad
from umi.umi_videos import Take, Truth, fisheye_camera, render_handheld


def worst_errors(track: ClipTrack, truth: Truth) -> tuple[float, float, float]:
    """95th percentiles: position mm, rotation degrees, width mm."""
    seen, wide = track.is_seen, track.has_width
    place_mm = 1000 * np.linalg.norm(track.pose[seen, :3] - truth.tip_pose[seen, :3], axis=1)
    turn_deg = np.rad2deg(angles_between_rad(track.pose[seen, 3:], truth.tip_pose[seen, 3:]))
    width_mm = 1000 * np.abs(track.width_m - truth.width_m)[wide]
    return tuple(float(np.percentile(errors, 95)) for errors in (place_mm, turn_deg, width_mm))  # type: ignore[return-value]


def tracked(path: Path, take: Take) -> tuple[ClipTrack, Truth]:
    truth = render_handheld(path, take)
    return track_video(path, Rig(take.camera, take.board, take.tags, gripper_range=take.fingers)), truth


def test_a_clean_clip_is_known_to_a_millimetre_a_tenth_of_a_degree_and_five_milliseconds(clean: Clean) -> None:
    track = track_video(clean.video, Rig(clean.take.camera, gripper_range=clean.take.fingers))
    place_mm, turn_deg, width_mm = worst_errors(track, clean.truth)
    assert track.is_seen.all()
    assert track.has_width.all()
    assert (place_mm < 1.0, turn_deg < 0.2, width_mm < 0.3) == (True, True, True), (place_mm, turn_deg, width_mm)
    found = latency_between(width_signal(track), clean.truth.encoder)
    assert found.latency_s == pytest.approx(clean.take.latency_s, abs=0.005)
    assert found.peak_correlation is not None
    assert found.peak_correlation > 0.99


@pytest.mark.parametrize(
    "take",
    [short(camera=fisheye_camera().sized(480, 360)), short(board=Board("charuco", 7, 5, 0.03, 0.04))],
    ids=["fisheye", "charuco"],
)
def test_other_lenses_and_boards_are_known_to_the_same_targets(take: Take, tmp_path: Path) -> None:
    track, truth = tracked(tmp_path / "clip.mp4", take)
    place_mm, turn_deg, width_mm = worst_errors(track, truth)
    assert track.is_seen.mean() > 0.9
    assert (place_mm < 5.0, turn_deg < 1.0, width_mm < 0.3) == (True, True, True), (place_mm, turn_deg, width_mm)


def test_frames_that_a_hand_hides_are_absent_and_those_that_stay_are_right(tmp_path: Path) -> None:
    track, truth = tracked(tmp_path / "clip.mp4", short(has_hand=True, hand_m=0.14))
    place_mm, turn_deg, _ = worst_errors(track, truth)
    assert 0 < track.is_seen.sum() < len(track)
    assert sum(track.refused.values()) == len(track) - track.is_seen.sum()
    assert (place_mm < 5.0, turn_deg < 1.0) == (True, True), (place_mm, turn_deg)


def test_a_pose_is_refused_where_the_gate_is_tighter_than_the_picture(clean: Clean) -> None:
    gates = Gates(max_error_px=0.001)
    track = track_video(clean.video, Rig(clean.take.camera, gates=gates))
    assert not track.is_seen.any()
    assert track.refused == {"error": len(track)}
    assert np.isfinite(track.error_px).all()


def test_gaps_are_filled_only_when_asked_and_marked(clean: Clean) -> None:
    from robokata.collection.umi.track import fill_gaps

    poses = clean.truth.tip_pose.copy()
    poses[10:13] = poses[30:40] = np.nan
    assert not fill_gaps(poses.copy(), longest=0).any()
    filled = fill_gaps(poses, longest=5)
    assert np.flatnonzero(filled).tolist() == [10, 11, 12]
    assert np.isnan(poses[30:40]).all()
    assert np.abs(poses[10:13, :3] - clean.truth.tip_pose[10:13, :3]).max() < 0.002
    assert np.rad2deg(angles_between_rad(poses[10:13, 3:], clean.truth.tip_pose[10:13, 3:])).max() < 1.0


def test_widths_outside_of_the_calibrated_range_are_refused_and_counted(clean: Clean) -> None:
    narrow = clean.take.fingers._replace(open_m=0.05)
    track = track_video(clean.video, replace(Rig(clean.take.camera), gripper_range=narrow))
    beyond = clean.truth.width_m > 0.05 - narrow.closed_m + 0.0025
    assert track.outside_range == pytest.approx(beyond.sum(), abs=2)
    assert not np.isfinite(track.width_m[beyond]).any()
