"""Datasets to measure on, generated on the spot."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from robokata.core.clock import grid_clock
from robokata.core.episode import Embodiment, Episode, Instruction
from robokata.core.shelf import shelf
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.media.encode import encode_video
from robokata.media.video import VideoFrames
from robokata.testing import Barcode, barcode_video

JOINTS = 14


def smooth_path(steps: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random joint path, (steps, 14) float32, that moves all the time."""
    t = np.arange(steps, dtype=np.float32)[:, np.newaxis] / 50
    rate, phase = rng.uniform(0.1, 0.6, (2, JOINTS)), rng.uniform(0, 6, (2, JOINTS))
    path = np.sin(2 * np.pi * rate[0] * t + phase[0]) + 0.3 * np.sin(2 * np.pi * rate[1] * t + phase[1])
    return (path + rng.normal(0, 3e-4, path.shape)).astype(np.float32)


def numbers_only(path: Path, *, episodes: int, steps: int) -> None:
    """A LeRobot v3.0 set of 50 Hz, 14-joint state and action, without cameras."""
    rng = np.random.default_rng(0)
    rate = Fraction(50)

    def one(number: int) -> Episode:
        table = smooth_path(steps + 3, rng)
        clock = grid_clock(steps, rate)
        names = tuple(f"joint_{i}" for i in range(JOINTS))
        streams = (
            Stream("observation.state", Kind.TENSOR, Role.STATE, clock, ArrayValues(table[:-3]), channels=names),
            Stream("action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(table[3:]), channels=names),
        )
        return Episode(
            id=str(number),
            streams={s.name: s for s in streams},
            embodiment=Embodiment("bench_arm"),
            instructions=(Instruction(f"move to pose {number % 20}"),),
            declared_rate_hz=rate,
        )

    shelf("formats")["lerobot_v3"].write(path, (one(number) for number in range(episodes)))


def large_index(path: Path, *, episodes: int, steps: int) -> None:
    """A LeRobot v3.0 set as LeRobot writes it: real tables, and two cameras whose files are one small video each."""
    rng = np.random.default_rng(0)
    per_file = 2500
    (path / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
    (path / "data" / "chunk-000").mkdir(parents=True)
    cameras = ("observation.images.top", "observation.images.wrist")
    for camera in cameras:
        folder = path / "videos" / camera / "chunk-000"
        folder.mkdir(parents=True)
        barcode_video(folder / "file-000.mp4", [Barcode(0, i) for i in range(steps)], gop=2)
        for number in range(1, episodes // 100):
            (folder / f"file-{number:03d}.mp4").hardlink_to(folder / "file-000.mp4")
    for number, first in enumerate(range(0, episodes, per_file)):
        count = min(per_file, episodes - first) * steps
        columns = {
            name: pyarrow.FixedSizeListArray.from_arrays(
                pyarrow.array(rng.normal(size=count * JOINTS).astype(np.float32)), JOINTS
            )
            for name in ("observation.state", "action")
        }
        columns["timestamp"] = pyarrow.array(np.tile(np.arange(steps) / 50, count // steps).astype(np.float32))
        columns["frame_index"] = pyarrow.array(np.tile(np.arange(steps), count // steps))
        columns["episode_index"] = pyarrow.array(np.repeat(np.arange(first, first + count // steps), steps))
        columns["index"] = pyarrow.array(np.arange(first * steps, first * steps + count))
        columns["task_index"] = pyarrow.array(np.zeros(count, np.int64))
        pyarrow.parquet.write_table(pyarrow.table(columns), path / "data" / "chunk-000" / f"file-{number:03d}.parquet")
    rows = [_episode_row(number, steps, per_file, cameras) for number in range(episodes)]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows), path / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    )
    tasks = pyarrow.table({"task_index": [0, 1, 2], "task": ["pick up the cube", "open the drawer", "wipe the table"]})
    pyarrow.parquet.write_table(tasks, path / "meta" / "tasks.parquet")
    (path / "meta" / "info.json").write_text(json.dumps(_info(episodes, steps, cameras)))


def _episode_row(number: int, steps: int, per_file: int, cameras: tuple[str, ...]) -> dict[str, object]:
    tasks = ("pick up the cube", "open the drawer", "wipe the table")
    row: dict[str, object] = {
        "episode_index": number,
        "tasks": [tasks[number % 3]],
        "length": steps,
        "data/chunk_index": 0,
        "data/file_index": number // per_file,
        "dataset_from_index": number * steps,
        "dataset_to_index": (number + 1) * steps,
    }
    for camera in cameras:
        row |= {
            f"videos/{camera}/chunk_index": 0,
            f"videos/{camera}/file_index": number // 100,
            f"videos/{camera}/from_timestamp": 0.0,
            f"videos/{camera}/to_timestamp": steps / 50,
        }
    for feature in ("observation.state", "action"):
        for quantity in ("min", "max", "mean", "std"):
            row[f"stats/{feature}/{quantity}"] = [0.5] * JOINTS
    return row


def _info(episodes: int, steps: int, cameras: tuple[str, ...]) -> dict[str, object]:
    number = {"dtype": "int64", "shape": [1], "names": None}
    features: dict[str, object] = {
        name: {"dtype": "float32", "shape": [JOINTS], "names": None} for name in ("observation.state", "action")
    }
    features |= {
        camera: {"dtype": "video", "shape": [64, 64, 3], "names": ["height", "width", "channels"]} for camera in cameras
    }
    features |= {"timestamp": {"dtype": "float32", "shape": [1], "names": None}}
    features |= dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), number)
    return {
        "codebase_version": "v3.0",
        "robot_type": "bench_arm",
        "total_episodes": episodes,
        "total_frames": episodes * steps,
        "total_tasks": 3,
        "fps": 50,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": features,
    }


def with_video(path: Path, *, episodes: int, duration_s: float, height_px: int, width_px: int, codec: str) -> None:
    """A LeRobot v3.0 set of one arm and one camera, pictures of a moving arm with sensor noise."""
    from robokata.testing import tiny_episode

    made = (
        tiny_episode(
            number,
            duration_s=duration_s,
            is_measured=False,
            camera_rate_hz=Fraction(50),
            height_px=height_px,
            width_px=width_px,
        )
        for number in range(episodes)
    )
    shelf("formats")["lerobot_v3"].write(path, made, codec=codec, pictures="video")


def two_cameras(path: Path, *, episodes: int, steps: int, height_px: int, width_px: int, format_name: str) -> None:
    """Episodes of a 14-joint arm with two H.264 cameras at 30 Hz; eight videos are encoded, and copied for the rest."""
    from robokata.testing import tiny_episode

    rng, rate = np.random.default_rng(0), Fraction(30)
    clock = grid_clock(steps, rate)
    films = [path.with_name(f"{path.name}-film-{number}.mp4") for number in range(8)]
    for number, film in enumerate(films):
        filmed = tiny_episode(
            number,
            duration_s=steps / 30,
            is_measured=False,
            camera_rate_hz=rate,
            height_px=height_px,
            width_px=width_px,
        )
        pictures = next(filmed.pictures()).pictures
        encode_video(film, (pictures[i] for i in range(steps)), rate_hz=rate, codec="libx264", gop=30, crf=23)

    def one(number: int) -> Episode:
        table = smooth_path(steps + 3, rng)
        streams = [
            Stream("observation.state", Kind.TENSOR, Role.STATE, clock, ArrayValues(table[:-3])),
            Stream("action", Kind.TENSOR, Role.ACTION, clock, ArrayValues(table[3:])),
        ]
        for camera, name in enumerate(("top", "wrist")):
            frames = VideoFrames(films[(2 * number + camera) % len(films)], steps, shape=(height_px, width_px, 3))
            streams.append(
                Stream(f"observation.images.{name}", Kind.VIDEO, Role.CAMERA, clock, frames, encoding="h264")
            )
        return Episode(
            id=str(number),
            streams={s.name: s for s in streams},
            embodiment=Embodiment("bench_arm"),
            instructions=(Instruction(f"move to pose {number % 20}"),),
            declared_rate_hz=rate,
        )

    shelf("formats")[format_name].write(path, (one(number) for number in range(episodes)))
    for film in films:
        film.unlink()
