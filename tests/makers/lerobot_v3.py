"""A sound LeRobot v3.0 dataset: two packed data files, and packed videos that are cut at other episodes than they."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from makers._lerobot_parts import (
    CAMERAS,
    RATE_HZ,
    TEXTS,
    all_columns,
    features,
    joined,
    statistics,
    write_json,
    write_video,
)
from robokata.testing import Barcode

FILES = "**/*.[jpm]*"
"""json, parquet and mp4, and no folder."""


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Rows: first half in file-000, rest in file-001. Front: one video. Wrist: packed backwards, in two chunks."""
    path = root / "lerobot_v3"
    columns = all_columns(episodes, steps, seed)
    half = (episodes + 1) // 2
    for file, part in enumerate((columns[:half], columns[half:])):
        if part:
            write_table(path / f"data/chunk-000/file-{file:03d}.parquet", joined(part))
    rows = [
        {
            "episode_index": number,
            "tasks": [TEXTS[number % len(TEXTS)]],
            "length": steps,
            "data/chunk_index": 0,
            "data/file_index": int(number >= half),
            "dataset_from_index": number * steps,
            "dataset_to_index": (number + 1) * steps,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        for number in range(episodes)
    ]
    pack(path, rows, CAMERAS[0], [list(range(episodes))], steps)
    backwards = list(reversed(range(episodes)))
    pack(path, rows, CAMERAS[1], [part for part in (backwards[:1], backwards[1:]) if part], steps)
    for row, part in zip(rows, columns, strict=True):
        for name, quantities in statistics(part).items():
            row |= {f"stats/{name}/{quantity}": value for quantity, value in quantities.items()}
    write_meta(path, rows, joined(columns), episodes, steps)
    return path


def pack(path: Path, rows: list[dict[str, Any]], camera: str, packs: list[list[int]], steps: int) -> None:
    """One video per pack of episodes, each in its own chunk; the rows learn where their episode lies."""
    for chunk, numbers in enumerate(packs):
        codes = [Barcode(number, frame) for number in numbers for frame in range(steps)]
        if codes:
            write_video(path / f"videos/{camera}/chunk-{chunk:03d}/file-{chunk + 3:03d}.mp4", codes)
        for place, number in enumerate(numbers):
            rows[number] |= {
                f"videos/{camera}/chunk_index": chunk,
                f"videos/{camera}/file_index": chunk + 3,
                f"videos/{camera}/from_timestamp": place * steps / RATE_HZ,
                f"videos/{camera}/to_timestamp": (place + 1) * steps / RATE_HZ,
            }


def write_table(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: pa.array(list(array)) for name, array in columns.items()})
    # 25 rows per group: groups and episodes do not meet, as LeRobot does not promise that they do.
    pq.write_table(table, path, row_group_size=25, write_page_checksum=True)


def write_meta(path: Path, rows: list[dict[str, Any]], columns: dict[str, Any], episodes: int, steps: int) -> None:
    table = path / "meta/episodes/chunk-000/file-000.parquet"
    table.parent.mkdir(parents=True)
    empty = pa.schema([(n, pa.int64()) for n in ("episode_index", "length", "data/chunk_index", "data/file_index")])
    pq.write_table(pa.Table.from_pylist(rows) if rows else empty.empty_table(), table, write_page_checksum=True)
    tasks = sorted({number % len(TEXTS) for number in range(episodes)})
    texts = pa.table({"task_index": pa.array(tasks, pa.int64()), "task": pa.array([TEXTS[t] for t in tasks])})
    pq.write_table(texts, path / "meta/tasks.parquet", write_page_checksum=True)
    if columns:
        write_json(path / "meta/stats.json", statistics(columns))
    info = {
        "codebase_version": "v3.0",
        "robot_type": "tiny_arm",
        "total_episodes": episodes,
        "total_frames": episodes * steps,
        "total_tasks": len(tasks),
        "chunks_size": 1000,
        "fps": RATE_HZ,
        "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": features(),
    }
    write_json(path / "meta/info.json", info)
