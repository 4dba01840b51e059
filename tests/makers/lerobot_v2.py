"""A sound LeRobot v2.1 dataset in GR00T's dialect: a table and two videos per episode."""

from __future__ import annotations

from pathlib import Path

from makers._lerobot_parts import (
    CAMERAS,
    RATE_HZ,
    TEXTS,
    all_columns,
    features,
    statistics,
    write_json,
    write_lines,
    write_video,
)
from makers.lerobot_v3 import write_table
from robokata.testing import Barcode

FILES = "**/*.[jpm]*"
"""json, jsonl, parquet and mp4, and no folder."""


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Three episodes per chunk, so that small datasets have several chunks too."""
    path = root / "lerobot_v2"
    columns = all_columns(episodes, steps, seed)
    for number, part in enumerate(columns):
        chunk = f"chunk-{number // 3:03d}"
        write_table(path / f"data/{chunk}/episode_{number:06d}.parquet", part)
        for camera in CAMERAS:
            codes = [Barcode(number, frame) for frame in range(steps)]
            write_video(path / f"videos/{chunk}/{camera}/episode_{number:06d}.mp4", codes)
    tasks = sorted({number % len(TEXTS) for number in range(episodes)})
    listed = [{"episode_index": n, "tasks": [TEXTS[n % len(TEXTS)]], "length": steps} for n in range(episodes)]
    write_lines(path / "meta/episodes.jsonl", listed)
    write_lines(path / "meta/tasks.jsonl", [{"task_index": task, "task": TEXTS[task]} for task in tasks])
    stats = [{"episode_index": number, "stats": statistics(part)} for number, part in enumerate(columns)]
    write_lines(path / "meta/episodes_stats.jsonl", stats)
    groups = {"arm": {"start": 0, "end": 5}, "gripper": {"start": 5, "end": 6}}
    write_json(path / "meta/modality.json", {"state": groups, "action": groups})
    info = {
        "codebase_version": "v2.1",
        "robot_type": "tiny_arm",
        "total_episodes": episodes,
        "total_frames": episodes * steps,
        "total_tasks": len(tasks),
        "total_videos": episodes * len(CAMERAS),
        "total_chunks": -(-episodes // 3),
        "chunks_size": 3,
        "fps": RATE_HZ,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": features(),
    }
    write_json(path / "meta/info.json", info)
    return path
