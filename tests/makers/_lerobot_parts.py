"""What the sound LeRobot datasets of the tests have in common: one arm, its commands, two cameras, one instruction."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.testing import Barcode, barcode_video

RATE_HZ = 30
JOINTS = ["shoulder_pan", "shoulder_lift", "elbow", "wrist_roll", "wrist_pitch", "gripper"]
CAMERAS = ("observation.images.front", "observation.images.wrist")
TEXTS = ("pick up the red block", "open the drawer", "stack the cubes")


def numbers(episode: int, steps: int, first_row: int, seed: int) -> dict[str, NDArray[Any]]:
    """All columns of one episode: smooth motion, commands two samples ahead of it, and the library's counters."""
    rng = np.random.default_rng([seed, episode])
    time_s = np.arange(steps + 2)[:, None] / RATE_HZ
    path = np.sin(time_s * rng.uniform(0.5, 2, len(JOINTS)) + rng.uniform(0, 6, len(JOINTS))).astype(np.float32)
    return {
        "observation.state": path[:-2],
        "action": path[2:],
        "timestamp": (np.arange(steps) / RATE_HZ).astype(np.float32),
        "frame_index": np.arange(steps),
        "episode_index": np.full(steps, episode),
        "index": np.arange(first_row, first_row + steps),
        "task_index": np.full(steps, episode % len(TEXTS)),
    }


def features() -> dict[str, dict[str, Any]]:
    joints = {"dtype": "float32", "shape": [len(JOINTS)], "names": JOINTS}
    info = {"video.fps": float(RATE_HZ), "video.codec": "h264", "video.pix_fmt": "yuv420p"}
    camera = {"dtype": "video", "shape": [64, 64, 3], "names": ["height", "width", "channels"], "info": info}
    counters = {
        name: {"dtype": "int64", "shape": [1], "names": None}
        for name in ("frame_index", "episode_index", "index", "task_index")
    }
    return {
        "observation.state": joints,
        "action": joints,
        **dict.fromkeys(CAMERAS, camera),
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        **counters,
    }


def statistics(columns: dict[str, NDArray[Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "min": np.atleast_1d(array.min(0)).tolist(),
            "max": np.atleast_1d(array.max(0)).tolist(),
            "mean": np.atleast_1d(array.mean(0, dtype=np.float64)).tolist(),
            "std": np.atleast_1d(array.std(0, dtype=np.float64)).tolist(),
            "count": [len(array)],
        }
        for name, array in columns.items()
    }


def all_columns(episodes: int, steps: int, seed: int) -> list[dict[str, NDArray[Any]]]:
    return [numbers(episode, steps, episode * steps, seed) for episode in range(episodes)]


def joined(parts: list[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else {})}


def write_json(path: Path, what: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(what))


def write_lines(path: Path, objects: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in objects))


def write_video(path: Path, barcodes: list[Barcode]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    barcode_video(path, barcodes, rate_hz=Fraction(RATE_HZ))
