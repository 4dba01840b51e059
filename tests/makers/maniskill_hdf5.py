"""ManiSkill trajectories, written by h5py: T actions, T + 1 observations, and the JSON beside."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from robokata.testing import barcode_picture

FILES = "*"


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """One file of trajectories at a declared rate of 20 Hz."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    path = root / "trajectory.rgb.pd_joint_pos.h5"
    with h5py.File(path, "w") as file:
        for number in range(episodes):
            group, moved = file.create_group(f"traj_{number}"), rng.normal(0, 0.1, (steps + 1, 9)).cumsum(axis=0)
            group["actions"] = np.diff(moved, axis=0)[:, :8].astype(np.float32)
            group["terminated"], group["truncated"] = np.arange(steps) == steps - 1, np.zeros(steps, bool)
            group["success"] = np.arange(steps) >= steps - 2
            group["obs/agent/qpos"] = moved.astype(np.float32)
            group["obs/agent/qvel"] = np.gradient(moved, axis=0).astype(np.float32)
            group["obs/extra/tcp_pose"] = moved[:, :7].astype(np.float32)
            group["env_states/actors/cube"] = rng.normal(size=(steps + 1, 13)).astype(np.float32)
            pictures = np.stack([barcode_picture(number, frame) for frame in range(steps + 1)])
            group.create_dataset("obs/sensor_data/base_camera/rgb", data=pictures, chunks=(1, *pictures.shape[1:]))
    kwargs = {"control_mode": "pd_joint_pos", "robot_uids": "panda", "sim_config": {"control_freq": 20}}
    listed = [{"episode_id": n, "elapsed_steps": steps, "success": n % 2 == 0} for n in range(episodes)]
    said = {"env_info": {"env_id": "PickCube-v1", "env_kwargs": kwargs}, "episodes": listed}
    path.with_suffix(".json").write_text(json.dumps(said))
    return path
