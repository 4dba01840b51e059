"""RoboTwin episodes, written by h5py: JPEGs as fixed-length byte strings, joint actions, end poses, sentences."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import simplejpeg

from robokata.testing import barcode_picture

FILES = "episode*.hdf5"


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """The folder `data` of a task, with `instructions` beside it."""
    rng = np.random.default_rng(seed)
    folder = root / "task" / "data"
    folder.mkdir(parents=True)
    (root / "task" / "instructions").mkdir()
    for number in range(episodes):
        with h5py.File(folder / f"episode{number}.hdf5", "w") as file:
            for camera in ("head_camera", "left_camera"):
                packed = [simplejpeg.encode_jpeg(barcode_picture(number, frame)) for frame in range(steps)]
                longest = max(map(len, packed))
                file[f"observation/{camera}/rgb"] = np.asarray([p.ljust(longest, b"\0") for p in packed], f"S{longest}")
                file[f"observation/{camera}/intrinsic_cv"] = np.tile(np.eye(3), (steps, 1, 1))
            joints = rng.normal(0, 0.05, (steps, 14)).cumsum(axis=0)
            file["joint_action/left_arm"], file["joint_action/left_gripper"] = joints[:, :6], joints[:, 6]
            file["joint_action/right_arm"], file["joint_action/right_gripper"] = joints[:, 7:13], joints[:, 13]
            file["joint_action/vector"] = joints
            file["endpose/left_endpose"] = joints[:, :7]
            file["pointcloud"] = np.zeros((steps, 0))
        said = {"seen": [f"lift block {number}"], "unseen": [f"raise block {number}"]}
        (root / "task" / "instructions" / f"episode{number}.json").write_text(json.dumps(said))
    return folder
