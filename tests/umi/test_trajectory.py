"""Trajectories of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import LOST, Clean

from robokata.collection.umi.rig import Rig
from robokata.collection.umi.trajectory import read_trajectory
from robokata.core.errors import HandheldRefused
from robokata.geometry.poses import angles_between_rad

HEAD = "frame_idx,timestamp,state,is_lost,is_keyframe,x,y,z,q_x,q_y,q_z,q_w\n"


def test_orbslams_csv_gives_the_tip_of_every_frame_that_is_not_lost(clean: Clean) -> None:
    found = read_trajectory(clean.folder / "trajectory.csv")
    tips = found.tips(np.round(clean.truth.times_s * 1e9).astype(np.int64), Rig(clean.take.camera).camera_from_tip)
    absent = np.isnan(tips[:, 0])
    assert set(np.flatnonzero(absent).tolist()) == LOST
    assert found.lost == len(LOST)
    assert np.abs(tips[~absent, :3] - clean.truth.tip_pose[~absent, :3]).max() < 1e-7
    assert angles_between_rad(tips[~absent, 3:], clean.truth.tip_pose[~absent, 3:]).max() < 1e-6


def test_a_tum_file_says_the_same_by_time(clean: Clean, tmp_path: Path) -> None:
    file = tmp_path / "trajectory.txt"
    # TUM's times are read to the nearest frame: 4 ms off is still that frame at 30 Hz.
    rows = [
        " ".join(f"{number:.9f}" for number in (time + 0.004, *pose))
        for row, (time, pose) in enumerate(zip(clean.truth.times_s, clean.truth.camera_pose, strict=True))
        if row not in LOST
    ]
    file.write_text("# timestamp tx ty tz qx qy qz qw\n" + "\n".join(rows) + "\n")
    tips = read_trajectory(file).tips(
        np.round(clean.truth.times_s * 1e9).astype(np.int64), Rig(clean.take.camera).camera_from_tip
    )
    absent = np.isnan(tips[:, 0])
    assert set(np.flatnonzero(absent).tolist()) == LOST
    assert np.abs(tips[~absent, :3] - clean.truth.tip_pose[~absent, :3]).max() < 1e-7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "frame,time\n",
            "lacks the columns frame_idx, timestamp, is_lost, x, y, z, q_x, q_y, q_z, q_w. ORB-SLAM3 writes "
            + HEAD.strip().replace(",", ", ")
            + ".",
        ),
        (
            HEAD + "0,0.0,2,false,false,0,0,0,0,0,0,0\n",
            "line 2 holds no rotation (its quaternion has length 0.000). Rows of lost frames need is_lost=true.",
        ),
        (
            HEAD + "0,0.0,2,false,false,0,0,0,0,0,0,1\n0,0.1,2,false,false,0,0,0,0,0,0,1\n",
            "frame_idx does not rise from row to row.",
        ),
        (
            "0.0 1 2 3\n",
            "line 1 is no pose. It is read as a CSV with a header (ORB-SLAM3, UMI) or as TUM: timestamp x y z q_x q_y "
            "q_z q_w.",
        ),
    ],
)
def test_a_file_that_is_no_trajectory_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "trajectory.csv"
    file.write_text(text)
    with pytest.raises(HandheldRefused) as told:
        read_trajectory(file)
    assert str(told.value) == f"--trajectory {file}: {said}"


def test_a_trajectory_of_another_video_is_refused(clean: Clean) -> None:
    found = read_trajectory(clean.folder / "trajectory.csv")
    tip = Rig(clean.take.camera).camera_from_tip
    with pytest.raises(HandheldRefused, match=r"holds frame 65, and the video has 30 frames. Is it of another one\?"):
        found.tips(np.arange(30) * 33_333_333, tip)
