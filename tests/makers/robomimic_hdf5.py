"""robomimic HDF5, written by h5py: two barcode cameras, low-dimensional state, MuJoCo states and model, split masks."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from robokata.testing import barcode_picture

FILES = ""
ENV_ARGS = {
    "env_name": "Lift",
    "type": 1,
    "env_version": "1.4.1",
    "env_kwargs": {"robots": ["Panda"], "control_freq": 20, "camera_names": ["agentview", "robot0_eye_in_hand"]},
}
CAMERAS = ("agentview_image", "robot0_eye_in_hand_image")


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """One file `demo.hdf5`; odd episodes are of the split `valid`."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    with h5py.File(root / "demo.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = episodes * steps
        data.attrs["env_args"] = json.dumps(ENV_ARGS)
        for number in range(episodes):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = steps
            demo.attrs["model_file"] = '<mujoco model="base"></mujoco>'
            write_demo(demo, number, steps, rng)
        names = np.asarray([f"demo_{number}".encode() for number in range(episodes)], "S8")
        file["mask/train"], file["mask/valid"] = names[0::2], names[1::2]
    return root / "demo.hdf5"


def write_demo(demo: h5py.Group, number: int, steps: int, rng: np.random.Generator) -> None:
    path = smooth(steps + 1, 7, rng)
    demo["actions"] = path[1:]
    demo["states"] = smooth(steps, 32, rng)
    demo["rewards"] = np.zeros(steps)
    demo["dones"] = (np.arange(steps) == steps - 1).astype(np.int64)
    for group, first in (("obs", 0), ("next_obs", 1)):
        demo[f"{group}/robot0_joint_pos"] = path[first : first + steps]
        demo[f"{group}/object"] = smooth(steps, 10, rng)
        if group == "obs":
            for camera in CAMERAS:
                demo[f"{group}/{camera}"] = np.stack([barcode_picture(number, i) for i in range(steps)])


def smooth(steps: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Slow sines of random phase, (steps, width) float64 within -1..1."""
    time_s = np.arange(steps)[:, None] / 20
    return np.sin(time_s * rng.uniform(0.5, 2, width) + rng.uniform(0, 6, width)) * 0.9
