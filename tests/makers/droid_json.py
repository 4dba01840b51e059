"""A sound DROID subset as JSON and mp4."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np

from robokata.testing import Barcode, barcode_video

FILES = "**/*.*"
"""Files that the damage tests may cut and flip."""


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Episodes with `steps` video frames at 5 fps in two cameras, and three times as many rows of state and action."""
    path, rng = root / "droid_subset", np.random.default_rng(seed)
    (path / "annotation" / "train").mkdir(parents=True)
    (path / "videos" / "train").mkdir(parents=True)
    for number in range(episodes):
        time = np.arange(3 * steps)[:, None] / 15
        pose = np.sin(time * rng.uniform(0.3, 1, 7) + rng.uniform(0, 6, 7))
        videos = [f"videos/train/{number}/{camera}.mp4" for camera in range(2)]
        for video in videos:
            (path / video).parent.mkdir(exist_ok=True)
            barcode_video(path / video, [Barcode(number, f) for f in range(steps)], rate_hz=Fraction(5))
        annotation = {
            "texts": [f"put block {number} in the bowl"],
            "episode_id": number,
            "success": 1,
            "video_length": steps,
            "state_length": steps,
            "raw_length": 3 * steps,
            "videos": [{"video_path": video} for video in videos],
            "latent_videos": [],
            "states": pose[::3].tolist(),
            "observation.state.cartesian_position": pose[:, :6].tolist(),
            "observation.state.gripper_position": pose[:, 6].tolist(),
            "action.cartesian_position": np.vstack([pose[1:, :6], pose[-1:, :6]]).tolist(),
        }
        (path / "annotation" / "train" / f"{number}.json").write_text(json.dumps(annotation, indent=2))
    return path
